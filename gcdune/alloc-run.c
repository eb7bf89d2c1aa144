/* alloc-run.c - owns what a thread has in reserve of each kind and class: cursor, run and open block. Called by alloc.c, in
 * a critical section, so that a collection sees cursor, run and slot states agree.
 *
 * A thread takes slots from its cursor until the cleared piece ends, then clears the next piece of its run, then finds
 * the next run in its open block (after a collection from the beginning of that again: gcdune_thread_rewind), then takes
 * another block: from the sweep list of its kind and class, or a free one, or by growing. Only the last needs heap.lock.
 *
 * A slot carries the current colour from the moment its run is found (begin_run) and so is live to everyone
 * else. */
#include "alloc-parts.h"

#include <string.h>
#include <sys/param.h>

#include "block.h"
#include "dirty/dirty.h"
#include "dirty/library.h"
#include "os.h"
#include "remark.h"
#include "stats.h"
#include "sweep.h"

static struct gcdune_heap *const heap = &gcdune_heap;

/* ---- Blocks ---- */

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
				   (heap->kinds[kind].scan == GCDUNE_SCAN_WORDS  ? GCDUNE_BLOCK_WORDS
				    : heap->kinds[kind].scan == GCDUNE_SCAN_NONE ? GCDUNE_BLOCK_LEAF
										 : 0)),
	};
	heap->spans[index].cls = (uint8_t)cls;
	__atomic_store_n(&block->use, GCDUNE_USE_SMALL, __ATOMIC_RELEASE);
	if (heap->kinds[kind].pinned)
		heap->pinned_blocks++;
}

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
	if (room == GCDUNE_ROOMY) {
		heap->spans[index].age = 0;
		heap->growth[kind][cls].filled += heap->marking != 0;
	}
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

/* Where a class takes one fresh block after the other, such a block is made present at one go: that costs as much as the fault
 * of each page at the first write to it, or half. From so many blocks on, what a class may leave unused of one does not count;
 * below, neither do the faults. (In Dune mode libdune looks ahead: dune-core/ahead.c.) */
enum { GROWN = 256 };

/* A block whose slots may be free becomes the run's open block. */
static bool next_block(struct gcdune_thread *thread, struct gcdune_run *run, unsigned kind, unsigned cls)
{
	uint64_t since = gcdune_os_now();

	gcdune_mutex_lock_soon(&heap->lock);
	struct gcdune_growth *growth = &heap->growth[kind][cls];
	bool fresh_before = growth->fresh && run->block != GCDUNE_NO_BLOCK;

	if (run->block != GCDUNE_NO_BLOCK)
		gcdune_block_close(run->block);
	run->block = GCDUNE_NO_BLOCK;
	uint32_t index = find_block(kind, cls);

	if (index != GCDUNE_NO_BLOCK) {
		run->block = index;
		gcdune_block_used(&heap->blocks[index]);
		gcdune_block_open(index, run);
		growth->fresh = !heap->spans[index].pages;
	}
	bool grows = fresh_before && growth->fresh && index != GCDUNE_NO_BLOCK && heap->blocks_used >= GROWN;

	pthread_mutex_unlock(&heap->lock);
	run->slot = 0;
	run->free = 0;
	run->touched = NULL;
	gcdune_stats_lost(thread, GCDUNE_LOST_BLOCK, since, gcdune_os_now());
	if (grows && !gcdune_dune_active())
		gcdune_os_populate((void *)gcdune_block_address(index), GCDUNE_BLOCK);
	return index != GCDUNE_NO_BLOCK;
}

/* ---- Runs ---- */

_Static_assert(GCDUNE_STATE_UNIT == 64, "a unit of slots to a word of free ones");

/* The next free slots of the open block that lie together: from BEGIN to END. False: there are no more. */
static inline bool find_run(struct gcdune_run *run, unsigned *begin, unsigned *end)
{
	const struct gcdune_block *block = &heap->blocks[run->block];

	while (!run->free) {
		if (run->slot >= block->nslots)
			return false;
		run->free = gcdune_sweep_free(block, run->slot);
		run->slot += 64;
	}
	unsigned first = (unsigned)__builtin_ctzll(run->free);
	/* Adding the lowest carries through the ones that follow it; out of the word if they reach its end. */
	uint64_t after = run->free + (run->free & -run->free);

	*begin = run->slot - 64 + first;
	if (after) {
		*end = run->slot - 64 + (unsigned)__builtin_ctzll(after);
		run->free &= after;
		return true;
	}
	run->free = 0;
	*end = run->slot;
	while (run->slot < block->nslots) {
		uint64_t more = gcdune_sweep_free(block, run->slot);

		run->slot += 64;
		if (~more) {
			unsigned n = (unsigned)__builtin_ctzll(~more);

			*end += n;
			run->free = more >> n << n;
			return true;
		}
		*end += 64;
	}
	return true;
}

