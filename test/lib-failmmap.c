/* lib-failmmap.c - preloaded by test-fault.sh: makes calls to the kernel for memory, and pthread_create, fail.
 *
 * FAULT_CALLS is a list of the calls to count (mmap, mprotect, madvise, mremap, pthread_create); the FAULT_AT-th of
 * them fails, or with FAULT_ALL=1 that and each one after. Only what calls through the dynamic linker is seen: that is
 * the library and the program, not libc itself. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static long count;

/* Whether this call is one to fail. Called before anything is initialized. */
static bool fails(const char *call)
{
	const char *calls = getenv("FAULT_CALLS"), *at = getenv("FAULT_AT"), *all = getenv("FAULT_ALL");
	long number, n;

	if (!calls || !at || !strstr(calls, call))
		return false;
	number = atol(at);
	n = __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED);
	return n == number || (all && *all == '1' && n > number);
}

static void *set_errno(void)
{
	errno = ENOMEM;
	return MAP_FAILED;
}

void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
	if (fails("mmap"))
		return set_errno();
	return (void *)syscall(SYS_mmap, address, length, protection, flags, fd, offset);
}

void *mmap64(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
	return mmap(address, length, protection, flags, fd, offset);
}

int mprotect(void *address, size_t length, int protection)
{
	if (fails("mprotect")) {
		errno = ENOMEM;
		return -1;
	}
	return (int)syscall(SYS_mprotect, address, length, protection);
}

int madvise(void *address, size_t length, int advice)
{
	if (fails("madvise")) {
		errno = EINVAL;
		return -1;
	}
	return (int)syscall(SYS_madvise, address, length, advice);
}

void *mremap(void *old, size_t old_size, size_t new_size, int flags, ...)
{
	va_list args;
	void *target;

	va_start(args, flags);
	target = va_arg(args, void *);
	va_end(args);
	if (fails("mremap"))
		return set_errno();
	return (void *)syscall(SYS_mremap, old, old_size, new_size, flags, target);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	static int (*next)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

	if (fails("pthread_create"))
		return EAGAIN;
	if (!next)
		next = (int (*)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))dlsym(RTLD_NEXT,
												       "pthread_create");
	return next(thread, attr, fn, arg);
}
