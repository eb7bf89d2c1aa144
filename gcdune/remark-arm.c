/* remark-arm.c - owns which blocks are armed: tracked for writes, so that a page which was written to can be told. Callers:
 * cycle.c at a cycle's beginning, markers when they find the first object in a block, the sweep at its end, and alloc-run.c for a
 * block that is about to be filled. Why nothing reachable is lost by it: remark.c. */
#include "remark-parts.h"

#include <sys/param.h>

#include "dirty/dirty.h"
#include "options.h"
#include "os.h"
#include "sweep.h"
#include "verify.h"

static struct gcdune_heap *const heap = &gcdune_heap;

/* Beyond the committed part, room for what comes into use during a cycle. */
static const uint32_t ROOM = (uint32_t)((4ull << 30) >> GCDUNE_BLOCK_SHIFT);

int gcdune_remark_each_run(uint32_t first, uint32_t last, bool (*wanted)(uint32_t i),
			   int (*visit)(uint32_t from, uint32_t to))
{
	enum { GAP = 4 };
	uint32_t from = 0, to = 0;
	int error = 0;

	for (uint32_t i = first; i < last && !error; i++) {
		if (!wanted(i))
			continue;
		if (to && i - to <= GAP) {
			to = i + 1;
			continue;
		}
		if (to > from)
			error = visit(from, to);
		from = i;
		to = i + 1;
	}
	if (to > from && !error)
		error = visit(from, to);
	return error;
}

static bool is_unarmed(uint32_t i)
{
	return gcdune_remark_in_use(i) && !(gcdune_remark_watch(i) & GCDUNE_WATCH_ARMED);
}

/* Most of what is new is dead, and arming it, and disarming it afterwards, would be for nothing. It counts as written
 * until the marker has been there and preclean finds what is marked. */
static bool is_to_be_armed(uint32_t i)
{
	return is_unarmed(i) && !(gcdune_remark_watch(i) & GCDUNE_WATCH_FILLS) &&
	       (heap->spans[gcdune_remark_head_of(i)].age > 0 || !gcdune_dirty_late());
}

/* One call arms neighbours too, as its price is mostly the interrupt of the other processors: 20 to 100 microseconds in a
 * virtual machine, and arming and disarming a block for nothing some 2. How many, goes by how many of those that were armed
 * in the last cycle came to have something alive. */
enum { REACH_MOST = 32, WORTH = 4 /* one in so many */ };
static unsigned reach = 1;
static _Atomic unsigned reached, came; /* blocks armed by markers in this cycle; of which so many had something alive */

static void choose_reach(void)
{
	if (!reached)
		return; /* nothing is known */
	if (came >= reached / WORTH)
		reach = reach * 2 < REACH_MOST ? reach * 2 : REACH_MOST;
	else
		reach = reach > 1 ? reach / 2 : 1;
	reached = came = 0;
}

static bool may_be_armed(uint32_t i)
{
	const struct gcdune_block *block = &heap->blocks[i];

	/* A thread is about to write to the rest of it if it is open. */
	return !(gcdune_remark_watch(i) & (GCDUNE_WATCH_ARMED | GCDUNE_WATCH_FILLS)) && !(block->flags & GCDUNE_BLOCK_OPEN) &&
	       heap->kinds[block->kind].scan != GCDUNE_SCAN_NONE;
}

/* Makes the block the caller's to arm. False: it is another marker's. */
static bool begin_arming(uint32_t i)
{
	uint8_t before = gcdune_remark_watch(i);

	do
		if (before & (GCDUNE_WATCH_ARMING | GCDUNE_WATCH_ARMED))
			return false;
	while (!__atomic_compare_exchange_n(&heap->spans[i].watch, &before, before | GCDUNE_WATCH_ARMING, true, __ATOMIC_ACQ_REL,
					    __ATOMIC_ACQUIRE));
	return true;
}

/* Of one block, and nobody has found an object in it yet. */
static bool is_neighbour(uint32_t i)
{
	const struct gcdune_block *block = &heap->blocks[i];

	return __atomic_load_n(&block->use, __ATOMIC_ACQUIRE) == GCDUNE_USE_SMALL &&
	       __atomic_load_n(&block->color, __ATOMIC_RELAXED) != heap->black && may_be_armed(i) && begin_arming(i);
}

