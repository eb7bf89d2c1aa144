/* sweep.c - owns the sweep lists: per kind and class the blocks that may have free slots.
 *
 * No slot is swept. Marking leaves a new colour on what lives; a slot with any other is free, and the thread that takes
 * a block finds them with vector compares (gcdune_sweep_free) as it uses them up. What is swept is the table of
 * blocks: one that no mark reached is freed whole, the others go on lists. That walk follows the pause, a few
 * blocks at a time, by the collector and by threads that need a block. Invariant: below heap.swept a block with slots
 * is OPEN, or LISTED and on its list, or full for all we know; from heap.swept on, while heap.sweeping, LISTED means
 * nothing, lists hold no such block, and none is put on one. Callers: alloc-run.c, alloc-free.c, cycle.c. */
#include "sweep.h"

#include <emmintrin.h>
#include <string.h>

#include "block.h"
#include "os.h"
#include "place.h"
#include "remark.h"

static struct gcdune_heap *const heap = &gcdune_heap;

/* One bit per slot of 16: taken, as far as allocation is concerned. Reading up to the unit's end is in bounds. */
struct taken {
	__m128i color, white, black, freed;
};

static unsigned taken16(const uint8_t *states, const struct taken *t)
{
	__m128i v = _mm_load_si128((const __m128i *)states);
	__m128i a = _mm_or_si128(_mm_cmpeq_epi8(v, t->color), _mm_cmpeq_epi8(v, t->white));
	__m128i b = _mm_or_si128(_mm_cmpeq_epi8(v, t->black), _mm_cmpeq_epi8(v, t->freed));

	return (unsigned)_mm_movemask_epi8(_mm_or_si128(a, b));
}

static struct taken taken_now(void)
{
	return (struct taken){_mm_set1_epi8((char)heap->color), _mm_set1_epi8((char)heap->white),
			      _mm_set1_epi8((char)heap->black), _mm_set1_epi8((char)GCDUNE_COLOR_FREED)};
}

uint64_t gcdune_sweep_free(const struct gcdune_block *block, unsigned from)
{
	const uint8_t *states = gcdune_block_states(block) + from;
	const struct taken t = taken_now();
	uint64_t taken = 0;

	for (unsigned i = 0; i < GCDUNE_STATE_UNIT; i += 16)
		taken |= (uint64_t)taken16(states + i, &t) << i;
	unsigned left = block->nslots - from;

	return ~taken & (left < 64 ? ((uint64_t)1 << left) - 1 : ~(uint64_t)0);
}

static unsigned taken_slots(const struct gcdune_block *block)
{
	const uint8_t *states = gcdune_block_states(block);
	const struct taken t = taken_now();
	unsigned n = 0;

	/* Beyond the last slot nothing is ever taken. */
	for (unsigned i = 0; i < block->nslots; i += 16)
		n += (unsigned)__builtin_popcount(taken16(states + i, &t));
	return n;
}

static bool is_roomy(const struct gcdune_block *block, unsigned taken)
{
	return taken < block->nslots / 4u * 3u;
}

bool gcdune_sweep_is_roomy(const struct gcdune_block *block)
{
	return is_roomy(block, taken_slots(block));
}

static uint32_t tails[GCDUNE_ROOMS][GCDUNE_KIND_MAX][GCDUNE_CLASSES]; /* of the lists; of an empty one, anything */

static bool unswept(uint32_t index)
{
	return heap->sweeping && index >= heap->swept;
}

void gcdune_sweep_list(uint32_t index)
{
	if (unswept(index))
		return;
	struct gcdune_block *block = &heap->blocks[index];
	unsigned kind = block->kind, cls = heap->spans[index].cls;
	uint32_t *head = &heap->sweep[GCDUNE_ROOMY][kind][cls]; /* what the program frees it will want again */

	gcdune_block_flag(block, GCDUNE_BLOCK_LISTED, 0);
	heap->spans[index].next = *head;
	if (*head == GCDUNE_NO_BLOCK)
		tails[GCDUNE_ROOMY][kind][cls] = index;
	*head = index;
}

