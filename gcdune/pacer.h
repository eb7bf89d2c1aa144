/* pacer.h - when to collect, and how much memory to keep (pacer.c). */
#ifndef GCDUNE_PACER_H
#define GCDUNE_PACER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cycle.h"

#define GCDUNE_GROWTH_DEFAULT 75

/* Sets the first trigger and the limit. By gcdune_init. */
void gcdune_pacer_init(void);
/* A cycle begins: counting starts anew. World stopped. */
void gcdune_pacer_flip(void);
/* Sets the next trigger from what the cycle found live. CONCURRENT: threads ran, and will again. Returns whether the next
 * cycle should be minor, if it may (MINOR_NEXT): SURVIVED bytes were marked in NS nanoseconds. The world is stopped, for
 * STOPPED nanoseconds so far. REASON: a program that asks for collections regularly is waited for. */
bool gcdune_pacer_cycle_end(enum gcdune_cycle_reason reason, bool concurrent, bool minor_next, size_t survived, uint64_t ns,
			    uint64_t stopped);
/* A thread has allocated as much as was to last until the cycle's end. How many objects it should mark (0: none), and how
 * many times as long as it ran it should now sleep. */
unsigned gcdune_pacer_debt(unsigned *sleep);
/* The program has made something that takes BYTES outside the heap until a collection, or (less than 0) has undone that: the
 * next is due that much earlier. With the lock of finalize.c, in a critical section. */
void gcdune_pacer_beside(int64_t bytes);
/* From now on so many minor cycles between full ones, where cycles can be minor (form.c); fewer if what they find alive takes
 * up the room. Any thread. */
void gcdune_pacer_minors_set(unsigned minors);
/* Gives memory back that the next cycle will not need. Threads run; not in a critical section. */
void gcdune_pacer_release(bool all);

#endif
