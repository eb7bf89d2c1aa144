/* cycle.c - owns heap.cycle and the order of a collection, written once in run_cycle. In this version the world is
 * stopped from STOP to RELEASE. Callers: alloc.c when the trigger is reached or memory has run out, and the program. */
#define _GNU_SOURCE
#include "cycle.h"

#include <string.h>

#include "block.h"
#include "finalize.h"
#include "mark.h"
#include "options.h"
#include "os.h"
#include "pacer.h"
#include "roots.h"
#include "stats.h"
#include "sweep.h"
#include "thread.h"
#include "verify.h"

static struct gcdune_heap *const heap = &gcdune_heap;

/* ---- heap.cycle ---- */

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
	self->sp = (uintptr_t)__builtin_frame_address(0) - 128;
	atomic_store(&self->state, GCDUNE_THREAD_BLOCKED);
	pthread_mutex_lock(&cycle);
	atomic_store(&self->state, GCDUNE_THREAD_RUNNING);
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
	gcdune_stats_after_fork();
}

/* ---- Events ---- */

static _Atomic(gcdune_event_fn) event_callback;

gcdune_event_fn gcdune_event_set(gcdune_event_fn callback)
{
	return __atomic_exchange_n((gcdune_event_fn *)&event_callback, callback, __ATOMIC_ACQ_REL);
}

static void event(enum gcdune_event what)
{
	gcdune_event_fn callback = event_callback;

	if (callback)
		callback(what);
}

/* ---- One collection ---- */

static struct gcdune_pause pause_record;
static uint64_t last_ns;

static void phase_over(enum gcdune_phase phase)
{
	uint64_t now = gcdune_os_now(), took = now - last_ns;

	pause_record.phase_ns[phase] = took > UINT32_MAX ? UINT32_MAX : (uint32_t)took;
	last_ns = now;
}

static void stop(void)
{
	last_ns = gcdune_os_now();
	memset(&pause_record, 0, sizeof pause_record);
	pause_record.start_ns = last_ns - gcdune_stats_start();
	gcdune_stop_world();
	event(GCDUNE_EVENT_STOPPED);
	phase_over(GCDUNE_PHASE_STOP);
}

static __attribute__((noinline)) void run_cycle(enum gcdune_cycle_reason reason)
{
	struct gcdune_marked marked;

	event(GCDUNE_EVENT_BEGIN);
	gcdune_mark_prepare();
	gcdune_roots_prepare(stop);
	/* From here to the release: no malloc, no stdio, no lock that a stopped thread could hold. */

	gcdune_mark_begin();
	for (struct gcdune_thread *thread = gcdune_threads; thread; thread = thread->next)
		gcdune_thread_blacken(thread, gcdune_mark_black());
	gcdune_roots_mark();
	phase_over(GCDUNE_PHASE_ROOTS);

	gcdune_mark_drain();
	phase_over(GCDUNE_PHASE_MARK);

	gcdune_finalize_cycle();
	phase_over(GCDUNE_PHASE_FINALIZE);

	if (gcdune_options.verify)
		gcdune_verify_marked();
	phase_over(GCDUNE_PHASE_VERIFY);

	marked = gcdune_mark_end();
	heap->live_bytes = marked.bytes;
	heap->leaf_bytes = marked.leaf_bytes;
	gcdune_sweep_prepare();
	if (gcdune_options.verify)
		gcdune_verify_swept();
	gcdune_pacer_cycle_end();
	heap->collections++;
	phase_over(GCDUNE_PHASE_SWEEP);

	pause_record.reason = (uint8_t)reason;
	pause_record.markers = (uint8_t)marked.markers;
	pause_record.threads = (uint16_t)gcdune_threads_count;
	pause_record.live_bytes = marked.bytes;
	pause_record.heap_bytes = (heap->blocks_used + heap->blocks_dirty) << GCDUNE_BLOCK_SHIFT;
	event(GCDUNE_EVENT_RESUME);
	gcdune_stop_release();
	phase_over(GCDUNE_PHASE_RELEASE);
	gcdune_stats_pause(&pause_record, marked.objects);
}

/* Every register that may hold a pointer is in this frame or above it while the collection runs; roots.c scans from
 * here. */
static __attribute__((noinline)) void run_with_registers(enum gcdune_cycle_reason reason)
{
	struct gcdune_thread *self = gcdune_thread_self;
	uintptr_t outer = self->sp;

	__builtin_unwind_init();
	self->sp = (uintptr_t)__builtin_frame_address(0) - 128;
	run_cycle(reason);
	self->sp = outer;
	__asm__ volatile("" : : : "memory");
}

void gcdune_cycle_collect(enum gcdune_cycle_reason reason)
{
	struct gcdune_thread *self = gcdune_thread_get();
	uint64_t seen = heap->collections;

	if (!self || heap->disabled || gcdune_cycle_locked_here() || self->critical)
		return;
	gcdune_cycle_lock();
	if (reason == GCDUNE_CYCLE_BUDGET && heap->collections != seen) {
		gcdune_cycle_unlock();
		return;
	}
	run_with_registers(reason);
	gcdune_cycle_unlock();
	gcdune_pacer_release(false);
	event(GCDUNE_EVENT_END);
	gcdune_finalize_after_cycle();
}

void gcdune_cycle_tell_growth(void)
{
	if (atomic_exchange(&heap->grew, false))
		event(GCDUNE_EVENT_GREW);
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
