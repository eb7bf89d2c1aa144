/* remark-parts.h - what remark.c and remark-arm.c share. No one else includes it. */
#ifndef GCDUNE_REMARK_PARTS_H
#define GCDUNE_REMARK_PARTS_H

#include "remark.h"

static inline uint32_t gcdune_remark_edge(void)
{
	return __atomic_load_n(&gcdune_heap.spaces[GCDUNE_SPACE_SCANNED].edge, __ATOMIC_ACQUIRE);
}

static inline bool gcdune_remark_in_use(uint32_t i)
{
	uint8_t use = __atomic_load_n(&gcdune_heap.blocks[i].use, __ATOMIC_ACQUIRE);

	return use != GCDUNE_USE_FREE && use != GCDUNE_USE_NONE;
}

static inline uint8_t gcdune_remark_watch(uint32_t i)
{
	return __atomic_load_n(&gcdune_heap.spans[i].watch, __ATOMIC_RELAXED);
}

/* A thread may be taking ARMED away just now (gcdune_remark_fill); what it does not mean to change stays. */
static inline void gcdune_remark_change_watch(uint32_t i, uint8_t set, uint8_t clear)
{
	uint8_t before = gcdune_remark_watch(i);

	while (((before | set) & (uint8_t)~clear) != before &&
	       !__atomic_compare_exchange_n(&gcdune_heap.spans[i].watch, &before, (uint8_t)((before | set) & ~clear), true,
					    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		;
}

static inline uint32_t gcdune_remark_head_of(uint32_t i)
{
	return __atomic_load_n(&gcdune_heap.blocks[i].use, __ATOMIC_ACQUIRE) == GCDUNE_USE_TAIL ? gcdune_heap.spans[i].head : i;
}

/* Only marked objects are scanned again. A block that gets its first one later is found in the next round, or in the
 * pause. */
static inline bool gcdune_remark_has_marked(uint32_t i)
{
	if (!gcdune_remark_in_use(i))
		return false;
	const struct gcdune_block *block = &gcdune_heap.blocks[gcdune_remark_head_of(i)];

	return __atomic_load_n(block->use == GCDUNE_USE_LARGE ? gcdune_block_states(block) : &block->color,
			       __ATOMIC_ACQUIRE) == gcdune_heap.black;
}

/* Calls VISIT for each run of neighbouring blocks in [FIRST, LAST) that are WANTED, closing gaps of a few. */
int gcdune_remark_each_run(uint32_t first, uint32_t last, bool (*wanted)(uint32_t i),
			   int (*visit)(uint32_t from, uint32_t to));

#endif
