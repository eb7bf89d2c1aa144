/* alloc.h - what the allocator offers the rest of the collector (alloc.c, alloc-free.c, large.c). */
#ifndef GCDUNE_ALLOC_H
#define GCDUNE_ALLOC_H

#include "heap.h"
#include "thread.h"

/* Bytes are cleared ahead of the cursor in pieces that stay in the first-level cache until they are used. */
#define GCDUNE_CLEAR_AHEAD 2048
/* The same for memory that needs no clearing. */
#define GCDUNE_CLEAN_AHEAD 16384

/* One object of KIND with SIZE > GCDUNE_SMALL_MAX at an address that is a multiple of ALIGN (>= 64 KiB counts). Zeroed
 * for scanned kinds. NULL when the heap has no room: the caller collects. Not in a critical section. */
void *gcdune_large_alloc(struct gcdune_thread *thread, size_t size, size_t align, unsigned kind);
/* heap.lock */
void gcdune_large_free(uint32_t index);
/* Makes a large object at least SIZE bytes, or about as small as that, where it stands. */
bool gcdune_large_resize(struct gcdune_thread *thread, uint32_t index, size_t size);

/* Allocates SIZE bytes at ALIGN; collects, and calls the out-of-memory handler, when it must. */
void *gcdune_alloc_any(size_t size, size_t align, unsigned kind);

/* gcdune_free; how much could be used of the object. */
size_t gcdune_free_telling(void *object);

/* Adds BYTES (perhaps negative) to what has been given out; from time to time tells the pacer. */
static inline void gcdune_account(struct gcdune_thread *thread, int64_t bytes)
{
	thread->allocated += bytes;
	if (thread->allocated >= 65536 || thread->allocated <= -65536) {
		atomic_fetch_add_explicit(&gcdune_heap.allocated, thread->allocated, memory_order_relaxed);
		thread->made += thread->allocated;
		thread->allocated = 0;
	}
}

#endif
