/* collector.c - owns the thread that runs cycles beside the program, made when first wanted, and the count of cycles asked
 * for and done. Called by cycle.c. */
#define _GNU_SOURCE

#include "cycle.h"
#include "options.h"
#include "os.h"
#include "place.h"
#include "thread.h"

static _Atomic uint32_t asked, done; /* futexes; tickets are values of `asked' */
static _Atomic int why;
static _Atomic bool exists;
static _Atomic uintptr_t claimed; /* by the thread that is about to ask; 0: none */
static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;
static _Atomic uintptr_t maker; /* the thread that holds it; 0: none */

void *gcdune_collector_main(void *arg)
{
	(void)arg;
	gcdune_os_thread_begins();
	gcdune_place_thread_begins();
	for (;;) {
		uint32_t served = atomic_load(&asked);

		if (served == atomic_load(&done)) {
			gcdune_os_futex_wait(&asked, served);
			continue;
		}
		gcdune_place_look();
		gcdune_cycle_run((enum gcdune_cycle_reason)why);
		gcdune_place_end();
		atomic_store(&done, served);
		gcdune_os_futex_wake(&done, INT32_MAX);
	}
	return NULL;
}

bool gcdune_collector_ready(void)
{
	if (atomic_load_explicit(&exists, memory_order_acquire))
		return true;
	pthread_mutex_lock(&making);
	maker = (uintptr_t)pthread_self();
	if (!exists && gcdune_os_thread_make(gcdune_collector_main, gcdune_options.signal) == 0)
		atomic_store_explicit(&exists, true, memory_order_release);
	maker = 0;
	pthread_mutex_unlock(&making);
	return exists;
}

uint32_t gcdune_collector_ask(enum gcdune_cycle_reason reason, void (*before)(void))
{
	uintptr_t no_one = 0;

	if (gcdune_collector_busy() || !atomic_compare_exchange_strong(&claimed, &no_one, (uintptr_t)pthread_self()))
		return 0;
	uint32_t ticket = 0;

	if (!gcdune_collector_busy()) {
		before();
		why = (int)reason;
		gcdune_place_begin();
		gcdune_place_program();
		ticket = atomic_fetch_add(&asked, 1) + 1;
		ticket = ticket ? ticket : 1;
		gcdune_os_futex_wake(&asked, 1);
	}
	claimed = 0;
	return ticket;
}

bool gcdune_collector_asking_here(void)
{
	return claimed == (uintptr_t)pthread_self() || maker == (uintptr_t)pthread_self();
}

uint32_t gcdune_collector_busy(void)
{
	uint32_t last = atomic_load(&asked);

	return last != atomic_load(&done) ? last : 0;
}

static void *wait_for(void *ticket)
{
	for (;;) {
		uint32_t now = atomic_load(&done);

		if ((int32_t)(now - (uint32_t)(uintptr_t)ticket) >= 0)
			return NULL;
		gcdune_os_futex_wait(&done, now);
	}
}

void gcdune_collector_wait(uint32_t ticket)
{
	gcdune_blocking_call(wait_for, (void *)(uintptr_t)ticket);
}

void gcdune_collector_after_fork(void)
{
	pthread_mutex_init(&making, NULL);
	exists = false;
	claimed = maker = 0;
	atomic_store(&done, atomic_load(&asked));
	gcdune_place_end();
}
