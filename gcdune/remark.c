/* remark.c - owns what is tracked for writes during a cycle, and scans again what was written. Callers: cycle.c, and
 * mark.c for the ranges that gcdune_remark_push leaves to the markers.
 *
 * The safety argument of the whole cycle. A white object that is reachable when the world is stopped for the pause was
 * missed because the marker never read the words that hold its address now. Such a word is in a register, on a stack, in
 * thread-local storage or another root; these are all read again in the pause. Or it is in a marked object. Then it was
 * written after the marker read it, that is, after the page was armed: before the last harvest, and that scanned it
 * again, or after, and the page is dirty in the pause. Or it is in an object that no marker has read since it was made,
 * because new objects are black: its page was written after the flip, and pages that are not armed count as written.
 * Pages are armed, and made clean, only by gcdune_dirty_take and gcdune_dirty_track, and the words are read after that.
 *
 * A slot of a thread's reserve is black too, but what lies there is rubbish, and in a typed block not even a layout: it
 * is left out (gcdune_thread_reserve). */
#include "remark.h"

#include <string.h>

#include "dirty/dirty.h"
#include "os.h"
#include "thread.h"

static struct gcdune_heap *const heap = &gcdune_heap;

/* What a marker takes at once: 16 MiB, some 5 microseconds when all is clean. */
enum { UNIT_PAGES = 4096 };

/* Beyond the committed part, room for what comes into use during a cycle. */
static const uint32_t ROOM = (uint32_t)((4ull << 30) >> GCDUNE_BLOCK_SHIFT);

static _Atomic size_t dirty_pages;

/* ---- Arming ---- */

static uint32_t edge(void)
{
	return __atomic_load_n(&heap->spaces[GCDUNE_SPACE_SCANNED].edge, __ATOMIC_ACQUIRE);
}

/* Calls VISIT for each run of neighbouring blocks in use below LAST, closing gaps of a few free ones. */
static int each_used(uint32_t last, int (*visit)(uintptr_t begin, uintptr_t end))
{
	enum { GAP = 4, STEP = 256 };
	uint32_t from = 0, to = 0;
	int error = 0;

	for (uint32_t i = 0; i < last && !error; i++) {
		uint8_t use = __atomic_load_n(&heap->blocks[i].use, __ATOMIC_ACQUIRE);

		if (use == GCDUNE_USE_FREE || use == GCDUNE_USE_NONE)
			continue;
		if (to && i - to <= GAP) {
			to = i + 1;
			continue;
		}
		if (to > from)
			error = visit(gcdune_block_address(from), gcdune_block_address(to));
		from = i;
		to = i + 1;
	}
	if (to > from && !error)
		error = visit(gcdune_block_address(from), gcdune_block_address(to));
	return error;
}

bool gcdune_remark_arm(void)
{
	uint32_t end = edge(), leaf = __atomic_load_n(&heap->spaces[GCDUNE_SPACE_LEAF].edge, __ATOMIC_ACQUIRE);
	uint32_t limit = leaf - end > end + ROOM ? 2 * end + ROOM : leaf;

	if (gcdune_dirty_begin(heap->base, gcdune_block_address(limit)))
		return false;
	__atomic_store_n(&heap->tracked, 1, __ATOMIC_SEQ_CST);
	/* What comes into use later has not been armed, and so counts as written. */
	if (each_used(end, gcdune_dirty_track) == 0)
		return true;
	gcdune_remark_disarm();
	return false;
}

void gcdune_remark_disarm(void)
{
	__atomic_store_n(&heap->tracked, 0, __ATOMIC_SEQ_CST);
	gcdune_dirty_end(heap->base, gcdune_block_address(edge()));
}

/* ---- Looking through ---- */

static int push_range(uintptr_t begin, uintptr_t end)
{
	while (begin < end) {
		size_t pages = (end - begin) / GCDUNE_PAGE;

		if (pages > UNIT_PAGES)
			pages = UNIT_PAGES;
		gcdune_mark_main.source = NULL;
		gcdune_marker_push(&gcdune_mark_main, gcdune_slice(begin, pages, GCDUNE_ENTRY_DIRTY));
		begin += pages * GCDUNE_PAGE;
	}
	return 0;
}

void gcdune_remark_push(void)
{
	each_used(edge(), push_range);
}

size_t gcdune_remark_count(void)
{
	return atomic_exchange(&dirty_pages, 0);
}

/* Nearly all that is found here is marked already. So states are asked first, a batch at a time to have their cache misses
 * together, and only what is not marked goes the way of the marker, which fetches the object too. */
