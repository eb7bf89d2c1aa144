/* malloc.h - what the files of libgcdune-malloc.so share.
 *
 *	malloc		the functions that take libc's place; the choice of a mode
 *	pages heap	mode `free': an allocator that frees at once, and the means of the library itself in the others
 *	gc		modes `collect' and `leak': objects of gcdune's heap
 *	roots		what can point to them: all writable memory of the process
 *	leak		the report
 *
 * An object is known by its address: heap_owns() or gcdune's. Both kinds exist in each mode, so each function looks. */
#ifndef GCDUNE_MALLOC_MALLOC_H
#define GCDUNE_MALLOC_MALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum malloc_mode { MALLOC_FREE, MALLOC_COLLECT, MALLOC_LEAK };
extern enum malloc_mode malloc_mode;

/* gc.c. CALLER: a return address, for the stack of a leak. NULL without memory. Not for MALLOC_FREE. */
void *gc_alloc(size_t size, size_t alignment, const void *caller);
void *gc_realloc(void *object, size_t size, const void *caller);
void gc_free(void *object);
size_t gc_size(const void *object);
/* Sets the mode up; once, at load time. */
void gc_start(void);
/* The calling thread's allocations come from heap.c from here to the matching end: it is inside the collector. */
void gc_inside_begin(void);
void gc_inside_end(void);
/* Mode leak: the stack that allocated OBJECT (of gcdune's), and the size that was asked for. */
uint32_t gc_stack(const void *object, size_t size, size_t *asked);

/* roots.c: gcdune's roots callback. */
struct gcdune_marker;
void malloc_roots(struct gcdune_marker *marker);

/* leak.c: at the end of the program. */
void leak_report(void);

#endif
