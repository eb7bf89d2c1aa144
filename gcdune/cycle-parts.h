/* cycle-parts.h - what cycle.c and cycle-turn.c share. No one else includes it. */
#ifndef GCDUNE_CYCLE_PARTS_H
#define GCDUNE_CYCLE_PARTS_H

#include "cycle.h"
#include "gcdune.h"
#include "heap.h"

/* One collection, by who has the turn; again: a full one follows at once; BOUND as from gcdune_form_bound. False: it has been
 * abandoned. */
bool gcdune_cycle_one(enum gcdune_cycle_reason reason, bool concurrent, bool minor, bool again, uint64_t bound);
/* Tells the program, if it wants to hear. */
void gcdune_cycle_event(enum gcdune_event what);
/* Nothing but SWEEP is left to be done by who has the turn. */
extern _Atomic bool gcdune_cycle_sweeps __attribute__((visibility("hidden")));

#endif
