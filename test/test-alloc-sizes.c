/* Allocation of every size from 0 to 100,000 bytes, scanned and leaf: aligned, zeroed, not overlapping any
 * other live object, its size at least what was asked for, and gcdune_base right for every byte of it.
 *
 * TEST-FLAGS: timeout=300 torture=yes tsan=no
 */
#include "check.h"

/* Live objects, each filled to its last usable byte; an overlap shows when one is checked as it leaves. */
#define WINDOW 200
static struct held {
	unsigned char *p;
	size_t usable;
	unsigned char fill;
} held[WINDOW];

static void check_filled(const struct held *h)
{
	for (size_t i = 0; i < h->usable; i++)
		CHECKF(h->p[i] == h->fill, "byte %zu of object %p (%zu bytes) is %02x, expected %02x: overlap", i,
		       (void *)h->p, h->usable, h->p[i], h->fill);
}

static void check_zero(const unsigned char *p, size_t size)
{
	for (size_t i = 0; i < size; i++)
		CHECKF(p[i] == 0, "byte %zu of a new object of %zu bytes is %02x, expected 0", i, size, p[i]);
}

static void check_base(unsigned char *p, size_t size, size_t usable, uint64_t *random)
{
	size_t ends = size < 4096 ? size : 64;

	CHECK(gcdune_base(p) == p);
	CHECK(gcdune_base(p + usable - 1) == p);
	for (size_t i = 0; i < ends; i++) {
		CHECKF(gcdune_base(p + i) == p, "base of byte %zu in an object of %zu bytes is wrong", i, size);
		CHECKF(gcdune_base(p + size - 1 - i) == p, "base of byte %zu of %zu is wrong", size - 1 - i, size);
	}
	for (size_t i = 0; size >= 4096 && i < 64; i++) {
		size_t at = random_next(random) % size;

		CHECKF(gcdune_base(p + at) == p, "base of byte %zu in an object of %zu bytes is wrong", at, size);
	}
}

static void one_size(size_t size, bool leaf, uint64_t *random)
{
	static unsigned serial;
	struct held *h = &held[serial++ % WINDOW];
	size_t usable;

	if (h->p)
		check_filled(h);
	h->p = leaf ? gcdune_alloc_leaf(size) : gcdune_alloc(size);
	CHECKF(h->p != NULL, "no memory for %zu bytes", size);
	CHECKF((uintptr_t)h->p % 16 == 0, "object of %zu bytes at %p, expected a multiple of 16", size, (void *)h->p);
	CHECK(gcdune_contains(h->p));
	usable = gcdune_size(h->p);
	CHECKF(usable >= size && usable > 0, "an object of %zu bytes has size %zu", size, usable);
	CHECK_EQ(gcdune_kind_of(h->p), leaf ? GCDUNE_KIND_LEAF : GCDUNE_KIND_SCANNED);
	if (!leaf)
		check_zero(h->p, usable);
	check_base(h->p, size, usable, random);
	h->usable = usable;
	/* Odd and repeated: as a word it is never a heap address, so the filled objects retain nothing. */
	h->fill = (unsigned char)(serial * 2 + 1);
	memset(h->p, h->fill, usable);
}

static void all_sizes(bool leaf)
{
	size_t step = rounds(1, 97);
	uint64_t random = 1;

	for (size_t size = 0; size <= 100000; size += size < 600 ? 1 : step)
		one_size(size, leaf, &random);
	/* Backwards, over memory that is dirty now. */
	for (size_t size = 100000; size < 1000000; size -= rounds(37, 997))
		one_size(size, leaf, &random);
	for (size_t i = 0; i < WINDOW; i++)
		check_filled(&held[i]);
	memset(held, 0, sizeof(held));
}

static void size_zero(void)
{
	ROOT void *objects[1000];

	for (size_t i = 0; i < 1000; i++) {
		objects[i] = gcdune_alloc(0);
		CHECK(objects[i] != NULL);
		for (size_t k = i > 20 ? i - 20 : 0; k < i; k++)
			CHECK(objects[i] != objects[k]);
	}
	gcdune_collect();
	for (size_t i = 0; i < 1000; i++)
		CHECK(gcdune_base(objects[i]) == objects[i]);
}

int main(void)
{
	int here = 0;

	CHECK_EQ(gcdune_size(&here), 0);
	CHECK(gcdune_base(&here) == NULL);
	CHECK(gcdune_base(NULL) == NULL);
	CHECK(!gcdune_contains(&here));
	CHECK_EQ(gcdune_kind_of(&here), -ENOENT);
	size_zero();
	all_sizes(false);
	all_sizes(true);
	return 0;
}
