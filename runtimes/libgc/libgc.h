/* libgc.h - what the files of runtimes/libgc share. Not installed.
 *
 * They turn Boehm's interface into calls of gcdune.h:
 *
 *	init		load time, environment variables, GC_init
 *	alloc		GC_malloc and its kin: one call each
 *	kinds typed	GC_new_kind, mark procedures, descriptors
 *	final toggle	finalizers, disappearing links, toggle references
 *	collect	GC_gcollect, GC_disable
 *	roots		ranges, and the push-other-roots procedure
 *	thread stack	pthread wrappers and registration; blocking and stack ends
 *	hooks		out of memory, warnings, abort, events: what gcdune calls, passed on
 *	data settings	the exported variables; what can be set and asked
 *	stats check debug	what can be asked; checks of pointers; the debugging functions
 *	dead gcj	objects about to die: disclaim procedures, leaks; objects described by their type
 *	lock inspect log	holding everything off; looking into the heap; messages
 *
 * Invariants:
 *  - The exported variables are the state: setters store there and getters read there, because programs do the same.
 *    libgc_settings_apply makes gcdune follow, at start, in setters and when a collection begins.
 *  - libgc_lock is a leaf: whoever holds it calls nothing that can collect, wait for a collection, or take a lock. So
 *    it may be taken in the callback at the beginning of a collection, and around fork. With the world stopped it may be
 *    held by a stopped thread: the callbacks for that time do not take it.
 *  - Nothing here is between the program and gcdune_alloc in GC_malloc; gcdune starts itself there. */
#ifndef LIBGC_H
#define LIBGC_H

#define GC_BUILD
#define GC_THREADS
#define GC_NO_THREAD_REDIRECTS
#include "gc/gc.h"
#include "gc/gc_inline.h"
#include "gc/gc_mark.h"
#include "gc/gc_typed.h"
#include "gc/javaxfc.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "gcdune.h"

/* init.c: GC_init for those who do not care whether it was called; and what can be told only once the heap exists. */
void libgc_init(void);
void libgc_heap_ready(void);
extern bool libgc_initialized;
extern bool libgc_deinitialized; /* by GC_deinit, until GC_init */

extern pthread_mutex_t libgc_lock;

/* hooks.c */
void libgc_hooks_install(void);
_Noreturn void libgc_fatal(const char *message);
void libgc_warn(const char *message);
extern bool libgc_loop_on_abort; /* for a debugger to attach: GC_LOOP_ON_ABORT */

/* thread.c: in the child of fork, with libgc_lock. */
void libgc_thread_after_fork(void);

/* dead.c: watches what dies; what it does in a collection's roots callback, and after it. */
void libgc_dead_watch(void);
void libgc_dead_push(struct gcdune_marker *marker);
void libgc_dead_process(void);
void libgc_dead_after_fork(void);
/* Whether OBJECT waits for its disclaim procedure, or is just given to it; then MARK, if not negative, is its mark bit, and *MARKED what it
 * is. heap.cycle. */
bool libgc_dead_mark(const void *object, int mark, bool *marked);
extern bool libgc_abort_on_leak;

/* debug.c, for dead.c. With the world stopped: looks for overwritten objects; whether one is freed, but kept to see whether
 * it is used still. After a collection: prints what was found; prints a leaked object's line and stack, false if it has
 * none. */
void libgc_debug_check_heap(void);
bool libgc_debug_is_freed(const void *object, size_t size);
void libgc_debug_report(void);
bool libgc_debug_report_leak(const void *object, const char *what);
extern bool libgc_delay_free;

/* stats.c: what GC_free is given. */
void libgc_stats_freed(size_t bytes);
void libgc_stats_begin(void);

/* inspect.c: a collection begins, world stopped. */
void libgc_inspect_begin(void);

/* lock.c: tells of each thread that is stopped, or goes on. */
void libgc_tell_threads(GC_EventType event);

/* log.c: these are exported and in no header of Boehm's. */
__attribute__((visibility("default"), format(printf, 1, 2))) void GC_printf(const char *format, ...);
__attribute__((visibility("default"), format(printf, 1, 2))) void GC_err_printf(const char *format, ...);
__attribute__((visibility("default"), format(printf, 1, 2))) void GC_log_printf(const char *format, ...);
void libgc_log_open(const char *path, bool only_log);

/* kinds.c: a mark procedure of a number that the program chose. */
void libgc_proc_set(unsigned index, GC_mark_proc proc);

/* settings.c: makes gcdune follow the exported variables. */
void libgc_settings_apply(void);
void libgc_time_limit_apply(void);
void libgc_full_freq_apply(void);
extern bool libgc_full_freq_asked; /* not only the default */

/* collect.c: the part of it about GC_dont_gc, also for the beginning of a collection. */
void libgc_collection_apply(void);
extern bool libgc_incremental_refused; /* GC_DISABLE_INCREMENTAL */

/* stats.c: GC_parallel follows the last collection. GC_DUMP_REGULARLY asks for a dump after each. */
void libgc_stats_after_collection(void);

/* The heap is at least SIZE bytes from now on, and counts as that: 1, or 0 if it cannot. */
int libgc_heap_reserve(size_t size);
extern bool libgc_dump_regularly;
extern bool libgc_print_address_map; /* GC_PRINT_ADDRESS_MAP */

/* roots.c, toggle.c: parts of the roots callback, and of the beginning of a collection. */
void libgc_roots_push(struct gcdune_marker *marker);
void libgc_toggle_push(struct gcdune_marker *marker);
void libgc_toggle_decide(void);
void libgc_segments_apply(bool no_libraries);

/* kinds.c: Boehm numbers the first kinds otherwise than gcdune; it is the same swap in both directions. */
static inline int libgc_kind_swap(int kind)
{
	return kind == GC_I_PTRFREE || kind == GC_I_NORMAL ? !kind : kind;
}

/* Scans OBJECT of SIZE bytes by a mark descriptor. */
void libgc_mark_by_descr(void *object, size_t size, GC_word descr, struct gcdune_marker *marker);
unsigned libgc_kind_make(GC_word descr, bool add_size);

/* typed.c: the mark procedure, of a reserved number, behind descriptors with more than 62 words. */
enum { LIBGC_PROC_TYPED = 1 };
struct GC_ms_entry *libgc_typed_proc(GC_word *object, struct GC_ms_entry *top, struct GC_ms_entry *limit, GC_word env);

#endif
