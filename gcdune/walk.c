/* walk.c - owns nothing: walks over blocks and slot states for those who want to see objects, not memory (leak detection,
 * disclaim procedures, heap dumps; runtimes/).
 *
 * A slot that carries the colour of live objects may still be one that a thread took from its block and has not given
 * out (thread.h): those are in the rest of the run of the block's owner, and are left out. */
#include "walk.h"

#include "mark.h"
#include "thread.h"

static struct gcdune_heap *const heap = &gcdune_heap;

void (*gcdune_walk_hook)(void);

/* The slots [*begin, *end) of an OPEN block that its owner has not given out. */
static void not_given(uint32_t index, unsigned *begin, unsigned *end)
{
	unsigned kind = heap->blocks[index].kind, cls = heap->spans[index].cls;

	*begin = *end = 0;
	for (struct gcdune_thread *thread = gcdune_threads; thread; thread = thread->next) {
		struct gcdune_cache *cache = thread->caches[kind];

		if (!cache || cache->runs[cls].block != index || !cache->runs[cls].end)
			continue;
		uintptr_t base = gcdune_block_address(index);

		*begin = (unsigned)(((uintptr_t)cache->cursors[cls].next - base) / gcdune_classes[cls].size);
		*end = (unsigned)(((uintptr_t)cache->runs[cls].end - base) / gcdune_classes[cls].size);
		return;
	}
}

/* Objects of any of these colours. */
static void walk(const uint8_t colors[3], gcdune_walk_fn fn, void *arg)
{
	GCDUNE_EACH_BLOCK(i) {
		struct gcdune_block *block = &heap->blocks[i];
		unsigned begin = 0, end = 0;

		if (block->use != GCDUNE_USE_SMALL && block->use != GCDUNE_USE_LARGE)
			continue;
		if (block->flags & GCDUNE_BLOCK_OPEN)
			not_given(i, &begin, &end);
		const uint8_t *states = gcdune_block_states(block);
		size_t size = block->granules ? block->granules * GCDUNE_GRANULE : heap->spans[i].bytes;

		for (unsigned slot = 0; slot < block->nslots; slot++) {
			uint8_t state = __atomic_load_n(&states[slot], __ATOMIC_RELAXED);

			if ((state == colors[0] || state == colors[1] || state == colors[2]) && (slot < begin || slot >= end))
				fn((char *)gcdune_block_address(i) + slot * size, size, block->kind, arg);
		}
	}
}

void gcdune_walk(gcdune_walk_fn fn, void *arg)
{
	const uint8_t live[3] = {heap->color, heap->white, heap->black};

	walk(live, fn, arg);
}

void gcdune_walk_marked(int marked, gcdune_walk_fn fn, void *arg)
{
	const uint8_t black[3] = {heap->black, heap->black, heap->black};
	const uint8_t others[3] = {heap->white, heap->color, GCDUNE_COLOR_KEY};

	walk(marked ? black : others, fn, arg);
}

void gcdune_walk_push_children(void *object, int ignore_self)
{
	struct gcdune_ref ref = gcdune_ref_of(object);

	gcdune_mark_children(&ref, ignore_self);
}

void gcdune_walk_push(void *object)
{
	gcdune_mark_object(object);
}

void gcdune_walk_drain(void)
{
	gcdune_mark_drain();
}