static __attribute__((no_sanitize("address", "thread"))) void scan_part(struct gcdune_marker *m, uintptr_t from,
									  uintptr_t to)
{
	enum { BATCH = 32 };
	struct {
		uintptr_t word;
		const uint8_t *state;
	} batch[BATCH];
	const uintptr_t *word = (const uintptr_t *)from, *end = (const uintptr_t *)to;
	const uintptr_t base = heap->base;
	const size_t size = heap->size;

	while (word < end) {
		unsigned n = 0;

		while (word < end && n < BATCH) {
			uintptr_t w = *word++;
			struct gcdune_ref ref;

			if (w - base >= size || !gcdune_resolve(w, &ref))
				continue;
			__builtin_prefetch(ref.state, 0);
			batch[n].word = w;
			batch[n++].state = ref.state;
		}
		for (unsigned i = 0; i < n; i++) {
			uint8_t state = __atomic_load_n(batch[i].state, __ATOMIC_RELAXED);

			if (state == m->white || state == GCDUNE_COLOR_KEY)
				gcdune_marker_push(m, batch[i].word);
		}
	}
}

/* The part of a marked object that lies on the page. */
static void scan_on_page(struct gcdune_marker *m, const struct gcdune_ref *ref, uintptr_t page)
{
	uintptr_t begin = (uintptr_t)ref->object, end = begin + gcdune_ref_size(ref);
	uintptr_t from = begin > page ? begin : page, to = end < page + GCDUNE_PAGE ? end : page + GCDUNE_PAGE;

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

/* False: the owner of the block was just changing what it holds in reserve. */
static bool small_page(struct gcdune_marker *m, uint32_t index, struct gcdune_block *block, uintptr_t page)
{
	size_t size = block->granules * GCDUNE_GRANULE;
	uintptr_t base = gcdune_block_address(index);
	unsigned first = (unsigned)((page - base) / size), last = (unsigned)((page + GCDUNE_PAGE - 1 - base) / size);
	uint8_t states[GCDUNE_PAGE / GCDUNE_GRANULE + 1];
	uint8_t *now = gcdune_block_states(block);
	uint32_t turns = gcdune_thread_turns(index);
	unsigned begin, end;

	if (first >= block->nslots)
		return true;
	if (last >= block->nslots)
		last = block->nslots - 1u;
	for (unsigned slot = first; slot <= last; slot++)
		states[slot - first] = __atomic_load_n(now + slot, __ATOMIC_ACQUIRE);
	if (!gcdune_thread_reserve(index, turns, &begin, &end))
		return false;
	for (unsigned slot = first; slot <= last; slot++) {
		if (states[slot - first] != m->black || (slot >= begin && slot < end))
			continue;
		struct gcdune_ref ref = {(char *)base + slot * size, now + slot, block};

		scan_on_page(m, &ref, page);
	}
	return true;
}

static void scan_page(struct gcdune_marker *m, uintptr_t page)
{
	uint32_t index = (uint32_t)((page - heap->base) >> GCDUNE_BLOCK_SHIFT);
	struct gcdune_block *block = &heap->blocks[index];
	uint8_t use = __atomic_load_n(&block->use, __ATOMIC_ACQUIRE);

	if (use == GCDUNE_USE_SMALL) {
		if (heap->kinds[block->kind].scan == GCDUNE_SCAN_NONE)
			return;
		for (unsigned tries = 0; tries < 4; tries++)
			if (small_page(m, index, block, page))
				return;
		/* Then in the pause. */
		gcdune_dirty_mark(page, page + GCDUNE_PAGE);
	} else if (use == GCDUNE_USE_LARGE || use == GCDUNE_USE_TAIL) {
		struct gcdune_ref ref;

		if (gcdune_resolve(page, &ref) && __atomic_load_n(ref.state, __ATOMIC_ACQUIRE) == m->black)
			scan_on_page(m, &ref, page);
	}
}

void gcdune_remark_range(struct gcdune_marker *m, uintptr_t begin, size_t pages)
{
	uint64_t bits[UNIT_PAGES / 64];
	size_t found = 0;

	memset(bits, 0, sizeof bits);
	gcdune_dirty_take(begin, pages, bits, !gcdune_mark_is_stopped());
	for (size_t i = 0; i < (pages + 63) / 64; i++) {
		for (uint64_t word = bits[i]; word; word &= word - 1) {
			found++;
			scan_page(m, begin + (i * 64 + (size_t)__builtin_ctzll(word)) * GCDUNE_PAGE);
		}
	}
	dirty_pages += found;
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
		    heap->kinds[block->kind].stopped && block->color == heap->color)
			gcdune_mark_rescan_block(&gcdune_mark_main, i, NULL);
	}
}
