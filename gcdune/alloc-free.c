/* alloc-free.c - what the program does with an object that it has: asks how large it is and of what kind, frees it, gives it
 * another size. Called by the program and runtimes/.
 *
 * A freed slot goes back to the cursor that it came from, if it is the last one from there; else it waits on its thread's list for
 * the next object of its kind and class (alloc-run.c takes it from there), in a state that no live object has. Either way
 * freed twice is found out. Of what is asked about, the answer stays true only while the
 * caller holds the object. */
#include "alloc.h"

#include <errno.h>
#include <string.h>

#include "finalize.h"
#include "mark.h"
#include "os.h"
#include "sweep.h"

static struct gcdune_heap *const heap = &gcdune_heap;

/* ---- Asking ---- */

/* A slot that its owner has in reserve looks like a new object. */
static bool in_reserve(const struct gcdune_ref *ref)
{
	uint32_t index = (uint32_t)(ref->block - heap->blocks);
	unsigned slot = (unsigned)(ref->state - gcdune_block_states(ref->block)), begin, end;

	while (!gcdune_thread_reserve(index, gcdune_thread_turns(index), &begin, &end))
		;
	return slot >= begin && slot < end;
}

static bool resolve_live(const void *pointer, struct gcdune_ref *ref)
{
	return gcdune_resolve((uintptr_t)pointer, ref) && gcdune_ref_live(ref) &&
	       !(ref->block->flags & GCDUNE_BLOCK_OPEN && in_reserve(ref));
}

static inline size_t usable_size(const struct gcdune_ref *ref)
{
	size_t size = gcdune_ref_size(ref) - heap->extra_byte;

	/* The last word of a typed object is its layout. */
	return ref->block->kind == GCDUNE_KIND_TYPED ? size - sizeof(gcdune_layout) : size;
}

size_t gcdune_size(const void *object)
{
	struct gcdune_ref ref;

	if (!resolve_live(object, &ref))
		return 0;
	size_t size = usable_size(&ref);

	__asm__ volatile("" : : "r"(object) : "memory"); /* see gcdune_ref_live */
	return size;
}

void *gcdune_base(const void *pointer)
{
	struct gcdune_ref ref;

	return resolve_live(pointer, &ref) ? ref.object : NULL;
}

bool gcdune_contains(const void *pointer)
{
	return (uintptr_t)pointer - heap->base < heap->size;
}

int gcdune_kind_of(const void *pointer)
{
	struct gcdune_ref ref;

	return resolve_live(pointer, &ref) ? ref.block->kind : -ENOENT;
}

/* ---- Freeing ---- */

/* Slots beyond this many per class and thread go straight back to their blocks. */
enum { FREED_MOST = 256 };

static __attribute__((noreturn, noinline)) void not_an_object(const char *function, const void *object)
{
	gcdune_panic("%s(%p): not the start of a live object (freed twice, or not from gcdune)", function, object);
}

/* A thread that frees all it allocates would never take the slow path, and so never do what there is to do on it. */
enum { SLOW_EVERY = 64 };

/* The object that was allocated last goes back to where the cursor takes the next from. As when a run is found (alloc-run.c), its
 * state says first what slots in reserve are; a marker that takes it for an object all the same marks one more. */
static inline bool put_back(struct gcdune_thread *thread, struct gcdune_cursor *cursor, char *object, uint8_t *state, size_t size,
			    enum gcdune_scan scan)
{
	if (cursor->next != object + size || size > GCDUNE_INLINE_MAX || scan > GCDUNE_SCAN_WORDS)
		return false;
	if (scan == GCDUNE_SCAN_WORDS)
		memset(object, 0, size);
	__atomic_store_n(state, heap->color, __ATOMIC_RELAXED);
	__atomic_store_n(&cursor->next, object, __ATOMIC_RELEASE);
	if (++thread->put_back % SLOW_EVERY == 0)
		cursor->limit = cursor->next;
	return true;
}

/* On the thread's list. */
static inline void keep(struct gcdune_run *run, struct gcdune_block *block, char *object, uint8_t *state)
{
	struct gcdune_freed *slot = (struct gcdune_freed *)(void *)object;

	gcdune_block_used(block);
	slot->next = run->freed;
	slot->state = state;
	run->freed = slot;
	run->nfreed++;
	__atomic_store_n(state, GCDUNE_COLOR_FREED, __ATOMIC_RELAXED);
}

/* As most are freed: a small object without a finalizer, from a block that nobody or the thread itself takes slots from. Its size;
 * 0: it is not so. Without a call, and with all of it in registers. */
