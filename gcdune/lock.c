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
#include "os.h"
#include "thread.h"

/* Who holds it: `owner'. Only who holds `queue' waits for that, and who comes while one waits waits too, but for a few: so a thread
 * that takes the lock again and again (gcdune_locked_call in a loop) lets one that waits have it in between. ECL asks its weak
 * pointers so, some ten million times a second. Guile asks in several threads at once, and were there none that may go first,
 * each would sleep, and be woken by the one before it, as long as all go on.
 *
 * A thread that took it MANY times, with no one else doing so in between, is favoured: as long as the favour is granted it says
 * that it holds the lock by an ordinary store to `held', and does not touch `owner' ("biased locking": Kawachiya, Koseki and
 * Onodera, OOPSLA 2002; Russell and Detlefs, OOPSLA 2006). Any other takes the favour back once it is the owner, and waits
 * until nothing is held. The favoured one stores `held', then loads `granted'; the other stores `granted', then loads `held':
 * one of the two sees the other's store if both make a fence in between. The other makes it for both (membarrier
 * interrupts every thread that runs). The same holds for giving back: `held', then `awaits', and the other way about.
 *
 * There is one favourite, the first thread that earned it, and its favour is granted by itself, being the owner, and with no one
 * in `queue'. So nobody else ever stores to `held', and a late store of the favourite's, after which it finds that it has
 * lost the favour, makes others wait for a moment at worst. */
enum { MOST_FIRST = 32, SPINS = 64, MANY = 1 << 14, UNSURE_NS = 1000000 };
static pthread_mutex_t queue = PTHREAD_MUTEX_INITIALIZER;
static _Atomic unsigned waiting; /* for `queue', or with it */
static _Atomic unsigned first;	 /* that have gone before the one with `queue' */
static _Atomic uintptr_t owner;	 /* thread pointer, 0: none */
static _Atomic uint32_t sleeps;	 /* the one with `queue' does, until this is 0 */
static unsigned depth;		 /* of the holder */

static _Atomic uintptr_t favourite; /* thread pointer; it changes once */
static _Atomic bool granted;
static _Atomic bool held;	/* by the favourite, in its favour */
static _Atomic uint32_t awaits; /* the owner sleeps, until this is 0 or `held' is */
static uintptr_t last;		/* owner; and how often, in turn: */
static unsigned times;

/* pthread_self, without the call. */
static uintptr_t here(void)
{
	uintptr_t tp;

	__asm__("mov %%fs:0, %0" : "=r"(tp));
	return tp;
}

static bool is_favourite(void)
{
	return atomic_load_explicit(&favourite, memory_order_relaxed) == here();
}

bool gcdune_cycle_locked_here(void)
{
	return atomic_load_explicit(&owner, memory_order_relaxed) == here() ||
	       (is_favourite() && atomic_load_explicit(&held, memory_order_relaxed));
}

/* ---- The favourite ---- */

static __attribute__((noinline)) void wake_owner(void)
{
	atomic_store(&awaits, 0);
	gcdune_os_futex_wake(&awaits, 1);
}

static inline void give_back_held(void)
{
	atomic_store_explicit(&held, false, memory_order_release);
	__atomic_signal_fence(__ATOMIC_SEQ_CST); /* the other side's membarrier does the rest */
	if (__builtin_expect(atomic_load_explicit(&awaits, memory_order_relaxed), 0))
		wake_owner();
}

static inline bool take_favour(void)
{
	if (!is_favourite() || !atomic_load_explicit(&granted, memory_order_relaxed))
		return false;
	atomic_store_explicit(&held, true, memory_order_relaxed);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (__builtin_expect(atomic_load_explicit(&granted, memory_order_acquire), 1))
		return true;
	give_back_held();
	return false;
}

/* The owner is about to be none. */
static void grant(void)
{
	uintptr_t nobody = 0;

	if (last != here()) {
		last = here();
		times = 0;
	}
	if (++times < MANY)
		return;
	times = 0;
	if (!gcdune_os_can_fence_all() || pthread_mutex_trylock(&queue))
		return;
	atomic_compare_exchange_strong(&favourite, &nobody, here());
	if (is_favourite())
		atomic_store(&granted, true);
	pthread_mutex_unlock(&queue);
}

/* The owner sees to it that it holds the lock alone; it is not the favourite, unless nothing is held. False: not without waiting
 * for longer. Then the favourite has lost its favour, and holds the lock still. */
