/* pacer.c - owns the decision when to collect: after a collection the program may allocate a share (GCDUNE_GROWTH
 * percent) of what is live before the next is over; or more, as long as memory that the heap holds already is enough for
 * it. That memory shrinks in time towards what the share calls for, and what is beyond goes back to the kernel. Finalizers and
 * links count as allocated.
 *
 * A cycle that runs beside the program begins earlier, by what the program allocated during the last one and an eighth
 * more. If that is used up before marking is over, threads help to mark, in small pieces, as they allocate, and
 * then sleep in small pieces too (gcdune_pacer_debt), for what will be garbage of it: a heap that only grows needs its memory
 * whether its program waits or not.
 *
 * In generational mode it also says which cycles are minor. What minor cycles find alive stays, so the room that the last
 * full one left shrinks with each; half of it gone, the next is full. Where marking all of the heap costs hardly more, or
 * most of what is new lives on, minor cycles do not pay: there are none for some time, longer each time. A program may say
 * how many there are between full ones; then only the room makes them fewer. Called by cycle.c. */
#include "pacer.h"

#include <errno.h>
#include <limits.h>
#include <sys/param.h>

#include "block.h"
#include "options.h"
#include "os.h"
#include "place.h"
#include "roots.h"
#include "thread.h"

static struct gcdune_heap *const heap = &gcdune_heap;

/* The least to allocate between collections: below it, finding the roots would cost more than is gained. */
#define LEAST ((size_t)3 << 20)
/* That, or more while stops take a good part of the time (note_stop). */
static size_t least_now = LEAST;
/* What the heap holds beyond the share shrinks with this time constant: memory that was needed a moment ago is likely
 * to be needed again, memory that was needed a minute ago is not. */
static const uint64_t DECAY_NS = 10000000000u;
/* And by no less than this in that time: so much costs little to ask for again. */
static const size_t SOON = (size_t)40 << 20;
enum { LEAF_SHARE = 4 };
/* Where less lives, memory counts for more than time. */
static const size_t SCATTERS = (size_t)4 << 20;
/* A free block that is so old (sweep.c) is not needed soon. */
enum { OLD = 3 };
/* Free blocks that are kept in any case. */
enum { SPARE = 4 };
/* Blocks given back to the kernel under one hold of heap.lock: a stop never waits for more than that. */
enum { BATCH = 32 };

/* What may be allocated from one cycle's end to the next's. */
static size_t allowance;

/* Bytes of the blocks that had something in them after the last sweep: however often is collected, they stay for now. */
static size_t in_use;

static size_t goal;	 /* bytes the heap may hold without growing: live, and free for the next cycle */
static uint64_t goal_at; /* when it was set */

/* What the last full cycle found, and what that leaves. */
static struct {
	size_t live, share, room;
	uint64_t ns; /* of marking */
	uint64_t allocated; /* from the program's start on */
	unsigned grew;	    /* by how much live grew, of what was allocated since the one before; in 256ths */
	unsigned stays;	    /* the less of the last two of these: as much of what is allocated no cycle is going to free */
} full;

static void note_growth(size_t live)
{
	uint64_t total = heap->allocated_before + (uint64_t)MAX(heap->allocated, 0), made = total - full.allocated;
	unsigned before = full.grew;

	full.grew = made ? (unsigned)(MIN(live - MIN(live, full.live), made) * 256 / made) : 0;
	full.stays = MIN(full.grew, before);
	full.allocated = total;
	full.live = live;
}

