/* mark-object.c - what marking does with one object, or with one piece of pages, where mark-burst.h does not do it on the
 * way: slots that are young, or keys; what has a layout, a callback or pages of its own. Called by mark-burst.h, and by
 * whoever scans objects: mark.c, mark-roots.c, remark.c.
 *
 * Markers run beside the program: what they read of an object may be older or newer than a write under way. Either it
 * is read before, and then the write makes its page dirty and the page is scanned again (remark.c), or after. In the
 * blocks' table nothing that is in use goes away meanwhile (heap.h). Callbacks that may not see a changing object wait
 * for the pause. */
#include "mark-parts.h"

#include "os.h"
#include "remark.h"
#include "thread.h"

static struct gcdune_heap *const heap = &gcdune_heap;

/* ---- Scanning ---- */

void gcdune_scan_object(struct gcdune_marker *m, const struct gcdune_ref *ref)
{
	const struct gcdune_kind_info *kind = &heap->kinds[ref->block->kind];
	size_t size = gcdune_ref_size(ref);
	bool large = ref->block->granules == 0;

	m->source = ref->block;
	switch (kind->scan) {
	case GCDUNE_SCAN_NONE:
		break;
	case GCDUNE_SCAN_WORDS:
		if (large)
			gcdune_marker_push(m, gcdune_slice((uintptr_t)ref->object, size / GCDUNE_PAGE, 0));
		else
			gcdune_marker_words(m, (uintptr_t *)ref->object, (uintptr_t *)(ref->object + size), 0);
		break;
	case GCDUNE_SCAN_TYPED:
		if (large) {
			gcdune_marker_push(
				m, gcdune_slice((uintptr_t)ref->object, size / GCDUNE_PAGE, GCDUNE_ENTRY_TYPED));
		} else {
			size_t words = size / sizeof(uintptr_t) - 1;

			gcdune_scan_typed(m, ref->object, ((uintptr_t *)ref->object)[words], 0, words);
		}
		break;
	case GCDUNE_SCAN_CALLBACK:
		if (kind->stopped && !gcdune_mark_state.stopped)
			break; /* gcdune_remark_callbacks comes by */
		kind->mark(ref->object, size - heap->extra_byte, kind->arg, m);
		break;
	case GCDUNE_SCAN_EPHEMERON:
		gcdune_ephemeron_scan(m, (struct gcdune_ephemeron *)ref->object);
		break;
	}
}

/* Scans the slice's first page and leaves the rest on the stack in halves, for others to take. */
void gcdune_mark_slice(struct gcdune_marker *m, uint64_t entry)
{
	uintptr_t address = (uintptr_t)(entry & (((uint64_t)1 << 36) - 1)) << 12;
	uint64_t pages = entry >> 36 & GCDUNE_SLICE_PAGES_MAX, flags = entry & GCDUNE_ENTRY_TYPED;

	if (entry & GCDUNE_ENTRY_DIRTY) {
		gcdune_remark_range(m, address, pages);
		return;
	}
	/* It is in a marked object, unless that has been cut shorter since. */
	struct gcdune_ref ref = gcdune_ref_of((void *)address);

	m->source = ref.block;
	gcdune_mark_look_at_clock();
	while (pages > 1) {
		uint64_t half = pages / 2;

		gcdune_marker_push(m, gcdune_slice(address + (pages - half) * GCDUNE_PAGE, half, flags));
		pages -= half;
	}
	const uintptr_t *words = (const uintptr_t *)address;

	if (flags & GCDUNE_ENTRY_TYPED && ref.object) {
		size_t last = gcdune_ref_size(&ref) / sizeof(uintptr_t) - 1,
		       from = (address - (uintptr_t)ref.object) / sizeof(uintptr_t);
		size_t to = from + GCDUNE_PAGE / sizeof(uintptr_t);

		gcdune_scan_typed(m, ref.object, ((uintptr_t *)ref.object)[last], from, to < last ? to : last);
	} else {
		gcdune_marker_words(m, words, words + GCDUNE_PAGE / sizeof *words, 0);
	}
}

/* ---- Slots that are not plainly white ---- */

/* A young slot that its thread has not given out yet: what pointed there was never a pointer to it. */
static bool in_reserve(const struct gcdune_marker *m, const struct gcdune_ref *ref)
{
	uint8_t flags = __atomic_load_n(&ref->block->flags, __ATOMIC_ACQUIRE);

	/* Large; or closed, just now or before: of plain words it does not matter. */
	if (ref->block->granules == 0 || (flags & (GCDUNE_BLOCK_OPEN | GCDUNE_BLOCK_WORDS)) == GCDUNE_BLOCK_WORDS)
		return false;
	uint32_t index = (uint32_t)(ref->block - heap->blocks);
	unsigned slot = (unsigned)(ref->state - gcdune_block_states(ref->block)), begin, end;

	for (;;) {
		uint32_t turns = gcdune_thread_turns(index);

		if (__atomic_load_n(ref->state, __ATOMIC_ACQUIRE) != m->young)
			return true; /* given back, or marked by another */
		if (gcdune_thread_reserve(index, turns, &begin, &end))
			return slot >= begin && slot < end;
	}
}

/* A marker that has next to nothing on its stack and finds one young object after the other follows a list to whose end the
 * program appends, perhaps faster than it can follow: a list leaves no choice and nothing to share. Threads that
 * allocate slow down until it has caught up. */
void gcdune_mark_look_for_chase(struct gcdune_marker *m)
{
	enum { LONG = 32, TIMES = 7 }; /* of GCDUNE_MARK_SHARE_EVERY objects; sleep so many times as long as they run */
	bool serial = m->young_bytes != m->young_seen && !m->below && m->top - m->segment->entries <= 16 && !m->assist;

	m->young_seen = m->young_bytes;
	if (serial && !gcdune_mark_state.stopped) {
		if (++m->serial >= LONG && heap->throttle < TIMES)
			heap->throttle = TIMES;
		return;
	}
	if (m->serial >= LONG && heap->throttle == TIMES)
		heap->throttle = 0;
	m->serial = 0;
}

bool gcdune_mark_odd(struct gcdune_marker *m, const struct gcdune_ref *ref, uint8_t state)
{
	if (state == GCDUNE_COLOR_KEY) {
		gcdune_ephemeron_visit_key(m, ref);
	} else {
		if (in_reserve(m, ref))
			return false;
		m->young_bytes += gcdune_ref_size(ref);
	}
	return true;
}
