/* form.c - owns the choice of a collection's form: of the whole heap or of what is new (minor), with the program stopped or
 * beside it. It decides by what earlier collections took; where no estimate is right for long, each goes down while it is
 * not used, so that everything is tried again. All of it is under the turn (cycle-turn.c), which calls, but for _beside and
 * _minor_here: these are asked by threads that may collect, while another does, and a wrong answer costs time only. */
#include "cycle.h"

#include <sys/param.h>

#include "block.h"
#include "dirty/dirty.h"
#include "finalize.h"
#include "options.h"
#include "os.h"
#include "remark.h"
#include "thread.h"

static struct gcdune_heap *const heap = &gcdune_heap;

/* The last minor cycle of a stopped program took so long, in processor time. */
static uint64_t minor_ns;

/* A whole collection for which the program had better stop. To mark beside it costs twice the processor time, and what
 * threads then lose to faults, short stops and interrupts is no less. So by what such stops took, it is to be shorter than
 * the pause goal; or, within some times the goal, hardly longer than the pause that it would have if it was marked beside
 * it, which can be long too (many dead objects with finalizers, roots that only a stopped program may be asked for). */
enum { GOALS = 4 };
/* Where pages are dear to track (in some virtual machines a first write takes 15 us, and a stop wakes up late), a program loses many times
 * as much to marking beside it as to a stop, and none of it is to be had back by shorter pauses. So it also stops if that takes no
 * more than one PRICE-th of it, up to more times the goal. */
enum { PRICE = 2, DEAR_GOALS = 16 };

static uint64_t goals(unsigned n)
{
	return (uint64_t)gcdune_options.pause_goal * 1000 * n;
}

static uint64_t stop_ns = 500000; /* for each MiB, in such collections */
static unsigned in_a_row;	  /* so many were abandoned since one was not */
static uint64_t beside_ns;	  /* about the longest of the last pauses of those that were marked beside it */
static uint64_t price_ns;	  /* what the last of those cost a thread of the program, while it was to run */
static size_t weight;		  /* what there was to mark in the last collection */
static uint64_t survival = 256;	  /* of what was made before it, how much there was; in 256ths */

void gcdune_form_used(uint64_t ns, uint64_t cpu, bool concurrent, bool minor)
{
	enum { BASE = 128 /* KiB: for what does not depend on the heap */, FASTEST = 150000 /* ns for a MiB */ };
	size_t before = weight, made = (size_t)MAX(heap->allocated, 0);

	weight = heap->live_bytes - heap->leaf_bytes + heap->root_bytes / 4;
	uint64_t lived = weight > before && made ? MIN((weight - before) * 256 / made, 256) : 0;

	survival = MAX(lived, survival / 4 * 3);
	if (minor) {
		if (!concurrent)
			minor_ns = cpu;
		return;
	}
	minor_ns -= minor_ns / 4;
	/* What is not done has its estimate go down, so that it is tried again: the first stops find caches cold. */
	if (concurrent) {
		beside_ns = MAX(ns, beside_ns - beside_ns / 32);
		/* But not for ever: after some hundreds of cycles any heap would be taken for small. */
		stop_ns = MAX(stop_ns - stop_ns / 64, MIN(stop_ns, FASTEST));
	} else {
		in_a_row = 0;
		beside_ns -= beside_ns / 64;
		price_ns -= price_ns / 64;
		uint64_t now = ns * 1024 / ((weight >> 10) + BASE);

		stop_ns = MAX(now, (stop_ns * 3 + now) / 4); /* one that was too long is not to be followed by some more */
	}
}

static uint64_t lost(const struct gcdune_thread *thread)
{
	return thread->lost_ns[GCDUNE_LOST_STOP] + thread->lost_ns[GCDUNE_LOST_ASSIST] + thread->lost_ns[GCDUNE_LOST_SLEEP];
}

void gcdune_form_flip(void)
{
	for (struct gcdune_thread *thread = gcdune_threads; thread; thread = thread->next)
		thread->lost_before = lost(thread);
}

/* Each thread that runs loses its own stops. Pages that are written to are shared among those that lost at least half as much as
 * the one that lost most: the others sleep, mostly. Some pages are counted that were never tracked. */
void gcdune_form_price(size_t pages, uint64_t last_stop)
{
	uint64_t most = 0;
	unsigned writers = 0;

	for (struct gcdune_thread *thread = gcdune_threads; thread; thread = thread->next)
		most = MAX(most, lost(thread) - thread->lost_before);
	for (struct gcdune_thread *thread = gcdune_threads; thread; thread = thread->next)
		writers += lost(thread) - thread->lost_before >= most / 2;
	uint64_t price = most + last_stop + pages * gcdune_dirty_write_ns() / MAX(MIN(writers, gcdune_os_cores()), 1);

	price_ns = price_ns ? (price_ns * 3 + price) / 4 : price;
}

/* What a stop may take that is no worse for the program than marking beside it. */
static uint64_t beside(void)
{
	return MAX(MIN(beside_ns + beside_ns / 4, goals(GOALS)), MIN(price_ns / PRICE, goals(DEAR_GOALS)));
}

/* Of what was made since, how much is likely to live. */
static size_t new_alive(void)
{
	return (size_t)MAX(heap->allocated, 0) / 256 * survival;
}

size_t gcdune_form_expected(void)
{
	return weight + new_alive();
}

/* What marking so much and that would take, and seeing to finalizers and links. */
static uint64_t stop_for(size_t bytes)
{
	return (((bytes + new_alive()) >> 10) * stop_ns >> 10) + gcdune_finalize_takes();
}

/* The pause goal; or WORTH, if that is more. */
static uint64_t longest(uint64_t worth)
{
	return MAX(goals(1), worth);
}

