/* gcdune.h - the public interface of gcdune, in the order in which a program meets it.
 *
 * gcdune is a conservative, non-moving garbage collector. Objects never move; a word that looks
 * like the address of an object, or of any byte inside one, keeps that object. Roots are the
 * registers and stacks of attached threads, their thread-local storage, the writable data of the
 * program and of its loaded libraries, and what the program adds by hand.
 *
 * What holds for every function here unless its own text says otherwise:
 *  - sizes are in bytes; times are in nanoseconds of CLOCK_MONOTONIC;
 *  - it may be called by any attached thread at any time, also from a finalizer; a thread that is
 *    not attached yet is attached by its first allocation;
 *  - it must not be called from a signal handler, and not from a mark callback;
 *  - functions that can fail return 0 or a negative errno; allocation returns NULL when, after a
 *    collection and the out-of-memory handler, there is still no memory.
 */
#ifndef GCDUNE_H
#define GCDUNE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The library is compiled with hidden names; these are the ones that are not. */
#pragma GCC visibility push(default)

#define GCDUNE_VERSION_MAJOR 0
#define GCDUNE_VERSION_MINOR 1
#define GCDUNE_VERSION_PATCH 0

/* ---- 1. Start and allocate --------------------------------------------------------------- */

/* Sets the collector up: reserves address space, reads the GCDUNE_* environment variables, attaches
 * the calling thread. Every other function does this on its own when needed; call it to learn early
 * why it cannot work. Idempotent. Returns 0, or -ENOMEM when no address space could be reserved. */
int gcdune_init(void);

/* Allocates SIZE bytes, zeroed, aligned to 16, scanned conservatively for pointers by the collector.
 * SIZE 0 gives a distinct object of the smallest size. The object lives as long as it is reachable. */
void *gcdune_alloc(size_t size) __attribute__((malloc, alloc_size(1), warn_unused_result));

/* The same for an object that never holds pointers into the heap ("leaf"): it is not scanned and
 * its contents are NOT cleared. Strings, pixels, numbers. */
void *gcdune_alloc_leaf(size_t size) __attribute__((malloc, alloc_size(1), warn_unused_result));

/* Gives OBJECT (from any allocation function here; NULL means allocate) a size of at least SIZE,
 * in place where possible, else by copying to a new object of the same kind and freeing OBJECT (see gcdune_free). What
 * is new in a scanned object is zero. SIZE 0 frees OBJECT and returns NULL. On failure OBJECT stays as it is and NULL
 * is returned. */
void *gcdune_realloc(void *object, size_t size) __attribute__((alloc_size(2), warn_unused_result));

/* Frees OBJECT at once; never needed. The caller promises that no one uses it any more, and has removed links to it;
 * its finalizer is dropped unrun. NULL is ignored. An address that is not the start of a live object ends the program
 * with a message. */
void gcdune_free(void *object);

/* The usable size of OBJECT (the start of a live object), at least what was asked for; 0 for an
 * address that is not in a live object. */
size_t gcdune_size(const void *object);

/* ---- 2. Collect, and see what happened ---------------------------------------------------- */

/* Collects now, whole heap, and returns when sweeping can begin and finalizers are queued (and, in
 * GCDUNE_FINALIZE_AUTO, run). Waits for a collection that is under way and then runs another.
 * Does nothing while collections are disabled. In a callback of dl_iterate_phdr it does not wait:
 * collecting takes the dynamic linker's lock. */
void gcdune_collect(void);

/* The same, and gives all free memory back to the kernel. */
void gcdune_collect_and_release(void);

/* No collection starts between disable and the matching enable; they nest, and count for the whole
 * process. The heap grows instead, and no allocation runs finalizers. gcdune_enable returns -EINVAL
 * when there was no disable. */
void gcdune_disable(void);
int gcdune_enable(void);
bool gcdune_is_disabled(void);