static inline __attribute__((always_inline)) size_t free_usual(struct gcdune_thread *thread, char *object)
{
	size_t offset = (uintptr_t)object - heap->base, within = offset & (GCDUNE_BLOCK - 1);

	if (offset >= heap->size || thread->critical || gcdune_finalize_any())
		return 0;
	uint32_t index = (uint32_t)(offset >> GCDUNE_BLOCK_SHIFT);
	struct gcdune_block *block = &heap->blocks[index];
	size_t slot = within * block->reciprocal >> 32, size = (size_t)block->granules * GCDUNE_GRANULE;
	uint8_t *state = gcdune_block_states(block) + slot;
	unsigned kind = block->kind, cls = heap->spans[index].cls;
	struct gcdune_cache *cache = thread->caches[kind];

	if (block->use != GCDUNE_USE_SMALL || slot >= block->nslots || slot * size != within || !cache)
		return 0;
	struct gcdune_run *run = &cache->runs[cls];
	struct gcdune_cursor *cursor = &cache->cursors[cls];
	size_t usable = size - heap->extra_byte - (kind == GCDUNE_KIND_TYPED ? sizeof(gcdune_layout) : 0);

	gcdune_critical_begin(thread);
	/* No collection changes colours or takes reserves back meanwhile. */
	uint8_t now = __atomic_load_n(state, __ATOMIC_RELAXED);

	if (now != heap->color && now != heap->white && now != heap->black)
		usable = 0;
	else if (run->block == index ? object >= cursor->next && object < run->end : block->flags & GCDUNE_BLOCK_OPEN)
		usable = 0;
	else if (run->block == index && put_back(thread, cursor, object, state, size, heap->kinds[kind].scan))
		;
	else if (run->nfreed < FREED_MOST) {
		gcdune_account(thread, -(int64_t)size);
		keep(run, block, object, state);
	} else {
		usable = 0;
	}
	gcdune_critical_end(thread);
	return usable;
}

static void free_small(struct gcdune_thread *thread, const struct gcdune_ref *ref)
{
	uint32_t index = (uint32_t)(ref->block - heap->blocks);
	unsigned kind = ref->block->kind, cls = heap->spans[index].cls;
	struct gcdune_cache *cache = gcdune_thread_cache(thread, kind);
	struct gcdune_run *run = cache ? &cache->runs[cls] : NULL;
	size_t size = gcdune_classes[cls].size;

	if (run && run->block == index) {
		if (ref->object >= cache->cursors[cls].next && ref->object < run->end)
			not_an_object("gcdune_free", ref->object);
		if (put_back(thread, &cache->cursors[cls], ref->object, ref->state, size, heap->kinds[kind].scan))
			return;
	} else if (ref->block->flags & GCDUNE_BLOCK_OPEN && in_reserve(ref)) {
		not_an_object("gcdune_free", ref->object);
	}
	gcdune_account(thread, -(int64_t)size);
	if (run && run->nfreed < FREED_MOST) {
		keep(run, ref->block, ref->object, ref->state);
		return;
	}
	pthread_mutex_lock(&heap->lock);
	__atomic_store_n(ref->state, GCDUNE_COLOR_FREE, __ATOMIC_RELAXED);
	if (!(ref->block->flags & (GCDUNE_BLOCK_OPEN | GCDUNE_BLOCK_LISTED)))
		gcdune_sweep_list(index);
	pthread_mutex_unlock(&heap->lock);
}

static __attribute__((noinline)) size_t free_any(void *object)
{
	struct gcdune_ref ref;
	struct gcdune_thread *thread = gcdune_thread_get();

	/* Slots in reserve: free_small. */
	if (!thread || !gcdune_resolve((uintptr_t)object, &ref) || ref.object != object || !gcdune_ref_live(&ref))
		not_an_object("gcdune_free", object);
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

size_t gcdune_free_telling(void *object)
{
	if (!object)
		return 0;
	size_t size = gcdune_thread_self ? free_usual(gcdune_thread_self, object) : 0;

	return __builtin_expect(size != 0, 1) ? size : free_any(object);
}

void gcdune_free(void *object)
{
	gcdune_free_telling(object);
}

/* ---- Another size ---- */

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

	if (!thread || !resolve_live(object, &ref) || ref.object != object)
		not_an_object("gcdune_realloc", object);
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
	/* Moving to another block grows geometrically, or appending one byte at a time would copy everything each time. */
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
