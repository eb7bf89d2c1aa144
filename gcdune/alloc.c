/* alloc.c - the allocation functions and their slow path.
 *
 * A thread takes slots from its cursor until the cleared piece ends, then clears the next piece of its run, then finds
 * the next run in its open block, then takes another block: from the sweep list of its kind and class, or a free one,
 * or by growing. Only the last needs heap.lock. All of that is one critical section, so that a collection sees cursor,
 * run and slot states agree.
 *
 * A slot carries the current colour from the moment its run is found (gcdune_sweep_run) and so is live to everyone
 * else. */
#include "alloc.h"

#include <errno.h>
#include <string.h>
#include <sys/param.h>

#include "block.h"
#include "cycle.h"
#include "dead.h"
#include "dirty/dirty.h"
#include "finalize.h"
#include "mark.h"
#include "options.h"
#include "os.h"
#include "place.h"
#include "remark.h"
#include "stats.h"
#include "sweep.h"

static struct gcdune_heap *const heap = &gcdune_heap;

static _Atomic(gcdune_oom_fn) oom_handler;

/* ---- The slow path ---- */

/* Pieces of the sweep that a thread does before it takes fresh memory rather than look further. */
enum { SWEEP_PIECES = 8, SWEEP_PIECE = 32 };

/* Markers may look at the block while it changes: its use comes last. */
static void make_small(uint32_t index, unsigned kind, unsigned cls, uint32_t states)
{
	struct gcdune_block *block = &heap->blocks[index];

	*block = (struct gcdune_block){
		.reciprocal = gcdune_classes[cls].reciprocal,
		.states = states,
		.nslots = gcdune_classes[cls].nslots,
		.granules = (uint16_t)(gcdune_classes[cls].size / GCDUNE_GRANULE),
		.kind = (uint8_t)kind,
		.use = GCDUNE_USE_NONE,
		.flags = (uint8_t)((cls > GCDUNE_SIZES ? GCDUNE_BLOCK_EXACT : 0) |
				   (heap->kinds[kind].scan == GCDUNE_SCAN_WORDS ? GCDUNE_BLOCK_WORDS : 0)),
	};
	heap->spans[index].cls = (uint8_t)cls;
	__atomic_store_n(&block->use, GCDUNE_USE_SMALL, __ATOMIC_RELEASE);
	if (heap->kinds[kind].pinned)
		heap->pinned_blocks++;
}

/* Free memory in one piece that is worth a call for its pages not to be tracked any more. */
static const ptrdiff_t FILL_LEAST = 2 * GCDUNE_PAGE;

/* A block that TAKE finds. */
static uint32_t fresh(unsigned kind, unsigned cls, uint32_t (*take)(unsigned space, struct gcdune_growth *growth))
{
	uint32_t index = take(gcdune_block_space(kind), &heap->growth[kind][cls]);
	uint32_t states = index != GCDUNE_NO_BLOCK ? gcdune_states_take(cls) : 0;

	if (states) {
		make_small(index, kind, cls, states);
		return index;
	}
	if (index != GCDUNE_NO_BLOCK)
		gcdune_block_give(index, 1);
	return GCDUNE_NO_BLOCK;
}

static uint32_t swept(unsigned room, unsigned kind, unsigned cls)
{
	uint32_t index = gcdune_sweep_pop(room, kind, cls);

	if (index == GCDUNE_NO_BLOCK)
		return index;
	heap->spans[index].clean = 0;
	if (room == GCDUNE_ROOMY)
		heap->spans[index].age = 0;
	return index;
}

/* What has much room; then what is free and at hand; then what has little; then what has to be asked for. But who wants one
 * block only does not need a free one. */
static uint32_t find_block(unsigned kind, unsigned cls)
{
	uint32_t index = swept(GCDUNE_ROOMY, kind, cls);

	for (unsigned n = 0; index == GCDUNE_NO_BLOCK && n < SWEEP_PIECES && heap->sweeping; n++) {
		gcdune_sweep_some(SWEEP_PIECE);
		index = swept(GCDUNE_ROOMY, kind, cls);
	}
	if (index == GCDUNE_NO_BLOCK && !heap->busy[kind][cls])
		index = swept(GCDUNE_FULLER, kind, cls);
	if (index == GCDUNE_NO_BLOCK)
		index = fresh(kind, cls, gcdune_block_take_dirty);
	if (index == GCDUNE_NO_BLOCK)
		index = swept(GCDUNE_FULLER, kind, cls);
	if (index == GCDUNE_NO_BLOCK)
		index = fresh(kind, cls, gcdune_block_take_near);
	heap->busy[kind][cls] = true;
	return index;
}