struct gcdune_stats {
	uint64_t collections;	  /* completed */
	uint64_t bytes_allocated; /* handed to threads since the start, slack included; up to 64 KiB less for each but the caller's */
	uint64_t bytes_since;	  /* the same since the last collection */
	uint64_t bytes_live;	  /* found reachable by the last collection */
	uint64_t bytes_heap;	  /* blocks that hold objects or are kept ready for them */
	uint64_t bytes_heap_peak; /* the largest value of bytes_heap */
	uint64_t bytes_free;	  /* the part of bytes_heap in wholly free blocks */
	uint64_t bytes_released;  /* given back to the kernel since the start */
	uint64_t heap_limit;	  /* 0: none */
	uint64_t objects_marked;  /* by the last collection */
	uint64_t pause_total_ns;  /* all stops of the world, request to release */
	uint64_t pause_max_ns;
	uint64_t pause_last_ns;
	uint64_t mark_ns;    /* wall time marking, all collections */
	uint64_t mark_bytes; /* bytes marked, all collections */
	uint64_t finalizers_run;
	uint32_t threads; /* attached now */
	uint32_t markers; /* threads that marked in the last collection */
};

/* Fills *STATS, whose size the caller passes so that the structure may grow. */
void gcdune_stats_get(struct gcdune_stats *stats, size_t stats_size);

/* Writes to PATH, as JSON, what GCDUNE_STATS=PATH writes at exit. Where GCDUNE_STATS was not set, single pauses and cycles
 * ("list", and "utilization") are those of the last 128 only; all others count, and percentiles of pauses are at most a
 * 16th too long. 0, or a negative errno. */
int gcdune_stats_write(const char *path);

/* ---- 3. Limits and running out ------------------------------------------------------------ */

/* The heap never grows past LIMIT bytes (0: no limit but that of the control group and of the
 * reserved address space). A limit below the present size holds for later growth. Also GCDUNE_HEAP_LIMIT. */
void gcdune_heap_limit_set(size_t limit);

/* Sees to it that the heap can hold SIZE bytes without growing, or collecting, before that. The memory is committed but
 * not touched, and so not part of bytes_heap until it is used. 0 or -ENOMEM. */
int gcdune_heap_reserve(size_t size);

/* Free space to aim for after a collection, as percentage of live memory (default 75, 10 to 1000): larger
 * means fewer collections and more memory. Also GCDUNE_GROWTH. -EINVAL out of range. */
int gcdune_growth_set(unsigned percent);

/* Called, without locks, when SIZE bytes could not be had even after a collection. What it
 * returns is what the allocation returns (normally NULL); it may free memory and allocate. The default
 * returns NULL after one message. Returns the previous handler, NULL if it was the default. */
typedef void *(*gcdune_oom_fn)(size_t size);
gcdune_oom_fn gcdune_oom_set(gcdune_oom_fn handler);

/* ---- 4. Other kinds of objects ------------------------------------------------------------ */

/* A kind says how the collector treats an object. Six exist from the start; a program
 * can add kinds whose pointers a callback of its own reports. */
typedef unsigned gcdune_kind;
enum {
	GCDUNE_KIND_SCANNED = 0,     /* gcdune_alloc */
	GCDUNE_KIND_LEAF = 1,	     /* gcdune_alloc_leaf */
	GCDUNE_KIND_PINNED = 2,	     /* scanned, and a root itself: lives until gcdune_free */
	GCDUNE_KIND_PINNED_LEAF = 3, /* never scanned, lives until gcdune_free */
	GCDUNE_KIND_TYPED = 4,	     /* only through gcdune_alloc_typed */
	GCDUNE_KIND_EPHEMERON = 5,   /* only through gcdune_ephemeron_new */
	GCDUNE_KIND_FIRST_USER = 6,
	GCDUNE_KIND_MAX = 64
};

/* Allocates an object of KIND (not TYPED, not EPHEMERON). Zeroed unless the kind is a leaf kind. */
void *gcdune_alloc_kind(size_t size, gcdune_kind kind) __attribute__((malloc, alloc_size(1), warn_unused_result));

/* The same at a multiple of ALIGNMENT, a power of two up to 1 GiB. */
void *gcdune_alloc_aligned(size_t size, size_t alignment, gcdune_kind kind)
	__attribute__((malloc, alloc_size(1), warn_unused_result));

/* Takes several objects of SIZE bytes at once (up to about 4 KiB of them), chained through their
 * first word, the last one's being NULL; the rest of each is zero unless the kind is a leaf kind. NULL when out of
 * memory. For runtimes with free lists of their own. Objects on the chain are live only if the chain is reachable; of a leaf
 * kind, which holds nothing, only until the thread's next call: after that the program has to mark them itself. */
