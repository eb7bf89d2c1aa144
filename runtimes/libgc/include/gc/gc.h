/* gc.h - Boehm's interface to a garbage collector, as gcdune's libgc.so.1 offers it.
 *
 * Names, types and values are those of Boehm's collector 8.2, so that programs written or built for it need no change.
 * docs/libgc.md tells what differs and what is left out; a function that is not here is not in the library either.
 *
 * Include it, call GC_INIT(), replace malloc by GC_MALLOC, and drop free. Define GC_THREADS before it in programs with
 * threads, and GC_DEBUG for allocation that remembers the place of the call and notices writes past the end. */
#ifndef GC_H
#define GC_H

#include "gc_version.h"
#include "gc_config_macros.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef void *GC_PTR;
typedef unsigned long GC_word;
typedef long GC_signed_word;

/* What functions here return where they return a code. */
#define GC_SUCCESS 0
#define GC_DUPLICATE 1	   /* it was registered before */
#define GC_NO_MEMORY 2
#define GC_NO_THREADS 2	   /* historical, never returned */
#define GC_UNIMPLEMENTED 3 /* not here, or not in this mode */
#define GC_NOT_FOUND 4	   /* it was not registered */

/* ---- Start ---------------------------------------------------------------------------------- */

/* (major << 16) | (minor << 8) | micro of the release that the library answers to. */
GC_API unsigned GC_CALL GC_get_version(void);

/* Starts the collector; the first allocation does so too. Programs call the macro GC_INIT() (at the end of this file). */
GC_API void GC_CALL GC_init(void);
GC_API int GC_CALL GC_is_init_called(void);

/* Says that the program has no more use for the collector: no collection begins any more until GC_init is called again.
 * What was allocated stays. */
GC_API void GC_CALL GC_deinit(void);

/* ---- Allocation ----------------------------------------------------------------------------- */

/* SIZE zeroed bytes, aligned to 16, scanned for pointers. NULL when there is no memory: see GC_set_oom_fn. */
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL GC_malloc(size_t size);

/* The same without pointers: not scanned, and not cleared. */
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL GC_malloc_atomic(size_t size);

/* Roots themselves: they live until GC_free. The second holds no pointers. */
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL GC_malloc_uncollectable(size_t size);
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL GC_malloc_atomic_uncollectable(size_t size);

/* For large objects of which the program always keeps a pointer into the first 256 bytes. */
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL GC_malloc_ignore_off_page(size_t size);
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL GC_malloc_atomic_ignore_off_page(size_t size);

GC_API GC_ATTR_MALLOC char *GC_CALL GC_strdup(const char *string);
GC_API GC_ATTR_MALLOC char *GC_CALL GC_strndup(const char *string, size_t max) GC_ATTR_NONNULL(1);

GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(2) void *GC_CALL GC_memalign(size_t alignment, size_t size);
GC_API int GC_CALL GC_posix_memalign(void **result, size_t alignment, size_t size) GC_ATTR_NONNULL(1);

/* Makes OBJECT at least SIZE bytes long, in place or by moving it to a new one of its kind. NULL allocates, size 0 frees.
 * Finalizers and links stay with the old address. */
GC_API void *GC_CALL GC_realloc(void *object, size_t size) GC_ATTR_ALLOC_SIZE(2);

/* Frees at once an object that nobody uses any more. NULL is ignored. */
GC_API void GC_CALL GC_free(void *object);

/* Several objects of SIZE bytes, a chain to walk with GC_NEXT; the program sets the first word of each that it uses. */
GC_API GC_ATTR_MALLOC void *GC_CALL GC_malloc_many(size_t size);
#define GC_NEXT(p) (*(void **)(p))

/* Objects that seldom change: nothing special any more. GC_end_stubborn_change and the stores below say that a pointer
 * was stored; this collector finds out by itself. */
GC_API GC_ATTR_DEPRECATED void *GC_CALL GC_malloc_stubborn(size_t size);
#define GC_MALLOC_STUBBORN(sz) GC_MALLOC(sz)
#define GC_NEW_STUBBORN(t) GC_NEW(t)
#define GC_CHANGE_STUBBORN(p) GC_change_stubborn(p)
GC_API GC_ATTR_DEPRECATED void GC_CALL GC_change_stubborn(const void *object);
GC_API void GC_CALL GC_end_stubborn_change(const void *object) GC_ATTR_NONNULL(1);
GC_API void GC_CALL GC_ptr_store_and_dirty(void *place, const void *value);

/* ---- Questions about addresses ---------------------------------------------------------------- */

/* The start of the object that P points into, NULL if into none. */
GC_API void *GC_CALL GC_base(void *p);
/* Whether P lies in the heap's address range. */
GC_API int GC_CALL GC_is_heap_ptr(const void *p);
/* The usable size of the object that begins at OBJECT. */
GC_API size_t GC_CALL GC_size(const void *object) GC_ATTR_NONNULL(1);

/* ---- Collection ----------------------------------------------------------------------------- */

/* Collect now, whole heap; the second also returns free memory to the system. Nothing while collection is disabled. */
GC_API void GC_CALL GC_gcollect(void);
GC_API void GC_CALL GC_gcollect_and_unmap(void);

/* Collects unless the function, asked before the start, returns non-zero. 1: collected, 0: not (or disabled). GC_gcollect
 * asks the function that was set by GC_set_stop_func. */
typedef int(GC_CALLBACK *GC_stop_func)(void);
GC_API int GC_CALL GC_try_to_collect(GC_stop_func stop_func) GC_ATTR_NONNULL(1);
GC_API void GC_CALL GC_set_stop_func(GC_stop_func stop_func) GC_ATTR_NONNULL(1);
GC_API GC_stop_func GC_CALL GC_get_stop_func(void);