static size_t budget(bool concurrent)
{
	/* The share pays for marking. A leaf object costs memory but hardly any marking, so it counts for less. What was
	 * made while the cycle ran and found alive may have been so just then: a marker that follows a queue to which the
	 * program appends meanwhile finds all that ever passed through it. So it counts for half. */
	size_t sure = heap->live_bytes - heap->young_bytes / 2, leaf = MIN(sure, heap->leaf_bytes);
	size_t cost = sure - leaf + leaf / LEAF_SHARE + heap->root_bytes;
	if (!heap->minor) {
		note_growth(sure);
		full.share = MAX(cost / 100 * gcdune_options.growth, least_now);
	}
	size_t least = MAX(full.live + full.share, heap->live_bytes + LEAST / 4);
	size_t held = gcdune_block_held();

	/* Where what lives lies scattered, to collect before the holes between are filled saves nothing. But what is filled more has
	 * more stay in use; so this goes no further than half of what the heap has held at most. */
	if (concurrent && full.live >= SCATTERS)
		least = MAX(least, MIN(MIN(in_use, full.live * 3), (heap->blocks_peak << GCDUNE_BLOCK_SHIFT) / 2));

	uint64_t now = gcdune_os_now(), since = MIN(now - goal_at, DECAY_NS);
	size_t beyond_least = goal - MIN(goal, least),
	       less = (size_t)((double)MAX(beyond_least, SOON) * (double)since / (double)DECAY_NS);

	goal = MAX(goal - MIN(goal, less), least);
	goal_at = now;
	/* A part of what is held beyond is left out: slots of sizes that no one asks for, and, if the program runs on
	 * when the cycle begins, what it takes before the sweep has come by. */
	size_t beyond = held - MIN(held, heap->live_bytes);
	size_t b = MAX(least, MIN(goal, held - beyond / (concurrent ? 4 : 8))) - heap->live_bytes;

	/* Close to the limit, collect rather before it is reached than because it was. */
	if (heap->limit && heap->live_bytes + b > heap->limit) {
		size_t rest = heap->limit > heap->live_bytes ? heap->limit - heap->live_bytes : 0;

		b = MAX(rest / 2, LEAST / 8);
	}
	return b;
}

void gcdune_heap_limit_set(size_t limit)
{
	size_t outside = gcdune_os_memory_limit();

	/* Of what the control group allows, some is for the program's other memory. */
	if (outside && (!limit || limit > outside / 10 * 9))
		limit = outside / 10 * 9;
	gcdune_options.heap_limit = limit;
	heap->limit = limit;
}

void gcdune_pacer_init(void)
{
	gcdune_heap_limit_set(gcdune_options.heap_limit);
	allowance = MAX(budget(false), gcdune_options.heap_initial);
	heap->trigger = (int64_t)allowance;
}

static int64_t beside; /* what is so counted since the last cycle began or ended */

void gcdune_pacer_beside(int64_t bytes)
{
	/* What was made before it has been seen to. */
	if (beside + bytes < 0)
		return;
	beside += bytes;
	atomic_fetch_sub(&heap->trigger, bytes);
}

static int64_t at_flip; /* heap.allocated then */

void gcdune_pacer_flip(void)
{
	at_flip = heap->allocated;
	beside = 0;
	/* From here on the trigger is for assists. */
	heap->trigger = MAX((int64_t)allowance, at_flip + (int64_t)LEAST / 4);
}

/* How many minor cycles the program wants between full ones. Set by any thread. */
#define AS_PAYS UINT_MAX
static _Atomic(unsigned) minors_wanted = AS_PAYS;
static unsigned minors_done;

void gcdune_pacer_minors_set(unsigned minors)
{
	minors_wanted = minors;
}

enum { MOST_SKIPPED = 31, MOST_NUMBERS = 96 /* of colours, see mark.c */ };

/* ROOM bytes may be allocated before the next cycle ends. Whether it is to be a minor one. */
static bool next_is_minor(size_t room, size_t survived, uint64_t ns)
{
	static unsigned penalty, skip;
	unsigned numbers = (unsigned)(heap->newest + GCDUNE_COLOR_LAST - heap->black) % GCDUNE_COLOR_LAST;

	bool asked = minors_wanted != AS_PAYS;

	if (asked && minors_done >= minors_wanted)
		return false;
	if (heap->minor) {
		size_t made = (size_t)MAX(heap->allocated, 1);

		if (asked)
			return room >= full.room / 2 && numbers < MOST_NUMBERS;

		if (!gcdune_options.torture && (survived > made / 2 || ns > full.ns / 8 * 7)) {
			penalty = MIN(penalty * 2 + 1, MOST_SKIPPED);
			skip = penalty;
			return false;
		}
		penalty -= penalty > 0;
		return room >= full.room / 2 && numbers < MOST_NUMBERS;
	}
	full.ns = ns;
	full.room = room;
	if (!skip || asked)
		return true;
	skip--;
	return false;
}