/* A block whose slots may be free becomes the run's open block. */
static bool next_block(struct gcdune_run *run, unsigned kind, unsigned cls)
{
	gcdune_heap_lock_soon();
	if (run->block != GCDUNE_NO_BLOCK)
		gcdune_block_close(run->block);
	run->block = GCDUNE_NO_BLOCK;
	uint32_t index = find_block(kind, cls);

	if (index != GCDUNE_NO_BLOCK) {
		run->block = index;
		gcdune_block_used(&heap->blocks[index]);
		gcdune_block_open(index, run);
	}
	pthread_mutex_unlock(&heap->lock);
	run->slot = 0;
	return index != GCDUNE_NO_BLOCK;
}

/* Finds the next run of free slots and points the cursor at it. */
static bool next_run(struct gcdune_thread *thread, struct gcdune_cursor *cursor, struct gcdune_run *run, unsigned kind,
		     unsigned cls)
{
	size_t size = gcdune_classes[cls].size;
	unsigned begin, end;

	while (run->block == GCDUNE_NO_BLOCK || !gcdune_sweep_run(&heap->blocks[run->block], run->slot, &begin, &end)) {
		uint64_t since = gcdune_os_now();
		bool found = next_block(run, kind, cls);

		gcdune_stats_lost(thread, GCDUNE_LOST_BLOCK, since, gcdune_os_now());
		if (!found)
			return false;
	}
	struct gcdune_block *block = &heap->blocks[run->block];
	char *base = (char *)gcdune_block_address(run->block);
	char *first = base + begin * size, *last = base + end * size;

	/* The call interrupts other processors; a short run had better take its faults. */
	if (__builtin_expect(heap->spans[run->block].watch, 0) && (last - first >= FILL_LEAST || !gcdune_dirty_late()))
		gcdune_remark_fill(run->block, run->block + 1);
	run->slot = (uint16_t)end;
	/* In this order: gcdune_thread_reserve tells why. */
	__atomic_store_n(&cursor->next, first, __ATOMIC_RELEASE);
	__atomic_store_n(&run->end, last, __ATOMIC_RELEASE);
	memset(gcdune_block_states(block) + begin, heap->color, end - begin);
	cursor->limit = first;
	gcdune_account(thread, (int64_t)((end - begin) * size));
	return true;
}

static void *take_freed(struct gcdune_run *run, unsigned kind, unsigned cls)
{
	char *object = run->freed;

	memcpy(&run->freed, object, sizeof(void *));
	run->nfreed--;
	struct gcdune_ref ref = gcdune_ref_of(object);

	gcdune_block_used(ref.block);
	__atomic_store_n(ref.state, heap->color, __ATOMIC_RELAXED);
	if (!gcdune_kind_is_leaf(kind))
		memset(object, 0, gcdune_classes[cls].size);
	return object;
}

/* What a thread that is to sleep between its allocations is given at a time: so little that it does not run for longer than
 * it can be made to sleep for in proportion (gcdune_cycle_throttle). */
enum { THROTTLED_AHEAD = 512 };

/* One object, in a critical section. NULL: no memory. */
static void *take(struct gcdune_thread *thread, unsigned kind, unsigned cls)
{
	struct gcdune_cache *cache = gcdune_thread_cache(thread, kind);

	if (!cache)
		return NULL;
	struct gcdune_cursor *cursor = &cache->cursors[cls];
	struct gcdune_run *run = &cache->runs[cls];
	size_t size = gcdune_classes[cls].size;

	if (cursor->next >= cursor->limit) {
		if (run->freed) {
			gcdune_account(thread, (int64_t)size);
			return take_freed(run, kind, cls);
		}
		if (cursor->limit >= run->end && !next_run(thread, cursor, run, kind, cls))
			return NULL;
		if (cursor->limit < run->end && cursor->next == cursor->limit) {
			/* Memory that the kernel just gave is zero, and what no one clears need not be. It is given out in
			 * pieces all the same: a thread that allocates comes by here now and then (heap.throttle). */
			bool zero = heap->spans[run->block].clean || gcdune_kind_is_leaf(kind);
			size_t ahead = zero ? GCDUNE_CLEAN_AHEAD : GCDUNE_CLEAR_AHEAD;

			if (atomic_load_explicit(&heap->throttle, memory_order_relaxed))
				ahead = THROTTLED_AHEAD;
			size_t piece = size >= ahead ? size : ahead / size * size;

			if (piece > (size_t)(run->end - cursor->limit))
				piece = (size_t)(run->end - cursor->limit);
			if (!zero)
				memset(cursor->limit, 0, piece);
			cursor->limit += piece;
		}
	}
	void *object = cursor->next;

	cursor->next += size;
	return object;
}

