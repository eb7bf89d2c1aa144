/* alloc-parts.h - what alloc-run.c does for alloc.c. No one else includes it. */
#ifndef GCDUNE_ALLOC_PARTS_H
#define GCDUNE_ALLOC_PARTS_H

#include "alloc.h"

/* One object, in a critical section. NULL: no memory. */
void *gcdune_run_take(struct gcdune_thread *thread, unsigned kind, unsigned cls);
/* The same from what CACHE has, without heap.lock; its cursor is empty. NULL: nothing. */
void *gcdune_run_take_near(struct gcdune_thread *thread, struct gcdune_cache *cache, unsigned kind, unsigned cls);

#endif
