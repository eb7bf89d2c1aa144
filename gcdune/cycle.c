/* cycle.c - owns the order of a collection, written once in gcdune_cycle_one. Two forms of it: the program stopped throughout,
 * by the thread that wants it; and beside the program, by the collector's thread, with two short stops.
 *
 *	BEGIN                           helpers made, old colours forgotten
 *	ARM FLIP MARK PRECLEAN          beside the program only: pages tracked for writes; a stop in which new objects
 *	                                become black and roots are noted; marking; scanning again what was written
 *	STOP REMARK FINALIZE VERIFY END the pause
 *	SWEEP                           beside the program again
 *
 * A stop may be given up in REMARK: the pause goes back to PRECLEAN, a collection of a stopped program ends there and then.
 *
 * The caller has the turn (cycle-turn.c) throughout; heap.cycle is held only while the world is stopped, so that threads come and
 * go, and fork, while the heap is marked. Why nothing reachable is lost: remark.c. Called by cycle-turn.c. */
#define _GNU_SOURCE
#include "cycle-parts.h"

#include <string.h>
#include <sys/param.h>

#include "dirty/dirty.h"
#include "finalize.h"
#include "live.h"
#include "mark.h"
#include "options.h"
#include "os.h"
#include "pacer.h"
#include "remark.h"
#include "roots.h"
#include "stats.h"
#include "sweep.h"
#include "thread.h"
#include "trace.h"
#include "verify.h"
#include "walk.h"

static struct gcdune_heap *const heap = &gcdune_heap;

/* ---- Events ---- */

static _Atomic(gcdune_event_fn) event_callback;

gcdune_event_fn gcdune_event_set(gcdune_event_fn callback)
{
	return __atomic_exchange_n((gcdune_event_fn *)&event_callback, callback, __ATOMIC_ACQ_REL);
}

void gcdune_cycle_event(enum gcdune_event what)
{
	gcdune_event_fn callback = event_callback;

	if (callback)
		callback(what);
}

/* ---- Stops ---- */

static struct gcdune_pause pause_record;
static struct gcdune_cycle_record cycle_record;
static uint64_t last_ns;
static uint64_t stop_cpu;   /* of who collects, when it asked for the stop */

/* Two phases side by side, of 2.9 and 32 microseconds say, look like an address in a heap that lies at 0x7e8800000000, and they
 * change after roots have been read: no root, or verify.c finds one that was missed. */
void gcdune_cycle_init(void)
{
	gcdune_roots_exclude(&pause_record, &pause_record + 1);
}

static void phase_over(enum gcdune_phase phase)
{
	uint64_t now = gcdune_os_now(), took = now - last_ns;

	pause_record.phase_ns[phase] = took > UINT32_MAX ? UINT32_MAX : (uint32_t)took;
	gcdune_trace_span(gcdune_stats_phase_name(phase), last_ns, now);
	last_ns = now;
}

static void concurrent_over(enum gcdune_concurrent_phase phase)
{
	uint64_t now = gcdune_os_now();

	cycle_record.phase_ns[phase] += now - last_ns;
	gcdune_trace_span(gcdune_stats_concurrent_name(phase), last_ns, now);
	last_ns = now;
	if (gcdune_options.stretch && phase != GCDUNE_CONCURRENT_SWEEP) {
		gcdune_os_sleep((uint64_t)gcdune_options.stretch * 1000);
		last_ns = gcdune_os_now();
	}
}

/* How long the world has been stopped, or been asked to. */
static uint64_t stopped(void)
{
	return gcdune_os_now() - gcdune_stats_start() - pause_record.start_ns;
}

/* What the stop has taken so far, without what others had of the processor meanwhile: on a busy machine that is most of it,
 * and says nothing about the next one. */
static uint64_t worked(void)
{
	uint64_t took = stopped(), cpu = gcdune_os_thread_time() - stop_cpu;

	return took < cpu ? took : cpu;
}

static void on_stop(void)
{
	stop_cpu = gcdune_os_thread_time();
	last_ns = gcdune_os_now();
	memset(&pause_record, 0, sizeof pause_record);
	pause_record.start_ns = last_ns - gcdune_stats_start();
	gcdune_stop_world();
	gcdune_cycle_event(GCDUNE_EVENT_STOPPED);
	phase_over(GCDUNE_PHASE_STOP);
}

/* From here to the release: no malloc, no stdio, no lock that a stopped thread could hold. */
static void stop(void)
{
	gcdune_roots_prepare(on_stop);
	gcdune_mark_stopped(true);
}

/* A stop in which nothing is marked. Helpers are not to begin with the roots that are pushed: who wakes one may have to leave
 * it the processor, and the stop would last until that is done. */
