/* sweep.h - finding what is free (sweep.c). */
#ifndef GCDUNE_SWEEP_H
#define GCDUNE_SWEEP_H

#include "heap.h"

/* The next run of free slots of a block at or after FROM: sets *BEGIN and *END. False: none. The block's owner. */
bool gcdune_sweep_run(const struct gcdune_block *block, unsigned from, unsigned *begin, unsigned *end);

/* After marking, world stopped: frees blocks without a live object, and puts all others with slots on the sweep lists.
 */
void gcdune_sweep_prepare(void);

/* Before colours start again at 1: live slots get COLOR_WRAP, all others COLOR_FREE. World stopped. */
void gcdune_sweep_recolor(void);

/* Puts a block that is neither OPEN nor LISTED on its list. heap.lock. */
void gcdune_sweep_list(uint32_t index);
/* Takes a block off the list of KIND and CLS, or GCDUNE_NO_BLOCK. heap.lock. */
uint32_t gcdune_sweep_pop(unsigned kind, unsigned cls);

#endif
