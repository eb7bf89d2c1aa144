/* intercept.c - the functions of libc that libgcdune takes over, so that threads are found without the program's help and cannot
 * hide from being stopped by blocking every signal. Not part of libgc.so.1, whose programs call GC_pthread_create and its like. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "gcdune.h"
#include "heap.h"
#include "mark.h"
#include "options.h"
#include "os.h"
#include "thread.h"

#define PUBLIC __attribute__((visibility("default")))

static void *next(const char *name)
{
	void *function = dlsym(RTLD_NEXT, name);

	if (!function)
		gcdune_panic("%s of libc cannot be found: is the program linked statically? Then link without intercept.o", name);
	return function;
}

PUBLIC int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*routine)(void *), void *arg)
{
	static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

	if (!real)
		real = (int (*)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))next("pthread_create");
	if (routine == gcdune_mark_helper)
		return real(thread, attr, routine, arg);
	struct gcdune_start *start = gcdune_start_new(routine, arg);

	if (!start)
		return EAGAIN;
	int error = real(thread, attr, gcdune_start_run, start);

	if (error)
		gcdune_start_free(start);
	return error;
}

/* The mask without the signal that stops threads; MASK itself where that is not blocked. */
static const sigset_t *without_stop(int how, const sigset_t *mask, sigset_t *copy)
{
	if (!mask || how == SIG_UNBLOCK || !sigismember(mask, gcdune_options.signal))
		return mask;
	*copy = *mask;
	sigdelset(copy, gcdune_options.signal);
	return copy;
}

PUBLIC int pthread_sigmask(int how, const sigset_t *mask, sigset_t *old)
{
	static int (*real)(int, const sigset_t *, sigset_t *);
	sigset_t copy;

	if (!real)
		real = (int (*)(int, const sigset_t *, sigset_t *))next("pthread_sigmask");
	return real(how, gcdune_thread_self ? without_stop(how, mask, &copy) : mask, old);
}

PUBLIC int sigprocmask(int how, const sigset_t *mask, sigset_t *old)
{
	static int (*real)(int, const sigset_t *, sigset_t *);
	sigset_t copy;

	if (!real)
		real = (int (*)(int, const sigset_t *, sigset_t *))next("sigprocmask");
	return real(how, gcdune_thread_self ? without_stop(how, mask, &copy) : mask, old);
}