/* These nest. GC_dont_gc is their counter; a program may set it before GC_INIT. */
GC_API void GC_CALL GC_disable(void);
GC_API void GC_CALL GC_enable(void);
GC_API int GC_CALL GC_is_disabled(void);
GC_API
#ifndef GC_DONT_GC
	GC_ATTR_DEPRECATED
#endif
	int GC_dont_gc;

/* Non-zero: only explicit calls collect (and running out of memory does not). */
GC_API void GC_CALL GC_set_disable_automatic_collection(int value);
GC_API int GC_CALL GC_get_disable_automatic_collection(void);

/* Non-zero: GC_gcollect does what GC_gcollect_and_unmap does. */
GC_API void GC_CALL GC_set_force_unmap_on_gcollect(int value);
GC_API int GC_CALL GC_get_force_unmap_on_gcollect(void);

/* Incremental collection. Collections run beside the program in any case; the mode, which is on where its writes can be
 * seen, makes a time limit the pause that it accepts, and makes it possible to begin a collection without waiting for it.
 * GC_collect_a_little helps with one that is under way, or begins one that is due, and returns whether it goes on: a loop
 * over it ends when the collection does. */
GC_API void GC_CALL GC_enable_incremental(void);
GC_API int GC_CALL GC_is_incremental_mode(void);
GC_API void GC_CALL GC_start_incremental_collection(void);
GC_API int GC_CALL GC_collect_a_little(void);
GC_API int GC_CALL GC_incremental_protection_needs(void);
#define GC_PROTECTS_NONE 0
#define GC_PROTECTS_POINTER_HEAP 1
#define GC_PROTECTS_PTRFREE_HEAP 2
#define GC_PROTECTS_STATIC_DATA 4
#define GC_PROTECTS_STACK 8
GC_API void GC_CALL GC_set_manual_vdb_allowed(int value);
GC_API int GC_CALL GC_get_manual_vdb_allowed(void);

/* Keeps PTR's object alive until this point of the program. */
#define GC_reachable_here(ptr) __asm__ __volatile__(" " : : "X"(ptr) : "memory")
GC_API void GC_CALL GC_noop1(GC_word value);

/* ---- Memory: limits and running out ------------------------------------------------------------ */

/* Called without locks when SIZE bytes cannot be had even after a collection; what it returns, the allocation returns:
 * NULL or an object. Never NULL itself. */
typedef void *(GC_CALLBACK *GC_oom_func)(size_t size);
GC_API GC_ATTR_DEPRECATED GC_oom_func GC_oom_fn;
GC_API void GC_CALL GC_set_oom_fn(GC_oom_func) GC_ATTR_NONNULL(1);
GC_API GC_oom_func GC_CALL GC_get_oom_fn(void);

/* Ends the program with a message about memory. */
GC_API void GC_CALL GC_abort_on_oom(void);

/* Grows the heap by SIZE bytes ahead of need: 1, or 0 if it could not. */
GC_API int GC_CALL GC_expand_hp(size_t size);
/* The heap never grows past SIZE bytes; 0: no limit. */
GC_API void GC_CALL GC_set_max_heap_size(GC_word size);

/* Non-zero: collect rather than grow, as far as that makes sense. */
GC_API GC_ATTR_DEPRECATED int GC_dont_expand;
GC_API void GC_CALL GC_set_dont_expand(int value);
GC_API int GC_CALL GC_get_dont_expand(void);

/* Larger: less free space between collections, more collections. 3 at first, 1 is the least. */
GC_API GC_ATTR_DEPRECATED GC_word GC_free_space_divisor;
GC_API void GC_CALL GC_set_free_space_divisor(GC_word value);
GC_API GC_word GC_CALL GC_get_free_space_divisor(void);

/* After the heap grew: its new size. May be NULL. */
typedef void(GC_CALLBACK *GC_on_heap_resize_proc)(GC_word new_size);
GC_API GC_ATTR_DEPRECATED GC_on_heap_resize_proc GC_on_heap_resize;
GC_API void GC_CALL GC_set_on_heap_resize(GC_on_heap_resize_proc);
GC_API GC_on_heap_resize_proc GC_CALL GC_get_on_heap_resize(void);

/* In incremental mode, if set to anything: so many collections of what is new between two of the whole heap, fewer if what is
 * new and stays takes up the memory that is to be free between them. Not set, as many as pay. */
GC_API GC_ATTR_DEPRECATED int GC_full_freq;
GC_API void GC_CALL GC_set_full_freq(int value);
GC_API int GC_CALL GC_get_full_freq(void);
/* Parameters of Boehm's own policy, which is not this collector's: kept, returned, and without effect. */
GC_API GC_ATTR_DEPRECATED int GC_use_entire_heap;
GC_API GC_ATTR_DEPRECATED GC_word GC_non_gc_bytes;
GC_API void GC_CALL GC_set_non_gc_bytes(GC_word value);
GC_API GC_word GC_CALL GC_get_non_gc_bytes(void);
GC_API GC_ATTR_DEPRECATED GC_word GC_max_retries;
GC_API void GC_CALL GC_set_max_retries(GC_word value);
GC_API GC_word GC_CALL GC_get_max_retries(void);
GC_API GC_ATTR_DEPRECATED int GC_dont_precollect;
GC_API void GC_CALL GC_set_dont_precollect(int value);
GC_API int GC_CALL GC_get_dont_precollect(void);
/* Of these, in incremental mode, milliseconds that the program may be stopped for (GC_set_time_limit). */
#define GC_TIME_UNLIMITED 999999
GC_API GC_ATTR_DEPRECATED unsigned long GC_time_limit;
GC_API void GC_CALL GC_set_time_limit(unsigned long ms);
GC_API unsigned long GC_CALL GC_get_time_limit(void);
struct GC_timeval_s {
	unsigned long tv_ms;
	unsigned long tv_nsec; /* below a million */
};
GC_API void GC_CALL GC_set_time_limit_tv(struct GC_timeval_s);
GC_API struct GC_timeval_s GC_CALL GC_get_time_limit_tv(void);
GC_API void GC_CALL GC_set_allocd_bytes_per_finalizer(GC_word value);
GC_API GC_word GC_CALL GC_get_allocd_bytes_per_finalizer(void);
GC_API void GC_CALL GC_set_min_bytes_allocd(size_t value);
GC_API size_t GC_CALL GC_get_min_bytes_allocd(void);
GC_API void GC_CALL GC_set_rate(int value);
GC_API int GC_CALL GC_get_rate(void);
GC_API void GC_CALL GC_set_max_prior_attempts(int value);
GC_API int GC_CALL GC_get_max_prior_attempts(void);

