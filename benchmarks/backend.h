/* backend.h - the allocator or collector under a benchmark program.
 *
 * Every program in this folder is compiled once per back end from the same source; this header is the whole
 * difference. It owns what a program may ask of the memory manager, and the fast paths, which must be
 * inlined into the program where a back end offers that. backend-gcdune.c, backend-bdw.c and backend-malloc.c
 * hold the rest.
 *
 * What programs keep to, so that the same source is right on all of them:
 *  - memory from backend_alloc and backend_alloc_leaf has unspecified contents (malloc's do);
 *  - what is no longer needed is passed to backend_free, whole structures under `if (backend_frees)`,
 *    so that collectors do not pay for a walk they do not need;
 *  - backend_free_at_once is for what measures the freeing of single objects by collectors, too (Whippet has none);
 *  - pointers to such memory are kept only on stacks, in static data or in backend_alloc memory;
 *  - threads are made by backend_thread_create, and call backend_safepoint while they wait without allocating.
 */
#ifndef BENCHMARKS_BACKEND_H
#define BENCHMARKS_BACKEND_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#if defined(BACKEND_GCDUNE)
#include <gcdune.h>
#ifdef BACKEND_FUNCTIONS
#define backend_raw_alloc(size) gcdune_alloc(size)
#define backend_raw_leaf(size) gcdune_alloc_leaf(size)
#else
#include <gcdune-inline.h>
#define backend_raw_alloc(size) gcdune_alloc_inline(size)
#define backend_raw_leaf(size) gcdune_alloc_leaf_inline(size)
#endif
#define backend_raw_zeroed(size) backend_raw_alloc(size)
#define backend_raw_realloc(object, size) gcdune_realloc(object, size)
#define backend_raw_free(object) ((void)(object))
#define backend_free_at_once(object) gcdune_free(object)
static const bool backend_frees = false;

#elif defined(BACKEND_BDW)
#define GC_THREADS
#define GC_NO_THREAD_REDIRECTS
#include <gc.h>
#define backend_raw_alloc(size) GC_MALLOC(size)
#define backend_raw_leaf(size) GC_MALLOC_ATOMIC(size)
#define backend_raw_zeroed(size) GC_MALLOC(size)
#define backend_raw_realloc(object, size) GC_REALLOC(object, size)
#define backend_raw_free(object) ((void)(object))
#define backend_free_at_once(object) GC_FREE(object)
static const bool backend_frees = false;

#elif defined(BACKEND_WHIPPET)
#include <gc-api.h>
#include <gc-allocate.h>
#include <gc-safepoint.h>
extern __thread struct gc_mutator *backend_mutator;
void *backend_whippet_realloc(void *object, size_t size);
#define backend_raw_alloc(size) gc_allocate(backend_mutator, size, GC_ALLOCATION_UNTAGGED_CONSERVATIVE)
#define backend_raw_leaf(size) gc_allocate(backend_mutator, size, GC_ALLOCATION_UNTAGGED_POINTERLESS)
#define backend_raw_zeroed(size) backend_raw_alloc(size)
#define backend_raw_realloc(object, size) backend_whippet_realloc(object, size)
#define backend_raw_free(object) ((void)(object))
#define backend_free_at_once(object) ((void)(object))
#define backend_raw_safepoint() gc_safepoint(backend_mutator)
static const bool backend_frees = false;

#elif defined(BACKEND_MALLOC)
#define backend_raw_alloc(size) malloc(size)
#define backend_raw_leaf(size) malloc(size)
#define backend_raw_zeroed(size) calloc(1, size)
#define backend_raw_realloc(object, size) realloc(object, size)
#define backend_raw_free(object) free(object)
#define backend_free_at_once(object) free(object)
static const bool backend_frees = true;

#else
#error "define BACKEND_GCDUNE, BACKEND_BDW, BACKEND_WHIPPET or BACKEND_MALLOC"
#endif

#ifdef BACKEND_TIMED
#include "timed.h"
#else
#define timed_call(call) (call)
#endif

/* First call of main. */
void backend_init(void);

/* A full collection now; nothing where there is no collector. */
void backend_collect(void);

/* pthread_create and pthread_join as the back end wants them; they end the program on failure. */
void backend_thread_create(pthread_t *thread, void *(*fn)(void *), void *arg);
void backend_thread_join(pthread_t thread);

/* Stacks that the program switches between itself (fibers): [LOW, HIGH) is one. backend_stack_switch is called right before
 * the switch to TO (NULL: the thread's own stack), on the stack that is left. Main thread only. Nothing on malloc. */
void *backend_stack_add(void *low, void *high);
void backend_stack_remove(void *stack);
void backend_stack_switch(void *to);

/* For threads that were not made by backend_thread_create. */
void backend_thread_attach(void);
void backend_thread_detach(void);

/* After an object's death: FN(OBJECT, NULL) is called, or *LINK, which is hidden from the collector, becomes NULL. False:
 * the back end has no such thing. */
bool backend_finalizer(void *object, void (*fn)(void *object, void *data));
bool backend_link(void **link, void *object);

_Noreturn void backend_out_of_memory(size_t size);

static inline void *backend_check(void *object, size_t size)
{
	if (__builtin_expect(!object, 0))
		backend_out_of_memory(size);
	return object;
}

static inline void *backend_alloc(size_t size)
{
	return backend_check(timed_call(backend_raw_alloc(size)), size);
}

/* For objects without pointers. */
static inline void *backend_alloc_leaf(size_t size)
{
	return backend_check(timed_call(backend_raw_leaf(size)), size);
}

/* As backend_alloc, but zero. */
static inline void *backend_alloc_zeroed(size_t size)
{
	return backend_check(timed_call(backend_raw_zeroed(size)), size);
}

static inline void *backend_realloc(void *object, size_t size)
{
	return backend_check(timed_call(backend_raw_realloc(object, size)), size);
}

/* In loops that wait for another thread: where a collection may stop this one, if it has to be told. */
static inline void backend_safepoint(void)
{
#ifdef backend_raw_safepoint
	backend_raw_safepoint();
#endif
}

/* Collectors find garbage themselves: no-op there. */
static inline void backend_free(void *object)
{
	backend_raw_free(object);
}

#endif
