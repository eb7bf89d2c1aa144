/* gcdune_alloc_aligned: every power of two up to 1 GiB, every size and kind: aligned, usable, zeroed, kept by
 * interior pointers, freed; alignments that are no power of two fail.
 *
 * TEST-FLAGS: timeout=120 torture=yes
 */
#include "check.h"

ROOT void *roots[64];

static void one(size_t size, size_t alignment, gcdune_kind kind)
{
	unsigned char *p = gcdune_alloc_aligned(size, alignment, kind);

	CHECKF(p != NULL, "no memory for %zu bytes at a multiple of %zu", size, alignment);
	CHECKF((uintptr_t)p % alignment == 0, "%p is not a multiple of %zu", (void *)p, alignment);
	CHECKF(gcdune_size(p) >= size, "size %zu for %zu bytes at a multiple of %zu", gcdune_size(p), size, alignment);
	CHECK(gcdune_base(p) == p);
	if (size)
		CHECK(gcdune_base(p + size - 1) == p);
	CHECK_EQ(gcdune_kind_of(p), kind);
	if (kind != GCDUNE_KIND_LEAF && kind != GCDUNE_KIND_PINNED_LEAF)
		for (size_t i = 0; i < size; i++)
			CHECKF(p[i] == 0, "byte %zu of %zu at a multiple of %zu is not zero", i, size, alignment);
	memset(p, 0xfd, size);
	if (kind == GCDUNE_KIND_PINNED || kind == GCDUNE_KIND_PINNED_LEAF)
		gcdune_free(p);
}

static void all(void)
{
	static const size_t sizes[] = { 0, 1, 16, 40, 64, 100, 500, 3000, 4096, 10000, 70000 };
	static const gcdune_kind kinds[] = { GCDUNE_KIND_SCANNED, GCDUNE_KIND_LEAF, GCDUNE_KIND_PINNED,
					     GCDUNE_KIND_PINNED_LEAF };

	for (size_t alignment = 1; alignment <= 1u << 20; alignment *= 2)
		for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++)
			for (size_t k = 0; k < 4; k++)
				for (int repeat = 0; repeat < 4; repeat++)
					one(sizes[s], alignment, kinds[k]);
	for (size_t alignment = 2u << 20; alignment <= 1u << 30; alignment *= 2)
		for (size_t k = 0; k < 2; k++)
			one(100, alignment, kinds[k]);
}

/* Many live at once: distinct, and kept by a pointer into their middle only. */
static void kept(size_t size, size_t alignment)
{
	for (size_t i = 0; i < 64; i++) {
		gcdune_kind kind = i % 2 ? GCDUNE_KIND_LEAF : GCDUNE_KIND_SCANNED;
		unsigned char *p = gcdune_alloc_aligned(size, alignment, kind);

		CHECK(p != NULL);
		memset(p, (int)(2 * i + 1), size);
		roots[i] = p + size / 2;
	}
	wipe_and_collect();
	for (int i = 0; i < 2000; i++)
		KEEP_ALIVE(gcdune_alloc(size));
	for (size_t i = 0; i < 64; i++) {
		unsigned char *p = (unsigned char *)roots[i] - size / 2;

		CHECK(gcdune_base(roots[i]) == p);
		for (size_t k = 0; k < size; k++)
			CHECKF(p[k] == 2 * i + 1, "byte %zu of object %zu is %02x", k, i, p[k]);
	}
}

int main(void)
{
	/* Through a variable, for the compiler knows that these are wrong. */
	volatile size_t bad[] = { 3, 24, 4097, 2u << 30 };

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		CHECKF(gcdune_alloc_aligned(100, bad[i], GCDUNE_KIND_SCANNED) == NULL, "alignment %zu was accepted",
		       bad[i]);
	all();
	kept(48, 64);
	kept(300, 256);
	kept(100, 4096);
	kept(5000, 65536);
	return 0;
}
