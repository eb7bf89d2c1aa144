/* lock.c - owns heap.cycle, the lock under which the list of threads stands still and the world is stopped. */
#define _GNU_SOURCE
#include "thread.h"

static pthread_mutex_t cycle = PTHREAD_MUTEX_INITIALIZER;
static _Atomic uintptr_t owner; /* thread pointer of the holder, 0: free */
static unsigned depth;

bool gcdune_cycle_locked_here(void)
{
	return atomic_load_explicit(&owner, memory_order_relaxed) == (uintptr_t)pthread_self();
}

/* A thread that waits here does nothing with the heap: it counts as blocked, and the collection that it waits for need
 * not stop it. It is RUNNING again once it has the lock, when no collection can begin. */
static __attribute__((noinline)) void wait_for_cycle(void)
{
	struct gcdune_thread *self = gcdune_thread_self;

	if (!self || self->critical || atomic_load(&self->state) == GCDUNE_THREAD_BLOCKED) {
		pthread_mutex_lock(&cycle);
		return;
	}
	uintptr_t outer = self->sp;

	__builtin_unwind_init();
	self->takes_lock = true;
	self->sp = (uintptr_t)__builtin_frame_address(0) - 128;
	atomic_store(&self->state, GCDUNE_THREAD_BLOCKED);
	pthread_mutex_lock(&cycle);
	atomic_store(&self->state, GCDUNE_THREAD_RUNNING);
	self->takes_lock = false;
	self->sp = outer;
}

void gcdune_cycle_lock(void)
{
	if (!gcdune_cycle_locked_here()) {
		if (pthread_mutex_trylock(&cycle))
			wait_for_cycle();
		atomic_store_explicit(&owner, (uintptr_t)pthread_self(), memory_order_relaxed);
	}
	depth++;
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
	pthread_mutex_init(&cycle, NULL);
	pthread_mutex_lock(&cycle);
}
