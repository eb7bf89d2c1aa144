/* remark.c - scans again what was written after it was marked. Which blocks are tracked for writes is remark-arm.c's. Callers:
 * cycle.c, and mark-burst.h for the ranges that gcdune_remark_push leaves to the markers.
 *
 * The safety argument of the whole cycle. A white or young object that is reachable when the world is stopped for the
 * pause was missed because no marker read the words that hold its address now. Such a word is in a register, on a stack,
 * in thread-local storage or another root: these are all read in the pause. Or it is in a marked object. Then it was
 * written after the marker read it, that is, after the page was armed: before the last harvest, and that scanned it
 * again, or after it, and the page is dirty in the pause. Pages are armed, and made clean, only by gcdune_dirty_take,
 * gcdune_dirty_track and gcdune_dirty_gather, and the words are read after that, and after gcdune_dirty_settle; a page that was never armed counts as written. Or it is in an
 * object that is not marked itself; that one's address is then in one of these places, and so on.
 *
 * A block that is not armed counts as written, and all that is marked in it is scanned twice. Most of these are new,
 * and most of what is new dies, so they are not armed before they turn out to have something alive: by the marker
 * that finds the first object there, before it scans that (gcdune_remark_first), along with neighbours in which
 * nobody has found one. Whatever was written before it has armed them, and reported, it hides. Meanwhile others may read
 * objects there: a marker that comes by, or a thread of the program that helps, which has no time for the call; one that
 * finds the block armed, as a third has just looked through its pages for what was written; or open, for a thread has taken it
 * to allocate from. But each stores the block's colour before it reads. So if the colour says that something is marked when the
 * pages are clean, all of the block is scanned again (WATCH_WHOLE). That the colour is seen by then: making a page clean that
 * was written interrupts all processors that run the program, so a store made before what was overwritten was read is seen
 * behind it.
 *
 * Blocks that threads are likely to fill while the cycle marks (GCDUNE_WATCH_FILLS) are armed by nobody before the first round
 * looks through them: until then, or to the end if nothing in them is marked by then, they count as written.
 *
 * So what is allocated while a cycle runs need not be scanned for having been written, only if it is found.
 *
 * A pause that is given up has made no page clean: what it found dirty is as dirty in the next round, and a block that it
 * scanned and took ARMED from counts as written then. What it marked stays marked, and what it has not looked at yet is on
 * the markers' stacks. Nothing was decided in it; the next pause reads all roots again.
 *
 * A minor cycle takes what the last one marked for marked already. The argument is the same, with "after the marker read
 * it" reaching back to the last cycle, at whose end a marked object led to marked ones only. A page that was armed then
 * and still is reports what was written since. Every other page counts as written: of a block that was not armed all the
 * time all marked objects are scanned (WATCH_WHOLE), after it has been armed. ARMED is a hint as to what a fault would
 * cost, but it is set only with the page clean, or reporting: whatever makes a page clean (arm, remark-arm.c) sets WHOLE too,
 * or scans the page (take). */
#include "remark-parts.h"

#include <string.h>

#include "dirty/dirty.h"
#include "options.h"
#include "place.h"
#include "verify.h"

static struct gcdune_heap *const heap = &gcdune_heap;

/* What a marker takes at once: 16 MiB, some 5 microseconds when all is clean. */
enum { UNIT_PAGES = 4096 };
enum { BLOCK_PAGES = GCDUNE_BLOCK / GCDUNE_PAGE };
/* The same if all of it is to be scanned: some 300 microseconds. */
enum { UNIT_WHOLE = 256 };

static _Atomic size_t dirty_pages;
static bool stopped_minor; /* see gcdune_remark_stopped */

