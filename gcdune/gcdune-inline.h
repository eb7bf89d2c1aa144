/* gcdune-inline.h - the allocation fast path, compiled into the caller.
 *
 * gcdune_alloc_inline and gcdune_alloc_leaf_inline mean the same as the functions without "_inline". With a size
 * that is known when compiling, one is a thread-local load, a load, an add, a compare and a store.
 *
 * What the caller relies on: each thread owns its cursors; [next, limit) of a cursor is memory that no one else uses,
 * already zero for scanned objects; a cursor that is empty (next == limit) sends the caller to gcdune_alloc_slow.
 * A collection that stops the thread between the load and the store leaves the cursor alone, and keeps all of
 * [next, limit) allocated, so that whichever value of `next' the thread works with stays its own.
 *
 * The layout below is part of the library's binary interface: it changes only with the soname. */
#ifndef GCDUNE_INLINE_H
#define GCDUNE_INLINE_H

#include "gcdune.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The library is compiled with hidden names; these are the ones that are not. */
#pragma GCC visibility push(default)

#define GCDUNE_INLINE_MAX 1024 /* larger objects always take the function */
#define GCDUNE_SIZES 38	       /* slot sizes */
#define GCDUNE_CLASSES 77      /* 1..38: objects smaller than their slot; 39..76: those that fill it; 0 is none */

struct gcdune_cursor {
	char *next;
	char *limit;
};

/* What a thread keeps within reach of the fast path: a cursor for each size class, by kind. */
struct gcdune_local {
	struct gcdune_cursor cursors[2][GCDUNE_CLASSES]; /* GCDUNE_KIND_SCANNED, GCDUNE_KIND_LEAF */
};

/* Never NULL: a thread that is not attached has one whose cursors are all empty. */
extern __thread struct gcdune_local *gcdune_local __attribute__((tls_model("initial-exec")));

/* Everything the fast path cannot do. Not for direct use. */
void *gcdune_alloc_slow(size_t size, gcdune_kind kind) __attribute__((malloc, alloc_size(1), warn_unused_result));

/* The number of the slot size for 1 <= SIZE <= GCDUNE_INLINE_MAX: every 16 bytes up to 128, then four per doubling. */
static inline unsigned gcdune_size_inline(size_t size)
{
	if (size <= 128)
		return (unsigned)((size + 15) / 16);
	unsigned top = 63 - (unsigned)__builtin_clzll(size - 1); /* 2^top < size <= 2^(top+1) */
	return 8 + (top - 7) * 4 + (unsigned)(((size - 1) >> (top - 2)) & 3) + 1;
}

/* That slot size. */
static inline size_t gcdune_slot_inline(unsigned number)
{
	if (number <= 8)
		return number * 16;
	return (size_t)(4 + ((number - 1) & 3) + 1) << (7 + (number - 9) / 4 - 2);
}

static inline void *gcdune_bump_inline(size_t size, gcdune_kind kind)
{
	if (__builtin_expect(size - 1 < GCDUNE_INLINE_MAX, 1)) {
		unsigned number = gcdune_size_inline(size);
		size_t slot = gcdune_slot_inline(number);
		/* Objects that fill their slots have blocks of their own: there, and only there, a pointer one past an
		 * object's end looks like one to the next. */
		unsigned cls = number + (size == slot ? GCDUNE_SIZES : 0);
		struct gcdune_cursor *cursor = &gcdune_local->cursors[kind][cls];
		char *object = cursor->next;

		if (__builtin_expect(object < cursor->limit, 1)) {
			cursor->next = object + slot;
			/* The collector may be looking: not after the caller has put the object somewhere. */
			__atomic_signal_fence(__ATOMIC_SEQ_CST);
			return object;
		}
	}
	return gcdune_alloc_slow(size, kind);
}

static inline void *gcdune_alloc_inline(size_t size)
{
	return gcdune_bump_inline(size, GCDUNE_KIND_SCANNED);
}

static inline void *gcdune_alloc_leaf_inline(size_t size)
{
	return gcdune_bump_inline(size, GCDUNE_KIND_LEAF);
}

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