/* The heap is never executable: the getter stays 0. */
GC_API void GC_CALL GC_set_pages_executable(int value);
GC_API int GC_CALL GC_get_pages_executable(void);

/* ---- Statistics ------------------------------------------------------------------------------- */

GC_API GC_ATTR_DEPRECATED GC_word GC_gc_no; /* collections begun */
GC_API GC_word GC_CALL GC_get_gc_no(void);
GC_API size_t GC_CALL GC_get_heap_size(void); /* without what was given back to the system */
GC_API size_t GC_CALL GC_get_free_bytes(void);
GC_API size_t GC_CALL GC_get_unmapped_bytes(void);
GC_API size_t GC_CALL GC_get_bytes_since_gc(void);
GC_API size_t GC_CALL GC_get_expl_freed_bytes_since_gc(void); /* by GC_free */
GC_API size_t GC_CALL GC_get_total_bytes(void); /* allocated since the start */
GC_API size_t GC_CALL GC_get_obtained_from_os_bytes(void);
GC_API size_t GC_CALL GC_get_memory_use(void); /* in blocks that hold objects */
/* Five of them at one moment; NULL for those not wanted. */
GC_API void GC_CALL GC_get_heap_usage_safe(GC_word *heap_size, GC_word *free_bytes, GC_word *unmapped_bytes,
					   GC_word *bytes_since_gc, GC_word *total_bytes);

struct GC_prof_stats_s {
	GC_word heapsize_full;	 /* heap size and unmapped bytes */
	GC_word free_bytes_full; /* free and unmapped bytes */
	GC_word unmapped_bytes;
	GC_word bytes_allocd_since_gc;
	GC_word allocd_bytes_before_gc;
	GC_word non_gc_bytes;
	GC_word gc_no;
	GC_word markers_m1;		   /* marking threads besides the one that collects */
	GC_word bytes_reclaimed_since_gc;  /* (GC_word)-1 here: sweeping is lazy and does not count */
	GC_word reclaimed_bytes_before_gc; /* the same */
	GC_word expl_freed_bytes_since_gc; /* the same */
	GC_word obtained_from_os_bytes;
};
/* Fills as much of *STATS as fits in SIZE, unknown members with -1; returns the length of the part that it knows. */
GC_API size_t GC_CALL GC_get_prof_stats(struct GC_prof_stats_s *stats, size_t size);
#ifdef GC_THREADS
GC_API size_t GC_CALL GC_get_prof_stats_unsafe(struct GC_prof_stats_s *stats, size_t size);
#endif

/* Milliseconds in which collections kept the program stopped, since the call of the first function. */
GC_API void GC_CALL GC_start_performance_measurement(void);
GC_API unsigned long GC_CALL GC_get_full_gc_total_time(void);

/* Prints the state of the collector on stdout, under a NAME or the number of the collection. */
GC_API void GC_CALL GC_dump(void);
/* Prints to stdout the roots and the regions of the heap; every finalizer and link. */
GC_API void GC_CALL GC_dump_regions(void);
GC_API void GC_CALL GC_dump_finalization(void);
/* How many bytes an object of SIZE bytes takes; SIZE_MAX for more than 2048. */
GC_API size_t GC_CALL GC_get_size_map_at(int size);
GC_API void GC_CALL GC_dump_named(const char *name);

/* ---- Which words are pointers ------------------------------------------------------------------- */

/* 1 (default): a pointer to any byte of an object keeps it. Setting it to 1, before the first allocation, also gives each
 * object a byte at its end, for pointers one past it. 0: pointers in the heap count only with a registered displacement
 * (0 always is); pointers on stacks and in static data count always. */
GC_API GC_ATTR_DEPRECATED int GC_all_interior_pointers;
GC_API void GC_CALL GC_set_all_interior_pointers(int value);

/* Leak-finding mode, set before GC_INIT: objects that are unreachable and were not freed are reported to stderr by the
 * next collection, with the place and the stack of the call if they are from the debugging functions, and then freed.
 * No finalizers and links. There is a last collection at exit. Also the environment variable GC_FIND_LEAK. */
GC_API GC_ATTR_DEPRECATED int GC_find_leak;
GC_API void GC_CALL GC_set_find_leak(int value);
GC_API int GC_CALL GC_get_find_leak(void);
GC_API int GC_CALL GC_get_all_interior_pointers(void);
GC_API void GC_CALL GC_register_displacement(size_t offset);

/* Words in [low, high) are roots, or those of registered ranges that lie in it wholly are no longer. */
GC_API void GC_CALL GC_add_roots(void *low, void *high);
GC_API void GC_CALL GC_remove_roots(void *low, void *high);
/* No static data is scanned any more but what GC_add_roots names later. */
GC_API void GC_CALL GC_clear_roots(void);
/* Forgets what GC_exclude_static_roots was told. */
GC_API void GC_CALL GC_clear_exclusion_table(void);
/* Asked for each writable segment of the program and its libraries in each collection, with the name that the dynamic
 * linker has for it: whether it is scanned (not 0). It must not allocate. NULL: all are. */