static bool is_short(uint64_t worth)
{
	return gcdune_options.mode == GCDUNE_MODE_AUTO && stop_for(weight) < longest(worth);
}

/* Whether the other threads have used so little of the processor since this was asked last that they sleep, as far as one
 * can tell; being stopped is part of what they used. Nobody but the caller loses by a stop then. */
static bool others_sleep(void)
{
	enum { MANY = 8, SHARE = 8 };
	static uint64_t asked; /* heap.cycle */

	if (gcdune_threads_count == 1)
		return true;
	if (gcdune_threads_count > MANY || !gcdune_cycle_trylock())
		return false;
	uint64_t now = gcdune_os_now(), may_use = (now - asked) / SHARE;
	bool sleep = true;

	asked = now;
	for (struct gcdune_thread *thread = gcdune_threads; thread; thread = thread->next) {
		uint64_t used = thread == gcdune_thread_self || !thread->tid ? 0 : gcdune_os_time_of(thread->tid);

		if (used > thread->time_seen + may_use)
			sleep = false;
		thread->time_seen = used;
	}
	gcdune_cycle_unlock();
	return sleep;
}

/* A minor cycle so short that the program had better stop for it. It looks through blocks that may have been written to at
 * some 3 GB/s, as their objects are looked up, and reads roots that are written, and marks what was made since as far as it
 * lives. One that took too long all the same means that the next runs beside the program; it is tried again after some full
 * cycles. */
enum { MINOR_BLOCKS = 40, MINOR_LONG = 1000000 /* ns */ };

static bool few_unarmed(void)
{
	return gcdune_remark_unarmed(MINOR_BLOCKS) < MINOR_BLOCKS;
}

/* In auto, a minor cycle that was prepared and then could not be a stopped one: none is prepared for so many. */
enum { SKIP_AFTER = 15 };
static unsigned skip_minor;

bool gcdune_form_minor_next(bool again)
{
	if (again || gcdune_options.mode == GCDUNE_MODE_GENERATIONAL)
		return !again;
	if (gcdune_options.mode != GCDUNE_MODE_AUTO)
		return false;
	if (skip_minor) {
		skip_minor--;
		return false;
	}
	return few_unarmed() && minor_ns < MINOR_LONG;
}

void gcdune_form_minor_missed(void)
{
	skip_minor = SKIP_AFTER;
}

/* So little to mark that the program had better stop for it: less than a third of a millisecond. */
enum { SMALL = 512 << 10 };

bool gcdune_form_beside(enum gcdune_cycle_reason reason)
{
	if (gcdune_options.mode == GCDUNE_MODE_STW)
		return false;
	if (gcdune_options.mode != GCDUNE_MODE_CONCURRENT) {
		if (reason == GCDUNE_CYCLE_TORTURE && gcdune_options.mode == GCDUNE_MODE_AUTO)
			return false;
		if (reason != GCDUNE_CYCLE_TORTURE && heap->collections && heap->allocated < 8 * SMALL &&
		    heap->live_bytes - heap->leaf_bytes + heap->root_bytes / 4 < SMALL)
			return false;
		if (reason == GCDUNE_CYCLE_BUDGET && is_short(beside()))
			return false;
		/* The only thread waits anyway. So does one whose others sleep; but they may wake up. */
		if ((reason == GCDUNE_CYCLE_ASKED || reason == GCDUNE_CYCLE_NO_MEMORY) &&
		    (gcdune_threads_count == 1 || is_short(others_sleep() ? MAX(beside(), goals(GOALS)) : beside())))
			return false;
	}
	/* To try sources out takes a while: that is left to the collector's thread (gcdune_cycle_run). */
	return gcdune_dirty_promises() && gcdune_collector_ready();
}

/* Estimates say nothing about a program that just now began to keep all it makes. So there is a bound, which needs nothing of
 * the future: a collection that reaches it decides nothing, and leaves all objects alive, with one colour.
 *
 * What would be marked in less time in any case is not worth it, unless there are many finalizers; nor is a heap in which it takes long to give all objects one
 * colour again. */
enum { BOUND_MADE = 4 << 20, BOUND_BLOCKS = 1024 };

uint64_t gcdune_form_bound(enum gcdune_cycle_reason reason, bool minor)
{
	uint64_t most = longest(minor ? 0 : beside());

	if (reason != GCDUNE_CYCLE_BUDGET || gcdune_options.mode != GCDUNE_MODE_AUTO ||
	    (heap->allocated + (minor ? 0 : (int64_t)weight) < BOUND_MADE && gcdune_finalize_takes() < most / 4) ||
	    heap->blocks_used > BOUND_BLOCKS ||
	    (!minor && stop_for(weight) >= most))
		return 0;
	return gcdune_dirty_promises() && gcdune_collector_ready() ? most / 8 * 7 : 0;
}

/* One that was about to be too long was within the goal when it was abandoned: the next will likely do, and beside the program it
 * costs more. If not, it is tried again after some, and then after some more cycles beside it. */
void gcdune_form_abandoned(bool minor)
{
	enum { FIRST = 4 };
	bool within_goal = longest(beside()) <= goals(1);

	if (minor) {
		minor_ns = 4 * MINOR_LONG;
	} else {
		stop_ns += stop_ns >> (within_goal && in_a_row < FIRST ? FIRST - in_a_row : 1);
		in_a_row++;
	}
}

bool gcdune_form_minor_here(enum gcdune_cycle_reason reason)
{
	if (!heap->apart || gcdune_options.mode != GCDUNE_MODE_AUTO)
		return false;
	if (reason == GCDUNE_CYCLE_TORTURE)
		return true;
	return reason == GCDUNE_CYCLE_BUDGET && minor_ns < MINOR_LONG && stop_for(0) < MINOR_LONG && few_unarmed();
}