/* The slots from BEGIN to END of its open block become the run; the cursor is before them. */
static inline void begin_run(struct gcdune_cursor *cursor, struct gcdune_run *run, size_t size, unsigned begin, unsigned end)
{
	struct gcdune_block *block = &heap->blocks[run->block];
	char *base = (char *)gcdune_block_address(run->block);
	char *first = base + begin * size, *last = base + end * size;

	if (__builtin_expect(heap->spans[run->block].watch, 0) && !gcdune_dirty_touches())
		gcdune_remark_fill(run->block, run->block + 1);
	/* In this order: gcdune_thread_reserve tells why. */
	__atomic_store_n(&run->end, NULL, __ATOMIC_RELEASE);
	__atomic_store_n(&heap->spans[run->block].turns, heap->spans[run->block].turns + 1, __ATOMIC_RELEASE);
	__atomic_store_n(&cursor->next, first, __ATOMIC_RELEASE);
	__atomic_store_n(&run->end, last, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	memset(gcdune_block_states(block) + begin, heap->color, end - begin);
	cursor->limit = first;
}

/* ---- Slots ---- */

/* What a thread that is to sleep between its allocations is given at a time: so little that it does not run for longer than
 * it can be made to sleep for in proportion (gcdune_cycle_throttle). */
enum { THROTTLED_AHEAD = 512 };

/* The cursor is about to cover PIECE more bytes of a tracked block. Each page's first write would be a fault; a call for some
 * costs a sixth of that for each. First a few, and the rest of the block only for who needs more: there are runs of fifty sizes
 * and kinds, and pages of theirs that nobody has needed yet may not be there. */
static __attribute__((noinline)) void touch_ahead(const struct gcdune_cursor *cursor, struct gcdune_run *run, size_t piece)
{
	enum { FIRST = 4 * GCDUNE_PAGE };
	uintptr_t from = (uintptr_t)cursor->limit & -GCDUNE_PAGE, least = (uintptr_t)cursor->limit + piece;
	uintptr_t to = gcdune_block_address(run->block + 1), few = from + FIRST;

	if (run->touched)
		from = MAX(from, (uintptr_t)run->touched);
	else if (least <= few)
		to = MIN(to, few);
	gcdune_dirty_touch(from, to);
	run->touched = (char *)to;
}

/* The next piece of the run, which the cursor has come to the end of.
 *
 * Memory that was never written to is zero, and what no one clears need not be. It is given out in pieces all the same: a
 * thread that allocates comes by here now and then (heap.throttle). What is given out counts as allocated: if runs did, one object
 * in a fresh block would count for all of that, and there are fifty sizes and kinds. */
static inline void next_piece(struct gcdune_thread *thread, struct gcdune_cursor *cursor, struct gcdune_run *run, unsigned kind,
			      size_t size)
{
	const char *untouched = (char *)gcdune_block_address(run->block) + heap->spans[run->block].pages * GCDUNE_PAGE;
	bool leaf = gcdune_kind_is_leaf(kind), little_to_clear = leaf || untouched < cursor->limit + GCDUNE_PAGE;
	size_t ahead = little_to_clear ? GCDUNE_CLEAN_AHEAD : GCDUNE_CLEAR_AHEAD;

	if (atomic_load_explicit(&heap->throttle, memory_order_relaxed))
		ahead = THROTTLED_AHEAD;
	size_t piece = (size_t)(run->end - cursor->limit);

	if (piece > ahead)
		piece = size >= ahead ? size : ahead / size * size;
	if (__builtin_expect(gcdune_remark_is_armed(run->block), 0) && cursor->limit + piece > run->touched &&
	    gcdune_dirty_touches())
		touch_ahead(cursor, run, piece);
	if (!leaf && cursor->limit < untouched)
		memset(cursor->limit, 0, MIN(piece, (size_t)(untouched - cursor->limit)));
	cursor->limit += piece;
	if (cursor->limit > untouched)
		gcdune_block_note(run->block, (uintptr_t)cursor->limit);
	gcdune_account(thread, (int64_t)piece);
}

void *gcdune_run_take_near(struct gcdune_thread *thread, struct gcdune_cache *cache, unsigned kind, unsigned cls)
{
	struct gcdune_cursor *cursor = &cache->cursors[cls];
	struct gcdune_run *run = &cache->runs[cls];
	size_t size = gcdune_classes[cls].size;
	unsigned begin, end;

	if (run->freed) {
		void *freed = gcdune_run_take_freed(thread, run, cls, gcdune_freed_state(run->freed));

		return gcdune_kind_is_leaf(kind) ? freed : memset(freed, 0, size);
	}
	if (cursor->limit >= run->end) {
		if (run->block == GCDUNE_NO_BLOCK || !find_run(run, &begin, &end))
			return NULL;
		begin_run(cursor, run, size, begin, end);
	}
	next_piece(thread, cursor, run, kind, size);
	char *object = cursor->next;

	thread->uncleared += (unsigned)(cursor->limit - object);
	cursor->next += size;
	return object;
}

void *gcdune_run_take(struct gcdune_thread *thread, unsigned kind, unsigned cls)
{
	struct gcdune_cache *cache = gcdune_thread_cache(thread, kind);

	if (!cache)
		return NULL;
	struct gcdune_cursor *cursor = &cache->cursors[cls];
	void *object = cursor->next;

	if (cursor->next < cursor->limit) {
		cursor->next += gcdune_classes[cls].size;
		return object;
	}
	while (!(object = gcdune_run_take_near(thread, cache, kind, cls)))
		if (!next_block(thread, &cache->runs[cls], kind, cls))
			return NULL;
	return object;
}
