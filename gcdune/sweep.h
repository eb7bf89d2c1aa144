/* sweep.h - finding what is free (sweep.c). */
#ifndef GCDUNE_SWEEP_H
#define GCDUNE_SWEEP_H

#include "heap.h"

/* Of the GCDUNE_STATE_UNIT slots from FROM on, a multiple of that below nslots: a bit for each that is free, the lowest for FROM.
 * The block's owner: what is free stays so, whatever is collected meanwhile, until he gives it out. */
uint64_t gcdune_sweep_free(const struct gcdune_block *block, unsigned from);

/* Whether more than a quarter of a block's slots are free. */
bool gcdune_sweep_is_roomy(const struct gcdune_block *block);

/* A new kind has no blocks. Before anyone knows it. */
void gcdune_sweep_begin_kind(unsigned kind);
/* After marking, world stopped: all blocks are to be swept anew. */
void gcdune_sweep_begin(void);
/* Sweeps COUNT blocks: frees those without a live object, and puts others on the sweep lists. False: all are done.
 * heap.lock, or the world stopped. */
bool gcdune_sweep_some(unsigned count);
/* The rest, in pieces under heap.lock that no one notices. If TRACKED, pages that will be written to are so no longer.
 * Threads run. */
void gcdune_sweep_finish(bool tracked);

/* Forgets old colours, now and then: a value that is nobody's is made COLOR_FREE before its number comes round again.
 * Threads run. */
void gcdune_sweep_old_colors(void);
/* What is white or young becomes black, if there is any: the cycle was given up (in the child of a fork, or
 * because it took too long). World stopped. */
void gcdune_sweep_unwhiten(void);

/* Puts a block that is neither OPEN nor LISTED on its list, unless the sweep is still to come by. heap.lock. */
void gcdune_sweep_list(uint32_t index);
/* Takes a block off the list of ROOM (GCDUNE_ROOMY, ...), KIND and CLS, or GCDUNE_NO_BLOCK. heap.lock. */
uint32_t gcdune_sweep_pop(unsigned room, unsigned kind, unsigned cls);

#endif