typedef int(GC_CALLBACK *GC_has_static_roots_func)(const char *name, void *begin, size_t size);
GC_API void GC_CALL GC_register_has_static_roots_callback(GC_has_static_roots_func);
/* Words in [low, high) are not scanned though they are static data. */
GC_API void GC_CALL GC_exclude_static_roots(void *low, void *high);

/* Non-zero: data of shared libraries is not scanned, that of the program is. */
GC_API GC_ATTR_DEPRECATED int GC_no_dls;
GC_API void GC_CALL GC_set_no_dls(int value);
GC_API int GC_CALL GC_get_no_dls(void);

/* ---- After the death of an object ---------------------------------------------------------------- */

typedef void(GC_CALLBACK *GC_finalization_proc)(void *object, void *data);

/* Once OBJECT (the start of one) is unreachable, FN(OBJECT, DATA) is called, once, with it alive again. FN 0 removes the
 * finalizer. Former ones go to *OLD_FN and *OLD_DATA where these are not NULL. DATA is kept alive. Nothing is registered
 * for what is not an object. In order: not while another object with a finalizer reaches it, so never in a cycle.
 * ignore_self: the object's pointers to itself do not count. no_order: at once. unreachable: when no finalizable object
 * of any kind reaches it any more. */
GC_API void GC_CALL GC_register_finalizer(void *object, GC_finalization_proc fn, void *data,
					  GC_finalization_proc *old_fn, void **old_data) GC_ATTR_NONNULL(1);
GC_API void GC_CALL GC_register_finalizer_ignore_self(void *object, GC_finalization_proc fn, void *data,
						      GC_finalization_proc *old_fn, void **old_data) GC_ATTR_NONNULL(1);
GC_API void GC_CALL GC_register_finalizer_no_order(void *object, GC_finalization_proc fn, void *data,
						   GC_finalization_proc *old_fn, void **old_data) GC_ATTR_NONNULL(1);
GC_API void GC_CALL GC_register_finalizer_unreachable(void *object, GC_finalization_proc fn, void *data,
						      GC_finalization_proc *old_fn, void **old_data) GC_ATTR_NONNULL(1);

/* Finalizers run after a collection in the thread that collected; or, on demand, only in GC_invoke_finalizers, which
 * returns how many it ran. The notifier is then called after each collection that found some. */
GC_API GC_ATTR_DEPRECATED int GC_finalize_on_demand;
GC_API void GC_CALL GC_set_finalize_on_demand(int value);
/* Called in a collection with each object whose finalizer's turn has come. It must not allocate. NULL: none. */
typedef void(GC_CALLBACK *GC_await_finalize_proc)(void *object);
GC_API void GC_CALL GC_set_await_finalize_proc(GC_await_finalize_proc);
GC_API GC_await_finalize_proc GC_CALL GC_get_await_finalize_proc(void);
GC_API int GC_CALL GC_get_finalize_on_demand(void);
typedef void(GC_CALLBACK *GC_finalizer_notifier_proc)(void);
GC_API GC_ATTR_DEPRECATED GC_finalizer_notifier_proc GC_finalizer_notifier;
GC_API void GC_CALL GC_set_finalizer_notifier(GC_finalizer_notifier_proc);
GC_API GC_finalizer_notifier_proc GC_CALL GC_get_finalizer_notifier(void);
GC_API int GC_CALL GC_should_invoke_finalizers(void);
GC_API int GC_CALL GC_invoke_finalizers(void);

/* What unordered finalizers reach is always kept until they ran, whatever the value. */
GC_API GC_ATTR_DEPRECATED int GC_java_finalization;
GC_API void GC_CALL GC_set_java_finalization(int value);
GC_API int GC_CALL GC_get_java_finalization(void);

/* *LINK becomes NULL when OBJECT (the start of one) is found unreachable, before finalizers are called; with a long link,
 * when not even a finalizer can bring it back. A link inside an object goes with that object. *LINK itself should be
 * hidden from the collector. GC_SUCCESS; GC_DUPLICATE: there was one, it now watches OBJECT; GC_NO_MEMORY. */
GC_API int GC_CALL GC_register_disappearing_link(void **link) GC_ATTR_NONNULL(1); /* OBJECT: the one LINK is in */
GC_API int GC_CALL GC_general_register_disappearing_link(void **link, const void *object) GC_ATTR_NONNULL(1)
	GC_ATTR_NONNULL(2);
GC_API int GC_CALL GC_register_long_link(void **link, const void *object) GC_ATTR_NONNULL(1) GC_ATTR_NONNULL(2);
/* The caller has copied, or will copy, the word. GC_SUCCESS, GC_NOT_FOUND, or GC_DUPLICATE: TO has one already. */
GC_API int GC_CALL GC_move_disappearing_link(void **from, void **to) GC_ATTR_NONNULL(2);
GC_API int GC_CALL GC_move_long_link(void **from, void **to) GC_ATTR_NONNULL(2);
/* 1, or 0 if there was none. */
GC_API int GC_CALL GC_unregister_disappearing_link(void **link);
GC_API int GC_CALL GC_unregister_long_link(void **link);

/* A pointer that the collector does not see. Reveal only within GC_call_with_alloc_lock. */
typedef GC_word GC_hidden_pointer;
#define GC_HIDE_POINTER(p) (~(GC_hidden_pointer)(p))
#define GC_REVEAL_POINTER(p) ((void *)GC_HIDE_POINTER(p))
#if defined(I_HIDE_POINTERS) || defined(GC_I_HIDE_POINTERS)
#define HIDE_POINTER(p) GC_HIDE_POINTER(p)
#define REVEAL_POINTER(p) GC_REVEAL_POINTER(p)
#endif

/* References held outside the heap, strong or weak as a function decides at the start of each collection. It must not
 * allocate. An object leaves the table when the function says DROP, or when it dies. Without a function,
 * GC_toggleref_add does nothing and succeeds. */