static int push_range(uint32_t first, uint32_t last)
{
	uintptr_t begin = gcdune_block_address(first), end = gcdune_block_address(last);

	while (begin < end) {
		size_t pages = (end - begin) / GCDUNE_PAGE;

		if (pages > (stopped_minor ? UNIT_WHOLE : UNIT_PAGES))
			pages = stopped_minor ? UNIT_WHOLE : UNIT_PAGES;
		gcdune_mark_main.source = NULL;
		gcdune_marker_push(&gcdune_mark_main, gcdune_slice(begin, pages, GCDUNE_ENTRY_DIRTY));
		begin += pages * GCDUNE_PAGE;
	}
	return 0;
}

static int gather_range(uint32_t first, uint32_t last)
{
	gcdune_dirty_gather(gcdune_block_address(first), gcdune_block_address(last));
	return 0;
}

void gcdune_remark_gather(void)
{
	gcdune_remark_each_run(0, gcdune_remark_edge(), gcdune_remark_has_marked, gather_range);
}

void gcdune_remark_push(void)
{
	gcdune_remark_each_run(0, gcdune_remark_edge(), gcdune_remark_has_marked, push_range);
}

void gcdune_remark_stopped(bool now)
{
	stopped_minor = now;
	if (!now)
		return;
	if (gcdune_options.verify)
		gcdune_verify_minor_begin(gcdune_remark_edge());
	gcdune_remark_each_run(0, gcdune_remark_edge(), gcdune_remark_has_marked, push_range);
}

uint64_t gcdune_remark_look(void)
{
	return (uint64_t)gcdune_remark_edge() * BLOCK_PAGES;
}

size_t gcdune_remark_count(void)
{
	return atomic_exchange(&dirty_pages, 0);
}

/* Nearly all that is found here is marked already. So states are asked first, a batch at a time to have their cache misses
 * together, and only what is not marked goes the way of the marker, which fetches the object too. */
enum { BATCH = 64 };

static void push_unmarked(struct gcdune_marker *m, uintptr_t *words, unsigned candidates, uint64_t flag)
{
	const uint8_t *state[BATCH];
	unsigned n = 0;

	for (unsigned i = 0; i < candidates; i++) {
		struct gcdune_ref ref;

		if (!gcdune_resolve(words[i], &ref))
			continue;
		__builtin_prefetch(ref.state, 0);
		words[n] = words[i];
		state[n++] = ref.state;
	}
	for (unsigned i = 0; i < n; i++) {
		uint8_t now = __atomic_load_n(state[i], __ATOMIC_RELAXED);

		if (now == m->white || now == m->young || now == GCDUNE_COLOR_KEY)
			gcdune_marker_push(m, words[i] | flag);
	}
}

static void scan_part(struct gcdune_marker *m, uintptr_t from, uintptr_t to)
{
	const uintptr_t *word = (const uintptr_t *)from, *end = (const uintptr_t *)to;
	uintptr_t words[BATCH + 8];

	while (word < end) {
		size_t n = end - word > BATCH ? BATCH : (size_t)(end - word);

		push_unmarked(m, words, (unsigned)gcdune_mark_find(word, n, words), 0);
		word += n;
	}
}

void gcdune_remark_root_range(uintptr_t from, uintptr_t to)
{
	enum { PIECE = BATCH / 2 };
	struct gcdune_marker *m = &gcdune_mark_main;
	const uintptr_t *word = (const uintptr_t *)((from + 7) & ~(uintptr_t)7), *end = (const uintptr_t *)(to & ~(uintptr_t)7);
	uintptr_t words[BATCH], found[PIECE + 8];

	if (gcdune_mark_check_roots) {
		gcdune_mark_root_range(m, from, to);
		return;
	}
	m->source = NULL;
	while (word < end) {
		size_t n = end - word > PIECE ? PIECE : (size_t)(end - word), count = gcdune_mark_find(word, n, found);
		unsigned candidates = 0;

		for (size_t i = 0; i < count; i++) {
			words[candidates++] = found[i];
			if (gcdune_mark_may_end(found[i]))
				words[candidates++] = found[i] - 1;
		}
		push_unmarked(m, words, candidates, GCDUNE_ENTRY_ROOT);
		word += n;
	}
}

