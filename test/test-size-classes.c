/* The waste bound of the size classes: an object of 16 bytes costs 16, small sizes are rounded to 16 bytes or by at
 * most a quarter, those of which few fit into a block to an even part of it, large ones to pages; the counted cost of a million cells agrees with it.
 *
 * TEST-FLAGS: timeout=120 torture=no
 */
#include "check.h"

static size_t bound(size_t size)
{
	size_t rounded = size ? (size + 15) & ~(size_t)15 : 16;

	if (size <= 128)
		return rounded;
	if (size <= 8192)
		return (size + size / 4 + 15) & ~(size_t)15;
	/* As many as fit share a block of 64 KiB. */
	if (size <= 32768)
		return 65536 / (65536 / rounded) & ~(size_t)15;
	return (size + 4095) & ~(size_t)4095;
}

static void usable_sizes(void)
{
	size_t before = 0;

	for (size_t size = 0; size <= 300000; size += size < 20000 ? 1 : 509) {
		void *p = gcdune_alloc_leaf(size);
		size_t usable;

		CHECK(p != NULL);
		usable = gcdune_size(p);
		CHECKF(usable <= bound(size), "an object of %zu bytes has %zu, expected at most %zu", size, usable,
		       bound(size));
		CHECKF(usable + 16 >= before || size > 16384, "size %zu gives %zu, but a smaller one %zu", size, usable,
		       before);
		before = usable;
		gcdune_free(p);
	}
}

/* Cells of SIZE bytes on a list: what the heap grows by must be near their sum, which it is not when each costs a
 * header or an extra byte. */
ROOT void *list;

static uint64_t blocks_in_use(void)
{
	struct gcdune_stats stats = stats_now();

	return stats.bytes_heap - stats.bytes_free;
}

static void cells(size_t size, size_t count)
{
	uint64_t used;

	gcdune_collect_and_release();
	gcdune_disable();
	used = blocks_in_use();
	for (size_t i = 0; i < count; i++) {
		void **cell = gcdune_alloc(size);

		CHECK(cell != NULL);
		*cell = list;
		list = cell;
	}
	CHECK_EQ(gcdune_enable(), 0);
	used = blocks_in_use() - used;
	CHECKF(used <= size * count * 11 / 10 + (2u << 20),
	       "%zu cells of %zu bytes use %llu bytes of blocks, expected at most 10 %% more than %zu", count, size,
	       (unsigned long long)used, size * count);
	list = NULL;
	gcdune_collect();
}

int main(void)
{
	usable_sizes();
	cells(16, 1000000);
	cells(32, 1000000);
	cells(48, 1000000);
	cells(112, 300000);
	cells(1024, 30000);
	return 0;
}