void *gcdune_alloc_many(size_t size, gcdune_kind kind) __attribute__((warn_unused_result));

/* A layout tells which words of an object may hold pointers: bit i of BITMAP is word i; words from NWORDS on
 * hold none. Layouts live for ever and equal ones are the same value. 0 means "every word". */
typedef uintptr_t gcdune_layout;
gcdune_layout gcdune_layout_make(const uint64_t *bitmap, size_t nwords);

/* Allocates a zeroed object that is scanned by LAYOUT, or an array of COUNT elements of ELEMENT_SIZE bytes
 * (a multiple of 8), each scanned by LAYOUT. The product is checked for overflow. */
void *gcdune_alloc_typed(size_t size, gcdune_layout layout) __attribute__((malloc, alloc_size(1), warn_unused_result));
void *gcdune_alloc_typed_array(size_t count, size_t element_size, gcdune_layout layout)
	__attribute__((malloc, alloc_size(1, 2), warn_unused_result));

/* A mark callback reports every pointer in OBJECT (SIZE usable bytes) by gcdune_mark. It runs on any thread, in several
 * at once, with the world stopped: it must not allocate, lock, or call anything of gcdune but
 * gcdune_mark and gcdune_mark_range. It may see an object whose contents are still all zero, and the same object more
 * than once in a collection: in one that runs beside the program also in each of the short stops before the last. The last
 * pause lasts as long as it takes to call it and to mark all that only such objects reach since: see gcdune_kind_concurrent. */
struct gcdune_marker;
typedef void (*gcdune_mark_fn)(void *object, size_t size, void *arg, struct gcdune_marker *marker);

/* Reports a word that may be the address of an object, or all words of an aligned range. */
void gcdune_mark(struct gcdune_marker *marker, const void *pointer);
void gcdune_mark_range(struct gcdune_marker *marker, const void *begin, const void *end);

/* Makes a new kind. Returns it, or -ENOSPC after GCDUNE_KIND_MAX kinds. Kinds are never destroyed. */
int gcdune_kind_new(gcdune_mark_fn mark, void *arg);

/* Says, before KIND is first used, that its callback may run while the program does: that it reads each word of the
 * object once, bears any mixture of old and new words, follows no pointer out of the object, and depends on nothing
 * else that changes. Then the pause need not wait for it. 0, or -EINVAL for a kind not made by gcdune_kind_new. */
int gcdune_kind_concurrent(gcdune_kind kind);

/* ---- 5. Asking about addresses ------------------------------------------------------------ */

/* The start of the live object that POINTER points into, or NULL. "Live" means allocated and not
 * yet found dead: an unreachable object stays live until a collection has seen that. */
void *gcdune_base(const void *pointer);

/* Whether POINTER lies in the heap's address range (cheap; says nothing about liveness). */
bool gcdune_contains(const void *pointer);

/* The kind of the object at POINTER (anywhere inside it), or -ENOENT. */
int gcdune_kind_of(const void *pointer);

/* By default a pointer to any byte of an object keeps it. With ALL false, a pointer in the heap
 * counts only if it points at an offset given to gcdune_displacement_add (0 always is);
 * roots are still taken with any offset. With ALL true, set before the first allocation, each
 * object also gets a byte at its end, so that a pointer one past its last byte keeps it wherever it is stored. */
void gcdune_interior_set(bool all);
int gcdune_displacement_add(size_t offset);

/* ---- 6. Roots ------------------------------------------------------------------------------ */

/* Words in [BEGIN, END) are roots from now on, or no longer. Needed only for memory that the
 * collector does not know (from malloc or mmap). Ranges may overlap; remove takes away
 * every part that lies in its range. -ENOMEM, -EINVAL when END is before BEGIN. */
int gcdune_roots_add(void *begin, void *end);
int gcdune_roots_remove(void *begin, void *end);

/* Words in [BEGIN, END) are not roots even where they lie in a data segment. */
int gcdune_roots_exclude(void *begin, void *end);