/* A program that frees what it allocates comes here for nearly every object. Nothing is left behind that would have to be
 * cleared (dead.c). NULL: that there is none, or there is something else to do. */
static void *take_freed_at_once(size_t size, unsigned kind)
{
	struct gcdune_thread *thread = gcdune_thread_self;

	if (!thread || size - 1 >= GCDUNE_SMALL_MAX || heap->slow)
		return NULL;
	unsigned cls = gcdune_class_of(size);
	struct gcdune_cache *cache = thread->caches[kind];

	if (!cache || !cache->runs[cls].freed || cache->cursors[cls].next < cache->cursors[cls].limit)
		return NULL;
	if (atomic_load_explicit(&heap->after_due, memory_order_relaxed) ||
	    atomic_load_explicit(&heap->throttle, memory_order_relaxed) ||
	    atomic_load_explicit(&heap->allocated, memory_order_relaxed) >= atomic_load_explicit(&heap->trigger, memory_order_relaxed))
		return NULL;
	void *object = NULL;

	gcdune_dirty_safepoint();
	gcdune_critical_enter(thread);
	/* Asked again: a collection in between gives the slots back to their blocks. */
	if (cache->runs[cls].freed) {
		gcdune_account(thread, (int64_t)gcdune_classes[cls].size);
		object = take_freed(&cache->runs[cls], kind, cls);
	}
	gcdune_critical_leave(thread);
	return object;
}

