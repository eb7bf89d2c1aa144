/* block.c - owns the reservation: which blocks are committed, which are free, and the storage of slot states.
 *
 * Invariants: a maximal run of free blocks has its length in the spans of its first and its last block, and is in the
 * bin floor(log2(length)) of its space; no two runs touch; blocks outside the two committed ends have use NONE (their
 * table entries are never-written zero pages). Callers: alloc-run.c, large.c, sweep.c; all under heap.lock. */
#include "block.h"

#include <errno.h>
#include <string.h>

#include "options.h"
#include "os.h"

/* The committed ends move in steps for which every table's share is whole pages: 256 blocks are 4096 bytes of blocks[].
 */
enum { STEP = 256, SEARCH = 64 };

static struct gcdune_heap *const heap = &gcdune_heap;

/* Aligned, so that its pages can be huge. */
static void *reserve_states(size_t size)
{
	const size_t align = (size_t)2 << 20;
	char *p = gcdune_os_reserve_zero(size + align);

	return p ? (void *)(((uintptr_t)p + align - 1) & ~(align - 1)) : NULL;
}

int gcdune_block_init(size_t size)
{
	const size_t step = STEP * GCDUNE_BLOCK;

	for (size &= ~(step - 1); size >= step; size = size / 2 & ~(step - 1)) {
		size_t n = size >> GCDUNE_BLOCK_SHIFT;
		size_t align = size >= (1ull << 36) ? (size_t)1 << 30 : (size_t)2 << 20;
		void *base = gcdune_os_reserve(size, align);
		void *blocks = base ? gcdune_os_reserve_zero(n * sizeof(struct gcdune_block)) : NULL;
		void *spans = blocks ? gcdune_os_reserve_zero(n * sizeof(struct gcdune_span)) : NULL;
		void *states = spans ? reserve_states(n * (GCDUNE_BLOCK / GCDUNE_GRANULE)) : NULL;

		if (states) {
			heap->base = (uintptr_t)base;
			heap->size = size;
			heap->nblocks = (uint32_t)n;
			heap->blocks = blocks;
			heap->spans = spans;
			heap->states = states;
			heap->states_next = 1; /* 0 means none */
			heap->spaces[GCDUNE_SPACE_SCANNED].edge = 0;
			heap->spaces[GCDUNE_SPACE_LEAF].edge = (uint32_t)n;
			for (unsigned s = 0; s < GCDUNE_SPACES; s++)
				memset(heap->spaces[s].bins, 0xff, sizeof heap->spaces[s].bins);
			return 0;
		}
		gcdune_os_unmap(base, size);
		gcdune_os_unmap(blocks, n * sizeof(struct gcdune_block));
		gcdune_os_unmap(spans, n * sizeof(struct gcdune_span));
	}
	return -ENOMEM;
}

/* ---- Runs of free blocks ---- */

static unsigned bin_of(uint32_t length)
{
	if (!length)
		gcdune_panic("a run of no blocks");
	unsigned bin = 31u - (unsigned)__builtin_clz(length);

	return bin < GCDUNE_BINS ? bin : GCDUNE_BINS - 1;
}

static unsigned space_of(uint32_t index)
{
	return index >= heap->spaces[GCDUNE_SPACE_LEAF].edge ? GCDUNE_SPACE_LEAF : GCDUNE_SPACE_SCANNED;
}

static void run_insert(uint32_t first, uint32_t length)
{
	struct gcdune_space *space = &heap->spaces[space_of(first)];
	unsigned bin = bin_of(length);
	struct gcdune_span *spans = heap->spans;

	spans[first].length = length;
	spans[first + length - 1].length = length;
	spans[first + length - 1].head = first;
	spans[first].prev = GCDUNE_NO_BLOCK;
	spans[first].next = space->bins[bin];
	if (space->bins[bin] != GCDUNE_NO_BLOCK)
		spans[space->bins[bin]].prev = first;
	space->bins[bin] = first;
	space->bins_used |= 1u << bin;
}

static void run_remove(uint32_t first)
{
	struct gcdune_space *space = &heap->spaces[space_of(first)];
	struct gcdune_span *run = &heap->spans[first];
	unsigned bin = bin_of(run->length);

	if (run->prev != GCDUNE_NO_BLOCK)
		heap->spans[run->prev].next = run->next;
	else
		space->bins[bin] = run->next;
	if (run->next != GCDUNE_NO_BLOCK)
		heap->spans[run->next].prev = run->prev;
	if (space->bins[bin] == GCDUNE_NO_BLOCK)
		space->bins_used &= ~(1u << bin);
}

