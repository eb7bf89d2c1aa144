/* descriptor.c - owns object kinds, layouts and displacements: what tells the marker which words are pointers.
 *
 * A layout is one word. 0: every word may be a pointer. Bit 0 set: bits 1 to 63 are the bitmap of words 0 to 62. Else
 * the address of a struct layout, immortal and outside the heap. Equal layouts are one value. A typed object keeps its
 * layout in its last word. */
#include <errno.h>
#include <string.h>

#include "alloc.h"
#include "mark.h"
#include "meta.h"
#include "os.h"
#include "sweep.h"

static struct gcdune_heap *const heap = &gcdune_heap;

struct layout {
	struct layout *next;
	size_t nwords; /* that `bits' describe; of one element, if it repeats */
	bool repeats;
	uint64_t bits[];
};

enum { INLINE_WORDS = 63 };

static struct layout *layouts[256]; /* heap.lock */

static bool bit(const uint64_t *bits, size_t i)
{
	return bits[i / 64] >> (i % 64) & 1;
}

static gcdune_layout intern(const uint64_t *bits, size_t nwords, bool repeats)
{
	size_t units = (nwords + 63) / 64, size = sizeof(struct layout) + units * sizeof(uint64_t);
	uint64_t hash = nwords * 2 + repeats;

	for (size_t i = 0; i < units; i++)
		hash = (hash ^ bits[i]) * 0x9e3779b97f4a7c15u;
	struct layout **head = &layouts[hash >> 56], *layout;
	struct gcdune_thread *thread = gcdune_thread_get();

	if (!thread)
		return 0;
	gcdune_critical_enter(thread);
	pthread_mutex_lock(&heap->lock);
	for (layout = *head; layout; layout = layout->next)
		if (layout->nwords == nwords && layout->repeats == repeats &&
		    !memcmp(layout->bits, bits, units * sizeof(uint64_t)))
			break;
	if (!layout) {
		layout = size <= 65536 ? gcdune_meta_alloc(size) : gcdune_os_map(size);
		if (layout) {
			layout->nwords = nwords;
			layout->repeats = repeats;
			memcpy(layout->bits, bits, units * sizeof(uint64_t));
			layout->next = *head;
			*head = layout;
		}
	}
	pthread_mutex_unlock(&heap->lock);
	gcdune_critical_leave(thread);
	/* Without memory for it: every word counts, which is always safe. */
	return (gcdune_layout)layout;
}

gcdune_layout gcdune_layout_make(const uint64_t *bitmap, size_t nwords)
{
	/* Trailing words without pointers say nothing. */
	while (nwords && !bit(bitmap, nwords - 1))
		nwords--;
	if (nwords > INLINE_WORDS) {
		size_t units = (nwords + 63) / 64;
		uint64_t last = bitmap[units - 1];

		if (nwords % 64 == 0 || last >> (nwords % 64) == 0)
			return intern(bitmap, nwords, false);
		/* Bits beyond nwords would keep equal layouts apart. */
		uint64_t *copy = gcdune_os_map(units * sizeof *copy);

		if (!copy)
			return 0;
		memcpy(copy, bitmap, units * sizeof *copy);
		copy[units - 1] &= ((uint64_t)1 << (nwords % 64)) - 1;
		gcdune_layout layout = intern(copy, nwords, false);

		gcdune_os_unmap(copy, units * sizeof *copy);
		return layout;
	}
	uint64_t bits = nwords ? bitmap[0] & (~(uint64_t)0 >> (64 - nwords)) : 0;

	return bits << 1 | 1;
}

/* The layout of an array of elements of WORDS words. */
static gcdune_layout repeat(gcdune_layout element, size_t words)
{
	uint64_t bits;

	if (element == 0 || words == 0)
		return 0;
	if (element & 1) {
		bits = element >> 1;
		if (!bits)
			return element; /* no pointers at all */
		if (words < INLINE_WORDS)
			bits &= ((uint64_t)1 << words) - 1;
		if (words <= 64)
			return intern(&bits, words, true);
		uint64_t *wide = gcdune_os_map((words + 63) / 64 * sizeof *wide);

		if (!wide)
			return 0;
		wide[0] = bits;
		gcdune_layout layout = intern(wide, words, true);

		gcdune_os_unmap(wide, (words + 63) / 64 * sizeof *wide);
		return layout;
	}
	const struct layout *of = (const struct layout *)element;
	size_t units = (words + 63) / 64, have = (of->nwords + 63) / 64;
	uint64_t *wide = gcdune_os_map(units * sizeof *wide);

	if (!wide)
		return 0;
	memcpy(wide, of->bits, (have < units ? have : units) * sizeof *wide);
	if (words % 64)
		wide[units - 1] &= ((uint64_t)1 << (words % 64)) - 1;
	gcdune_layout layout = intern(wide, words, true);

	gcdune_os_unmap(wide, units * sizeof *wide);
	return layout;
}

