/* intercept.c - stands in front of libc's functions that make and end threads, so that threads are found without the
 * program's help. Not part of libgc.so.1, whose programs call GC_pthread_create and its like.
 *
 * From pthread_create to pthread_join (or the end of a detached thread) a thread has a record (struct gcdune_start),
 * whose `arg' is a root: first the argument on its way to the thread, at last the result on its way to the joiner.
 * Records are under heap.cycle. */
/* Thread sanitizer stands there itself, and its own start of a thread must come first: in its builds threads attach at their
 * first allocation. */
#ifndef __SANITIZE_THREAD__

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "cycle.h"
#include "intercept.h"
#include "mark.h"
#include "thread.h"

bool gcdune_intercept_off;

GCDUNE_INTERCEPT int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*routine)(void *), void *arg)
{
	int state = PTHREAD_CREATE_JOINABLE;

	if (routine == gcdune_mark_helper || routine == gcdune_collector_main || gcdune_intercept_off)
		return GCDUNE_REAL(pthread_create)(thread, attr, routine, arg);
	if (attr)
		pthread_attr_getdetachstate(attr, &state);
	struct gcdune_start *start = gcdune_start_new(routine, arg, state == PTHREAD_CREATE_DETACHED);

	if (!start)
		return EAGAIN;
	int error = GCDUNE_REAL(pthread_create)(thread, attr, gcdune_start_run, start);

	if (error)
		gcdune_start_free(start);
	return error;
}

GCDUNE_INTERCEPT void pthread_exit(void *result)
{
	gcdune_start_result(result);
	GCDUNE_REAL(pthread_exit)(result);
	__builtin_unreachable();
}

/* The record is looked up before the join: after it the descriptor may be another thread's, and be so already for long.
 */
#define JOIN(name, ...)                                                                                                \
	uint64_t serial = gcdune_start_serial(thread);                                                                 \
	int error = GCDUNE_REAL(name)(thread, __VA_ARGS__);                                                            \
	if (!error)                                                                                                    \
		gcdune_start_joined(serial); /* the result has arrived where the caller wants it */                    \
	return error

GCDUNE_INTERCEPT int pthread_join(pthread_t thread, void **result)
{
	JOIN(pthread_join, result);
}

GCDUNE_INTERCEPT int pthread_tryjoin_np(pthread_t thread, void **result)
{
	JOIN(pthread_tryjoin_np, result);
}

GCDUNE_INTERCEPT int pthread_timedjoin_np(pthread_t thread, void **result, const struct timespec *until)
{
	JOIN(pthread_timedjoin_np, result, until);
}

GCDUNE_INTERCEPT int pthread_clockjoin_np(pthread_t thread, void **result, clockid_t clock,
					  const struct timespec *until)
{
	JOIN(pthread_clockjoin_np, result, clock, until);
}

GCDUNE_INTERCEPT int pthread_detach(pthread_t thread)
{
	/* Before libc's: after it the descriptor may be another thread's. */
	gcdune_start_detached(thread);
	return GCDUNE_REAL(pthread_detach)(thread);
}

#endif
