/* intercept-exec.c - stands in front of libc's functions that replace the program. A signal that is to stop the calling thread
 * and has not been answered yet would stay pending, and end the new program, which has no handler for it. So no stop is
 * under way when the program is replaced, and none begins: the thread holds heap.cycle. Not part of libgc.so.1 (see
 * intercept.c).
 *
 * Not so in the child of a vfork, which shares its parent's memory, and would leave the lock taken there; nor in a handler
 * that interrupted one of our critical sections or a wait for that lock. */
#ifndef __SANITIZE_THREAD__

#include <stdarg.h>
#include <unistd.h>

#include "intercept.h"
#include "thread.h"

extern char **environ;

static bool hold_stops(void)
{
	const struct gcdune_thread *self = gcdune_thread_self;

	if (gcdune_intercept_off || !self || self->critical || atomic_load(&self->state) != GCDUNE_THREAD_RUNNING ||
	    self->tid != gcdune_os_tid())
		return false;
	gcdune_cycle_lock();
	return true;
}

/* The call failed. */
static int let_stops(bool held)
{
	if (held)
		gcdune_cycle_unlock();
	return -1;
}

GCDUNE_INTERCEPT int execve(const char *path, char *const *argv, char *const *env)
{
	bool held = hold_stops();

	(void)GCDUNE_REAL(execve)(path, argv, env);
	return let_stops(held);
}

GCDUNE_INTERCEPT int fexecve(int fd, char *const *argv, char *const *env)
{
	bool held = hold_stops();

	(void)GCDUNE_REAL(fexecve)(fd, argv, env);
	return let_stops(held);
}

GCDUNE_INTERCEPT int execvpe(const char *file, char *const *argv, char *const *env)
{
	bool held = hold_stops();

	(void)GCDUNE_REAL(execvpe)(file, argv, env);
	return let_stops(held);
}

GCDUNE_INTERCEPT int execv(const char *path, char *const *argv)
{
	return execve(path, argv, environ);
}

GCDUNE_INTERCEPT int execvp(const char *file, char *const *argv)
{
	return execvpe(file, argv, environ);
}

/* The arguments from FIRST to a null pointer, as an array; then, if ENV, what follows that. */
#define LISTED(first, argv, env)                                                                                       \
	va_list list, again;                                                                                           \
	size_t count = 1;                                                                                              \
                                                                                                                       \
	va_start(list, first);                                                                                         \
	va_copy(again, list);                                                                                          \
	while (va_arg(list, char *))                                                                                   \
		count++;                                                                                               \
	char **argv = __builtin_alloca((count + 1) * sizeof *argv), **env = NULL;                                      \
                                                                                                                       \
	argv[0] = (char *)(uintptr_t)first;                                                                            \
	for (size_t i = 1; i <= count; i++)                                                                            \
		argv[i] = va_arg(again, char *);                                                                       \
	(void)env

GCDUNE_INTERCEPT int execl(const char *path, const char *arg, ...)
{
	LISTED(arg, argv, env);
	va_end(list);
	va_end(again);
	return execve(path, argv, environ);
}

GCDUNE_INTERCEPT int execlp(const char *file, const char *arg, ...)
{
	LISTED(arg, argv, env);
	va_end(list);
	va_end(again);
	return execvpe(file, argv, environ);
}

GCDUNE_INTERCEPT int execle(const char *path, const char *arg, ...)
{
	LISTED(arg, argv, env);
	env = va_arg(again, char **);
	va_end(list);
	va_end(again);
	return execve(path, argv, env);
}

#endif