static bool take_favour_back(bool wait)
{
	times = 0;
	atomic_store(&granted, false);
	for (;;) {
		atomic_store(&awaits, wait);
		if (gcdune_os_fence_all())
			gcdune_os_sleep(UNSURE_NS); /* refused from now on: no store takes as long to be seen */
		for (unsigned i = 0; i < SPINS; i++) {
			if (!atomic_load_explicit(&held, memory_order_acquire)) {
				atomic_store(&awaits, 0);
				return true;
			}
			__builtin_ia32_pause();
		}
		if (!wait)
			return false;
		gcdune_os_futex_wait(&awaits, 1);
	}
}

/* As long as a failed try of somebody's has left something held, or the favourite is just finding out. */
static bool is_shared(void)
{
	return __builtin_expect(atomic_load_explicit(&granted, memory_order_relaxed) ||
					atomic_load_explicit(&held, memory_order_acquire), 0);
}

/* ---- The owner ---- */

static bool take(void)
{
	uintptr_t none = 0;

	return atomic_compare_exchange_strong_explicit(&owner, &none, here(), memory_order_acquire, memory_order_relaxed);
}

static void give_back(void)
{
	atomic_exchange(&owner, 0);
	if (atomic_load(&sleeps)) {
		atomic_store(&sleeps, 0);
		gcdune_os_futex_wake(&sleeps, 1);
	}
}

/* Alone, when it returns. */
static void acquire(void)
{
	atomic_fetch_add(&waiting, 1);
	pthread_mutex_lock(&queue);
	for (;;) {
		atomic_store(&sleeps, 1);
		if (take())
			break;
		gcdune_os_futex_wait(&sleeps, 1);
	}
	atomic_store(&sleeps, 0);
	atomic_store_explicit(&first, 0, memory_order_relaxed);
	pthread_mutex_unlock(&queue);
	atomic_fetch_sub(&waiting, 1);
	if (is_shared())
		take_favour_back(true);
}

static bool take_if_free(void)
{
	bool before = atomic_load_explicit(&waiting, memory_order_relaxed) != 0;

	if ((before && atomic_load_explicit(&first, memory_order_relaxed) >= MOST_FIRST) || !take())
		return false;
	if (before)
		atomic_fetch_add_explicit(&first, 1, memory_order_relaxed);
	return true;
}

/* Most hold it for less than it takes to sleep and be woken. Who has to wait for the favourite waits as the others do: it may hold
 * the lock for as long as it likes, and stop the world. */
static bool acquire_soon(void)
{
	for (unsigned i = 0; i < SPINS; i++) {
		if (take_if_free()) {
			if (!is_shared() || take_favour_back(false))
				return true;
			give_back();
			return false;
		}
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
	if (!gcdune_cycle_locked_here() && !take_favour() && !acquire_soon())
		wait_for_cycle();
	depth++;
}

bool gcdune_cycle_trylock(void)
{
	if (!gcdune_cycle_locked_here() && !take_favour() && !acquire_soon())
		return false;
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
	if (atomic_load_explicit(&owner, memory_order_relaxed) != here()) {
		give_back_held();
		return;
	}
	grant();
	give_back();
}

/* ---- For the program ---- */

static void *locked_call_slow(void *(*fn)(void *), void *arg, void *back)
{
	struct gcdune_thread *thread = gcdune_thread_self;

	gcdune_cycle_lock();
	void *result = fn(arg);

	if (thread) {
		thread->leaving_to = (uintptr_t)back;
		thread->refused = 0;
		atomic_store_explicit(&thread->leaving, GCDUNE_LEAVING_LOCK, memory_order_relaxed);
	}
	gcdune_cycle_unlock();
	if (thread)
		atomic_store_explicit(&thread->leaving, GCDUNE_LEAVING_CALL, memory_order_relaxed);
	return result;
}

void *gcdune_locked_call_to(void *(*fn)(void *), void *arg, void *back)
{
	struct gcdune_thread *thread = gcdune_thread_self;

	if (!thread || atomic_load_explicit(&held, memory_order_relaxed) || !take_favour())
		return locked_call_slow(fn, arg, back);
	depth = 1;
	void *result = fn(arg);

	depth = 0;
	thread->leaving_to = (uintptr_t)back;
	thread->refused = 0;
	atomic_store_explicit(&thread->leaving, GCDUNE_LEAVING_LOCK, memory_order_relaxed);
	give_back_held();
	atomic_store_explicit(&thread->leaving, GCDUNE_LEAVING_CALL, memory_order_relaxed);
	return result;
}

void *gcdune_locked_call(void *(*fn)(void *), void *arg)
{
	return gcdune_locked_call_to(fn, arg, __builtin_return_address(0));
}

/* The child of a fork holds it as its parent did when it forked. */
void gcdune_cycle_lock_after_fork(void)
{
	pthread_mutex_init(&queue, NULL);
	waiting = first = sleeps = awaits = 0;
	owner = here();
	favourite = 0;
	granted = held = false;
	gcdune_os_fence_all_begin();
}