void gcdune_remark_first(uint32_t i, bool arm)
{
	const struct gcdune_block *block = &heap->blocks[i];

	if (!may_be_armed(i) || !gcdune_dirty_late()) {
		came += block->granules && gcdune_remark_watch(i) & GCDUNE_WATCH_ARMED && !heap->spans[i].age;
		return;
	}
	uint32_t begin = i, end = i + (block->granules ? 1 : heap->spans[i].length);

	if (!arm || !begin_arming(i)) {
		came += arm;
		return;
	}
	if (block->granules) {
		uint32_t last = gcdune_remark_edge();

		/* Upwards first: what was made together lies in this order, and is found in it or from both ends. */
		while (end < last && end - begin < reach && is_neighbour(end))
			end++;
		while (begin && end - begin < reach && is_neighbour(begin - 1))
			begin--;
		reached += end - begin;
		came++;
	}
	if (gcdune_options.stretch)
		gcdune_os_sleep(MAX(20000, (uint64_t)gcdune_options.stretch * 1000)); /* for others to come by */
	bool armed = !gcdune_dirty_track(gcdune_block_address(begin), gcdune_block_address(end));

	for (uint32_t k = begin; k < end; k++) {
		/* Others have read something there, perhaps before it was armed (remark.c). */
		bool read = __atomic_load_n(&heap->blocks[k].color, __ATOMIC_ACQUIRE) == heap->black;

		gcdune_remark_change_watch(k, (armed ? GCDUNE_WATCH_ARMED : 0) | (read ? GCDUNE_WATCH_WHOLE : 0),
					   GCDUNE_WATCH_ARMING);
	}
}

static bool arm_minor; /* the cycle that begins is minor */

/* Gaps that were armed before lose what they had to report. */
static int arm(uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++)
		gcdune_remark_change_watch(i, GCDUNE_WATCH_ARMED | (arm_minor ? GCDUNE_WATCH_WHOLE : 0), GCDUNE_WATCH_DIRTY);
	return gcdune_dirty_track(gcdune_block_address(from), gcdune_block_address(to));
}

static int disarm(uint32_t from, uint32_t to)
{
	gcdune_dirty_end(gcdune_block_address(from), gcdune_block_address(to));
	for (uint32_t i = from; i < to; i++)
		gcdune_remark_change_watch(i, 0, 0xff);
	return 0;
}

/* A few are left armed for who writes to them to touch. */
static int disarm_many(uint32_t from, uint32_t to)
{
	if (to - from >= GCDUNE_REMARK_CALL || !gcdune_dirty_touches())
		return disarm(from, to);
	for (uint32_t i = from; i < to; i++)
		gcdune_remark_change_watch(i, 0, GCDUNE_WATCH_DIRTY); /* of this cycle */
	return 0;
}

/* The next blocks that threads will take from this list. */
static void expect_fills_of(uint32_t i, uint32_t count)
{
	for (; count && i != GCDUNE_NO_BLOCK; count--, i = heap->spans[i].next)
		if (!(gcdune_remark_watch(i) & GCDUNE_WATCH_ARMED))
			gcdune_remark_change_watch(i, GCDUNE_WATCH_FILLS, 0);
}

/* A page of a block that is filled while the cycle marks would be a fault, or a part of a call, and is scanned again in any case.
 * So blocks that are likely to be are not armed: as many of each kind and class as were filled in the last cycle. Where nothing is
 * written to one after all, what is marked in it is scanned twice. Until the first round arms them they count as written, as any
 * that is not armed. */
static void expect_fills(void)
{
	if (!gcdune_dirty_late())
		return;
	gcdune_heap_lock();
	for (unsigned kind = 0; kind < heap->nkinds; kind++) {
		if (heap->kinds[kind].scan == GCDUNE_SCAN_NONE)
			continue;
		for (unsigned cls = 0; cls < GCDUNE_CLASSES; cls++) {
			struct gcdune_growth *growth = &heap->growth[kind][cls];

			expect_fills_of(heap->sweep[GCDUNE_ROOMY][kind][cls], growth->filled);
			growth->filled = 0;
		}
	}
	gcdune_heap_unlock();
}

bool gcdune_remark_arm(bool minor)
{
	arm_minor = minor;
	choose_reach();
	if (minor && gcdune_options.verify)
		gcdune_verify_minor_begin(gcdune_remark_edge());
	uint32_t end = gcdune_remark_edge(), leaf = __atomic_load_n(&heap->spaces[GCDUNE_SPACE_LEAF].edge, __ATOMIC_ACQUIRE);
	uint32_t limit = leaf - end > end + ROOM ? 2 * end + ROOM : leaf;

	if (gcdune_dirty_begin(heap->base, gcdune_block_address(limit)))
		return false;
	expect_fills();
	/* What is armed already has only more to report. What comes into use later is not armed, and counts as written. */
	for (uint32_t i = 0; minor && i < end; i++)
		if (is_unarmed(i) && gcdune_remark_has_marked(i))
			gcdune_remark_change_watch(i, GCDUNE_WATCH_WHOLE, 0);
	int error = gcdune_remark_each_run(0, end, is_to_be_armed, arm);

	/* Settled behind the stop that comes next. */
	if (minor && !error)
		gcdune_remark_gather();
	if (!error)
		return true;
	disarm(0, end);
	return false;
}

