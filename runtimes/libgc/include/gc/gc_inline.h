/* gc_inline.h - allocation from free lists that the program keeps, without a call.
 *
 * Meant for compilers that generate C, and for runtimes. The lists must be reachable by the collector, and one thread's
 * alone. Objects of kind GC_I_PTRFREE are not scanned, so of a list of those only the first is reachable through its
 * head: the program's own mark procedure has to walk it. */
#ifndef GC_INLINE_H
#define GC_INLINE_H

#include "gc.h"
#include "gc_tiny_fl.h"

#ifndef GC_EXPECT
#define GC_EXPECT(expr, outcome) __builtin_expect(expr, outcome)
#endif
#ifndef GC_ASSERT
#ifdef NDEBUG
#define GC_ASSERT(expr)
#else
#include <assert.h>
#define GC_ASSERT(expr) assert(expr)
#endif
#endif
#ifndef GC_PREFETCH_FOR_WRITE
#define GC_PREFETCH_FOR_WRITE(x) __builtin_prefetch((x), 1)
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define GC_I_PTRFREE 0
#define GC_I_NORMAL 1

/* Stores in *RESULT a chain, linked through the first word, of new objects of SIZE bytes (a multiple of 16) and of KIND,
 * or NULL; beyond the first word they are zero if the kind is scanned. RESULT must be where the collector looks. */
GC_API void GC_CALL GC_generic_malloc_many(size_t size, int kind, void **result);

/* One object of KIND. */
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL GC_malloc_kind(size_t size, int kind);
#ifdef GC_THREADS
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL GC_malloc_kind_global(size_t size, int kind);
#else
#define GC_malloc_kind_global GC_malloc_kind
#endif

#define GC_FAST_M_AO_STORE(my_fl, next) (void)(*(my_fl) = (next))

/* RESULT becomes an object of GRANULES granules taken from TINY_FL, after INIT; or DEFAULT_EXPR where there is no list
 * that long. A head that is no address counts the granules allocated so far of this size: up to NUM_DIRECT of them come
 * from DEFAULT_EXPR, so that a size that is rarely used never gets a list. */
#define GC_FAST_MALLOC_GRANS(result, granules, tiny_fl, num_direct, kind, default_expr, init)			\
	do {													\
		if (GC_EXPECT((granules) >= GC_TINY_FREELISTS, 0)) {						\
			result = (default_expr);								\
			break;											\
		}												\
		void **gc_list_ = (tiny_fl) + (granules);							\
		void *gc_head_ = *gc_list_;									\
		if (GC_EXPECT((GC_word)gc_head_ <= (GC_word)(num_direct) + GC_TINY_FREELISTS + 1, 0)) {		\
			if (gc_head_ != 0 && (GC_signed_word)gc_head_ <= (GC_signed_word)(num_direct)) {	\
				GC_FAST_M_AO_STORE(gc_list_, (char *)gc_head_ + (granules) + 1);		\
				result = (default_expr);							\
				break;										\
			}											\
			GC_generic_malloc_many((granules) == 0 ? GC_GRANULE_BYTES				\
							       : GC_RAW_BYTES_FROM_INDEX(granules),		\
					       kind, gc_list_);							\
			gc_head_ = *gc_list_;									\
			if (gc_head_ == 0) {									\
				result = (*GC_get_oom_fn())((granules) * GC_GRANULE_BYTES);			\
				break;										\
			}											\
		}												\
		void *gc_next_ = *(void **)gc_head_;								\
		result = gc_head_;										\
		GC_FAST_M_AO_STORE(gc_list_, gc_next_);								\
		init;												\
		GC_PREFETCH_FOR_WRITE(gc_next_);								\
		if ((kind) != GC_I_PTRFREE) {									\
			GC_end_stubborn_change(gc_list_);							\
			GC_reachable_here(gc_next_);								\
		}												\
		GC_ASSERT(GC_size(result) >= (granules) * GC_GRANULE_BYTES);					\
	} while (0)

#define GC_WORDS_TO_WHOLE_GRANULES(n) GC_WORDS_TO_GRANULES((n) + GC_GRANULE_WORDS - 1)

/* The same by words; RESULT's first word is NULL after GC_MALLOC_WORDS. */
#define GC_MALLOC_WORDS_KIND(result, n, tiny_fl, kind, init)							\
	do {													\
		size_t gc_granules_ = GC_WORDS_TO_WHOLE_GRANULES(n);						\
		GC_FAST_MALLOC_GRANS(result, gc_granules_, tiny_fl, 0, kind,					\
				     GC_malloc_kind(gc_granules_ * GC_GRANULE_BYTES, kind), init);		\
	} while (0)
#define GC_MALLOC_WORDS(result, n, tiny_fl) \
	GC_MALLOC_WORDS_KIND(result, n, tiny_fl, GC_I_NORMAL, *(void **)(result) = 0)
#define GC_MALLOC_ATOMIC_WORDS(result, n, tiny_fl) GC_MALLOC_WORDS_KIND(result, n, tiny_fl, GC_I_PTRFREE, (void)0)

/* A pair. */
#define GC_CONS(result, first, second, tiny_fl)									\
	do {													\
		void *gc_first_ = (void *)(first);								\
		void *gc_second_ = (void *)(second);								\
		GC_MALLOC_WORDS_KIND(result, 2, tiny_fl, GC_I_NORMAL, (void)0);					\
		if ((result) != 0) {										\
			*(void **)(result) = gc_first_;								\
			GC_PTR_STORE_AND_DIRTY((void **)(result) + 1, gc_second_);				\
			GC_reachable_here(gc_first_);								\
		}												\
	} while (0)

/* Prints the addresses of free slots of GRANULES * 16 bytes in blocks of KIND. */
GC_API void GC_CALL GC_print_free_list(int kind, size_t granules);

#ifdef __cplusplus
}
#endif
#endif
