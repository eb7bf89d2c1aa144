/* alloc-parts.h - what alloc-run.c does for alloc.c. No one else includes it. */
#ifndef GCDUNE_ALLOC_PARTS_H
#define GCDUNE_ALLOC_PARTS_H

#include "alloc.h"

/* A slot that the thread freed, the first on the list, whose state is STATE; critical section. The caller clears it. */
static inline void *gcdune_run_take_freed(struct gcdune_thread *thread, struct gcdune_run *run, unsigned cls, uint8_t *state)
{
	struct gcdune_freed *object = run->freed;

	run->freed = object->next;
	run->nfreed--;
	__atomic_store_n(state, gcdune_heap.color, __ATOMIC_RELAXED);
	gcdune_account(thread, (int64_t)gcdune_classes[cls].size);
	return object;
}

/* One object, in a critical section. NULL: no memory. */
void *gcdune_run_take(struct gcdune_thread *thread, unsigned kind, unsigned cls);
/* The same from what CACHE has, without heap.lock; its cursor is empty. NULL: nothing. */
void *gcdune_run_take_near(struct gcdune_thread *thread, struct gcdune_cache *cache, unsigned kind, unsigned cls);

#endif