typedef enum { GC_TOGGLE_REF_DROP, GC_TOGGLE_REF_STRONG, GC_TOGGLE_REF_WEAK } GC_ToggleRefStatus;
typedef GC_ToggleRefStatus(GC_CALLBACK *GC_toggleref_func)(void *object);
GC_API void GC_CALL GC_set_toggleref_func(GC_toggleref_func);
GC_API GC_toggleref_func GC_CALL GC_get_toggleref_func(void);
GC_API int GC_CALL GC_toggleref_add(void *object, int is_strong) GC_ATTR_NONNULL(1);

/* ---- Watching ---------------------------------------------------------------------------------- */

typedef enum {
	GC_EVENT_START,
	GC_EVENT_MARK_START,
	GC_EVENT_MARK_END,
	GC_EVENT_RECLAIM_START,
	GC_EVENT_RECLAIM_END,
	GC_EVENT_END,
	GC_EVENT_PRE_STOP_WORLD,
	GC_EVENT_POST_STOP_WORLD,
	GC_EVENT_PRE_START_WORLD,
	GC_EVENT_POST_START_WORLD,
	GC_EVENT_THREAD_SUSPENDED,
	GC_EVENT_THREAD_UNSUSPENDED
} GC_EventType;
/* Called, in the order START, PRE_STOP_WORLD, POST_STOP_WORLD, MARK_START, MARK_END, PRE_START_WORLD, POST_START_WORLD,
 * RECLAIM_START, RECLAIM_END, END, during a collection. It must not allocate. May be NULL. */
typedef void(GC_CALLBACK *GC_on_collection_event_proc)(GC_EventType);
GC_API void GC_CALL GC_set_on_collection_event(GC_on_collection_event_proc);
GC_API GC_on_collection_event_proc GC_CALL GC_get_on_collection_event(void);

#ifdef GC_THREADS
/* Called with THREAD_SUSPENDED and THREAD_UNSUSPENDED for each thread (its pthread_t) that a collection stops and lets go
 * on, world stopped. It must not allocate. May be NULL. */
typedef void(GC_CALLBACK *GC_on_thread_event_proc)(GC_EventType, void *thread);
GC_API void GC_CALL GC_set_on_thread_event(GC_on_thread_event_proc);
GC_API GC_on_thread_event_proc GC_CALL GC_get_on_thread_event(void);
#endif

/* Where GC_log_printf and the statistics of Boehm's library would go; default 2. */
GC_API void GC_CALL GC_set_log_fd(int fd);

/* A warning: MESSAGE is a format for printf that takes ARG. Never NULL; GC_ignore_warn_proc is silent. */
typedef void(GC_CALLBACK *GC_warn_proc)(char *message, GC_word arg);
GC_API void GC_CALL GC_set_warn_proc(GC_warn_proc) GC_ATTR_NONNULL(1);
GC_API GC_warn_proc GC_CALL GC_get_warn_proc(void);
GC_API void GC_CALLBACK GC_ignore_warn_proc(char *message, GC_word arg);

/* Called before this library ends the program; MESSAGE is NULL when a message was printed already. */
typedef void(GC_CALLBACK *GC_abort_func)(const char *message);
GC_API void GC_CALL GC_set_abort_func(GC_abort_func) GC_ATTR_NONNULL(1);
GC_API GC_abort_func GC_CALL GC_get_abort_func(void);

/* ---- Threads and stacks -------------------------------------------------------------------------- */

/* FN(DATA) while no collection can begin. FN must not allocate. */
typedef void *(GC_CALLBACK *GC_fn_type)(void *data);
GC_API void *GC_CALL GC_call_with_alloc_lock(GC_fn_type fn, void *data) GC_ATTR_NONNULL(1);

#ifdef GC_THREADS
/* The same by two calls. They nest. */
GC_API void GC_CALL GC_alloc_lock(void);
GC_API void GC_CALL GC_alloc_unlock(void);

/* Stops all other threads that the collector knows, and lets them go on. Between the two: no allocation. */
GC_API void GC_CALL GC_stop_world_external(void);
GC_API void GC_CALL GC_start_world_external(void);

/* The calling thread's ordinary stack, where that is not the one it was made with, and its stack for signals. (The latter
 * is found without.) */
GC_API void GC_CALL GC_register_altstack(void *stack, GC_word stack_size, void *altstack, GC_word altstack_size);
#endif

/* FN(DATA) as code that does not touch the heap, which a collection does not wait for; and, inside that, as code that
 * does again. */
GC_API void *GC_CALL GC_do_blocking(GC_fn_type fn, void *data) GC_ATTR_NONNULL(1);
GC_API void *GC_CALL GC_call_with_gc_active(GC_fn_type fn, void *data) GC_ATTR_NONNULL(1);

struct GC_stack_base {
	void *mem_base; /* the highest address */
};
typedef void *(GC_CALLBACK *GC_stack_base_func)(struct GC_stack_base *base, void *arg);
/* FN with an address in the frame of this function. */
GC_API void *GC_CALL GC_call_with_stack_base(GC_stack_base_func fn, void *arg) GC_ATTR_NONNULL(1);
/* The end of the calling thread's stack, which need not be registered. GC_SUCCESS or GC_UNIMPLEMENTED. */
GC_API int GC_CALL GC_get_stack_base(struct GC_stack_base *base) GC_ATTR_NONNULL(1);
/* The end of the stack that the calling thread runs on as the collector knows it, and a way to correct that after a
 * switch to another stack. The first returns a handle for the second, which takes that of the calling thread or NULL. */
GC_API void *GC_CALL GC_get_my_stackbottom(struct GC_stack_base *base) GC_ATTR_NONNULL(1);
GC_API void GC_CALL GC_set_stackbottom(void *handle, const struct GC_stack_base *base) GC_ATTR_NONNULL(2);
GC_API GC_ATTR_DEPRECATED char *GC_stackbottom; /* of the first thread */

/* Marking threads: they start by themselves when needed. */
GC_API void GC_CALL GC_start_mark_threads(void);