/* The part of a marked object that lies between FROM and TO. */
static void scan_on_page(struct gcdune_marker *m, const struct gcdune_ref *ref, uintptr_t from, uintptr_t to)
{
	uintptr_t begin = (uintptr_t)ref->object, end = begin + gcdune_ref_size(ref);

	from = begin > from ? begin : from;
	to = end < to ? end : to;
	m->source = ref->block;
	switch (heap->kinds[__atomic_load_n(&ref->block->kind, __ATOMIC_ACQUIRE)].scan) {
	case GCDUNE_SCAN_NONE:
		break;
	case GCDUNE_SCAN_WORDS:
		scan_part(m, from, to);
		break;
	case GCDUNE_SCAN_TYPED: {
		size_t last = (end - begin) / sizeof(uintptr_t) - 1;
		size_t first = (from - begin) / sizeof(uintptr_t), stop = (to - begin) / sizeof(uintptr_t);
		gcdune_layout layout = __atomic_load_n((uintptr_t *)begin + last, __ATOMIC_RELAXED);

		gcdune_scan_typed(m, ref->object, layout, first, stop < last ? stop : last);
		break;
	}
	case GCDUNE_SCAN_CALLBACK:
	case GCDUNE_SCAN_EPHEMERON:
		gcdune_scan_object(m, ref);
		break;
	}
}

/* What lies of marked objects between FROM and TO, both in the block. Neighbours are scanned at one go: in a block of cells
 * there are thousands. */
static void small_part(struct gcdune_marker *m, uint32_t index, struct gcdune_block *block, uintptr_t from, uintptr_t to)
{
	size_t size = block->granules * GCDUNE_GRANULE;
	uintptr_t base = gcdune_block_address(index);
	unsigned slot = (unsigned)((from - base) / size), end = (unsigned)((to - 1 - base) / size) + 1;
	uint8_t *states = gcdune_block_states(block);

	if (end > block->nslots)
		end = block->nslots;
	m->source = block;
	while (slot < end) {
		if (__atomic_load_n(states + slot, __ATOMIC_ACQUIRE) != m->black) {
			slot++;
			continue;
		}
		if (!(block->flags & GCDUNE_BLOCK_WORDS)) {
			struct gcdune_ref ref = {(char *)base + slot * size, states + slot, block};

			scan_on_page(m, &ref, from, to);
			slot++;
			continue;
		}
		uintptr_t begin = base + slot * size;

		while (slot < end && __atomic_load_n(states + slot, __ATOMIC_ACQUIRE) == m->black)
			slot++;
		uintptr_t stop = base + slot * size;

		scan_part(m, begin > from ? begin : from, stop < to ? stop : to);
	}
}

/* [FROM, TO) lies in one block: pages that may have been written. */
static void scan_pages(struct gcdune_marker *m, uintptr_t from, uintptr_t to)
{
	uint32_t index = (uint32_t)((from - heap->base) >> GCDUNE_BLOCK_SHIFT);
	struct gcdune_block *block = &heap->blocks[index];
	uint8_t use = __atomic_load_n(&block->use, __ATOMIC_ACQUIRE);

	if (use == GCDUNE_USE_SMALL) {
		if (__atomic_load_n(&block->color, __ATOMIC_ACQUIRE) == m->black) /* else nothing in it is marked */
			small_part(m, index, block, from, to);
	} else if (use == GCDUNE_USE_LARGE || use == GCDUNE_USE_TAIL) {
		struct gcdune_ref ref;

		/* A typed object is scanned page by page, and one with a callback once for each. */
		for (uintptr_t page = from; page < to; page += GCDUNE_PAGE)
			if (gcdune_resolve(page, &ref) && __atomic_load_n(ref.state, __ATOMIC_ACQUIRE) == m->black)
				scan_on_page(m, &ref, page, page + GCDUNE_PAGE);
	}
}