/* Whether one thread made most of what was made since this was asked last. World stopped. */
static bool one_makes(void)
{
	enum { SHARE = 8 };
	int64_t most = 0, all = 0;

	for (struct gcdune_thread *thread = gcdune_threads; thread; thread = thread->next) {
		most = MAX(most, thread->made);
		all += MAX(thread->made, 0);
		thread->made = 0;
	}
	return all - most <= all / SHARE;
}

/* Two threads that do nothing but allocate use LEAST up in a quarter of a millisecond, and a stop costs them more than it takes:
 * blocks that they filled are looked for anew. And where all of a small heap is marked in each stop, that may take a third of the
 * time of one thread. So there is as much more between collections as has them come no more often than each OFTEN, and take a
 * SHARE of the time at most, by what they took lately; where one thread makes all that is a longer while, and less. One stop
 * that took long does not say so: the less of two in a row counts, for what is used once stays. */
static void note_stop(uint64_t took)
{
	enum { MOST = 4, MOST_ALONE = 2, SLOWLY = 8, QUICKLY = 2, SHARE = 6 };
	const uint64_t OFTEN = 700000;
	static uint64_t before;
	static int64_t usual; /* what was wanted lately, in bytes */
	static uint64_t wanted_before;
	uint64_t now = gcdune_os_now(), since = MAX(now - before, 1);
	bool alone = one_makes();
	uint64_t wanted = MAX(took * SHARE, OFTEN) * least_now / since, less = MIN(wanted, wanted_before);

	before = now;
	wanted_before = wanted;
	usual += ((int64_t)MIN(less, MOST * LEAST) - usual) / (alone ? SLOWLY : QUICKLY);
	least_now = MAX(LEAST, MIN((size_t)usual, (alone ? MOST_ALONE : MOST) * LEAST));
}

/* Who asks for collections as often as one is due would have twice as many if we did not wait for it: after one that was
 * asked for, what the program allocated between the last two, and a quarter more, may be used up before we begin one (an eighth
 * was too little where one of ours in between had made it less). If it does not ask by then, we do not count on it until it has
 * asked twice again. */
static size_t until_asked(bool asked, size_t b)
{
	static size_t since;
	static bool before, relied; /* it asked, and has not been relied on in vain since */
	size_t most = MAX(2 * b, 4 * LEAST);

	since += (size_t)MAX(heap->allocated, 0);
	if (!asked) {
		before = before && !relied;
		relied = false;
		return 0;
	}
	size_t wanted = since + since / 4;

	relied = before && wanted <= most && (!heap->limit || heap->live_bytes + wanted < heap->limit);
	before = true;
	since = 0;
	return relied ? wanted : 0;
}