/* fork works at any time without help: these need not be called and do nothing. */
GC_API void GC_CALL GC_set_handle_fork(int value);
GC_API void GC_CALL GC_atfork_prepare(void);
GC_API void GC_CALL GC_atfork_parent(void);
GC_API void GC_CALL GC_atfork_child(void);

#ifdef GC_THREADS
/* A thread made by other means than GC_pthread_create registers before it touches the heap, and unregisters when it is
 * done. GC_SUCCESS, GC_DUPLICATE. */
GC_API int GC_CALL GC_register_my_thread(const struct GC_stack_base *base) GC_ATTR_NONNULL(1);
GC_API int GC_CALL GC_unregister_my_thread(void);
GC_API int GC_CALL GC_thread_is_registered(void);
GC_API void GC_CALL GC_allow_register_threads(void); /* always allowed */

/* How many threads mark, the collecting one included; 0: as many as make sense. Before GC_INIT. GC_parallel is the
 * number in the last collection, minus one. */
GC_API void GC_CALL GC_set_markers_count(unsigned count);
GC_API GC_ATTR_DEPRECATED int GC_parallel;
GC_API int GC_CALL GC_get_parallel(void);

/* The signal that stops threads, settable before GC_INIT. There is no signal that starts them again: -1. */
GC_API void GC_CALL GC_set_suspend_signal(int signal);
GC_API int GC_CALL GC_get_suspend_signal(void);
GC_API void GC_CALL GC_set_thr_restart_signal(int signal);
GC_API int GC_CALL GC_get_thr_restart_signal(void);
#endif

/* ---- Debugging allocation ------------------------------------------------------------------------ */

#define GC_EXTRAS __FILE__, __LINE__
#define GC_EXTRA_PARAMS const char *file, int line

/* Objects with a header that names the place of the call, and guard words; overwritten ones are found by
 * GC_debug_free and GC_debug_realloc. Objects of these functions and of the plain ones do not mix. */
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL GC_debug_malloc(size_t size, GC_EXTRA_PARAMS);
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL GC_debug_malloc_atomic(size_t size, GC_EXTRA_PARAMS);
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL GC_debug_malloc_uncollectable(size_t size, GC_EXTRA_PARAMS);
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL GC_debug_malloc_atomic_uncollectable(size_t size,
											       GC_EXTRA_PARAMS);
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL GC_debug_malloc_ignore_off_page(size_t size, GC_EXTRA_PARAMS);
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL GC_debug_malloc_atomic_ignore_off_page(size_t size,
												 GC_EXTRA_PARAMS);
GC_API GC_ATTR_DEPRECATED void *GC_CALL GC_debug_malloc_stubborn(size_t size, GC_EXTRA_PARAMS);
GC_API GC_ATTR_MALLOC char *GC_CALL GC_debug_strdup(const char *string, GC_EXTRA_PARAMS);
GC_API GC_ATTR_MALLOC char *GC_CALL GC_debug_strndup(const char *string, size_t max, GC_EXTRA_PARAMS) GC_ATTR_NONNULL(1);
GC_API void GC_CALL GC_debug_free(void *object);
GC_API void *GC_CALL GC_debug_realloc(void *object, size_t size, GC_EXTRA_PARAMS) GC_ATTR_ALLOC_SIZE(2);
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL GC_debug_malloc_replacement(size_t size);
GC_API GC_ATTR_ALLOC_SIZE(2) void *GC_CALL GC_debug_realloc_replacement(void *object, size_t size);
GC_API void GC_CALL GC_debug_register_finalizer(void *object, GC_finalization_proc fn, void *data,
						GC_finalization_proc *old_fn, void **old_data) GC_ATTR_NONNULL(1);
GC_API void GC_CALL GC_debug_register_finalizer_ignore_self(void *object, GC_finalization_proc fn, void *data,
							    GC_finalization_proc *old_fn, void **old_data)
	GC_ATTR_NONNULL(1);
GC_API void GC_CALL GC_debug_register_finalizer_no_order(void *object, GC_finalization_proc fn, void *data,
							 GC_finalization_proc *old_fn, void **old_data)
	GC_ATTR_NONNULL(1);
GC_API void GC_CALL GC_debug_register_finalizer_unreachable(void *object, GC_finalization_proc fn, void *data,
							    GC_finalization_proc *old_fn, void **old_data)
	GC_ATTR_NONNULL(1);
GC_API GC_ATTR_DEPRECATED void GC_CALL GC_debug_change_stubborn(const void *object);
GC_API void GC_CALL GC_debug_end_stubborn_change(const void *object) GC_ATTR_NONNULL(1);
GC_API void GC_CALL GC_debug_ptr_store_and_dirty(void *place, const void *value);
GC_API void GC_CALL GC_debug_register_displacement(size_t offset);

/* Checks that return their (first) argument, and call the procedure of that name when they fail: P and Q are in one
 * object; P is where the collector looks for pointers; P is a pointer that it would accept. */
GC_API void *GC_CALL GC_same_obj(void *p, void *q);
GC_API void *GC_CALL GC_is_visible(void *p);
GC_API void *GC_CALL GC_is_valid_displacement(void *p);
GC_API void(GC_CALLBACK *GC_same_obj_print_proc)(void *p, void *q);
GC_API void(GC_CALLBACK *GC_is_visible_print_proc)(void *p);
GC_API void(GC_CALLBACK *GC_is_valid_displacement_print_proc)(void *p);
/* *P += HOW_MUCH bytes, checked to stay in the object; the new or the old value. */
GC_API void *GC_CALL GC_pre_incr(void **p, ptrdiff_t how_much) GC_ATTR_NONNULL(1);
GC_API void *GC_CALL GC_post_incr(void **p, ptrdiff_t how_much) GC_ATTR_NONNULL(1);

/* ---- The macros that programs use ------------------------------------------------------------------ */

