/* gc_mark.h - how a language runtime tells the collector where pointers are.
 *
 * Every object has a kind; a kind has a mark descriptor, whose low two bits are its tag:
 *
 *	GC_DS_LENGTH		the rest is a number of bytes, a multiple of 8, from the start of the object: all scanned
 *	GC_DS_BITMAP		the most significant bit is word 0, and so on: set where there may be a pointer
 *	GC_DS_PROC		GC_MAKE_PROC(index, env): a mark procedure
 *	GC_DS_PER_OBJECT	the rest is the offset of the object's own descriptor in the object; if it is negative, the
 *				object's first word points to a type, in which the descriptor is at
 *				-(rest) - GC_INDIR_PER_OBJ_BIAS; a type of NULL means that there is nothing to scan
 *
 * A mark procedure runs while the world is stopped, on any thread, several at once. It may call GC_mark_and_push, and
 * functions that only ask (GC_base, GC_size); it must expect objects that are on a free list (first word: a link, or
 * NULL; the rest zero). It returns what GC_mark_and_push returned last, or its second argument. */
#ifndef GC_MARK_H
#define GC_MARK_H

#ifndef GC_H
#include "gc.h"
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define GC_PROC_BYTES 100

struct GC_ms_entry {
	void *opaque;
};
typedef struct GC_ms_entry *(GC_CALLBACK *GC_mark_proc)(GC_word *object, struct GC_ms_entry *mark_stack_top,
							struct GC_ms_entry *mark_stack_limit, GC_word env);

#define GC_LOG_MAX_MARK_PROCS 6
#define GC_MAX_MARK_PROCS (1 << GC_LOG_MAX_MARK_PROCS)

#define GC_DS_TAG_BITS 2
#define GC_DS_TAGS ((1 << GC_DS_TAG_BITS) - 1)
#define GC_DS_LENGTH 0
#define GC_DS_BITMAP 1
#define GC_DS_PROC 2
#define GC_DS_PER_OBJECT 3
#define GC_INDIR_PER_OBJ_BIAS 0x10
#define GC_MAKE_PROC(proc_index, env) \
	(((((env) << GC_LOG_MAX_MARK_PROCS) | (proc_index)) << GC_DS_TAG_BITS) | GC_DS_PROC)

#define GC_GCJ_RESERVED_MARK_PROC_INDEX 0
#define GC_RESERVED_MARK_PROCS 8

/* Every object is in [least, greatest]. Constant once the collector is up. */
GC_API void *GC_least_plausible_heap_addr;
GC_API void *GC_greatest_plausible_heap_addr;

/* For mark procedures: OBJECT, found at SRC (or NULL), may be a pointer. */
GC_API struct GC_ms_entry *GC_CALL GC_mark_and_push(void *object, struct GC_ms_entry *mark_stack_top,
						    struct GC_ms_entry *mark_stack_limit, void **src);
#define GC_MARK_AND_PUSH(obj, msp, lim, src)							\
	((GC_word)(obj) >= (GC_word)GC_least_plausible_heap_addr &&				\
			 (GC_word)(obj) <= (GC_word)GC_greatest_plausible_heap_addr		\
		 ? GC_mark_and_push(obj, msp, lim, src)						\
		 : (msp))

/* Objects from the debugging functions begin this many bytes before what the program got. */
GC_API GC_ATTR_CONST size_t GC_CALL GC_get_debug_header_size(void);
#define GC_USR_PTR_FROM_BASE(p) ((void *)((char *)(p) + GC_get_debug_header_size()))
GC_API GC_ATTR_DEPRECATED
#ifdef GC_BUILD
	const
#endif
	size_t GC_debug_header_size;

/* A new mark procedure's index for GC_MAKE_PROC; and a new kind. ADD_SIZE (0 or 1): the object's size is added to DESCR,
 * which is then GC_DS_LENGTH. CLEAR (0 or 1): objects are to be zeroed (they always are). More than
 * GC_MAX_MARK_PROCS procedures, or too many kinds, end the program. FREE_LIST: from GC_new_free_list; not used otherwise.
 * The _inner ones are for callers within GC_call_with_alloc_lock. */
