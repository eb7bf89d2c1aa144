/* alloc.c - owns the way that an allocation takes when the fast path (gcdune-inline.h) has no slot for it: what there is to
 * do for the collector on the way, the object (alloc-run.c, large.c), and what to do when there is no memory. Called by the
 * program and runtimes/, and by alloc-free.c, descriptor.c and ephemeron.c.
 *
 * Whatever is to be taken is taken in one critical section; outside of it the thread may be stopped, collect, sleep or call
 * the program's handler. */
#include "alloc-parts.h"

#include <emmintrin.h>
#include <errno.h>
#include <string.h>
#include <sys/param.h>

#include "cycle.h"
#include "dead.h"
#include "dirty/dirty.h"
#include "options.h"
#include "os.h"
#include "place.h"

static struct gcdune_heap *const heap = &gcdune_heap;

static _Atomic(gcdune_oom_fn) oom_handler;

/* ---- The slow path ---- */

static void note_depth(struct gcdune_thread *thread)
{
	uintptr_t sp = (uintptr_t)__builtin_frame_address(0);

	if (!thread->deepest || sp < thread->deepest)
		thread->deepest = sp;
}

/* Something that a thread on its way through here does for the collector. */
static inline bool is_wanted(void)
{
	return atomic_load_explicit(&heap->after_due, memory_order_relaxed) ||
	       atomic_load_explicit(&heap->throttle, memory_order_relaxed) ||
	       atomic_load_explicit(&heap->allocated, memory_order_relaxed) >=
		       atomic_load_explicit(&heap->trigger, memory_order_relaxed);
}

/* The thread's cache of KIND, if all that it needs for a slot of CLS may be there. */
static inline struct gcdune_cache *cache_at_hand(struct gcdune_thread *thread, size_t size, unsigned kind, unsigned *cls)
{
	if (!thread || size - 1 >= GCDUNE_SMALL_MAX || heap->slow || thread->critical || is_wanted())
		return NULL;
	struct gcdune_cache *cache = thread->caches[kind];

	*cls = gcdune_class_of(size);
	return cache && cache->cursors[*cls].next >= cache->cursors[*cls].limit ? cache : NULL;
}

static __attribute__((noinline)) void *be_late(struct gcdune_thread *thread, void *object)
{
	gcdune_stop_late(thread);
	return object;
}

/* Slots that are cleared without memset are no larger. */
enum { CLEAR_HERE = 256 };

static inline void clear(char *slot, size_t size)
{
	for (char *end = slot + size; slot < end; slot += GCDUNE_GRANULE)
		/* The compiler would make a call of it. */
		__asm__ volatile("movups %1, %0" : "=m"(*(char (*)[GCDUNE_GRANULE])slot) : "x"(_mm_setzero_si128()));
}

/* A slot that the thread freed: a program that frees what it allocates comes here for nearly every object. Calls nothing, so
 * that it needs no frame. NULL: there is none, or something else to do. */
static inline void *take_freed(size_t size, unsigned kind)
{
	struct gcdune_thread *thread = gcdune_thread_self;
	unsigned cls;
	struct gcdune_cache *cache = cache_at_hand(thread, size, kind, &cls);

	if (!cache || gcdune_place_is_asked() || gcdune_dirty_is_wanted())
		return NULL;
	struct gcdune_run *run = &cache->runs[cls];
	bool leaf = gcdune_kind_is_leaf(kind);
	void *object = NULL;

	if (!leaf && size > CLEAR_HERE)
		return NULL;
	gcdune_critical_begin(thread);
	/* Asked only here: a collection gives them back to their blocks. */
	if (run->freed && gcdune_freed_knows(run->freed)) {
		object = gcdune_run_take_freed(thread, run, cls, run->freed->state);
		if (!leaf)
			clear(object, gcdune_classes[cls].size);
	}
	gcdune_critical_over(thread);
	return __builtin_expect(gcdune_critical_is_late(thread), 0) ? be_late(thread, object) : object;
}

/* What the thread has at hand: a slot that it freed, the next piece of its run, the next run in its open block; as one whose free
 * slots lie one by one. NULL: that there is none, or there is something else to do. */