#ifdef GC_DEBUG_REPLACEMENT
#define GC_MALLOC(sz) GC_debug_malloc_replacement(sz)
#define GC_REALLOC(old, sz) GC_debug_realloc_replacement(old, sz)
#elif defined(GC_DEBUG)
#define GC_MALLOC(sz) GC_debug_malloc(sz, GC_EXTRAS)
#define GC_REALLOC(old, sz) GC_debug_realloc(old, sz, GC_EXTRAS)
#else
#define GC_MALLOC(sz) GC_malloc(sz)
#define GC_REALLOC(old, sz) GC_realloc(old, sz)
#endif

#ifdef GC_DEBUG
#define GC_MALLOC_ATOMIC(sz) GC_debug_malloc_atomic(sz, GC_EXTRAS)
#define GC_STRDUP(s) GC_debug_strdup(s, GC_EXTRAS)
#define GC_STRNDUP(s, sz) GC_debug_strndup(s, sz, GC_EXTRAS)
#define GC_MALLOC_UNCOLLECTABLE(sz) GC_debug_malloc_uncollectable(sz, GC_EXTRAS)
#define GC_MALLOC_ATOMIC_UNCOLLECTABLE(sz) GC_debug_malloc_atomic_uncollectable(sz, GC_EXTRAS)
#define GC_MALLOC_IGNORE_OFF_PAGE(sz) GC_debug_malloc_ignore_off_page(sz, GC_EXTRAS)
#define GC_MALLOC_ATOMIC_IGNORE_OFF_PAGE(sz) GC_debug_malloc_atomic_ignore_off_page(sz, GC_EXTRAS)
#define GC_FREE(p) GC_debug_free(p)
#define GC_REGISTER_FINALIZER(p, f, d, of, od) GC_debug_register_finalizer(p, f, d, of, od)
#define GC_REGISTER_FINALIZER_IGNORE_SELF(p, f, d, of, od) GC_debug_register_finalizer_ignore_self(p, f, d, of, od)
#define GC_REGISTER_FINALIZER_NO_ORDER(p, f, d, of, od) GC_debug_register_finalizer_no_order(p, f, d, of, od)
#define GC_REGISTER_FINALIZER_UNREACHABLE(p, f, d, of, od) GC_debug_register_finalizer_unreachable(p, f, d, of, od)
#define GC_END_STUBBORN_CHANGE(p) GC_debug_end_stubborn_change(p)
#define GC_PTR_STORE_AND_DIRTY(p, q) GC_debug_ptr_store_and_dirty(p, q)
#define GC_GENERAL_REGISTER_DISAPPEARING_LINK(link, obj) \
	GC_general_register_disappearing_link(link, GC_base((void *)(obj)))
#define GC_REGISTER_LONG_LINK(link, obj) GC_register_long_link(link, GC_base((void *)(obj)))
#define GC_REGISTER_DISPLACEMENT(n) GC_debug_register_displacement(n)
#define GC_PTR_ADD3(x, n, type) ((type)GC_same_obj((x) + (n), (x)))
#define GC_PRE_INCR3(x, n, type) ((type)GC_pre_incr((void **)(&(x)), (n) * sizeof(*x)))
#define GC_POST_INCR3(x, n, type) ((type)GC_post_incr((void **)(&(x)), (n) * sizeof(*x)))
#define GC_PTR_ADD(x, n) GC_PTR_ADD3(x, n, __typeof__(x))
#define GC_PRE_INCR(x, n) GC_PRE_INCR3(x, n, __typeof__(x))
#define GC_POST_INCR(x) GC_POST_INCR3(x, 1, __typeof__(x))
#define GC_POST_DECR(x) GC_POST_INCR3(x, -1, __typeof__(x))
#define GC_PTR_STORE(p, q) (*(void **)GC_is_visible((void *)(p)) = GC_is_valid_displacement((void *)(q)))
#else
#define GC_MALLOC_ATOMIC(sz) GC_malloc_atomic(sz)
#define GC_STRDUP(s) GC_strdup(s)
#define GC_STRNDUP(s, sz) GC_strndup(s, sz)
#define GC_MALLOC_UNCOLLECTABLE(sz) GC_malloc_uncollectable(sz)
#define GC_MALLOC_ATOMIC_UNCOLLECTABLE(sz) GC_malloc_atomic_uncollectable(sz)
#define GC_MALLOC_IGNORE_OFF_PAGE(sz) GC_malloc_ignore_off_page(sz)
#define GC_MALLOC_ATOMIC_IGNORE_OFF_PAGE(sz) GC_malloc_atomic_ignore_off_page(sz)
#define GC_FREE(p) GC_free(p)
#define GC_REGISTER_FINALIZER(p, f, d, of, od) GC_register_finalizer(p, f, d, of, od)
#define GC_REGISTER_FINALIZER_IGNORE_SELF(p, f, d, of, od) GC_register_finalizer_ignore_self(p, f, d, of, od)
#define GC_REGISTER_FINALIZER_NO_ORDER(p, f, d, of, od) GC_register_finalizer_no_order(p, f, d, of, od)
#define GC_REGISTER_FINALIZER_UNREACHABLE(p, f, d, of, od) GC_register_finalizer_unreachable(p, f, d, of, od)
#define GC_END_STUBBORN_CHANGE(p) GC_end_stubborn_change(p)
#define GC_PTR_STORE_AND_DIRTY(p, q) GC_ptr_store_and_dirty(p, q)
#define GC_GENERAL_REGISTER_DISAPPEARING_LINK(link, obj) GC_general_register_disappearing_link(link, obj)
#define GC_REGISTER_LONG_LINK(link, obj) GC_register_long_link(link, obj)
#define GC_REGISTER_DISPLACEMENT(n) GC_register_displacement(n)
#define GC_PTR_ADD(x, n) ((x) + (n))
#define GC_PRE_INCR(x, n) ((x) += (n))
#define GC_POST_INCR(x) ((x)++)
#define GC_POST_DECR(x) ((x)--)
#define GC_PTR_STORE(p, q) (*(void **)(p) = (void *)(q))
#endif