GC_API void **GC_CALL GC_new_free_list(void);
GC_API void **GC_CALL GC_new_free_list_inner(void);
GC_API unsigned GC_CALL GC_new_kind(void **free_list, GC_word descr, int add_size, int clear) GC_ATTR_NONNULL(1);
GC_API unsigned GC_CALL GC_new_kind_inner(void **free_list, GC_word descr, int add_size, int clear) GC_ATTR_NONNULL(1);
GC_API unsigned GC_CALL GC_new_proc(GC_mark_proc proc);
GC_API unsigned GC_CALL GC_new_proc_inner(GC_mark_proc proc);

/* An object of KIND; 0 pointer-free, 1 normal, 2 uncollectable, 3 pointer-free uncollectable, or from GC_new_kind. */
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL GC_generic_malloc(size_t size, int kind);
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL GC_generic_malloc_ignore_off_page(size_t size, int kind);
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL GC_generic_malloc_uncollectable(size_t size, int kind);
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL GC_generic_or_special_malloc(size_t size, int kind);
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL GC_debug_generic_or_special_malloc(size_t size, int kind,
											     GC_EXTRA_PARAMS);
#ifdef GC_DEBUG
#define GC_GENERIC_OR_SPECIAL_MALLOC(sz, knd) GC_debug_generic_or_special_malloc(sz, knd, GC_EXTRAS)
#else
#define GC_GENERIC_OR_SPECIAL_MALLOC(sz, knd) GC_generic_or_special_malloc(sz, knd)
#endif

/* The kind of the object that begins at P, and its size where PSIZE is not NULL. */
GC_API int GC_CALL GC_get_kind_and_size(const void *p, size_t *psize) GC_ATTR_NONNULL(1);

/* Overwrites some dead stack below the caller, so that what is stale there retains nothing. Returns ARG. */
GC_API void *GC_CALL GC_clear_stack(void *arg);

/* Called at the start of every collection; threads run. It must not allocate or block. */
typedef void(GC_CALLBACK *GC_start_callback_proc)(void);
GC_API void GC_CALL GC_set_start_callback(GC_start_callback_proc);
GC_API GC_start_callback_proc GC_CALL GC_get_start_callback(void);

/* Called while roots are marked, world stopped; it should call the procedure that it replaces too. The
 * functions below are for it alone: words in [BOTTOM, TOP) are roots. */
typedef void(GC_CALLBACK *GC_push_other_roots_proc)(void);
GC_API void GC_CALL GC_set_push_other_roots(GC_push_other_roots_proc);
GC_API GC_push_other_roots_proc GC_CALL GC_get_push_other_roots(void);
GC_API void GC_CALL GC_push_all(void *bottom, void *top);
GC_API void GC_CALL GC_push_all_eager(void *bottom, void *top);
GC_API void GC_CALL GC_push_conditional(void *bottom, void *top, int all);

/* Whether the object that begins at P was found reachable by the last collection, or has been made since; and changing
 * that, which lasts until the next one. Called from a mark procedure they see and change the marks of the collection that
 * runs. For the rest, that an object's bit was cleared does not free it. */
GC_API int GC_CALL GC_is_marked(const void *p) GC_ATTR_NONNULL(1);
GC_API void GC_CALL GC_clear_mark_bit(const void *p) GC_ATTR_NONNULL(1);
GC_API void GC_CALL GC_set_mark_bit(const void *p) GC_ATTR_NONNULL(1);

/* PROC for each object that a collection has not found dead. It must not allocate. */
typedef void(GC_CALLBACK *GC_reachable_object_proc)(void *object, size_t bytes, void *data);
GC_API void GC_CALL GC_enumerate_reachable_objects_inner(GC_reachable_object_proc proc, void *data) GC_ATTR_NONNULL(1);

/* FN writes into OUT a name for objects of KIND, of at most GC_TYPE_DESCR_LEN characters, for reports of leaks. */
typedef void(GC_CALLBACK *GC_describe_type_fn)(void *object, char *out);
#define GC_TYPE_DESCR_LEN 40
GC_API void GC_CALL GC_register_describe_type_fn(int kind, GC_describe_type_fn fn);

/* For a push-other-roots procedure that does not call the one before it. Finalizers are pushed in any case. */
GC_API void GC_CALL GC_push_finalizer_structures(void);

/* Whether P lies in a data segment that is scanned: these are found anew by each collection. */
GC_API int GC_CALL GC_is_tmp_root(void *p);

#ifdef __cplusplus
}
#endif
#endif
