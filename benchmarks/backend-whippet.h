/* backend-whippet.h - what Whippet asks of those who embed it; its own sources include this (GC_EMBEDDER).
 *
 * Our programs say nothing of their objects, so only collectors that trace everything conservatively will do
 * (heap-conservative mmc). All memory is "untagged": nothing here is ever asked for the fields of an object. Roots, besides stacks,
 * are the program's own data segment. */
#ifndef BENCHMARKS_BACKEND_WHIPPET_H
#define BENCHMARKS_BACKEND_WHIPPET_H

#include <stdatomic.h>
#include <stdlib.h>

#include "gc-atomics.h"
#include "gc-config.h"
#include "gc-embedder-api.h"

#define GC_EMBEDDER_EPHEMERON_HEADER uintptr_t unused;
#define GC_EMBEDDER_FINALIZER_HEADER uintptr_t unused;

typedef void (*backend_whippet_visit)(struct gc_edge edge, struct gc_heap *heap, void *data);
typedef void (*backend_whippet_pinned)(struct gc_ref ref, struct gc_heap *heap, void *data);
typedef void (*backend_whippet_range)(uintptr_t start, uintptr_t end, int interior, struct gc_heap *heap, void *data);

extern char __data_start[], _end[];

static inline size_t gc_finalizer_priority_count(void)
{
	return 1;
}

/* Any byte of an object keeps it. */
static inline int gc_is_valid_conservative_ref_displacement(uintptr_t displacement)
{
	return 1;
}

static inline int gc_extern_space_visit(struct gc_extern_space *space, struct gc_ref ref)
{
	abort();
}

static inline void gc_extern_space_start_gc(struct gc_extern_space *space, int is_minor)
{
}

static inline void gc_extern_space_finish_gc(struct gc_extern_space *space, int is_minor)
{
}

static inline size_t gc_trace_object(struct gc_ref ref, backend_whippet_visit visit, struct gc_heap *heap, void *data)
{
	abort();
}

static inline void gc_trace_mutator_roots(struct gc_mutator_roots *roots, backend_whippet_visit visit,
					  struct gc_heap *heap, void *data)
{
}

static inline void gc_trace_heap_roots(struct gc_heap_roots *roots, backend_whippet_visit visit, struct gc_heap *heap,
				       void *data)
{
}

static inline void gc_trace_mutator_pinned_roots(struct gc_mutator_roots *roots, backend_whippet_pinned pinned,
						 backend_whippet_range range, struct gc_heap *heap, void *data)
{
}

static inline void gc_trace_heap_pinned_roots(struct gc_heap_roots *roots, backend_whippet_pinned pinned,
					      backend_whippet_range range, struct gc_heap *heap, void *data)
{
	range(((uintptr_t)__data_start + 7) & ~(uintptr_t)7, (uintptr_t)_end & ~(uintptr_t)7, 1, heap, data);
}

/* Objects do not move. */
static inline uintptr_t gc_object_forwarded_nonatomic(struct gc_ref ref)
{
	return 0;
}

static inline void gc_object_forward_nonatomic(struct gc_ref ref, struct gc_ref to)
{
	abort();
}

static inline struct gc_atomic_forward gc_atomic_forward_begin(struct gc_ref ref)
{
	abort();
}

static inline void gc_atomic_forward_acquire(struct gc_atomic_forward *forward)
{
	abort();
}

static inline int gc_atomic_forward_retry_busy(struct gc_atomic_forward *forward)
{
	abort();
}

static inline void gc_atomic_forward_abort(struct gc_atomic_forward *forward)
{
	abort();
}

static inline size_t gc_atomic_forward_object_size(struct gc_atomic_forward *forward)
{
	abort();
}

static inline void gc_atomic_forward_commit(struct gc_atomic_forward *forward, struct gc_ref to)
{
	abort();
}

static inline uintptr_t gc_atomic_forward_address(struct gc_atomic_forward *forward)
{
	abort();
}

#endif
