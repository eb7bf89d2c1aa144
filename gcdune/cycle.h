/* cycle.h - collections (cycle.c). */
#ifndef GCDUNE_CYCLE_H
#define GCDUNE_CYCLE_H

#include <stdbool.h>

enum gcdune_cycle_reason {
	GCDUNE_CYCLE_BUDGET, /* the trigger was reached; nothing is done if another thread has collected meanwhile */
	GCDUNE_CYCLE_NO_MEMORY,
	GCDUNE_CYCLE_ASKED,
	GCDUNE_CYCLE_TORTURE,
	GCDUNE_CYCLE_REASONS
};

/* Collects unless collections are disabled or the caller is inside one. Runs finalizers afterwards, in AUTO mode. */
void gcdune_cycle_collect(enum gcdune_cycle_reason reason);

/* Tells the program if the heap has grown since it was last told. No locks held. */
void gcdune_cycle_tell_growth(void);

#endif