/* Called with the world stopped, by one thread, each time that roots are marked, several times in a collection that runs
 * beside the program; rules of mark callbacks. It comes before stacks are read, so it may say where they end
 * (gcdune_thread_stack_end_tell).
 * Returns the previous one. */
typedef void (*gcdune_roots_fn)(struct gcdune_marker *marker);
gcdune_roots_fn gcdune_roots_callback_set(gcdune_roots_fn callback);

/* Whether data segments of the program and its libraries are roots (default true). */
void gcdune_roots_segments_set(bool enabled);

/* ---- 7. Threads ---------------------------------------------------------------------------- */

/* Threads made by pthread_create are attached on their own when libgcdune is linked dynamically, and so is any
 * thread at its first allocation. A thread that holds pointers before it allocates, made in another way, calls
 * attach first. Detach is automatic at thread exit. attach: 0, -EALREADY, -ENOMEM. detach: 0, -EINVAL. */
int gcdune_thread_attach(void);
int gcdune_thread_detach(void);
bool gcdune_thread_is_attached(void);

/* Runs FN(ARG) as code that does not touch the heap (a blocking system call, a long computation elsewhere): a
 * collection does not wait for the thread and does not interrupt it by a signal. What the caller holds stays
 * rooted; what FN finds itself does not. Calls nest. */
void *gcdune_blocking_call(void *(*fn)(void *), void *arg);

/* Within gcdune_blocking_call: runs FN(ARG) as ordinary code again. */
void *gcdune_active_call(void *(*fn)(void *), void *arg);

/* Runs FN(ARG) while no collection can begin (one under way is waited for). FN may read weak links; it must not
 * allocate. */
void *gcdune_locked_call(void *(*fn)(void *), void *arg);

/* The signal that stops threads, default SIGPWR, also GCDUNE_SIGNAL: its handler is ours alone. If the program has one for
 * it, or gets one later, another takes its place (SIGSTKFLT, SIGXCPU), which gcdune_signal_get then tells. Call before
 * gcdune_init. -EBUSY if threads run already or the program handles that signal, -EINVAL for one that cannot be used.
 */
int gcdune_signal_set(int signal);
int gcdune_signal_get(void);

/* ---- 8. More stacks than threads (fibers, coroutines) --------------------------------------- */

/* Tells of a stack in [LOW, HIGH). It is scanned from its saved stack pointer; a stack never
 * switched to is not scanned; the one that a thread runs on is recognized by its stack pointer. */
typedef struct gcdune_stack gcdune_stack;
gcdune_stack *gcdune_stack_add(void *low, void *high);

/* The stack is no longer in use and its memory may be unmapped after this. */
void gcdune_stack_remove(gcdune_stack *stack);

/* Says that the calling thread is about to switch to TO (NULL: to its own stack) by whatever means;
 * costs a few stores and no lock. Call it right before the switch, on the stack that is left: up
 * to 1 KiB that the switch itself pushes below the caller's frame is scanned too. */
void gcdune_stack_switch(gcdune_stack *to);

/* The end (highest address) of the calling thread's own stack, and a way to correct it. */
void *gcdune_thread_stack_end(void);
int gcdune_thread_stack_end_set(void *end);

/* ---- 9. After an object's death ------------------------------------------------------------- */

/* A finalizer is called once, with the object alive again, after a collection found the object unreachable. */
typedef void (*gcdune_finalizer)(void *object, void *data);

enum gcdune_finalize_order {
	/* Not while another unreachable object with a finalizer reaches it; cycles are never finalized. */
	GCDUNE_FINALIZE_ORDERED,
	/* The same, but pointers of the object to itself do not count. */
	GCDUNE_FINALIZE_IGNORE_SELF,
	/* As soon as it is unreachable, also in cycles. */
	GCDUNE_FINALIZE_UNORDERED,
	/* Once no other unreachable object with a finalizer, of any order, reaches it; pointers of its own to itself do
	 * not count, but a cycle of two such objects is never finalized. */
	GCDUNE_FINALIZE_UNREACHABLE
};

/* Sets (FN not NULL) or removes (FN NULL) the finalizer of OBJECT, the start of a live object. DATA is kept
 * alive; if it reaches OBJECT, OBJECT never dies. The former ones are stored where OLD_FN and OLD_DATA point, if not
 * NULL. 0, -EINVAL (not an object: nothing is done), -ENOMEM. */