static void stop_for_roots(void)
{
	stop();
	gcdune_mark_help(false);
	gcdune_mark_push_only = true;
}

static void resume(enum gcdune_cycle_reason reason, enum gcdune_stop_kind kind)
{
	pause_record.reason = (uint8_t)reason;
	pause_record.kind = (uint8_t)kind;
	pause_record.threads = (uint16_t)gcdune_threads_count;
	pause_record.heap_bytes = (heap->blocks_used + heap->blocks_dirty) << GCDUNE_BLOCK_SHIFT;
	gcdune_cycle_event(GCDUNE_EVENT_RESUME);
	gcdune_mark_stopped(false);
	phase_over(GCDUNE_PHASE_RELEASE);
	/* What it takes the system to run the threads again is theirs to measure (GCDUNE_LOST_STOP). */
	gcdune_stop_release();
	last_ns = gcdune_os_now();
	pause_record.cpu_ns = worked();
	gcdune_stats_pause(&pause_record);
	gcdune_live_pause(last_ns - pause_record.start_ns - gcdune_stats_start());
	gcdune_cycle_unlock();
}

/* ---- One collection ---- */

_Atomic bool gcdune_cycle_sweeps;

/* A short stop in which stacks are read: what was made since the last look hangs on them, and on the stacks of a runtime
 * whose mark callbacks wait for a stop. */
static void look_at_stacks(enum gcdune_cycle_reason reason)
{
	stop_for_roots();
	gcdune_roots_threads();
	gcdune_remark_callbacks();
	gcdune_mark_push_only = false;
	phase_over(GCDUNE_PHASE_ROOTS);
	resume(reason, GCDUNE_STOP_STACKS);
}

/* What a round had to look through and to mark takes the pause about so long, which looks through and marks what came since: by
 * what was found, unless it took less. The rest of a round is what it takes to make pages clean and to wait for a processor,
 * which the pause does not; it may be most of it, in a virtual machine or on a busy one, and does not become less. */
static uint64_t work_of(size_t pages, uint64_t objects, uint64_t took)
{
	enum { PAGE = 1000, OBJECT = 40 /* ns */ };

	return MIN(pages * PAGE + objects * OBJECT, took);
}

/* Rounds of marking from what changed, each with less to do than the last, until the pause, which does the same once more, will
 * be short enough. The program makes as much work in a round as it gets time to. Where a round has more to do than half
 * the one before, threads are made to sleep between allocations; threads that write without allocating cannot be held
 * back, and then the pause takes what is left. Stacks are read when that is cheap compared with what was found. */
enum { ROUNDS = 40, SHORT = 500000 /* ns */, SHORTEST = SHORT / 10, THROTTLE_MOST = 31, SUSPECTS = 1000 };

static void preclean(enum gcdune_cycle_reason reason)
{
	uint64_t begin = gcdune_os_now(), before = UINT64_MAX, marked = gcdune_mark_amount();
	uint64_t enough = MAX(MIN((uint64_t)gcdune_options.pause_goal * 250, SHORT), SHORTEST);
	bool stacks = false; /* from the first short round on */
	unsigned worse = 0;

	heap->throttle = 0;
	for (unsigned round = 0; round < ROUNDS; round++) {
		bool first = !stacks && before < 8 * SHORT;

		stacks |= first;
		/* Each thread has to forget what it knows of pages that are clean now (gather.c): behind a stop it has. */
		gcdune_remark_gather();
		gcdune_roots_gather();
		if (stacks)
			look_at_stacks(reason);
		gcdune_dirty_settle();
		gcdune_remark_push();
		gcdune_roots_reread();
		gcdune_mark_drain();
		uint64_t now = gcdune_os_now(), objects = gcdune_mark_amount();
		size_t pages = gcdune_remark_count();
		uint64_t work = work_of(pages, objects - marked, now - begin);

		begin = now;
		marked = objects;
		cycle_record.rounds++;
		cycle_record.dirty_pages += pages;
		if (first && gcdune_dirty_rearms() && gcdune_finalize_look_again(gcdune_options.verify ? 1 : SUSPECTS)) {
			before = work;
			begin = gcdune_os_now();
			continue;
		}
		if (!gcdune_dirty_rearms() || (stacks && work <= enough))
			return;
		if (round >= 1 && work > before / 2 && !first) {
			/* A thread that sleeps T times as long as it runs makes 1/(1+T) of the work it would. */
			uint64_t level = heap->throttle, wanted = (level + 1) * work * 5 / (before * 2 + 1);

			heap->throttle = (unsigned)(wanted < THROTTLE_MOST ? wanted : THROTTLE_MOST);
			if (level == THROTTLE_MOST && work > before / 8 * 7 && ++worse == 4)
				break;
		}
		before = work;
	}
	cycle_record.gave_up = before > 4 * SHORT;
}