/* The blocks [first, first + length) become free, joined with free neighbours of the same space. */
static void run_free(uint32_t first, uint32_t length)
{
	unsigned space = space_of(first);

	for (uint32_t i = first; i < first + length; i++) {
		heap->blocks[i] = (struct gcdune_block){.use = GCDUNE_USE_FREE};
		heap->spans[i].age = 0;
	}
	uint32_t after = first + length;

	if (after < heap->nblocks && heap->blocks[after].use == GCDUNE_USE_FREE && space_of(after) == space) {
		uint32_t more = heap->spans[after].length;

		run_remove(after);
		length += more;
	}
	if (first > 0 && heap->blocks[first - 1].use == GCDUNE_USE_FREE && space_of(first - 1) == space) {
		uint32_t before = heap->spans[first - 1].head;

		run_remove(before);
		length += first - before;
		first = before;
	}
	run_insert(first, length);
}

/* Cuts [index, index + count) out of the free run FIRST and accounts for it as used. */
static void run_cut(uint32_t first, uint32_t index, uint32_t count)
{
	uint32_t length = heap->spans[first].length;

	run_remove(first);
	if (index > first)
		run_insert(first, index - first);
	if (index + count < first + length)
		run_insert(index + count, first + length - index - count);
	/* No longer free to the neighbours' eyes, and not yet anything else. */
	for (uint32_t i = index; i < index + count; i++) {
		heap->blocks[i].use = GCDUNE_USE_NONE;
		heap->spans[i].age = 0;
		heap->blocks_dirty -= heap->spans[i].pages > 0;
	}
	heap->blocks_used += count;
	if (heap->blocks_used + heap->blocks_dirty > heap->blocks_peak)
		heap->blocks_peak = heap->blocks_used + heap->blocks_dirty;
}

static uint32_t run_find(unsigned which, uint32_t count)
{
	const struct gcdune_space *space = &heap->spaces[which];
	unsigned bin = bin_of(count);
	unsigned tries = 0;

	/* In this bin some runs are long enough; in those above, all. */
	for (uint32_t run = space->bins[bin]; run != GCDUNE_NO_BLOCK && tries < SEARCH;
	     run = heap->spans[run].next, tries++)
		if (heap->spans[run].length >= count)
			return run;
	uint32_t above = bin + 1 < 32 ? space->bins_used >> (bin + 1) : 0;

	return above ? space->bins[bin + 1 + (unsigned)__builtin_ctz(above)] : GCDUNE_NO_BLOCK;
}

/* ---- Growing ---- */

static int commit(uint32_t first, uint32_t count)
{
	if (gcdune_os_commit(&heap->blocks[first], count * sizeof *heap->blocks) ||
	    gcdune_os_commit(&heap->spans[first], count * sizeof *heap->spans) ||
	    gcdune_os_commit((void *)gcdune_block_address(first), count * GCDUNE_BLOCK))
		return -ENOMEM;
	if (gcdune_options.hugepages == GCDUNE_HUGE_ON)
		gcdune_os_huge((void *)gcdune_block_address(first), count * GCDUNE_BLOCK, true);
	return 0;
}

int gcdune_block_reserve(unsigned which, uint32_t count)
{
	struct gcdune_space *scanned = &heap->spaces[GCDUNE_SPACE_SCANNED], *leaf = &heap->spaces[GCDUNE_SPACE_LEAF];
	uint32_t have = 0, step, first;

	/* What is free at the edge already counts. */
	if (which == GCDUNE_SPACE_SCANNED) {
		if (scanned->edge > 0 && heap->blocks[scanned->edge - 1].use == GCDUNE_USE_FREE)
			have = heap->spans[scanned->edge - 1].length;
	} else if (leaf->edge < heap->nblocks && heap->blocks[leaf->edge].use == GCDUNE_USE_FREE) {
		have = heap->spans[leaf->edge].length;
	}
	if (have >= count)
		return 0;
	step = (count - have + STEP - 1) / STEP * STEP;
	if (step < count - have || leaf->edge - scanned->edge < step)
		return -ENOMEM;
	first = which == GCDUNE_SPACE_SCANNED ? scanned->edge : leaf->edge - step;
	if (commit(first, step))
		return -ENOMEM;
	if (which == GCDUNE_SPACE_SCANNED)
		scanned->edge += step;
	else
		leaf->edge -= step;
	heap->blocks_committed += step;
	run_free(first, step);
	heap->grew = true;
	return 0;
}