/* Blocks in which nothing was written all through the cycle stay armed: likely they are written to as little until the
 * next, and arming and disarming cost a fifth of a fault for each page (make bench-dirty). But those with much room
 * will be filled anew. */
static bool is_to_be_disarmed(uint32_t i)
{
	const struct gcdune_block *block = &heap->blocks[i];
	uint8_t w = gcdune_remark_watch(i);

	if (!(w & GCDUNE_WATCH_ARMED) || !gcdune_dirty_keeps())
		return w != 0;
	if (w & GCDUNE_WATCH_DIRTY)
		return true;
	if (block->use == GCDUNE_USE_SMALL)
		return !gcdune_color_lives(block->color) || gcdune_sweep_is_roomy(block);
	if (block->use == GCDUNE_USE_TAIL)
		block = &heap->blocks[heap->spans[i].head];
	return block->use != GCDUNE_USE_LARGE || !gcdune_color_lives(*gcdune_block_states(block));
}

void gcdune_remark_disarm(uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++)
		gcdune_remark_change_watch(i, 0, GCDUNE_WATCH_LINKS | GCDUNE_WATCH_FILLS);
	gcdune_remark_each_run(from, to, is_to_be_disarmed, disarm_many);
}

/* Blocks that are likely to be filled after one that is: listed ones are filled in the order of addresses (sweep.c); and with
 * the cycle over, all that the collector's thread would have disarmed by now if it had a processor. */
static bool is_filled_next(uint32_t i)
{
	return gcdune_remark_watch(i) & GCDUNE_WATCH_ARMED &&
	       (heap->marking ? heap->blocks[i].flags & GCDUNE_BLOCK_LISTED : is_to_be_disarmed(i));
}

void gcdune_remark_fill(uint32_t from, uint32_t to)
{
	enum { AHEAD = 16 };

	while (from < to && !(gcdune_remark_watch(from) & GCDUNE_WATCH_ARMED))
		from++;
	while (from < to && !(gcdune_remark_watch(to - 1) & GCDUNE_WATCH_ARMED))
		to--;
	if (from == to)
		return;
	for (uint32_t end = MIN(gcdune_remark_edge(), to + AHEAD); to < end && is_filled_next(to);)
		to++;
	/* One call costs less than a fault for each page. It interrupts other processors: the fewer the better. */
	gcdune_dirty_mark(gcdune_block_address(from), gcdune_block_address(to));
	for (uint32_t i = from; i < to; i++)
		gcdune_remark_change_watch(i, 0, GCDUNE_WATCH_ARMED);
}

void gcdune_remark_note_link(uintptr_t address)
{
	size_t i = (address - heap->base) >> GCDUNE_BLOCK_SHIFT;

	if (i < gcdune_remark_edge())
		gcdune_remark_change_watch((uint32_t)i, GCDUNE_WATCH_LINKS, 0);
}

static bool has_links(uint32_t i)
{
	enum { BOTH = GCDUNE_WATCH_LINKS | GCDUNE_WATCH_ARMED };

	return (gcdune_remark_watch(i) & BOTH) == BOTH;
}

/* They count as written from now on. */
static int open_links(uint32_t from, uint32_t to)
{
	gcdune_dirty_mark(gcdune_block_address(from), gcdune_block_address(to));
	for (uint32_t i = from; i < to; i++)
		gcdune_remark_change_watch(i, 0, GCDUNE_WATCH_LINKS | GCDUNE_WATCH_ARMED);
	return 0;
}

void gcdune_remark_open_links(void)
{
	gcdune_remark_each_run(0, gcdune_remark_edge(), has_links, open_links);
}

unsigned gcdune_remark_unarmed(unsigned most)
{
	enum { LARGE = 512 }; /* there may be many dirty pages in the others */
	uint32_t end = gcdune_remark_edge();
	unsigned n = end > LARGE ? most : 0;

	for (uint32_t i = 0; i < end && n < most; i++)
		n += is_unarmed(i) && heap->blocks[i].color == heap->black;
	return n;
}
