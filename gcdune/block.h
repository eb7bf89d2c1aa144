/* block.h - whole blocks: committing address space, runs of free blocks, storage for slot states (block.c).
 * All under heap.lock or with the world stopped. */
#ifndef GCDUNE_BLOCK_H
#define GCDUNE_BLOCK_H

#include "heap.h"

/* Reserves the heap and its tables, SIZE bytes at most. 0 or -ENOMEM. */
int gcdune_block_init(size_t size);

/* Takes COUNT neighbouring blocks. Their `use' is for the caller to set, and what will be written to (gcdune_block_note).
 * GCDUNE_NO_BLOCK when the limit, the reservation or the kernel says no. */
uint32_t gcdune_block_take(unsigned space, uint32_t count);
/* Takes one block for small objects, next to the last one taken with this GROWTH if that can be had. */
uint32_t gcdune_block_take_near(unsigned space, struct gcdune_growth *growth);
/* The same, but only memory that the heap holds already, and without looking for it long. */
uint32_t gcdune_block_take_dirty(unsigned space, struct gcdune_growth *growth);
/* Takes exactly the COUNT blocks from INDEX on if they are free. */
bool gcdune_block_take_at(uint32_t index, uint32_t count);
/* Gives COUNT neighbouring blocks back. */
void gcdune_block_give(uint32_t index, uint32_t count);

/* Commits address space until SPACE has COUNT neighbouring free blocks. 0 or -ENOMEM. */
int gcdune_block_reserve(unsigned space, uint32_t count);

/* Storage for the states of one block of CLS (0: a large object), cleared. 0 when there is no memory. */
uint32_t gcdune_states_take(unsigned cls);
void gcdune_states_give(unsigned cls, uint32_t states);

/* Gives dirty free blocks that are at least AGE old (sweep.c) back to the kernel, until at most KEEP dirty ones
 * are left or BATCH were released; returns how many were. */
size_t gcdune_block_release(unsigned age, size_t keep, size_t batch);

/* Aborts, naming the invariant, if the runs of free blocks are not as heap.h says. World stopped. */
void gcdune_block_verify(void);

/* In block INDEX all below END may be written to from now on. Called by its owner only, before it is. */
static inline void gcdune_block_note(uint32_t index, uintptr_t end)
{
	uint8_t pages = (uint8_t)((end - gcdune_block_address(index) + GCDUNE_PAGE - 1) / GCDUNE_PAGE);

	if (gcdune_heap.spans[index].pages < pages)
		gcdune_heap.spans[index].pages = pages;
}

/* The bytes that the heap holds, about: what was written to of its blocks if it never had many, all of each if it had. World
 * stopped. */
size_t gcdune_block_held(void);

static inline unsigned gcdune_block_space(unsigned kind)
{
	return gcdune_kind_is_leaf(kind) ? GCDUNE_SPACE_LEAF : GCDUNE_SPACE_SCANNED;
}

#endif
