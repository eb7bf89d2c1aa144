/* heap.h - the allocator that frees at once: malloc's functions on pages.h (heap.c). */
#ifndef GCDUNE_MALLOC_HEAP_H
#define GCDUNE_MALLOC_HEAP_H

#include <stdbool.h>
#include <stddef.h>

/* As malloc's; NULL and ENOMEM when there is no memory. Alignment: a power of two. They work at any time, also before
 * the program's start, in any thread, and in the child of a fork. */
void *heap_alloc(size_t size);
void *heap_zalloc(size_t size);
void *heap_aligned(size_t size, size_t alignment);
void *heap_realloc(void *object, size_t size);
void heap_free(void *object);
size_t heap_size(const void *object);
void heap_trim(void);

#endif
