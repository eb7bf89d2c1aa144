/* pacer.h - when to collect, and how much memory to keep (pacer.c). */
#ifndef GCDUNE_PACER_H
#define GCDUNE_PACER_H

#include <stdbool.h>
#include <stddef.h>

#define GCDUNE_GROWTH_DEFAULT 70

/* Sets the first trigger and the limit. By gcdune_init. */
void gcdune_pacer_init(void);
/* A cycle begins: counting starts anew. World stopped. */
void gcdune_pacer_flip(void);
/* Sets the next trigger from what the cycle found live. CONCURRENT: threads ran, and will again. World stopped. */
void gcdune_pacer_cycle_end(bool concurrent);
/* The thread allocates faster than marking can follow, or will soon: how much it should mark, in objects; 0: nothing. */
unsigned gcdune_pacer_debt(void);
/* The same by so much that it had better wait for the cycle's end. */
bool gcdune_pacer_too_far(void);
/* Gives memory back that the next cycle will not need. Threads run; not in a critical section. */
void gcdune_pacer_release(bool all);

#endif
