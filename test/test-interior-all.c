/* gcdune_interior_set(true): every object has a byte more, so a pointer right behind its last byte keeps it
 * wherever that pointer is stored, and no other object begins there.
 *
 * TEST-FLAGS: timeout=60 torture=yes
 */
#include "check.h"

#define COUNT 2000

ROOT char **ends; /* in the heap */

static void one_size(size_t size)
{
	size_t n = size < 10000 ? COUNT : 50;

	ends = gcdune_alloc(COUNT * sizeof(char *));
	for (size_t i = 0; i < n; i++) {
		char *p = i % 2 ? gcdune_alloc_leaf(size) : gcdune_alloc(size);

		CHECK(p != NULL);
		CHECK(gcdune_size(p) >= size);
		ends[i] = p + size;
		CHECKF(gcdune_base(ends[i]) == p, "the end of an object of %zu bytes belongs to another", size);
		memset(p, (int)(i | 1), size);
	}
	wipe_and_collect();
	for (size_t i = 0; i < 500; i++)
		memset(gcdune_alloc_leaf(size), 0xaa, size);
	for (size_t i = 0; i < n; i++) {
		char *p = ends[i] - size;

		CHECKF(gcdune_base(ends[i]) == p, "object %zu of %zu bytes was lost", i, size);
		for (size_t k = 0; k < size; k++)
			CHECKF(p[k] == (char)(i | 1), "byte %zu of object %zu of %zu bytes changed", k, i, size);
	}
	ends = NULL;
}

static void late(void)
{
	/* The usable size does not include the byte behind: filling it all leaves the neighbour alone. */
	char *a = gcdune_alloc(32), *b = gcdune_alloc(32);

	memset(b, 1, gcdune_size(b));
	memset(a, 2, gcdune_size(a));
	for (size_t i = 0; i < 32; i++)
		CHECK(b[i] == 1);
	CHECK(gcdune_base(a + gcdune_size(a)) == a);
}

int main(void)
{
	gcdune_interior_set(true);
	for (size_t size = 16; size <= 160; size += 16)
		one_size(size);
	one_size(100);
	one_size(1024);
	one_size(4096);
	one_size(16384);
	one_size(65536);
	one_size(131072);
	late();
	return 0;
}