/* In the order of addresses: low blocks fill first, high ones become free. Those with little room come last of all: where
 * what is new lies together, most of it dies together, and little that is old lies on pages that are written. Full ones are
 * on none: where all lives, a thread that wants a block would find nothing in thousands of them, one by one. */
static void list_last(uint32_t index)
{
	struct gcdune_block *block = &heap->blocks[index];
	unsigned kind = block->kind, cls = heap->spans[index].cls, taken = taken_slots(block);
	unsigned room = is_roomy(block, taken) ? GCDUNE_ROOMY : GCDUNE_FULLER;

	if (taken >= block->nslots) {
		gcdune_block_flag(block, 0, GCDUNE_BLOCK_LISTED);
		return;
	}

	if (heap->sweep[room][kind][cls] == GCDUNE_NO_BLOCK)
		heap->sweep[room][kind][cls] = index;
	else
		heap->spans[tails[room][kind][cls]].next = index;
	heap->spans[index].next = GCDUNE_NO_BLOCK;
	tails[room][kind][cls] = index;
	gcdune_block_flag(block, GCDUNE_BLOCK_LISTED, 0);
}

uint32_t gcdune_sweep_pop(unsigned room, unsigned kind, unsigned cls)
{
	uint32_t *head = &heap->sweep[room][kind][cls];
	uint32_t index = *head;

	if (index != GCDUNE_NO_BLOCK) {
		*head = heap->spans[index].next;
		gcdune_block_flag(&heap->blocks[index], 0, GCDUNE_BLOCK_LISTED);
	}
	return index;
}

void gcdune_sweep_begin_kind(unsigned kind)
{
	for (unsigned room = 0; room < GCDUNE_ROOMS; room++)
		memset(heap->sweep[room][kind], 0xff, sizeof heap->sweep[room][kind]); /* GCDUNE_NO_BLOCK */
}

/* A free block grows older by one with a collection, but not more often than this: where collections follow each other
 * quickly, memory that was free for a few of them is needed again in a moment, and each of its pages is a fault then. */
static const uint64_t OLDER_NS = 100000000;
static bool older;

void gcdune_sweep_begin(void)
{
	static uint64_t last;
	uint64_t now = gcdune_os_now();

	older = now - last >= OLDER_NS;
	if (older)
		last = now;
	for (unsigned kind = 0; kind < heap->nkinds; kind++)
		gcdune_sweep_begin_kind(kind);
	memset(heap->busy, 0, sizeof heap->busy);
	for (unsigned kind = 0; kind < heap->nkinds; kind++)
		for (unsigned cls = 0; cls < GCDUNE_CLASSES; cls++)
			heap->growth[kind][cls].taken /= 2;
	heap->swept = 0;
	heap->sweeping = true;
}

static void sweep_block(uint32_t i)
{
	struct gcdune_block *block = &heap->blocks[i];
	struct gcdune_span *span = &heap->spans[i];

	switch (block->use) {
	case GCDUNE_USE_FREE:
		span->age += older && span->age < 255;
		break;
	case GCDUNE_USE_SMALL:
		span->age += span->age < 255;
		if (block->flags & GCDUNE_BLOCK_OPEN) {
			gcdune_block_flag(block, 0, GCDUNE_BLOCK_LISTED);
			break;
		}
		if (gcdune_color_lives(block->color)) {
			list_last(i);
			break;
		}
		if (heap->kinds[block->kind].pinned)
			heap->pinned_blocks--;
		gcdune_states_give(span->cls, block->states);
		gcdune_block_give(i, 1);
		break;
	case GCDUNE_USE_LARGE:
		span->age += span->age < 255;
		if (gcdune_color_lives(*gcdune_block_states(block)))
			break;
		if (heap->kinds[block->kind].pinned)
			heap->pinned_blocks--;
		gcdune_states_give(0, block->states);
		gcdune_block_give(i, span->length);
		break;
	}
}

