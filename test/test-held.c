/* test-held.c - memory that the heap holds is used before memory that it would have to ask for, and is counted as far as it is
 * used: blocks that were written to are found behind ones that were not, in the same run of free blocks; one object of each
 * size does not count as a block of each; and what is taken for never written to reads as zero.
 *
 * TEST-FLAGS: timeout=60 env:GCDUNE_MODE=stw env:GCDUNE_VERIFY=1
 */
#include "check.h"

enum { BLOCK = 65536, CELL = 752, BLOCKS = 40, OTHER = 1264, WANTED = 4, SIZES = 30 };

struct cell {
	struct cell *next;
	char rest[CELL - sizeof(struct cell *)];
};

static uintptr_t block_of(const void *object)
{
	return (uintptr_t)object / BLOCK;
}

/* So many blocks of cells, the first block first. */
static struct cell *NOINLINE fill(unsigned blocks)
{
	struct cell *first = gcdune_alloc(sizeof *first), *last = first;
	unsigned n = 0;

	while (n < blocks) {
		struct cell *cell = gcdune_alloc(sizeof *cell);

		n += block_of(cell) != block_of(last);
		last->next = cell;
		last = cell;
	}
	return first;
}

/* The cell after which the second half of the blocks begins. */
static struct cell *NOINLINE middle(struct cell *cell)
{
	for (unsigned n = 0; n < BLOCKS / 2; cell = cell->next)
		n += block_of(cell) != block_of(cell->next);
	return cell;
}

static struct cell *volatile upper;
static struct {
	uintptr_t begin, end;
} clean, dirty;

static void make_cells(void *unused)
{
	(void)unused;
	struct cell *cells = fill(BLOCKS);

	upper = middle(cells);
	/* Blocks that are whole in either half. */
	clean.begin = block_of(cells) + 1;
	clean.end = block_of(upper) - 1;
	dirty.begin = block_of(upper) + 1;
	dirty.end = clean.begin + BLOCKS - 2;
}

static void dirty_behind_clean(void)
{
	struct gcdune_stats stats;

	in_thread(make_cells, NULL);
	gcdune_collect_and_release();
	gcdune_stats_get(&stats, sizeof stats);
	CHECK(stats.bytes_released >= (uint64_t)BLOCKS / 3 * BLOCK);
	upper = NULL;
	wipe_and_collect();
	gcdune_stats_get(&stats, sizeof stats);
	unsigned in_clean = 0, in_dirty = 0;
	uintptr_t last = 0;

	for (unsigned n = 0; n < WANTED;) {
		char *object = gcdune_alloc(OTHER);

		if (block_of(object) == last)
			continue;
		last = block_of(object);
		n++;
		in_clean += last >= clean.begin && last < clean.end;
		in_dirty += last >= dirty.begin && last < dirty.end;
	}
	printf("free memory held: %zu KiB; of %d blocks %u were in what was given back, %u in what was not\n",
	       (size_t)stats.bytes_free >> 10, WANTED, in_clean, in_dirty);
	CHECK(stats.bytes_free >= (uint64_t)BLOCKS / 4 * BLOCK);
	CHECK(in_dirty > 0);
	CHECKF(in_clean == 0, "%u of %d blocks are in memory that was given back", in_clean, WANTED);
}

/* The program's own count of what it makes does not depend on how many sizes it uses. */
static void counted_as_used(void)
{
	struct gcdune_stats before, after;

	gcdune_collect();
	gcdune_stats_get(&before, sizeof before);
	size_t made = 0;

	for (size_t size = 16, n = 0; n < SIZES; n++, size += size < 128 ? 16 : size / 8 & -(size_t)16) {
		CHECK(gcdune_alloc(size - 1));
		CHECK(gcdune_alloc(size));
		made += 2 * size;
	}
	gcdune_stats_get(&after, sizeof after);
	uint64_t counted = after.bytes_allocated - before.bytes_allocated;

	printf("%zu bytes made, %zu counted\n", made, (size_t)counted);
	/* No more than what is handed out ahead, and that is for much of a block only where the block was never used. */
	CHECK(counted < (uint64_t)SIZES * 2 * BLOCK / 2);
	gcdune_collect();
	gcdune_stats_get(&after, sizeof after);
	CHECK(after.bytes_allocated >= before.bytes_allocated + made);
}

static void zero_where_untouched(void)
{
	uint64_t random = 88172645463325252u;

	for (unsigned round = 0; round < 60; round++) {
		for (unsigned i = 0; i < 400; i++) {
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			size_t size = 1 + random % (random >> 60 ? 3000 : 200000);
			char *object = gcdune_alloc(size);

			for (size_t k = 0; k < size; k++)
				CHECKF(!object[k], "byte %zu of %zu is %d", k, size, object[k]);
			/* Large ones not to their end. */
			memset(object, 0x55, size > 65536 && random & 0x100 ? size / 3 : size);
		}
		if (round % 7 == 0)
			gcdune_collect_and_release();
		else
			gcdune_collect();
	}
}

int main(void)
{
	dirty_behind_clean();
	counted_as_used();
	zero_where_untouched();
	return 0;
}
