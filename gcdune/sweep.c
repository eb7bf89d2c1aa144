/* sweep.c - owns the sweep lists: per kind and class the blocks that may have free slots.
 *
 * There is no sweep of the heap. Marking leaves a new colour on what lives; a slot with any other is free, and the
 * thread that takes a block finds the runs of such slots with vector compares (gcdune_sweep_run) as it uses them up. A
 * block that no mark reached is freed whole, without a look at its slots. Callers: alloc.c, cycle.c. */
#include "sweep.h"

#include <emmintrin.h>
#include <string.h>

#include "block.h"
#include "os.h"

static struct gcdune_heap *const heap = &gcdune_heap;

/* One bit per slot of 16: taken, as far as allocation is concerned. Reading up to the unit's end is in bounds. */
static unsigned taken16(const uint8_t *states, __m128i color, __m128i freed)
{
	__m128i v = _mm_load_si128((const __m128i *)states);

	return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(v, color), _mm_cmpeq_epi8(v, freed)));
}

bool gcdune_sweep_run(const struct gcdune_block *block, unsigned from, unsigned *begin, unsigned *end)
{
	const uint8_t *states = gcdune_block_states(block);
	const __m128i color = _mm_set1_epi8((char)heap->color), freed = _mm_set1_epi8((char)GCDUNE_COLOR_FREED);
	unsigned n = block->nslots, i = from & ~15u, mask, first;

	if (from >= n)
		return false;
	mask = ~taken16(states + i, color, freed) & 0xffffu & (0xffffu << (from & 15));
	while (!mask) {
		i += 16;
		if (i >= n)
			return false;
		mask = ~taken16(states + i, color, freed) & 0xffffu;
	}
	first = i + (unsigned)__builtin_ctz(mask);
	if (first >= n)
		return false;
	mask = taken16(states + i, color, freed) & (0xffffu << (first & 15));
	while (!mask) {
		i += 16;
		if (i >= n)
			break;
		mask = taken16(states + i, color, freed);
	}
	unsigned last = mask ? i + (unsigned)__builtin_ctz(mask) : n;

	*begin = first;
	*end = last < n ? last : n;
	return true;
}

void gcdune_sweep_list(uint32_t index)
{
	struct gcdune_block *block = &heap->blocks[index];
	uint32_t *head = &heap->sweep[block->kind][heap->spans[index].cls];

	block->flags |= GCDUNE_BLOCK_LISTED;
	heap->spans[index].next = *head;
	*head = index;
}

uint32_t gcdune_sweep_pop(unsigned kind, unsigned cls)
{
	uint32_t *head = &heap->sweep[kind][cls];
	uint32_t index = *head;

	if (index != GCDUNE_NO_BLOCK) {
		*head = heap->spans[index].next;
		heap->blocks[index].flags &= (uint8_t)~GCDUNE_BLOCK_LISTED;
	}
	return index;
}

void gcdune_sweep_prepare(void)
{
	uint32_t low = heap->spaces[GCDUNE_SPACE_SCANNED].edge, high = heap->spaces[GCDUNE_SPACE_LEAF].edge;

	memset(heap->sweep, 0xff, sizeof heap->sweep);
	/* Downwards, so that the lists end up in the order of addresses: low blocks fill first, high ones become free.
	 */
	for (uint32_t i = heap->nblocks; i-- > 0;) {
		if (i == high - 1 && high > low) {
			i = low;
			continue;
		}
		struct gcdune_block *block = &heap->blocks[i];
		struct gcdune_span *span = &heap->spans[i];

		switch (block->use) {
		case GCDUNE_USE_FREE:
			span->age += span->age < 255;
			break;
		case GCDUNE_USE_SMALL:
			block->flags &= (uint8_t)~GCDUNE_BLOCK_LISTED;
			if (block->flags & GCDUNE_BLOCK_OPEN)
				break;
			if (block->color == heap->color) {
				gcdune_sweep_list(i);
				break;
			}
			if (heap->kinds[block->kind].pinned)
				heap->pinned_blocks--;
			gcdune_states_give(span->cls, block->states);
			gcdune_block_give(i, 1);
			break;
		case GCDUNE_USE_LARGE:
			if (*gcdune_block_states(block) == heap->color)
				break;
			if (heap->kinds[block->kind].pinned)
				heap->pinned_blocks--;
			gcdune_states_give(0, block->states);
			gcdune_block_give(i, span->length);
			break;
		}
	}
}

void gcdune_sweep_recolor(void)
{
	GCDUNE_EACH_BLOCK(i) {
		struct gcdune_block *block = &heap->blocks[i];

		if (block->use != GCDUNE_USE_SMALL && block->use != GCDUNE_USE_LARGE)
			continue;
		uint8_t *states = gcdune_block_states(block);

		for (unsigned s = 0; s < block->nslots; s++)
			if (states[s] != GCDUNE_COLOR_FREED)
				states[s] = states[s] == heap->color ? GCDUNE_COLOR_WRAP : GCDUNE_COLOR_FREE;
		block->color = GCDUNE_COLOR_FREE;
	}
}
