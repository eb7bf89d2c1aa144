/* pacer.h - when to collect, and how much memory to keep (pacer.c). */
#ifndef GCDUNE_PACER_H
#define GCDUNE_PACER_H

#include <stdbool.h>
#include <stddef.h>

#define GCDUNE_GROWTH_DEFAULT 70

/* Sets the first trigger and the limit. By gcdune_init. */
void gcdune_pacer_init(void);
/* Sets the next trigger from what the collection found live. World stopped. */
void gcdune_pacer_cycle_end(void);
/* Gives memory back that the next cycle will not need. Threads run; not in a critical section. */
void gcdune_pacer_release(bool all);

#endif
