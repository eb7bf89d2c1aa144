/* dead.h - see dead.c. */
#ifndef GCDUNE_DEAD_H
#define GCDUNE_DEAD_H

#include "thread.h"

/* Clears what the calls that its caller made have left behind: their frames, and the vector registers. */
void gcdune_dead_clear(struct gcdune_thread *thread);

#endif