bool gcdune_sweep_some(unsigned count)
{
	while (heap->sweeping) {
		uint32_t i = gcdune_block_skip(heap->swept);

		if (i >= heap->nblocks) {
			heap->sweeping = false;
			break;
		}
		if (!count--)
			return true;
		heap->swept = i + 1; /* first: what is given back here is behind the sweep */
		sweep_block(i);
	}
	return false;
}

/* Blocks that are disarmed in one go; and under one hold of the lock, some microseconds: threads that allocate spin for it a
 * little longer before they sleep. */
enum { PIECE = 64, HOLD = 16 };

void gcdune_sweep_finish(bool tracked)
{
	uint32_t at = 0, edge = heap->spaces[GCDUNE_SPACE_SCANNED].edge;
	bool more;

	do {
		/* Without the lock, for it takes long. A thread that sweeps ahead may have a block before it is disarmed, and
		 * takes a fault for each page then. */
		if (tracked && at < edge) {
			uint32_t to = at + PIECE < edge ? at + PIECE : edge;

			gcdune_remark_disarm(at, to);
			at = to;
		}
		gcdune_place_look();
		more = true;
		for (unsigned n = 0; n < PIECE / HOLD && more; n++) {
			gcdune_heap_lock();
			more = gcdune_sweep_some(HOLD);
			gcdune_heap_unlock();
		}
	} while (more || (tracked && at < edge));
}

/* ---- Colours that come round again ---- */

static bool lives(uint8_t color)
{
	return color == heap->color || color == heap->white || color == heap->black;
}

static void forget_if_old(uint8_t *value)
{
	uint8_t v = __atomic_load_n(value, __ATOMIC_RELAXED);

	/* The owner of an open block may be taking the slot just now. */
	if (v && !lives(v) && v != GCDUNE_COLOR_FREED)
		__atomic_compare_exchange_n(value, &v, GCDUNE_COLOR_FREE, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

static void forget_old(uint32_t i)
{
	struct gcdune_block *block = &heap->blocks[i];

	if (block->use != GCDUNE_USE_SMALL && block->use != GCDUNE_USE_LARGE)
		return;
	uint8_t *states = gcdune_block_states(block);

	for (unsigned s = 0; s < block->nslots; s++)
		forget_if_old(&states[s]);
	forget_if_old(&block->color);
}

void gcdune_sweep_old_colors(void)
{
	static uint8_t since = 1; /* heap.newest when it was done last */
	unsigned used = (unsigned)(heap->newest + GCDUNE_COLOR_LAST - since) % GCDUNE_COLOR_LAST;

	if (used < GCDUNE_COLOR_LAST / 2 - 4)
		return;
	since = heap->newest;
	for (uint32_t i = 0; i < heap->nblocks;) {
		gcdune_heap_lock();
		for (unsigned n = 0; n < PIECE / 8 && (i = gcdune_block_skip(i)) < heap->nblocks; n++)
			forget_old(i++);
		gcdune_heap_unlock();
	}
}

void gcdune_sweep_unwhiten(void)
{
	if (heap->white == heap->color)
		return;
	const __m128i white = _mm_set1_epi8((char)heap->white), color = _mm_set1_epi8((char)heap->color),
		      black = _mm_set1_epi8((char)heap->black);

	GCDUNE_EACH_BLOCK(i) {
		struct gcdune_block *block = &heap->blocks[i];

		if (block->use != GCDUNE_USE_SMALL && block->use != GCDUNE_USE_LARGE)
			continue;
		uint8_t *states = gcdune_block_states(block);

		/* What is beyond the last slot has neither. */
		for (unsigned s = 0; s < block->nslots; s += 16) {
			__m128i v = _mm_load_si128((__m128i *)(void *)(states + s));
			__m128i changes = _mm_or_si128(_mm_cmpeq_epi8(v, white), _mm_cmpeq_epi8(v, color));

			if (_mm_movemask_epi8(changes))
				_mm_store_si128((__m128i *)(void *)(states + s),
						_mm_or_si128(_mm_and_si128(changes, black), _mm_andnot_si128(changes, v)));
		}
		if (block->color == heap->white || block->color == heap->color)
			block->color = heap->black;
	}
	heap->white = heap->color = heap->black;
}
