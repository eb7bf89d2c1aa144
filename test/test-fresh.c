/* test-fresh.c - fresh memory of a heap that grows is there a block at a time, before the first write to each page; that of a
 * small heap only as far as it was used. Objects are of a size that nothing else in the process has, and nothing is collected:
 * each block of theirs is fresh. Asked of the kernel by mincore(2), which tells of anonymous memory what is present.
 *
 * TEST-FLAGS: timeout=60
 */
#include "check.h"

#include <sys/mman.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

enum { SIZE = 1008, OTHER = 1200, BLOCK = 65536, PAGE = 4096, GROWN = 24 << 20 };

static bool can_populate(void)
{
	void *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool can = p != MAP_FAILED && !madvise(p, PAGE, MADV_POPULATE_WRITE);

	munmap(p, PAGE);
	return can;
}

static int present(const char *block)
{
	unsigned char pages[BLOCK / PAGE];
	int n = 0;

	CHECK(!mincore((void *)block, BLOCK, pages));
	for (int i = 0; i < BLOCK / PAGE; i++)
		n += pages[i] & 1;
	return n;
}

static char *block_of(const void *object)
{
	return (char *)((uintptr_t)object & -(uintptr_t)BLOCK);
}

/* The first object of a block after at least SKIP bytes. */
static char *begin_block(size_t size, size_t skip)
{
	char *object = gcdune_alloc(size), *before = NULL;
	size_t made = 0;

	for (; made < skip || block_of(object) == block_of(before); made += size) {
		before = object;
		object = gcdune_alloc(size);
		CHECK(object);
	}
	return object;
}

int main(void)
{
	gcdune_disable();
	char *object = begin_block(SIZE, 2 * BLOCK);
	int small = present(block_of(object));

	CHECK(small < BLOCK / PAGE / 2);
	/* A block is used up to its end whatever was made present ahead, and reads as zero. */
	for (int i = 0; i < 40; i++) {
		object = gcdune_alloc(SIZE);
		for (int k = 0; k < SIZE; k++)
			CHECK_EQ(object[k], 0);
	}
	object = begin_block(SIZE, GROWN);
	int grown = present(block_of(object));

	/* The first block of another size is no sign of growth. */
	int other = present(block_of(gcdune_alloc(OTHER)));

	printf("pages present of 16, at the first object of a block: small heap %d, grown %d, another size %d\n", small, grown, other);
	CHECK(other < BLOCK / PAGE / 2);
	if (!can_populate())
		skip("madvise cannot make pages present here");
	CHECK_EQ(grown, BLOCK / PAGE);
	return 0;
}