static inline void *take_at_hand(size_t size, unsigned kind)
{
	struct gcdune_thread *thread = gcdune_thread_self;
	unsigned cls;
	struct gcdune_cache *cache = cache_at_hand(thread, size, kind, &cls);

	if (!cache)
		return NULL;
	gcdune_place_program();
	gcdune_dirty_safepoint();
	gcdune_critical_begin(thread);
	void *object = gcdune_run_take_near(thread, cache, kind, cls);

	gcdune_critical_end(thread);
	return object;
}

/* The end of the road: collect, collect harder, ask the program. */
static void *out_of_memory(size_t size)
{
	gcdune_oom_fn handler = oom_handler;

	if (handler)
		return handler(size);
	static _Atomic bool said; /* once: a program that goes on has heard it */

	if (!atomic_exchange(&said, true))
		gcdune_warn("out of memory: %zu bytes asked for; %zu KiB live, limit %zu KiB (0: none). "
			    "A larger GCDUNE_HEAP_LIMIT, or less live data, would help",
			    size, heap->live_bytes >> 10, heap->limit >> 10);
	errno = ENOMEM;
	return NULL;
}

static void *try_alloc(struct gcdune_thread *thread, size_t size, size_t align, unsigned kind)
{
	if (!size)
		size = 1;
	if (size > GCDUNE_SMALL_MAX || align > GCDUNE_SMALL_MAX)
		return gcdune_large_alloc(thread, size, align, kind);
	unsigned cls = gcdune_class_of(size);

	/* Slots of a class are aligned to the power of two that divides its size. */
	if (gcdune_classes[cls].size & (align - 1)) {
		cls = cls > GCDUNE_SIZES ? cls - GCDUNE_SIZES : cls;
		while (gcdune_classes[cls].size & (align - 1))
			cls++;
	}
	gcdune_critical_enter(thread);
	void *object = gcdune_run_take(thread, kind, cls);

	gcdune_critical_leave(thread);
	note_depth(thread);
	return object;
}

static __attribute__((noinline)) void *alloc_any(size_t size, size_t align, unsigned kind)
{
	struct gcdune_thread *thread = gcdune_thread_get();

	if (!thread)
		return out_of_memory(size);
	/* Asked by its own signal handler only. */
	atomic_store_explicit(&thread->leaving, GCDUNE_LEAVING_NOT, memory_order_relaxed);
	gcdune_place_program();
	gcdune_dirty_safepoint();
	if (heap->extra_byte && size < SIZE_MAX)
		size++;
	/* A thread that disabled collections may hold a lock that finalizers take. */
	if (__builtin_expect(atomic_load_explicit(&heap->after_due, memory_order_relaxed), 0) && !heap->disabled)
		gcdune_cycle_after();
	if (gcdune_options.torture && thread->countdown-- == 0) {
		thread->countdown = gcdune_options.torture - 1;
		gcdune_cycle_collect(GCDUNE_CYCLE_TORTURE);
	} else if (atomic_load_explicit(&heap->allocated, memory_order_relaxed) +
			   (int64_t)(size > GCDUNE_SMALL_MAX ? size : 0) >=
		   atomic_load_explicit(&heap->trigger, memory_order_relaxed)) {
		gcdune_cycle_due(thread);
	}
	unsigned throttle = atomic_load_explicit(&heap->throttle, memory_order_relaxed);

	if (__builtin_expect(throttle, 0))
		gcdune_cycle_throttle(thread, throttle);
	void *object = try_alloc(thread, size, align, kind);

	if (__builtin_expect(object != NULL, 1)) {
		if (__builtin_expect(atomic_load_explicit(&heap->grew, memory_order_relaxed), 0))
			gcdune_cycle_tell_growth();
		return object;
	}
	if (size < heap->size) {
		gcdune_cycle_collect(GCDUNE_CYCLE_NO_MEMORY);
		object = try_alloc(thread, size, align, kind);
		if (!object && gcdune_finalizers_run()) {
			/* What finalizers kept alive may be gone now. */
			gcdune_cycle_collect(GCDUNE_CYCLE_NO_MEMORY);
			object = try_alloc(thread, size, align, kind);
		}
	}
	return object ? object : out_of_memory(size);
}

/* All that the call leaves behind is below this frame. */
void *gcdune_alloc_any(size_t size, size_t align, unsigned kind)
{
	void *object = alloc_any(size, align, kind);

	if (gcdune_thread_self)
		gcdune_dead_clear(gcdune_thread_self);
	return object;
}

