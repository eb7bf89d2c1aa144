/* os-thread.c - makes the collector's own threads (the collector, the markers), and keeps a fork from falling between
 * the making of one and its first instruction of ours: on the way there it may hold a lock that libc or a sanitizer does
 * not give back in the child. So may who makes it, until libc has done with that. Called by collector.c, mark-help.c and fork.c; see os.h.
 *
 * `beginning' counts the threads that are on that way, and those that make one, `forking' the threads of the program between
 * gcdune_os_fork_begins and _ends. Each side raises its own count, then reads the other's, both sequentially consistent:
 * a maker that comes late gives up, so while a fork goes on no thread is beginning. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "os.h"

static _Atomic uint32_t beginning, forking;

static void begun(void)
{
	if (atomic_fetch_sub(&beginning, 1) == 1 && forking)
		gcdune_os_futex_wake(&beginning, INT32_MAX);
}

int gcdune_os_thread_make(void *(*main)(void *), int stop_signal)
{
	pthread_t thread;
	pthread_attr_t attr;
	sigset_t all, but_stop, before;
	int error = EAGAIN;

	/* No handler forks in between. But a thread that is stopped may hold a lock of libc's that is waited for here: a stop
	 * must not wait for us. */
	sigfillset(&all);
	but_stop = all;
	sigdelset(&but_stop, stop_signal);
	pthread_sigmask(SIG_SETMASK, &but_stop, &before);
	atomic_fetch_add(&beginning, 2); /* it, and we */
	if (!atomic_load(&forking)) {
		pthread_attr_init(&attr);
		pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
		pthread_attr_setstacksize(&attr, 256 << 10);
		error = pthread_attr_setsigmask_np(&attr, &all);
		if (!error)
			error = pthread_create(&thread, &attr, main, NULL);
		pthread_attr_destroy(&attr);
	}
	if (error)
		begun();
	begun();
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -error;
}

void gcdune_os_fork_begins(int stop_signal)
{
	sigset_t set, before;
	uint32_t n;

	atomic_fetch_add(&forking, 1);
	if (!atomic_load(&beginning))
		return;
	/* The maker may wait for a thread that is stopped, as above: a stop must not wait for us, who wait for the maker. Some
	 * fork with all signals blocked. */
	sigemptyset(&set);
	sigaddset(&set, stop_signal);
	pthread_sigmask(SIG_UNBLOCK, &set, &before);
	while ((n = atomic_load(&beginning)))
		gcdune_os_futex_wait(&beginning, n);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void gcdune_os_fork_ends(bool child)
{
	if (child)
		forking = 0; /* others that were about to fork are not here */
	else
		atomic_fetch_sub(&forking, 1);
}

#ifdef __SANITIZE_ADDRESS__
void __asan_unpoison_memory_region(void const volatile *address, size_t size);

__attribute__((no_sanitize("address"))) void gcdune_os_thread_begins(void)
{
	char *here = __builtin_frame_address(0);

	/* The caller's frame, and all that will be used below: the stack is 256 KiB. */
	__asan_unpoison_memory_region(here - (200 << 10), 204 << 10);
	begun();
}
#else
void gcdune_os_thread_begins(void)
{
	begun();
}
#endif