/* Nobody knows what was written to the block, or which of its objects were scanned before it was armed. */
static bool is_whole(uint32_t i)
{
	return gcdune_remark_watch(i) & GCDUNE_WATCH_WHOLE || (stopped_minor && !(gcdune_remark_watch(i) & GCDUNE_WATCH_ARMED));
}

static size_t scan_dirty(struct gcdune_marker *m, uint32_t index, unsigned bits, bool rearm)
{
	uintptr_t base = gcdune_block_address(index);

	/* Not armed: it may not have been written. */
	uint8_t dirty = gcdune_remark_watch(index) & GCDUNE_WATCH_ARMED ? GCDUNE_WATCH_DIRTY : 0;

	gcdune_remark_change_watch(index, dirty | (rearm ? GCDUNE_WATCH_ARMED : 0), rearm ? 0 : GCDUNE_WATCH_ARMED);
	for (unsigned rest = bits; rest;) {
		unsigned first = (unsigned)__builtin_ctz(rest), n = (unsigned)__builtin_ctz(~(rest >> first));
		uintptr_t page = base + first * GCDUNE_PAGE;

		if (__builtin_expect(gcdune_options.verify, 0))
			gcdune_verify_looked_at(page, n);
		scan_pages(m, page, page + n * GCDUNE_PAGE);
		rest &= ~(((1u << n) - 1) << first);
	}
	return (size_t)__builtin_popcount(bits);
}

void gcdune_remark_range(struct gcdune_marker *m, uintptr_t begin, size_t pages)
{
	uint64_t bits[UNIT_PAGES / 64];
	size_t found = 0;
	bool rearm = !gcdune_mark_is_stopped();
	uint32_t first = (uint32_t)((begin - heap->base) >> GCDUNE_BLOCK_SHIFT);
	uint32_t blocks = (uint32_t)(pages / BLOCK_PAGES);

	if (gcdune_worklist_wanted())
		gcdune_marker_share(m);
	memset(bits, 0, sizeof bits);
	bool known = !stopped_minor;

	for (uint32_t i = first; i < first + blocks && !known; i++)
		known = !is_whole(i);
	if (known)
		gcdune_dirty_take(begin, pages, bits, rearm);
	for (uint32_t k = 0; k < blocks; k++) {
		if (rearm)
			gcdune_place_look();
		unsigned of_block = bits[k / 4] >> (k % 4 * 16) & 0xffff;

		if (__builtin_expect(is_whole(first + k), 0)) {
			if (__builtin_expect(gcdune_options.verify, 0))
				gcdune_verify_looked_at(begin + k * GCDUNE_BLOCK, BLOCK_PAGES);
			gcdune_remark_change_watch(first + k, rearm ? GCDUNE_WATCH_ARMED : 0, GCDUNE_WATCH_WHOLE);
			scan_pages(m, begin + k * GCDUNE_BLOCK, begin + (k + 1) * GCDUNE_BLOCK);
			found += stopped_minor ? 0 : BLOCK_PAGES;
		} else if (of_block) {
			found += scan_dirty(m, first + k, of_block, rearm);
		}
	}
	dirty_pages += found;
	gcdune_mark_look_at_clock();
}

void gcdune_remark_callbacks(void)
{
	bool any = false;

	for (unsigned kind = GCDUNE_KIND_FIRST_USER; kind < heap->nkinds; kind++)
		any |= heap->kinds[kind].stopped;
	if (!any)
		return;
	GCDUNE_EACH_BLOCK(i) {
		struct gcdune_block *block = &heap->blocks[i];

		if ((block->use == GCDUNE_USE_SMALL || block->use == GCDUNE_USE_LARGE) &&
		    heap->kinds[block->kind].stopped && block->color == heap->black)
			gcdune_mark_rescan_block(&gcdune_mark_main, i, NULL);
	}
}