static __attribute__((noinline)) void *alloc_slower(size_t size, unsigned kind)
{
	void *object = take_at_hand(size, kind);

	if (__builtin_expect(!object, 0))
		return gcdune_alloc_any(size, 1, kind);
	struct gcdune_thread *thread = gcdune_thread_self;

	/* As often as if all objects lay together. */
	if (__builtin_expect(thread->uncleared >= GCDUNE_CLEAR_AHEAD, 0)) {
		note_depth(thread);
		gcdune_dead_clear(thread);
	}
	return object;
}

/* Not inlined into the functions below; so take_freed is, here. Who takes what it freed leaves nothing behind. */
__attribute__((noinline)) void *gcdune_alloc_slow(size_t size, gcdune_kind kind)
{
	void *object = take_freed(size, kind);

	return __builtin_expect(object != NULL, 1) ? object : alloc_slower(size, kind);
}

gcdune_oom_fn gcdune_oom_set(gcdune_oom_fn handler)
{
	return __atomic_exchange_n((gcdune_oom_fn *)&oom_handler, handler, __ATOMIC_ACQ_REL);
}

/* ---- The functions ---- */

void *gcdune_alloc(size_t size)
{
	return gcdune_alloc_inline(size);
}

void *gcdune_alloc_leaf(size_t size)
{
	return gcdune_alloc_leaf_inline(size);
}

static bool kind_is_public(gcdune_kind kind)
{
	return kind < heap->nkinds && kind != GCDUNE_KIND_TYPED && kind != GCDUNE_KIND_EPHEMERON;
}

void *gcdune_alloc_kind(size_t size, gcdune_kind kind)
{
	if (gcdune_init() || !kind_is_public(kind))
		return NULL;
	if (size <= GCDUNE_SMALL_MAX && gcdune_thread_self) {
		struct gcdune_cache *cache = gcdune_thread_self->caches[kind];

		if (cache && !heap->slow) {
			unsigned cls = gcdune_class_of(size ? size : 1);
			struct gcdune_cursor *cursor = &cache->cursors[cls];
			char *object = cursor->next;

			if (object < cursor->limit) {
				cursor->next = object + gcdune_classes[cls].size;
				__atomic_signal_fence(__ATOMIC_SEQ_CST);
				return object;
			}
		}
	}
	return gcdune_alloc_slow(size, kind);
}

void *gcdune_alloc_aligned(size_t size, size_t alignment, gcdune_kind kind)
{
	if (alignment == 0 || alignment & (alignment - 1) || alignment > (size_t)1 << 30) {
		errno = EINVAL;
		return NULL;
	}
	if (gcdune_init() || !kind_is_public(kind))
		return NULL;
	return gcdune_alloc_any(size, alignment, kind);
}

void *gcdune_alloc_many(size_t size, gcdune_kind kind)
{
	if (gcdune_init() || !kind_is_public(kind))
		return NULL;
	char *first = gcdune_alloc_any(size, 1, kind);

	if (!first)
		return NULL;
	memset(first, 0, sizeof(void *));
	size_t full = size + heap->extra_byte;

	if (full > 2048 || gcdune_options.torture)
		return first;
	struct gcdune_thread *thread = gcdune_thread_self;
	unsigned cls = gcdune_class_of(full ? full : 1);
	size_t slot = gcdune_classes[cls].size, room = 4096 - slot;
	void **last = (void **)first;

	/* In one critical section: no collection sees objects that are not on the chain yet. */
	gcdune_critical_enter(thread);
	struct gcdune_cursor *cursor = &thread->caches[kind]->cursors[cls];
	bool leaf = gcdune_kind_is_leaf(kind);

	while (room >= slot) {
		char *object = cursor->next;
		size_t n = MIN((size_t)(cursor->limit - object), room) / slot;

		/* No marker follows the chain; so what is on it, in one piece then, is a root until the next. */
		if (leaf)
			thread->chain = (struct gcdune_chain){first, object, object + n * slot, slot};
		for (char *end = object + n * slot; object < end; object += slot) {
			*last = object;
			last = (void **)object;
		}
		cursor->next = object;
		room -= n * slot;
		if (room < slot || leaf)
			break;
		object = gcdune_run_take(thread, kind, cls);
		if (!object)
			break;
		*last = object;
		last = (void **)object;
		room -= slot;
	}
	*last = NULL;
	gcdune_critical_leave(thread);
	return first;
}