#define GC_NEW(t) ((t *)GC_MALLOC(sizeof(t)))
#define GC_NEW_ATOMIC(t) ((t *)GC_MALLOC_ATOMIC(sizeof(t)))
#define GC_NEW_UNCOLLECTABLE(t) ((t *)GC_MALLOC_UNCOLLECTABLE(sizeof(t)))

/* GC_INIT() applies the settings for which the program defined a macro before it included this file. */
#ifdef GC_DONT_EXPAND
#define GC_INIT_CONF_DONT_EXPAND GC_set_dont_expand(1)
#else
#define GC_INIT_CONF_DONT_EXPAND
#endif
#ifdef GC_FORCE_UNMAP_ON_GCOLLECT
#define GC_INIT_CONF_FORCE_UNMAP_ON_GCOLLECT GC_set_force_unmap_on_gcollect(1)
#else
#define GC_INIT_CONF_FORCE_UNMAP_ON_GCOLLECT
#endif
#ifdef GC_DONT_GC
#define GC_INIT_CONF_MAX_RETRIES (void)(GC_dont_gc = 1)
#elif defined(GC_MAX_RETRIES)
#define GC_INIT_CONF_MAX_RETRIES GC_set_max_retries(GC_MAX_RETRIES)
#else
#define GC_INIT_CONF_MAX_RETRIES
#endif
#ifdef GC_ALLOCD_BYTES_PER_FINALIZER
#define GC_INIT_CONF_ALLOCD_BYTES_PER_FINALIZER GC_set_allocd_bytes_per_finalizer(GC_ALLOCD_BYTES_PER_FINALIZER)
#else
#define GC_INIT_CONF_ALLOCD_BYTES_PER_FINALIZER
#endif
#ifdef GC_FREE_SPACE_DIVISOR
#define GC_INIT_CONF_FREE_SPACE_DIVISOR GC_set_free_space_divisor(GC_FREE_SPACE_DIVISOR)
#else
#define GC_INIT_CONF_FREE_SPACE_DIVISOR
#endif
#ifdef GC_FULL_FREQ
#define GC_INIT_CONF_FULL_FREQ GC_set_full_freq(GC_FULL_FREQ)
#else
#define GC_INIT_CONF_FULL_FREQ
#endif
#ifdef GC_TIME_LIMIT
#define GC_INIT_CONF_TIME_LIMIT GC_set_time_limit(GC_TIME_LIMIT)
#else
#define GC_INIT_CONF_TIME_LIMIT
#endif
#if defined(GC_MARKERS) && defined(GC_THREADS)
#define GC_INIT_CONF_MARKERS GC_set_markers_count(GC_MARKERS)
#else
#define GC_INIT_CONF_MARKERS
#endif
#if defined(GC_SIG_SUSPEND) && defined(GC_THREADS)
#define GC_INIT_CONF_SUSPEND_SIGNAL GC_set_suspend_signal(GC_SIG_SUSPEND)
#else
#define GC_INIT_CONF_SUSPEND_SIGNAL
#endif
#if defined(GC_SIG_THR_RESTART) && defined(GC_THREADS)
#define GC_INIT_CONF_THR_RESTART_SIGNAL GC_set_thr_restart_signal(GC_SIG_THR_RESTART)
#else
#define GC_INIT_CONF_THR_RESTART_SIGNAL
#endif
#ifdef GC_MAXIMUM_HEAP_SIZE
#define GC_INIT_CONF_MAXIMUM_HEAP_SIZE GC_set_max_heap_size(GC_MAXIMUM_HEAP_SIZE)
#else
#define GC_INIT_CONF_MAXIMUM_HEAP_SIZE
#endif
#ifdef GC_IGNORE_WARN
#define GC_INIT_CONF_IGNORE_WARN GC_set_warn_proc(GC_ignore_warn_proc)
#else
#define GC_INIT_CONF_IGNORE_WARN
#endif
#ifdef GC_INITIAL_HEAP_SIZE
#define GC_INIT_CONF_INITIAL_HEAP_SIZE								\
	{											\
		size_t gc_heap_size_ = GC_get_heap_size();					\
		if (gc_heap_size_ < (GC_INITIAL_HEAP_SIZE))					\
			(void)GC_expand_hp((GC_INITIAL_HEAP_SIZE) - gc_heap_size_);		\
	}
#else
#define GC_INIT_CONF_INITIAL_HEAP_SIZE
#endif
#define GC_INIT_CONF_ROOTS

#define GC_INIT()						\
	{							\
		GC_INIT_CONF_DONT_EXPAND;			\
		GC_INIT_CONF_FORCE_UNMAP_ON_GCOLLECT;		\
		GC_INIT_CONF_MAX_RETRIES;			\
		GC_INIT_CONF_ALLOCD_BYTES_PER_FINALIZER;	\
		GC_INIT_CONF_FREE_SPACE_DIVISOR;		\
		GC_INIT_CONF_FULL_FREQ;				\
		GC_INIT_CONF_TIME_LIMIT;			\
		GC_INIT_CONF_MARKERS;				\
		GC_INIT_CONF_SUSPEND_SIGNAL;			\
		GC_INIT_CONF_THR_RESTART_SIGNAL;		\
		GC_INIT_CONF_MAXIMUM_HEAP_SIZE;			\
		GC_init();					\
		GC_INIT_CONF_ROOTS;				\
		GC_INIT_CONF_IGNORE_WARN;			\
		GC_INIT_CONF_INITIAL_HEAP_SIZE;			\
	}

#ifdef __cplusplus
}
#endif

#ifdef GC_PTHREADS
#include "gc_pthread_redirects.h"
#endif

#endif