/* Marks for so many nanoseconds of processor time since the stop; 0: to the end. False: something is left. */
static bool mark_for(uint64_t ns)
{
	if (!ns) {
		gcdune_mark_run();
		return true;
	}
	while (!gcdune_mark_within(ns - MIN(ns, worked())))
		if (worked() >= ns)
			return false;
	return true;
}

/* Marks in a stop from all that may lead to something that is not marked. False: it takes longer than BOUND. */
static bool remark(bool concurrent, bool minor, uint64_t bound)
{
	bool over, alone = concurrent && bound;

	gcdune_mark_push_only = bound != 0;
	if (bound)
		gcdune_mark_help(false);
	if (concurrent) {
		gcdune_remark_push();
		gcdune_roots_remark();
		gcdune_roots_pinned(); /* those that were made since */
		gcdune_finalize_remark_roots();
		gcdune_remark_callbacks();
	} else {
		gcdune_mark_flip(minor);
		gcdune_pacer_flip();
		gcdune_roots_mark(minor);
		gcdune_remark_stopped(minor);
	}
	gcdune_mark_push_only = false;
	phase_over(GCDUNE_PHASE_ROOTS);
	/* A helper that is woken may find no processor until the system's next tick, and be waited for: longer than all that is
	 * to be done here. */
	if (!alone)
		gcdune_mark_help(true);
	/* What this has taken so far it would take again. */
	if (alone)
		bound = MAX(bound, worked() + (uint64_t)gcdune_options.pause_goal * 250);
	over = mark_for(bound);
	if (minor && !concurrent) {
		gcdune_remark_stopped(false);
		gcdune_remark_callbacks();
	}
	if (over)
		gcdune_mark_drain();
	if (over && alone)
		gcdune_mark_help(true);
	phase_over(GCDUNE_PHASE_MARK);
	return over;
}

/* Whether finalizers and links of a collection of a stopped program can be seen to within BOUND, if there is one; *LOOKED: what
 * is dead of them is known now. */
static bool finalizers_fit(uint64_t bound, bool *looked)
{
	if (!bound)
		return true;
	*looked = worked() + gcdune_finalize_takes() >= bound / 2;
	return !*looked || worked() + gcdune_finalize_takes_now() < bound;
}

/* A pause that takes longer than half the goal is given up, and becomes one more look at the stacks: the program had made more
 * since the last one than was thought, or a list that was found takes that long to follow. Not for ever. */
enum { GIVE_UP_MOST = 4 };

/* MINOR: see heap.h. AGAIN: another follows at once. BOUND: for one that is not concurrent, see form.c; false: it was
 * abandoned. */