__attribute__((no_sanitize("address", "thread"))) void gcdune_scan_typed(struct gcdune_marker *m, char *object,
									 gcdune_layout layout, size_t from, size_t to)
{
	const uintptr_t *words = (const uintptr_t *)object;

	if (layout == 0) {
		for (size_t i = from; i < to; i++)
			gcdune_marker_word(m, words[i], 0);
		return;
	}
	if (layout & 1) {
		uint64_t bits = layout >> 1;

		if (from >= INLINE_WORDS)
			return;
		bits &= ~(uint64_t)0 << from;
		if (to < 64)
			bits &= ((uint64_t)1 << to) - 1;
		for (; bits; bits &= bits - 1)
			gcdune_marker_word(m, words[__builtin_ctzll(bits)], 0);
		return;
	}
	const struct layout *l = (const struct layout *)layout;
	size_t within = l->repeats ? from % l->nwords : from;

	for (size_t i = from; i < to; i++, within++) {
		if (within == l->nwords) {
			if (!l->repeats)
				return;
			within = 0;
		}
		if (within < l->nwords && bit(l->bits, within))
			gcdune_marker_word(m, words[i], 0);
	}
}

static void *alloc_with_layout(size_t size, gcdune_layout layout)
{
	char *object = gcdune_alloc_any(size, 1, GCDUNE_KIND_TYPED);

	/* A collection before this store takes every word, all zero, for a pointer: no harm. */
	if (object)
		*gcdune_layout_of(object) = layout;
	return object;
}

gcdune_layout *gcdune_layout_of(void *object)
{
	struct gcdune_ref ref = gcdune_ref_of(object);

	return (gcdune_layout *)(void *)(ref.object + gcdune_ref_size(&ref)) - 1;
}

void *gcdune_alloc_typed(size_t size, gcdune_layout layout)
{
	if (gcdune_init() || size > SIZE_MAX / 2)
		return NULL;
	return alloc_with_layout(size + sizeof layout, layout);
}

void *gcdune_alloc_typed_array(size_t count, size_t element_size, gcdune_layout layout)
{
	size_t size;

	if (__builtin_mul_overflow(count, element_size, &size) || size > SIZE_MAX / 2 ||
	    element_size % sizeof(uintptr_t)) {
		errno = element_size % sizeof(uintptr_t) ? EINVAL : ENOMEM;
		return NULL;
	}
	if (gcdune_init())
		return NULL;
	return alloc_with_layout(size + sizeof layout,
				 count == 1 ? layout : repeat(layout, element_size / sizeof(uintptr_t)));
}

void gcdune_kind_begin(unsigned kind, const struct gcdune_kind_info *info)
{
	heap->kinds[kind] = *info;
	gcdune_sweep_begin_kind(kind);
	heap->nkinds = kind + 1;
}

int gcdune_kind_new(gcdune_mark_fn mark, void *arg)
{
	struct gcdune_thread *thread = gcdune_thread_get();
	int kind = -ENOSPC;

	if (!mark)
		return -EINVAL;
	if (!thread)
		return -ENOMEM;
	gcdune_cycle_lock();
	unsigned n = heap->nkinds;

	if (n < GCDUNE_KIND_MAX) {
		kind = (int)n;
		gcdune_kind_begin(n, &(struct gcdune_kind_info){
					     .scan = GCDUNE_SCAN_CALLBACK, .stopped = 1, .mark = mark, .arg = arg});
	}
	gcdune_cycle_unlock();
	return kind;
}

int gcdune_kind_concurrent(gcdune_kind kind)
{
	if (kind < GCDUNE_KIND_FIRST_USER || kind >= heap->nkinds)
		return -EINVAL;
	heap->kinds[kind].stopped = 0;
	return 0;
}

/* ---- Displacements: offsets, up to the largest small object, at which a pointer in the heap counts ---- */

_Atomic uint8_t gcdune_displacements[GCDUNE_SMALL_MAX / 8] = {1};

int gcdune_displacement_add(size_t offset)
{
	if (offset >= GCDUNE_SMALL_MAX)
		return -EINVAL;
	gcdune_displacements[offset / 8] |= (uint8_t)(1u << (offset % 8));
	return 0;
}

void gcdune_interior_set(bool all)
{
	heap->strict_interior = !all;
	if (all && !heap->ready) {
		heap->extra_byte = 1;
		heap->slow = 1;
	}
}