/* Whether COUNT more blocks, none of them dirty already, stay within the limit. */
static bool within_limit(size_t count)
{
	if (!heap->limit)
		return true;
	return (heap->blocks_used + heap->blocks_dirty + count) << GCDUNE_BLOCK_SHIFT <= heap->limit;
}

static size_t count_clean(uint32_t index, uint32_t count)
{
	size_t clean = 0;

	for (uint32_t i = index; i < index + count; i++)
		clean += !heap->spans[i].pages;
	return clean;
}

/* Free memory that lies elsewhere is given back before the limit says no. */
static bool make_room(uint32_t index, uint32_t count)
{
	size_t clean = heap->limit ? count_clean(index, count) : 0;

	if (within_limit(clean))
		return true;
	gcdune_block_release(0, 0, SIZE_MAX);
	return within_limit(count_clean(index, count));
}

/* A free run of COUNT blocks at least, if need be by growing. */
static uint32_t run_get(unsigned which, uint32_t count)
{
	uint32_t run = run_find(which, count);

	if (run != GCDUNE_NO_BLOCK)
		return run;
	if (heap->limit && (uint64_t)count << GCDUNE_BLOCK_SHIFT > heap->limit)
		return GCDUNE_NO_BLOCK;
	if (gcdune_block_reserve(which, count))
		return GCDUNE_NO_BLOCK;
	/* The run at the edge is long enough now, wherever it stands in its bin. */
	return which == GCDUNE_SPACE_SCANNED ? heap->spans[heap->spaces[which].edge - 1].head : heap->spaces[which].edge;
}

uint32_t gcdune_block_take(unsigned which, uint32_t count)
{
	uint32_t run = run_get(which, count);

	if (run == GCDUNE_NO_BLOCK || !make_room(run, count))
		return GCDUNE_NO_BLOCK;
	run_cut(run, run, count);
	return run;
}

/* ---- Blocks of small objects ----
 *
 * Those of one kind and class lie side by side as far as that costs nothing. Programs hash objects by address, often with
 * no more than a shift, into tables with linear probing (ECL's eq tables). Objects that lie in one piece are spread evenly
 * over such a table, however often they go round it; objects in many pieces overlap there at random, and where too many
 * do, the table has a cluster as long as the piece. With 64 KiB pieces that was 170 probes for a key, with 512 KiB 10.
 *
 * So a class takes the block after its last one; and if that is gone, begins again where as many are free as it lately took
 * (GROUP at most), at a multiple of that number: what other classes leave of such a place is theirs to go on with. Classes
 * of a block or two stay together. */

enum { GROUP = 16 };

/* The block after the last one, if it is free. */
static uint32_t following(unsigned which, const struct gcdune_growth *growth)
{
	uint32_t index = growth->after;

	/* A free block whose neighbour before it is not free is the first of its run. */
	if (!index || index >= heap->nblocks || space_of(index) != which || heap->blocks[index].use != GCDUNE_USE_FREE ||
	    heap->blocks[index - 1].use == GCDUNE_USE_FREE)
		return GCDUNE_NO_BLOCK;
	return index;
}

static uint32_t group(const struct gcdune_growth *growth)
{
	uint32_t want = 1;

	while (want < GROUP && want < growth->taken)
		want *= 2;
	return want;
}

static uint32_t cut_one(uint32_t run, uint32_t index, struct gcdune_growth *growth)
{
	if (!make_room(index, 1))
		return GCDUNE_NO_BLOCK;
	run_cut(run, index, 1);
	growth->after = index + 1;
	growth->taken++;
	return index;
}

uint32_t gcdune_block_take_near(unsigned which, struct gcdune_growth *growth)
{
	uint32_t run = following(which, growth), index = run, want = group(growth);

	if (run == GCDUNE_NO_BLOCK && want > 1) {
		/* Any run of nearly twice the length has an aligned piece. */
		run = run_find(which, 2 * want - 1);
		index = (run + want - 1) / want * want;
	}
	if (run == GCDUNE_NO_BLOCK)
		run = index = run_get(which, 1);
	return run == GCDUNE_NO_BLOCK ? run : cut_one(run, index, growth);
}

