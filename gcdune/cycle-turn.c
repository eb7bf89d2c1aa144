/* cycle-turn.c - owns the turn: who runs the next cycle, and who waits for it, helps with it or sleeps meanwhile. Called by
 * alloc.c when the trigger is reached or memory has run out, by the collector's thread, and by the program.
 *
 * One cycle at a time: `turn' is held from its beginning to the end of its sweep. Who waits for it counts as blocked, so the
 * cycle under way does not wait for them. */
#define _GNU_SOURCE
#include "cycle-parts.h"

#include <sched.h>

#include "dirty/dirty.h"
#include "finalize.h"
#include "live.h"
#include "loader.h"
#include "mark.h"
#include "os.h"
#include "pacer.h"
#include "roots.h"
#include "stats.h"
#include "thread.h"

static struct gcdune_heap *const heap = &gcdune_heap;

/* ---- Who runs it ---- */

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static _Atomic uintptr_t turn_owner; /* thread pointer; 0: no thread of the program */

bool gcdune_cycle_runs_here(void)
{
	return turn_owner == (uintptr_t)pthread_self();
}

/* A thread that has used up the budget while another sweeps after a collection may run on so far. */
enum { AHEAD = 4 << 20 };

/* Whether the caller has it. Not, if there was a collection since ARG of them, or one is as good as over; WHATEVER: no matter. */
#define WHATEVER ((void *)UINTPTR_MAX)

static void *wait_for_turn(void *arg)
{
	bool budget = arg != WHATEVER;
	uint64_t seen = (uintptr_t)arg;

	/* Two threads that allocate come here together, again and again, and to wake the second takes longer than all the rest. */
	for (uint64_t until = gcdune_os_now() + gcdune_stop_brief(); pthread_mutex_trylock(&turn);) {
		if (budget && (heap->collections != seen || (gcdune_cycle_sweeps && heap->allocated < heap->trigger + AHEAD)))
			return NULL;
		if (gcdune_os_now() < until) {
			__builtin_ia32_pause();
			continue;
		}
		pthread_mutex_lock(&turn);
		break;
	}
	return &turn;
}

/* Every register that may hold a pointer is in this frame or above it while the collection runs; roots-thread.c scans from
 * here. */
static __attribute__((noinline)) bool run_with_registers(enum gcdune_cycle_reason reason, bool minor, uint64_t bound)
{
	struct gcdune_thread *self = gcdune_thread_self;
	uintptr_t outer = self->sp;

	__builtin_unwind_init();
	self->sp = (uintptr_t)__builtin_frame_address(0) - 128;
	bool done = gcdune_cycle_one(reason, false, minor, false, bound);

	self->sp = outer;
	__asm__ volatile("" : : : "memory");
	return done;
}

/* In the thread that wants the cycle. */
static void begins(void)
{
	gcdune_cycle_after();
	gcdune_cycle_event(GCDUNE_EVENT_BEGIN);
}

static void begun(void)
{
}

static void collect_here(enum gcdune_cycle_reason reason, uint64_t seen, bool minor, uint64_t bound)
{
	uint32_t ticket = gcdune_collector_busy();
	/* Who collects has the dynamic linker's lock at times. */
	bool patient = !gcdune_loader_held_here();

	/* One cycle at a time, so this is a thread that must not be waited for while it waits. */
	if (ticket) {
		if (!patient)
			return;
		gcdune_collector_wait(ticket);
	}
	if (pthread_mutex_trylock(&turn)) {
		if (!patient)
			return;
		gcdune_thread_self->takes_lock = true;
		void *ours = gcdune_blocking_call(wait_for_turn, reason == GCDUNE_CYCLE_BUDGET ? (void *)(uintptr_t)seen : WHATEVER);

		gcdune_thread_self->takes_lock = false;
		if (!ours) {
			gcdune_cycle_after();
			return;
		}
	}
	turn_owner = (uintptr_t)pthread_self();
	bool done = true;

	if (reason != GCDUNE_CYCLE_BUDGET || heap->collections == seen) {
		begins();
		/* Asked again: it may have been a full one that was waited for. */
		done = run_with_registers(reason, minor && heap->apart, bound);
		if (done)
			heap->after_due = true;
	}
	turn_owner = 0;
	pthread_mutex_unlock(&turn);
	if (!done && !gcdune_collector_ask(reason, begun))
		heap->after_due = true; /* another one has begun */
	gcdune_cycle_after();
}

void gcdune_cycle_run(enum gcdune_cycle_reason reason)
{
	(void)gcdune_dirty_usable(); /* the first time it is found out: here nobody of the program waits for that */
	pthread_mutex_lock(&turn);
	bool full = reason == GCDUNE_CYCLE_ASKED || reason == GCDUNE_CYCLE_NO_MEMORY;

	/* Old and new objects have a colour each now; after a minor cycle all have one, and a full one can follow. */
	if (heap->apart) {
		gcdune_form_minor_missed();
		gcdune_cycle_one(reason, true, true, full, 0);
	} else {
		full = true;
	}
	if (full)
		gcdune_cycle_one(reason, true, false, false, 0);
	heap->after_due = true;
	pthread_mutex_unlock(&turn);
}

