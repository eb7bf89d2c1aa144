/* intercept.c - stands in front of libc's functions that make and end threads, so that threads are found without the program's help. Not
 * part of libgc.so.1, whose programs call GC_pthread_create and its like.
 *
 * From pthread_create to pthread_join (or the end of a detached thread) a thread has a record (struct gcdune_start), whose `arg' is
 * a root: first the argument on its way to the thread, at last the result on its way to the joiner. Records are under heap.cycle. */
#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "intercept.h"
#include "mark.h"
#include "thread.h"

GCDUNE_INTERCEPT int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*routine)(void *), void *arg)
{
	int state = PTHREAD_CREATE_JOINABLE;

	if (routine == gcdune_mark_helper)
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

/* The result has arrived where the caller wants it: the record has done its work. */
static int joined(pthread_t thread, int error)
{
	if (!error)
		gcdune_start_joined(thread);
	return error;
}

GCDUNE_INTERCEPT int pthread_join(pthread_t thread, void **result)
{
	return joined(thread, GCDUNE_REAL(pthread_join)(thread, result));
}

GCDUNE_INTERCEPT int pthread_tryjoin_np(pthread_t thread, void **result)
{
	return joined(thread, GCDUNE_REAL(pthread_tryjoin_np)(thread, result));
}

GCDUNE_INTERCEPT int pthread_timedjoin_np(pthread_t thread, void **result, const struct timespec *until)
{
	return joined(thread, GCDUNE_REAL(pthread_timedjoin_np)(thread, result, until));
}

GCDUNE_INTERCEPT int pthread_clockjoin_np(pthread_t thread, void **result, clockid_t clock, const struct timespec *until)
{
	return joined(thread, GCDUNE_REAL(pthread_clockjoin_np)(thread, result, clock, until));
}

GCDUNE_INTERCEPT int pthread_detach(pthread_t thread)
{
	/* Before libc's: after it the descriptor may be another thread's. */
	gcdune_start_detached(thread);
	return GCDUNE_REAL(pthread_detach)(thread);
}
