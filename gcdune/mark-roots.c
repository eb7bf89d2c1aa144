/* mark-roots.c - what is pushed by words of roots, by a single object, by what an object points to, and by what the
 * program's callbacks say (gcdune_mark, gcdune_mark_range). Called by roots.c and its parts, remark.c, finalize-cycle.c,
 * walk.c and the program, with the marker of whoever reads.
 *
 * The marker's `source' says whose words are being pushed: NULL while they are roots', so that an entry that finds no room
 * is noted as a root (marker.c). Any offset into an object counts in a root (GCDUNE_ENTRY_ROOT), and one past its end. */
#include "mark-parts.h"

#include "os.h"
#include "roots.h"

static struct gcdune_heap *const heap = &gcdune_heap;

bool gcdune_mark_push_only, gcdune_mark_check_roots;

/* For verify.c: when marking is over, a root leads to nothing unmarked. But something young may have been made where a
 * word that was read before, and not written since, happens to point. */
static void check_root(uintptr_t address, const uintptr_t *word)
{
	struct gcdune_ref ref;

	if (!gcdune_resolve(address, &ref) || !gcdune_mark_is_unmarked(*ref.state) ||
	    *ref.state == gcdune_mark_state.young)
		return;
	gcdune_panic("verify: root %p in %s leads to unmarked object %p (kind %u, %zu bytes)", (const void *)word,
		     gcdune_roots_place(), (void *)ref.object, ref.block->kind, gcdune_ref_size(&ref));
}

/* A word that may be an address in the heap, or of its end. */
static void push_root(struct gcdune_marker *m, uintptr_t word)
{
	gcdune_marker_push(m, word | GCDUNE_ENTRY_ROOT);
	if (gcdune_mark_may_end(word))
		gcdune_marker_push(m, (word - 1) | GCDUNE_ENTRY_ROOT);
}

__attribute__((no_sanitize("address", "thread"))) void gcdune_mark_root_range(struct gcdune_marker *m, uintptr_t begin,
									      uintptr_t end)
{
	const uintptr_t *word = (const uintptr_t *)((begin + 7) & ~(uintptr_t)7),
			*last = (const uintptr_t *)(end & ~(uintptr_t)7);
	enum { PIECE = 256 };
	uintptr_t base = heap->base;
	size_t size = heap->size;

	while (word < last) {
		const uintptr_t *stop = last - word > PIECE ? word + PIECE : last;

		m->source = NULL;
		if (gcdune_mark_state.wide && !gcdune_mark_check_roots) {
			uintptr_t found[PIECE + 8];
			size_t n = gcdune_mark_find_wide(word, (size_t)(stop - word), found);

			for (size_t i = 0; i < n; i++)
				push_root(m, found[i]);
			word = stop;
		}
		for (; word < stop; word++) {
			/* Most words are no address: no branch for each of these. One past the last block counts. */
			while (stop - word >= 4 && !((word[0] - base <= size) | (word[1] - base <= size) |
						     (word[2] - base <= size) | (word[3] - base <= size)))
				word += 4;
			if (word >= stop)
				break;
			uintptr_t w = *(const volatile uintptr_t *)word; /* the program may write it just now */

			if (w - base > size)
				continue;
			if (__builtin_expect(gcdune_mark_check_roots, 0)) {
				check_root(w, word);
				if (gcdune_mark_may_end(w))
					check_root(w - 1, word);
			}
			push_root(m, w);
		}
		/* Roots must not pile up: large ranges of them are marked from as they are read. But in the pause that
		 * begins a cycle nothing is marked. */
		if (m->below && m == &gcdune_mark_main && !gcdune_mark_push_only)
			gcdune_mark_loop(m);
	}
	m->source = NULL; /* the roots callback's next range is of roots too (gcdune_mark_range) */
}

void gcdune_mark_object(void *object)
{
	gcdune_mark_main.source = NULL;
	gcdune_marker_word(&gcdune_mark_main, (uintptr_t)object, GCDUNE_ENTRY_ROOT);
}

/* Takes what resolves to REF's object off the stack, down to FLOOR. */
static void drop_self(struct gcdune_marker *m, const struct gcdune_ref *ref, uint64_t *floor)
{
	uint64_t *to = floor;

	for (uint64_t *from = floor; from < m->top; from++) {
		struct gcdune_ref target;

		if (gcdune_resolve(*from & ~GCDUNE_ENTRY_ROOT, &target) && target.object == ref->object)
			continue;
		*to++ = *from;
	}
	m->top = to;
}

void gcdune_mark_children(const struct gcdune_ref *ref, bool ignore_self)
{
	struct gcdune_marker *m = &gcdune_mark_main;
	enum gcdune_scan scan = heap->kinds[ref->block->kind].scan;

	if (!ignore_self || scan == GCDUNE_SCAN_NONE || scan == GCDUNE_SCAN_EPHEMERON) {
		gcdune_scan_object(m, ref);
		return;
	}
	/* Piece by piece, each no more than a segment holds, and with the segment or the stack empty. */
	enum { PIECE = 512 };
	size_t words = gcdune_ref_size(ref) / sizeof(uintptr_t);
	uintptr_t *object = (uintptr_t *)ref->object;

	m->source = ref->block;
	if (scan != GCDUNE_SCAN_CALLBACK && words <= PIECE && gcdune_marker_has_room(m, words)) {
		uint64_t *floor = m->top;

		if (scan == GCDUNE_SCAN_TYPED)
			gcdune_scan_typed(m, ref->object, object[words - 1], 0, words - 1);
		else
			gcdune_marker_words(m, object, object + words, 0);
		drop_self(m, ref, floor);
		return;
	}
	gcdune_mark_loop_all();
	m->source = ref->block;
	if (scan == GCDUNE_SCAN_CALLBACK) {
		gcdune_scan_object(m, ref);
		if (!m->below)
			drop_self(m, ref, m->segment->entries);
		return;
	}
	for (size_t from = 0; from < words; from += PIECE) {
		size_t to = words - from > PIECE ? from + PIECE : words;

		m->source = ref->block;
		if (scan == GCDUNE_SCAN_TYPED)
			gcdune_scan_typed(m, ref->object, object[words - 1], from, to < words ? to : words - 1);
		else
			gcdune_marker_words(m, object + from, object + to, 0);
		drop_self(m, ref, m->segment->entries);
		gcdune_mark_loop_all();
	}
}

void gcdune_mark(struct gcdune_marker *marker, const void *pointer)
{
	gcdune_marker_word(marker, (uintptr_t)pointer, GCDUNE_ENTRY_ROOT);
}

void gcdune_mark_range(struct gcdune_marker *marker, const void *begin, const void *end)
{
	if (marker->source)
		gcdune_marker_words(marker, begin, end, GCDUNE_ENTRY_ROOT);
	else
		gcdune_mark_root_range(marker, (uintptr_t)begin, (uintptr_t)end);
}
