/* marker.c - the stack of a marker: segments of a thousand entries, the last one in use, full ones below it. Each belongs
 * to its marker's thread; what is handed to others leaves through worklist.c. Called by mark.c and its parts. */
#include "mark.h"

#include <string.h>

_Atomic bool gcdune_mark_overflowed, gcdune_roots_overflowed;

bool gcdune_marker_init(struct gcdune_marker *m)
{
	memset(m, 0, sizeof *m);
	m->segment = gcdune_segment_take();
	if (m->segment)
		m->top = m->segment->entries;
	return m->segment != NULL;
}

static void note_overflow(struct gcdune_marker *m)
{
	if (m->source)
		gcdune_block_flag(m->source, GCDUNE_BLOCK_OVERFLOW, 0);
	else
		gcdune_roots_overflowed = true;
	gcdune_mark_overflowed = true;
}

bool gcdune_marker_room(struct gcdune_marker *m)
{
	struct gcdune_segment *fresh = m->spare ? m->spare : gcdune_segment_take();

	m->spare = NULL;
	if (!fresh) {
		note_overflow(m);
		return false;
	}
	m->segment->count = (uint64_t)(m->top - m->segment->entries);
	if (gcdune_worklist_wanted()) {
		/* What was found first is likely to lead furthest: give that away. */
		struct gcdune_segment *old = m->below ? m->below : m->segment;

		if (old == m->below) {
			m->below = old->next;
			m->segment->next = m->below;
			m->below = m->segment;
		}
		gcdune_worklist_share(old);
	} else {
		m->segment->next = m->below;
		m->below = m->segment;
	}
	m->segment = fresh;
	m->top = fresh->entries;
	return true;
}

/* The segment is used up: go on with one below. False: there is none. */
bool gcdune_marker_below(struct gcdune_marker *m)
{
	struct gcdune_segment *full = m->below;

	if (!full)
		return false;
	if (m->spare)
		gcdune_segment_give(m->segment);
	else
		m->spare = m->segment;
	m->below = full->next;
	m->segment = full;
	m->top = full->entries + full->count;
	return true;
}

/* Someone is idle: gives away the older half of what is here. Old entries lead furthest (in a tree, they are its upper
 * branches), and a marker's stack may never fill a segment. */
void gcdune_marker_share(struct gcdune_marker *m)
{
	struct gcdune_segment *segment = m->below;

	if (segment) {
		m->below = segment->next;
		gcdune_worklist_share(segment);
		return;
	}
	size_t n = (size_t)(m->top - m->segment->entries), half = n / 2;

	if (!half)
		return;
	segment = m->spare ? m->spare : gcdune_segment_take();
	m->spare = NULL;
	if (!segment)
		return;
	memcpy(segment->entries, m->segment->entries, half * sizeof *m->top);
	segment->count = half;
	memmove(m->segment->entries, m->segment->entries + half, (n - half) * sizeof *m->top);
	m->top -= half;
	gcdune_worklist_share(segment);
}

void gcdune_marker_adopt(struct gcdune_marker *m, struct gcdune_segment *segment)
{
	if (m->segment)
		gcdune_segment_give(m->segment);
	m->segment = segment;
	m->top = segment->entries + segment->count;
}