__attribute__((noinline)) bool gcdune_cycle_one(enum gcdune_cycle_reason reason, bool concurrent, bool minor, bool again,
						uint64_t bound)
{
	unsigned tries = 0;
	bool looked = false; /* finalizers and links that may have to be seen to are known */
	uint64_t cut = 0; /* what the first part of the pause took, if it was cut in two (finalize-cycle.c) */
	enum { BEGIN, ARM, FLIP, MARK, PRECLEAN, STOP, REMARK, FINALIZE, VERIFY, END, SWEEP, OVER } phase = BEGIN;
	struct gcdune_marked marked = {0};

	uint64_t cpu = gcdune_os_thread_time();

	memset(&cycle_record, 0, sizeof cycle_record);
	cycle_record.start_ns = gcdune_os_now() - gcdune_stats_start();
	while (phase != OVER) {
		switch (phase) {
		case BEGIN:
			last_ns = gcdune_os_now();
			/* A minor stop is short; a helper that finds no processor would make it longer by milliseconds. */
			gcdune_mark_prepare(minor && !concurrent);
			gcdune_sweep_old_colors();
			phase = concurrent ? ARM : STOP;
			break;
		case ARM:
			concurrent = gcdune_remark_arm(minor);
			/* Else there is a stop, and who knows how long a minor one would be. */
			minor = minor && concurrent;
			concurrent_over(GCDUNE_CONCURRENT_ARM);
			phase = concurrent ? FLIP : STOP;
			break;
		case FLIP:
			stop_for_roots();
			gcdune_mark_flip(minor);
			gcdune_pacer_flip();
			gcdune_form_flip();
			gcdune_roots_note();
			gcdune_mark_push_only = false;
			phase_over(GCDUNE_PHASE_ROOTS);
			resume(reason, GCDUNE_STOP_FLIP);
			phase = MARK;
			break;
		case MARK:
			gcdune_mark_adapt();
			gcdune_roots_arm();
			gcdune_dirty_settle();
			gcdune_roots_read();
			if (minor)
				gcdune_remark_push();
			gcdune_finalize_mark_roots_running();
			gcdune_roots_pinned();
			gcdune_mark_drain();
			concurrent_over(GCDUNE_CONCURRENT_MARK);
			gcdune_finalize_look();
			phase = PRECLEAN;
			break;
		case PRECLEAN:
			/* The program may rely on nothing being freed while collections are disabled. */
			while (heap->disabled)
				gcdune_os_sleep(1000000);
			gcdune_mark_adapt();
			uint64_t began = gcdune_os_now();

			if (tries)
				gcdune_mark_drain(); /* what the pause left */
			if (cut)
				gcdune_finalize_go_on();
			preclean(reason);
			last_ns = began; /* the stops in between count for both */
			concurrent_over(GCDUNE_CONCURRENT_PRECLEAN);
			phase = STOP;
			break;
		case STOP:
			stop();
			phase = REMARK;
			if (heap->disabled) {
				resume(reason, GCDUNE_STOP_NOTHING);
				phase = concurrent ? PRECLEAN : OVER;
			}
			break;
		case REMARK:
			if (concurrent)
				bound = tries < GIVE_UP_MOST && gcdune_dirty_rearms() ?
						(uint64_t)gcdune_options.pause_goal * 500 + gcdune_remark_look() : 0;
			phase = FINALIZE;
			looked = concurrent;
			if (remark(concurrent, minor, bound) && (concurrent || finalizers_fit(bound, &looked))) {
				if (!concurrent || cut || !gcdune_dirty_rearms() || !gcdune_finalize_begin())
					break;
				phase_over(GCDUNE_PHASE_FINALIZE);
				cut = worked();
				heap->throttle = 0;
				resume(reason, GCDUNE_STOP_STACKS);
				phase = PRECLEAN;
				break;
			}
			if (concurrent) {
				tries++;
				resume(reason, GCDUNE_STOP_STACKS);
				phase = PRECLEAN;
			} else {
				gcdune_mark_abandon();
				gcdune_finalize_forget_suspects();
				gcdune_form_abandoned(minor);
				resume(reason, GCDUNE_STOP_NOTHING);
				return false;
			}
			break;
		case FINALIZE:
			gcdune_finalize_cycle(looked);
			if (gcdune_walk_hook)
				gcdune_walk_hook();
			phase_over(GCDUNE_PHASE_FINALIZE);
			phase = VERIFY;
			break;
		case VERIFY:
			if (gcdune_options.verify)
				gcdune_verify_marked();
			phase_over(GCDUNE_PHASE_VERIFY);
			phase = END;
			break;
		case END:
			marked = gcdune_mark_count();
			heap->live_bytes = minor ? heap->live_bytes + marked.bytes : marked.bytes;
			heap->leaf_bytes = minor ? heap->leaf_bytes + marked.leaf_bytes : marked.leaf_bytes;
			heap->young_bytes = marked.young_bytes;
			cpu = gcdune_os_thread_time() - cpu;
			if (concurrent)
				gcdune_form_price(cycle_record.dirty_pages, worked());
			gcdune_form_used(MAX(worked(), cut), cpu, concurrent, minor);
			gcdune_mark_end(
				gcdune_pacer_cycle_end(reason, concurrent, gcdune_form_minor_next(again), marked.bytes, cpu, stopped()));
			gcdune_sweep_begin();
			if (gcdune_options.verify)
				gcdune_verify_swept();
			heap->collections++;
			cycle_record.dirty_last = gcdune_remark_count();
			phase_over(GCDUNE_PHASE_SWEEP);
			pause_record.markers = (uint8_t)marked.markers;
			pause_record.live_bytes = marked.bytes;
			heap->throttle = 0;
			gcdune_cycle_sweeps = true;
			resume(reason, concurrent ? GCDUNE_STOP_FINAL : GCDUNE_STOP_WHOLE);
			phase = SWEEP;
			break;
		case SWEEP:
			gcdune_sweep_finish(concurrent);
			if (concurrent)
				gcdune_roots_forget();
			gcdune_finalize_remove_hidden();
			gcdune_finalize_weigh();
			gcdune_pacer_release(false);
			concurrent_over(GCDUNE_CONCURRENT_SWEEP);
			cycle_record.concurrent = concurrent;
			cycle_record.minor = minor;
			cycle_record.marked_bytes = marked.bytes;
			gcdune_cycle_lock(); /* the list may be read just now */
			gcdune_stats_cycle(&cycle_record, marked.objects);
			gcdune_cycle_unlock();
			gcdune_live_update();
			gcdune_cycle_sweeps = false;
			phase = OVER;
			break;
		case OVER:
			break;
		}
	}
	return true;
}