bool gcdune_pacer_cycle_end(enum gcdune_cycle_reason reason, bool concurrent, bool minor_next, size_t survived, uint64_t ns,
			    uint64_t stopped)
{
	static size_t headrooms[2];
	size_t *headroom = &headrooms[heap->minor];
	int64_t during = heap->allocated - at_flip;
	size_t b;

	heap->root_bytes = gcdune_roots_bytes();
	note_stop(stopped);
	b = budget(concurrent);
	minors_done = heap->minor ? minors_done + 1 : 0;
	minor_next = minor_next && next_is_minor(b, survived, ns);
	size_t awaited = until_asked(reason == GCDUNE_CYCLE_ASKED, b);

	heap->allocated_before += (uint64_t)(heap->allocated > 0 ? heap->allocated : 0);
	heap->allocated = 0;

	if (heap->live_bytes + b < gcdune_options.heap_initial)
		b = gcdune_options.heap_initial - heap->live_bytes;
	b = MAX(b, awaited);
	allowance = b;
	if (concurrent) {
		size_t d = during > 0 ? (size_t)during : 0;

		/* Rises at once, sinks slowly: a late start costs more than an early one. */
		*headroom = MAX(d + d / 8, *headroom / 4 * 3);
		*headroom = MAX(MIN(*headroom, b / 4 * 3), b / 16);
		b -= MIN(headrooms[minor_next], b / 4 * 3);
	}
	heap->trigger = (int64_t)MAX(b, awaited);
	beside = 0;
	return minor_next;
}

unsigned gcdune_pacer_debt(unsigned *sleep)
{
	int64_t from = heap->marking ? heap->trigger : (int64_t)allowance;
	int64_t over = heap->allocated - from, share = (int64_t)MAX(allowance, 2 * LEAST);

	*sleep = 0;
	/* The further it is ahead, the longer; it never waits for the end, which may be far. Half the allowance ahead: 8
	 * times as long as it runs. */
	if (!heap->disabled && over > 0) {
		int64_t eighths = MIN(over / 256 * (256 - full.stays) * 8 / share, 8);

		*sleep = (unsigned)MIN(eighths * eighths / 2, 31);
	}
	/* At each piece of a few KiB allocated; more than as much. */
	return heap->marking && over > 0 ? 512 : 0;
}

void gcdune_pacer_release(bool all)
{
	size_t n;

	if (!all && !gcdune_options.release)
		return;
	do {
		gcdune_place_look();
		gcdune_heap_lock();
		/* Blocks in use have free slots, too. If these are too few, free blocks are taken in each cycle: none is OLD then. */
		size_t used = heap->blocks_used << GCDUNE_BLOCK_SHIFT;
		if (!all)
			in_use = used;
		size_t keep = ((goal - MIN(goal, used)) >> GCDUNE_BLOCK_SHIFT) + SPARE;

		n = all ? gcdune_block_release(0, 0, BATCH) : gcdune_block_release(OLD, keep, BATCH);
		gcdune_heap_unlock();
	} while (n);
}

int gcdune_heap_reserve(size_t size)
{
	int error = gcdune_init();

	if (error)
		return error;
	struct gcdune_thread *thread = gcdune_thread_get();
	size_t blocks = (size + GCDUNE_BLOCK - 1) >> GCDUNE_BLOCK_SHIFT;

	if (!thread || blocks > heap->nblocks || (heap->limit && size > heap->limit))
		return -ENOMEM;
	gcdune_critical_enter(thread);
	pthread_mutex_lock(&heap->lock);
	size_t have = heap->blocks_committed;

	if (blocks > have)
		error = gcdune_block_reserve(GCDUNE_SPACE_SCANNED, (uint32_t)(blocks - have));
	if (!error && size > gcdune_options.heap_initial) {
		gcdune_options.heap_initial = size;
		if (heap->trigger < (int64_t)(size - MIN(heap->live_bytes, size)))
			heap->trigger = (int64_t)(size - MIN(heap->live_bytes, size));
	}
	pthread_mutex_unlock(&heap->lock);
	gcdune_critical_leave(thread);
	return error;
}

int gcdune_growth_set(unsigned percent)
{
	if (percent < 10 || percent > 1000)
		return -EINVAL;
	gcdune_options.growth = percent;
	return 0;
}

void gcdune_disable(void)
{
	heap->disabled++;
}

int gcdune_enable(void)
{
	int n = heap->disabled;

	do
		if (n == 0)
			return -EINVAL;
	while (!atomic_compare_exchange_weak(&heap->disabled, &n, n - 1));
	return 0;
}

bool gcdune_is_disabled(void)
{
	return heap->disabled != 0;
}