/* In a run in one of BINS, at a multiple of WANT, WANT free blocks that the heap holds. Short runs first: they come and go
 * with small objects. */
static uint32_t take_dirty(const struct gcdune_space *space, uint32_t bins, uint32_t want, struct gcdune_growth *growth)
{
	enum { LOOK = 4 * SEARCH };
	unsigned tries = 0;

	for (bins &= space->bins_used; bins; bins &= bins - 1)
		for (uint32_t run = space->bins[__builtin_ctz(bins)]; run != GCDUNE_NO_BLOCK; run = heap->spans[run].next) {
			uint32_t index = (run + want - 1) / want * want, end = run + heap->spans[run].length;

			/* What was never used, or given back, may lie before it in the same run. */
			for (; index + want <= end; index += want) {
				if (tries++ == LOOK)
					return GCDUNE_NO_BLOCK;
				if (!count_clean(index, want))
					return cut_one(run, index, growth);
			}
		}
	return GCDUNE_NO_BLOCK;
}

uint32_t gcdune_block_take_dirty(unsigned which, struct gcdune_growth *growth)
{
	const struct gcdune_space *space = &heap->spaces[which];
	uint32_t index, want = group(growth);

	if (!heap->blocks_dirty)
		return GCDUNE_NO_BLOCK;
	index = following(which, growth);
	if (index != GCDUNE_NO_BLOCK && heap->spans[index].pages)
		return cut_one(index, index, growth);
	index = GCDUNE_NO_BLOCK;
	for (; want > 1 && index == GCDUNE_NO_BLOCK; want /= 2)
		index = take_dirty(space, ~0u << bin_of(want), want, growth);
	return index == GCDUNE_NO_BLOCK ? take_dirty(space, ~0u, 1, growth) : index;
}

bool gcdune_block_take_at(uint32_t index, uint32_t count)
{
	if (count > heap->nblocks - index || heap->blocks[index].use != GCDUNE_USE_FREE ||
	    space_of(index) != space_of(index + count - 1))
		return false;
	/* INDEX follows a used block, so it is the first of its run. */
	if (heap->spans[index].length < count || !make_room(index, count))
		return false;
	run_cut(index, index, count);
	return true;
}

void gcdune_block_give(uint32_t index, uint32_t count)
{
	heap->blocks_used -= count;
	heap->blocks_dirty += count - count_clean(index, count);
	run_free(index, count);
}

/* ---- Giving memory back ---- */

static size_t release_run(uint32_t first, unsigned age, size_t most)
{
	uint32_t end = first + heap->spans[first].length;
	size_t released = 0;

	for (uint32_t i = first; i < end && released < most;) {
		uint32_t from = i;

		while (i < end && heap->spans[i].pages && heap->spans[i].age >= age && released + (i - from) < most)
			i++;
		if (i == from) {
			i++;
			continue;
		}
		if (gcdune_os_release((void *)gcdune_block_address(from), (size_t)(i - from) << GCDUNE_BLOCK_SHIFT))
			continue; /* the kernel would not: they stay dirty */
		for (uint32_t k = from; k < i; k++)
			heap->spans[k].pages = 0;
		released += i - from;
	}
	return released;
}

size_t gcdune_block_release(unsigned age, size_t keep, size_t batch)
{
	size_t released = 0;

	/* Long runs first: they are the ones that small objects are least likely to need soon. */
	for (unsigned bin = GCDUNE_BINS; bin-- > 0;) {
		for (unsigned s = 0; s < GCDUNE_SPACES; s++) {
			for (uint32_t run = heap->spaces[s].bins[bin]; run != GCDUNE_NO_BLOCK;
			     run = heap->spans[run].next) {
				if (heap->blocks_dirty <= keep || released >= batch)
					goto out;
				size_t most = heap->blocks_dirty - keep;
				size_t n = release_run(run, age, most < batch - released ? most : batch - released);

				heap->blocks_dirty -= n;
				released += n;
			}
		}
	}
out:
	heap->released += (uint64_t)released << GCDUNE_BLOCK_SHIFT;
	return released;
}