void gcdune_cycle_collect(enum gcdune_cycle_reason reason)
{
	struct gcdune_thread *self = gcdune_thread_get();
	uint64_t seen = heap->collections;
	bool wait = reason == GCDUNE_CYCLE_ASKED || reason == GCDUNE_CYCLE_NO_MEMORY;

	if (!self || heap->disabled || gcdune_cycle_locked_here() || self->critical || gcdune_cycle_runs_here() ||
	    gcdune_collector_asking_here())
		return; /* perhaps in a callback of the cycle itself */
	bool minor = gcdune_form_minor_here(reason);

	if (minor || !gcdune_form_beside(reason)) {
		/* May make the collector's thread: without the turn. */
		collect_here(reason, seen, minor, gcdune_form_bound(reason, minor));
		return;
	}
	if (!wait || gcdune_loader_held_here()) {
		gcdune_collector_ask(reason, begins);
		return;
	}
	/* One that is under way may have begun too early for us. */
	uint32_t ticket;

	while (!(ticket = gcdune_collector_ask(reason, begins))) {
		uint32_t other = gcdune_collector_busy();

		if (other)
			gcdune_collector_wait(other);
		else
			sched_yield();
	}
	gcdune_collector_wait(ticket);
	gcdune_cycle_after();
}

/* Sleeps are short enough not to count as pauses and long enough to be slept. */
enum { SLEEP_LEAST = 50000, SLEEP_MOST = 200000 };

void gcdune_cycle_throttle(struct gcdune_thread *thread, unsigned times)
{
	/* It cannot have run for longer than by the clock, which costs a tenth of asking for processor time. */
	if ((gcdune_os_now() - thread->awake_at) * times < SLEEP_LEAST)
		return;
	uint64_t cpu = gcdune_os_thread_time(), ran = cpu - thread->awake_since;

	if (ran > SLEEP_MOST) /* it was not held back all that time */
		ran = SLEEP_MOST;
	uint64_t due = ran * times;

	if (due < SLEEP_LEAST || thread->critical || gcdune_cycle_locked_here())
		return;
	uint64_t begin = gcdune_os_now();

	gcdune_os_sleep(due < SLEEP_MOST ? due : SLEEP_MOST);
	thread->awake_since = cpu;
	thread->awake_at = gcdune_os_now();
	gcdune_stats_lost(thread, GCDUNE_LOST_SLEEP, begin, thread->awake_at);
}

/* So many times as long as it ran: half an allowance ahead (pacer.c). */
enum { SLEEP_AFTER_HELP = 8 };

void gcdune_cycle_due(struct gcdune_thread *thread)
{
	unsigned sleep;

	if (!gcdune_collector_busy()) {
		gcdune_cycle_collect(GCDUNE_CYCLE_BUDGET);
		return;
	}
	unsigned debt = gcdune_pacer_debt(&sleep), marked = 0;

	if (thread->critical || gcdune_cycle_locked_here())
		return;
	if (debt) {
		uint64_t begin = gcdune_os_now();

		gcdune_critical_enter(thread);
		marked = gcdune_mark_assist(debt);
		gcdune_critical_leave(thread);
		if (marked)
			gcdune_stats_lost(thread, GCDUNE_LOST_ASSIST, begin, gcdune_os_now());
	}
	/* Who has marked more than it allocates brings the end nearer than a sleep would. */
	if (sleep > (debt && marked >= debt / 2 ? SLEEP_AFTER_HELP : 0))
		gcdune_cycle_throttle(thread, sleep);
}

void gcdune_cycle_after(void)
{
	if (!atomic_exchange(&heap->after_due, false))
		return;
	gcdune_cycle_event(GCDUNE_EVENT_END);
	gcdune_finalize_after_cycle();
}

void gcdune_cycle_after_fork(void)
{
	pthread_mutex_init(&turn, NULL);
	turn_owner = 0;
	gcdune_cycle_sweeps = false;
	/* Sweeping that was under way goes on as it is needed. */
	gcdune_collector_after_fork();
	gcdune_dirty_after_fork();
	gcdune_roots_after_fork();
	/* Nothing is tracked here. A write to each entry would copy the parent's table. */
	GCDUNE_EACH_BLOCK(i)
	if (heap->spans[i].watch)
		heap->spans[i].watch = 0;
	heap->throttle = 0;
	gcdune_stats_after_fork();
	gcdune_live_after_fork();
}

void gcdune_cycle_tell_growth(void)
{
	if (atomic_exchange(&heap->grew, false))
		gcdune_cycle_event(GCDUNE_EVENT_GREW);
}

void gcdune_collect(void)
{
	if (!gcdune_init())
		gcdune_cycle_collect(GCDUNE_CYCLE_ASKED);
}

void gcdune_collect_and_release(void)
{
	if (gcdune_init() || heap->disabled)
		return;
	gcdune_cycle_collect(GCDUNE_CYCLE_ASKED);
	if (gcdune_thread_self)
		gcdune_pacer_release(true);
}
