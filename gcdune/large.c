/* large.c - objects above GCDUNE_SMALL_MAX: runs of whole blocks, one slot state each. Freed at once after marking
 * (sweep.c) or by gcdune_free; resized in place where the neighbouring blocks allow. Memory beyond the object in its
 * last block is never touched. Callers: alloc.c, alloc-free.c. */
#include <string.h>
#include <sys/param.h>

#include "alloc.h"
#include "block.h"
#include "dirty/dirty.h"
#include "os.h"
#include "remark.h"

static struct gcdune_heap *const heap = &gcdune_heap;

static uint32_t blocks_for(size_t size)
{
	return (uint32_t)((size + GCDUNE_BLOCK - 1) >> GCDUNE_BLOCK_SHIFT);
}

static void describe(uint32_t index, uint32_t first, uint32_t count)
{
	for (uint32_t i = first; i < count; i++) {
		heap->spans[index + i].head = index;
		heap->blocks[index + i] =
			(struct gcdune_block){.use = GCDUNE_USE_NONE, .kind = heap->blocks[index].kind};
		__atomic_store_n(&heap->blocks[index + i].use, GCDUNE_USE_TAIL, __ATOMIC_RELEASE);
	}
}

/* The object of COUNT blocks and BYTES will be written to from block FROM on. */
static void note(uint32_t index, uint32_t from, uint32_t count, size_t bytes)
{
	for (uint32_t i = from; i < count; i++)
		gcdune_block_note(index + i, MIN(gcdune_block_address(index + i + 1), gcdune_block_address(index) + bytes));
}

void *gcdune_large_alloc(struct gcdune_thread *thread, size_t size, size_t align, unsigned kind)
{
	size_t bytes = (size + GCDUNE_PAGE - 1) & ~(GCDUNE_PAGE - 1);
	size_t slack = align > GCDUNE_BLOCK ? align - GCDUNE_BLOCK : 0;
	bool leaf = gcdune_kind_is_leaf(kind);

	if (bytes < size || bytes > heap->size || slack > heap->size)
		return NULL;
	uint32_t count = blocks_for(bytes), extra = blocks_for(slack), index, states;

	gcdune_critical_enter(thread);
	pthread_mutex_lock(&heap->lock);
	states = gcdune_states_take(0);
	index = states ? gcdune_block_take(gcdune_block_space(kind), count + extra) : GCDUNE_NO_BLOCK;
	if (index == GCDUNE_NO_BLOCK) {
		if (states)
			gcdune_states_give(0, states);
		pthread_mutex_unlock(&heap->lock);
		gcdune_critical_leave(thread);
		return NULL;
	}
	if (extra) {
		/* Give back what lies before and behind the aligned part. */
		uintptr_t address = gcdune_block_address(index);
		uint32_t before = (uint32_t)((((address + align - 1) & ~(align - 1)) - address) >> GCDUNE_BLOCK_SHIFT);

		if (before)
			gcdune_block_give(index, before);
		index += before;
		if (extra > before)
			gcdune_block_give(index + count, extra - before);
	}
	/* Until it is cleared the object counts as leaf: what it holds now must not be taken for pointers. */
	heap->blocks[index] = (struct gcdune_block){
		.states = states,
		.nslots = 1,
		.kind = leaf ? (uint8_t)kind : GCDUNE_KIND_LEAF,
		.use = GCDUNE_USE_NONE,
		.color = heap->color,
	};
	heap->spans[index].bytes = bytes;
	heap->spans[index].length = count;
	*gcdune_block_states(&heap->blocks[index]) = heap->color;
	__atomic_store_n(&heap->blocks[index].use, GCDUNE_USE_LARGE, __ATOMIC_RELEASE);
	describe(index, 1, count);
	gcdune_account(thread, (int64_t)bytes);
	if (leaf)
		note(index, 0, count, bytes);
	if (heap->kinds[kind].pinned)
		heap->pinned_blocks++;
	char *object = (char *)gcdune_block_address(index);

	pthread_mutex_unlock(&heap->lock);
	bool whole = count >= GCDUNE_REMARK_CALL || leaf || !gcdune_dirty_touches();

	if (whole)
		gcdune_remark_fill(index, index + count);
	gcdune_critical_leave(thread);
	if (!leaf) {
		/* Outside: clearing a gigabyte must not keep others waiting. The object is held by this frame. */
		for (uint32_t i = 0; i < count; i++) {
			size_t from = (size_t)i << GCDUNE_BLOCK_SHIFT, to = from + GCDUNE_BLOCK;

			to = MIN(to, bytes);
			size_t written = MIN(to - from, heap->spans[index + i].pages * GCDUNE_PAGE);

			gcdune_block_note(index + i, (uintptr_t)object + to);
			if (!written)
				continue;
			to = from + written;
			if (!whole && gcdune_remark_is_armed(index + i))
				gcdune_dirty_touch((uintptr_t)object + from, ((uintptr_t)object + to + GCDUNE_PAGE - 1) & -GCDUNE_PAGE);
			memset(object + from, 0, to - from);
		}
		__atomic_store_n(&heap->blocks[index].kind, (uint8_t)kind, __ATOMIC_RELEASE);
		__asm__ volatile("" : : "r"(object) : "memory");
	}
	return object;
}

void gcdune_large_free(uint32_t index)
{
	struct gcdune_block *block = &heap->blocks[index];

	if (heap->kinds[block->kind].pinned)
		heap->pinned_blocks--;
	gcdune_states_give(0, block->states);
	gcdune_block_give(index, heap->spans[index].length);
}

bool gcdune_large_resize(struct gcdune_thread *thread, uint32_t index, size_t size)
{
	struct gcdune_span *span = &heap->spans[index];
	size_t bytes = (size + GCDUNE_PAGE - 1) & ~(GCDUNE_PAGE - 1), old = span->bytes;
	bool leaf = gcdune_kind_is_leaf(heap->blocks[index].kind), done = true;

	if (bytes < size || bytes > heap->size || bytes <= GCDUNE_SMALL_MAX)
		return false;
	uint32_t count = blocks_for(bytes), had = span->length;

	gcdune_critical_enter(thread);
	pthread_mutex_lock(&heap->lock);
	if (count > had) {
		done = gcdune_block_take_at(index + had, count - had);
		if (done) {
			describe(index, had, count);
			span->length = count;
		}
	} else if (count < had) {
		gcdune_block_give(index + count, had - count);
		span->length = count;
	}
	if (done && bytes > old && !leaf) {
		/* Cleared before it belongs to the object: a marker must not see what lay there. */
		for (size_t from = old; from < bytes;) {
			uint32_t i = (uint32_t)(from >> GCDUNE_BLOCK_SHIFT);
			size_t end = ((size_t)i + 1) << GCDUNE_BLOCK_SHIFT;

			if (end > bytes)
				end = bytes;
			/* The rest was never written to. */
			size_t written = ((size_t)i << GCDUNE_BLOCK_SHIFT) + heap->spans[index + i].pages * GCDUNE_PAGE;

			if (from < written)
				memset((char *)gcdune_block_address(index) + from, 0, MIN(end, written) - from);
			from = end;
		}
	}
	if (done) {
		note(index, had - 1, count, bytes);
		span->bytes = bytes;
		gcdune_account(thread, (int64_t)bytes - (int64_t)old);
	}
	pthread_mutex_unlock(&heap->lock);
	gcdune_critical_leave(thread);
	return done;
}