int gcdune_finalizer_set(void *object, gcdune_finalizer fn, void *data, enum gcdune_finalize_order order,
			 gcdune_finalizer *old_fn, void **old_data);

/* AUTO (default): finalizers run in the thread whose call collected, after the collection, outside every lock; after one
 * that ran beside the program, in a thread that allocates next. ON_DEMAND: they wait for gcdune_finalizers_run. */
enum gcdune_finalize_mode { GCDUNE_FINALIZE_AUTO, GCDUNE_FINALIZE_ON_DEMAND };
void gcdune_finalizers_mode_set(enum gcdune_finalize_mode mode);

/* Runs what is queued; returns how many. Finalizers never nest within one thread. */
size_t gcdune_finalizers_run(void);
bool gcdune_finalizers_pending(void);

/* Called after a collection that queued finalizers, in ON_DEMAND mode, in the thread that collected, outside locks. */
void gcdune_finalizers_notify_set(void (*notify)(void));

/* A disappearing link: *LINK is set to NULL when TARGET (the start of a live object) is found unreachable. LINK may be
 * anywhere; if it lies in an object, it is forgotten when that object dies. *LINK itself should be hidden from the
 * collector (GCDUNE_HIDE) or lie in a leaf object. SHORT links are cleared before finalizers are queued, LONG ones when
 * the object is really gone. To read one, use gcdune_locked_call. 0, -EEXIST (it was registered and now has the new
 * target), -EINVAL, -ENOMEM. */
enum gcdune_link_kind { GCDUNE_LINK_SHORT, GCDUNE_LINK_LONG };
int gcdune_link_add(void **link, const void *target, enum gcdune_link_kind kind);
/* Forgets a link, or moves it from one place to another (the caller copies the word). 0, -ENOENT; move: -EEXIST if TO
 * has one already. */
int gcdune_link_remove(void **link, enum gcdune_link_kind kind);
int gcdune_link_move(void **from, void **to, enum gcdune_link_kind kind);

#define GCDUNE_HIDE(p) ((void *)~(uintptr_t)(p))
#define GCDUNE_REVEAL(p) ((void *)~(uintptr_t)(p))

/* An ephemeron (Hayes 1997) is an object that keeps VALUE only as long as KEY is reachable
 * from elsewhere, even if VALUE reaches KEY. When KEY dies, both read as NULL. KEY: any address in a live object (->
 * NULL and errno EINVAL otherwise). */
typedef struct gcdune_ephemeron gcdune_ephemeron;
gcdune_ephemeron *gcdune_ephemeron_new(void *key, void *value);
void *gcdune_ephemeron_key(gcdune_ephemeron *ephemeron);
void *gcdune_ephemeron_value(gcdune_ephemeron *ephemeron);
void gcdune_ephemeron_value_set(gcdune_ephemeron *ephemeron, void *value);

/* ---- 10. Watching and tuning ---------------------------------------------------------------- */

enum gcdune_event {
	GCDUNE_EVENT_BEGIN,   /* a collection is about to begin; in the thread that wants it */
	GCDUNE_EVENT_STOPPED, /* the world is stopped, perhaps several times in a collection: rules of mark callbacks */
	GCDUNE_EVENT_RESUME,  /* about to be released: the same rules */
	GCDUNE_EVENT_END,     /* it is over; in the thread that wanted it, or in one that allocates next */
	GCDUNE_EVENT_GREW     /* the heap grew; no locks held */
};
typedef void (*gcdune_event_fn)(enum gcdune_event event);
gcdune_event_fn gcdune_event_set(gcdune_event_fn callback);

/* Warnings (heap limit near, odd environment variable) go to stderr, or to HANDLER: one line, no newline. */
typedef void (*gcdune_warn_fn)(const char *message);
gcdune_warn_fn gcdune_warn_set(gcdune_warn_fn handler);

/* What the environment variable GCDUNE_<NAME> would set, by its lower-case NAME ("torture", "verify", "markers", ...).
 * -ENOENT: no such option. -EINVAL: bad value. -EBUSY: too late for this one. */
int gcdune_option_set(const char *name, const char *value);

/* "0.1.0" */
const char *gcdune_version(void);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