static void note_depth(struct gcdune_thread *thread)
{
	uintptr_t sp = (uintptr_t)__builtin_frame_address(0);

	if (!thread->deepest || sp < thread->deepest)
		thread->deepest = sp;
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
	void *object = take(thread, kind, cls);

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

void *gcdune_alloc_slow(size_t size, gcdune_kind kind)
{
	void *object = take_freed_at_once(size, kind);

	return object ? object : gcdune_alloc_any(size, 1, kind);
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
		object = take(thread, kind, cls);
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

/* A live object whose first byte is at OBJECT. */
static bool resolve_start(const void *object, struct gcdune_ref *ref)
{
	return gcdune_resolve((uintptr_t)object, ref) && ref->object == object && gcdune_ref_live(ref);
}

static size_t usable_size(const struct gcdune_ref *ref)
{
	size_t size = gcdune_ref_size(ref) - heap->extra_byte;

	/* The last word of a typed object is its layout. */
	return ref->block->kind == GCDUNE_KIND_TYPED ? size - sizeof(gcdune_layout) : size;
}

size_t gcdune_size(const void *object)
{
	struct gcdune_ref ref;

	if (!gcdune_resolve((uintptr_t)object, &ref) || !gcdune_ref_live(&ref))
		return 0;
	size_t size = usable_size(&ref);

	__asm__ volatile("" : : "r"(object) : "memory"); /* see gcdune_ref_live */
	return size;
}

/* Slots beyond this many per class and thread go straight back to their blocks. */
enum { FREED_MOST = 256 };

static void free_small(struct gcdune_thread *thread, const struct gcdune_ref *ref)
{
	uint32_t index = (uint32_t)(ref->block - heap->blocks);
	unsigned kind = ref->block->kind, cls = heap->spans[index].cls;
	struct gcdune_cache *cache = gcdune_thread_cache(thread, kind);

	gcdune_account(thread, -(int64_t)gcdune_classes[cls].size);
	if (cache && cache->runs[cls].nfreed < FREED_MOST) {
		memcpy(ref->object, &cache->runs[cls].freed, sizeof(void *));
		cache->runs[cls].freed = ref->object;
		cache->runs[cls].nfreed++;
		*ref->state = GCDUNE_COLOR_FREED;
		return;
	}
	pthread_mutex_lock(&heap->lock);
	__atomic_store_n(ref->state, GCDUNE_COLOR_FREE, __ATOMIC_RELAXED);
	if (!(ref->block->flags & (GCDUNE_BLOCK_OPEN | GCDUNE_BLOCK_LISTED)))
		gcdune_sweep_list(index);
	pthread_mutex_unlock(&heap->lock);
}

size_t gcdune_free_telling(void *object)
{
	struct gcdune_ref ref;

	if (!object)
		return 0;
	struct gcdune_thread *thread = gcdune_thread_get();

	if (!thread || !resolve_start(object, &ref))
		gcdune_panic("gcdune_free(%p): not the start of a live object (freed twice, or not from gcdune)",
			     object);
	size_t size = usable_size(&ref);

	gcdune_finalize_forget(object);
	gcdune_critical_enter(thread);
	if (ref.block->use == GCDUNE_USE_SMALL) {
		free_small(thread, &ref);
	} else {
		pthread_mutex_lock(&heap->lock);
		gcdune_account(thread, -(int64_t)gcdune_ref_size(&ref));
		/* While markers may be looking at it, it stays what it is, and dead; the sweep frees it. */
		if (heap->marking)
			__atomic_store_n(ref.state, GCDUNE_COLOR_FREE, __ATOMIC_RELAXED);
		else
			gcdune_large_free((uint32_t)(ref.block - heap->blocks));
		pthread_mutex_unlock(&heap->lock);
	}
	gcdune_critical_leave(thread);
	return size;
}

void gcdune_free(void *object)
{
	gcdune_free_telling(object);
}

void *gcdune_realloc(void *object, size_t size)
{
	struct gcdune_ref ref;

	if (!object)
		return gcdune_alloc(size);
	if (size == 0) {
		gcdune_free(object);
		return NULL;
	}
	struct gcdune_thread *thread = gcdune_thread_get();

	if (!thread || !resolve_start(object, &ref))
		gcdune_panic("gcdune_realloc(%p): not the start of a live object (freed, or not from gcdune)", object);
	size_t old = usable_size(&ref);
	unsigned kind = ref.block->kind;

	if (kind == GCDUNE_KIND_EPHEMERON)
		gcdune_panic("gcdune_realloc(%p): an ephemeron has no other size", object);
	if (ref.block->use == GCDUNE_USE_LARGE && kind != GCDUNE_KIND_TYPED && size > GCDUNE_SMALL_MAX &&
	    gcdune_large_resize(thread, (uint32_t)(ref.block - heap->blocks), size + heap->extra_byte)) {
		size_t now = gcdune_size(object);

		if (size < old && !gcdune_kind_is_leaf(kind))
			memset((char *)object + size, 0, (now < old ? now : old) - size);
		return object;
	} else if (size <= old && (size > old / 2 || old <= 64)) {
		/* The part cut off is cleared, so that growing again within the slot shows zeroes. */
		if (!gcdune_kind_is_leaf(kind))
			memset((char *)object + size, 0, old - size);
		return object;
	}
	/* Moving to another block grows geometrically, or appending one byte at a time would copy everything each time.
	 */
	size_t want = size;

	if (size > old && ref.block->use == GCDUNE_USE_LARGE && size < old + old / 8)
		want = old + old / 8;
	void *fresh;

	if (kind == GCDUNE_KIND_TYPED) {
		fresh = gcdune_alloc_typed(size, *gcdune_layout_of(object));
	} else {
		fresh = gcdune_alloc_any(want, 1, kind);
		if (!fresh && want > size)
			fresh = gcdune_alloc_any(size, 1, kind);
	}
	if (!fresh)
		return NULL;
	memcpy(fresh, object, old < size ? old : size);
	gcdune_free(object);
	return fresh;
}

/* ---- Asking ---- */

void *gcdune_base(const void *pointer)
{
	struct gcdune_ref ref;

	return gcdune_resolve((uintptr_t)pointer, &ref) && gcdune_ref_live(&ref) ? ref.object : NULL;
}

bool gcdune_contains(const void *pointer)
{
	return (uintptr_t)pointer - heap->base < heap->size;
}

int gcdune_kind_of(const void *pointer)
{
	struct gcdune_ref ref;

	return gcdune_resolve((uintptr_t)pointer, &ref) && gcdune_ref_live(&ref) ? ref.block->kind : -ENOENT;
}