size_t gcdune_block_held(void)
{
	enum { FEW = 4 * STEP }; /* they are all looked at, in the pause */
	size_t pages = 0;

	if (heap->blocks_committed > FEW)
		return (heap->blocks_used + heap->blocks_dirty) << GCDUNE_BLOCK_SHIFT;
	GCDUNE_EACH_BLOCK(i)
		pages += heap->spans[i].pages;
	return pages * GCDUNE_PAGE;
}

/* ---- Slot states ---- */

/* Markers look up states all over the place: once there are many, huge pages save most of the misses of that. The first
 * few are for small heaps. */
static bool commit_states(void)
{
	const uint32_t small = (256 << 10) / GCDUNE_STATE_UNIT, huge = (2 << 20) / GCDUNE_STATE_UNIT;
	uint32_t step = heap->states_committed < 2 * huge ? small : huge;
	uint8_t *begin = heap->states + heap->states_committed * GCDUNE_STATE_UNIT;

	if (gcdune_os_commit(begin, step * GCDUNE_STATE_UNIT))
		return false;
	if (step == huge && gcdune_options.hugepages != GCDUNE_HUGE_OFF)
		gcdune_os_huge(begin, step * GCDUNE_STATE_UNIT, true);
	heap->states_committed += step;
	return true;
}

uint32_t gcdune_states_take(unsigned cls)
{
	uint32_t units = cls ? gcdune_classes[cls].state_units : 1;
	uint32_t index = heap->states_free[cls];

	if (index) {
		memcpy(&heap->states_free[cls], heap->states + index * GCDUNE_STATE_UNIT, sizeof(uint32_t));
	} else {
		if (heap->states_next + units > heap->states_committed && !commit_states())
			return 0;
		index = heap->states_next;
		heap->states_next += units;
	}
	memset(heap->states + index * GCDUNE_STATE_UNIT, 0, units * GCDUNE_STATE_UNIT);
	return index;
}

void gcdune_states_give(unsigned cls, uint32_t index)
{
	memcpy(heap->states + index * GCDUNE_STATE_UNIT, &heap->states_free[cls], sizeof(uint32_t));
	heap->states_free[cls] = index;
}

/* ---- Verifying ---- */

/* Allocation does not clear what was never written to. */
static void verify_rest(uint32_t index)
{
	unsigned pages = heap->spans[index].pages;
	const uint64_t *word = (const uint64_t *)(gcdune_block_address(index) + pages * GCDUNE_PAGE);

	if (!pages)
		return; /* all of the block; the read would have the kernel make its page tables */
	for (; (uintptr_t)word < gcdune_block_address(index + 1); word++)
		if (*word)
			gcdune_panic("block %u was written to at %p, behind the %u pages that are known", index, (const void *)word, pages);
}

void gcdune_block_verify(void)
{
	size_t used = 0, dirty = 0, free_blocks = 0, in_runs = 0;

	GCDUNE_EACH_BLOCK(i) {
		verify_rest(i);
		if (heap->blocks[i].use == GCDUNE_USE_FREE) {
			free_blocks++;
			dirty += heap->spans[i].pages > 0;
		} else if (heap->blocks[i].use == GCDUNE_USE_NONE) {
			gcdune_panic("block %u is committed but has no use", i);
		} else {
			used++;
		}
	}
	for (unsigned s = 0; s < GCDUNE_SPACES; s++)
		for (unsigned bin = 0; bin < GCDUNE_BINS; bin++)
			for (uint32_t run = heap->spaces[s].bins[bin]; run != GCDUNE_NO_BLOCK;
			     run = heap->spans[run].next) {
				uint32_t length = heap->spans[run].length;

				if (bin_of(length) != bin || space_of(run) != s ||
				    heap->spans[run + length - 1].head != run)
					gcdune_panic(
						"free run at block %u is in the wrong list or has the wrong length",
						run);
				in_runs += length;
			}
	if (in_runs != free_blocks)
		gcdune_panic("%zu blocks are free but %zu are in free runs", free_blocks, in_runs);
	if (used != heap->blocks_used || dirty != heap->blocks_dirty)
		gcdune_panic("%zu blocks used and %zu dirty, but %zu and %zu counted", used, dirty, heap->blocks_used,
			     heap->blocks_dirty);
}
