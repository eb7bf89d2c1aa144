/* lock.c - owns heap.cycle, the lock under which the list of threads stands still and the world is stopped.
 *
 * The dynamic linker's lock (loader.c) and heap.cycle may be asked for in either order by the program: a callback of
 * dl_iterate_phdr adds roots, or makes a thread; what GC_call_with_alloc_lock calls opens a library. So whoever of us
 * needs both never holds one while it waits for the other: the linker's first, then heap.cycle if it is free, else both
 * are given back and the wait for heap.cycle is done with neither. */
#define _GNU_SOURCE
#include <signal.h>

#include "loader.h"
#include "options.h"
#include "thread.h"

/* Only who holds `queue' waits for `cycle', and who comes while one waits waits too, but for a few: so a thread that takes the
 * lock again and again (gcdune_locked_call in a loop) lets one that waits have it in between. ECL asks its weak pointers so, some
 * million times a second: where no one waits, all is one mutex. Guile asks in several threads at once, and were there none that
 * may go first, each would sleep, and be woken by the one before it, as long as all go on. */
enum { MOST_FIRST = 32, SPINS = 64 };
static pthread_mutex_t queue = PTHREAD_MUTEX_INITIALIZER;
static _Atomic unsigned waiting; /* for `queue', or with it */
static _Atomic unsigned first;	 /* that have gone before the one with `queue' */
static pthread_mutex_t cycle = PTHREAD_MUTEX_INITIALIZER;
static _Atomic uintptr_t owner; /* thread pointer of the holder, 0: free */
static unsigned depth;

bool gcdune_cycle_locked_here(void)
{
	return atomic_load_explicit(&owner, memory_order_relaxed) == (uintptr_t)pthread_self();
}

static void acquire(void)
{
	atomic_fetch_add(&waiting, 1);
	pthread_mutex_lock(&queue);
	pthread_mutex_lock(&cycle);
	atomic_store_explicit(&first, 0, memory_order_relaxed);
	pthread_mutex_unlock(&queue);
	atomic_fetch_sub(&waiting, 1);
}

static bool acquire_at_once(void)
{
	bool before = atomic_load_explicit(&waiting, memory_order_relaxed) != 0;

	if ((before && atomic_load_explicit(&first, memory_order_relaxed) >= MOST_FIRST) || pthread_mutex_trylock(&cycle))
		return false;
	if (before)
		atomic_fetch_add_explicit(&first, 1, memory_order_relaxed);
	return true;
}

/* Most hold it for less than it takes to sleep and be woken. */
static bool acquire_soon(void)
{
	for (unsigned i = 0; i < SPINS; i++) {
		if (acquire_at_once())
			return true;
		__builtin_ia32_pause();
	}
	return false;
}

/* A thread may come here with all signals blocked (Crystal forks so), and one that stops the world wait for its answer: it
 * can be stopped while it waits. */
static void let_stop(sigset_t *before)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, gcdune_options.signal);
	pthread_sigmask(SIG_UNBLOCK, &set, before);
}

/* A thread that waits here does nothing with the heap: it counts as blocked, and the collection that it waits for need
 * not stop it. It is RUNNING again once it has the lock, when no collection can begin. */
static __attribute__((noinline)) void wait_for_cycle(void)
{
	struct gcdune_thread *self = gcdune_thread_self;
	sigset_t before;

	if (!self || self->critical || atomic_load(&self->state) == GCDUNE_THREAD_BLOCKED) {
		acquire();
		return;
	}
	uintptr_t outer = self->sp;

	__builtin_unwind_init();
	self->takes_lock = true;
	self->sp = (uintptr_t)__builtin_frame_address(0) - 128;
	atomic_store(&self->state, GCDUNE_THREAD_BLOCKED);
	let_stop(&before);
	acquire();
	atomic_store(&self->state, GCDUNE_THREAD_RUNNING);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	self->takes_lock = false;
	self->sp = outer;
}

void gcdune_cycle_lock(void)
{
	if (!gcdune_cycle_locked_here()) {
		if (!acquire_soon())
			wait_for_cycle();
		atomic_store_explicit(&owner, (uintptr_t)pthread_self(), memory_order_relaxed);
	}
	depth++;
}

bool gcdune_cycle_trylock(void)
{
	if (!gcdune_cycle_locked_here()) {
		if (!acquire_soon())
			return false;
		atomic_store_explicit(&owner, (uintptr_t)pthread_self(), memory_order_relaxed);
	}
	depth++;
	return true;
}

void gcdune_cycle_wait(void)
{
	gcdune_cycle_lock();
	gcdune_cycle_unlock();
}

void gcdune_cycle_lock_with_loader(void)
{
	sigset_t before;

	let_stop(&before);
	for (;;) {
		gcdune_loader_lock();
		if (gcdune_cycle_trylock())
			break;
		gcdune_loader_unlock();
		gcdune_cycle_wait();
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void gcdune_cycle_unlock(void)
{
	if (--depth)
		return;
	atomic_store_explicit(&owner, 0, memory_order_relaxed);
	pthread_mutex_unlock(&cycle);
}

/* The child of a fork holds it as its parent did when it forked. */
void gcdune_cycle_lock_after_fork(void)
{
	pthread_mutex_init(&queue, NULL);
	waiting = first = 0;
	pthread_mutex_init(&cycle, NULL);
	pthread_mutex_lock(&cycle);
}
