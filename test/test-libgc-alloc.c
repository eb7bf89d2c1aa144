/* libgc-alloc - allocation through Boehm's interface: contents, sizes, addresses, realloc, free, uncollectable objects.
 *
 * TEST-FLAGS: link=libgc torture=yes timeout=120 */
#include "libgc-check.h"

#include <errno.h>

static int all_zero(const char *p, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (p[i])
			return 0;
	return 1;
}

static void test_sizes(void)
{
	size_t sizes[] = { 1, 8, 15, 16, 17, 24, 32, 100, 128, 129, 500, 1024, 2048, 4000, 5000, 32768, 40000, 70000,
			   1 << 20, 5 << 20 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		for (int round = 0; round < 3; round++) {
			char *p = GC_MALLOC(sizes[i]);
			char *a = GC_MALLOC_ATOMIC(sizes[i]);

			CHECK(p && a);
			CHECK((uintptr_t)p % 16 == 0 && (uintptr_t)a % 16 == 0);
			CHECK(all_zero(p, sizes[i]));
			CHECK(GC_size(p) >= sizes[i] && GC_size(a) >= sizes[i]);
			CHECK(GC_base(p) == p && GC_base(p + sizes[i] - 1) == p);
			CHECK(GC_base(a + sizes[i] / 2) == a);
			CHECK(GC_is_heap_ptr(p) && GC_is_heap_ptr(a));
			CHECK((void *)p >= GC_least_plausible_heap_addr && (void *)p <= GC_greatest_plausible_heap_addr);
			CHECK((void *)a >= GC_least_plausible_heap_addr && (void *)a <= GC_greatest_plausible_heap_addr);
			memset(p, 0x5a, sizes[i]);
			memset(a, 0x5a, sizes[i]);
			GC_reachable_here(p);
			GC_reachable_here(a);
		}
	}
	CHECK(GC_MALLOC(0) != NULL && GC_MALLOC_ATOMIC(0) != NULL);
	CHECK(GC_base(&sizes) == NULL);
	CHECK(!GC_is_heap_ptr(&sizes));
	CHECK(GC_base(NULL) == NULL);
}

static void test_strings(void)
{
	char *s = GC_STRDUP("hello");

	CHECK(strcmp(s, "hello") == 0);
	CHECK(strcmp(GC_STRNDUP("hello", 3), "hel") == 0);
	CHECK(strcmp(GC_STRNDUP("hello", 30), "hello") == 0);
	CHECK(GC_STRDUP(NULL) == NULL);
}

static void test_aligned(void)
{
	for (size_t alignment = 16; alignment <= 4096; alignment *= 2) {
		void *p = GC_memalign(alignment, 100), *q = NULL;

		CHECK(p && (uintptr_t)p % alignment == 0);
		CHECK_EQ(GC_posix_memalign(&q, alignment, 3000), 0);
		CHECK(q && (uintptr_t)q % alignment == 0);
		memset(q, 1, 3000);
	}
	void *q = &q;
	CHECK_EQ(GC_posix_memalign(&q, 24, 10), EINVAL);
	CHECK(q == &q);
}

static void test_realloc(void)
{
	size_t size = 1;
	unsigned char *p = GC_REALLOC(NULL, 1);

	CHECK(p);
	p[0] = 7;
	while (size < 3000000) {
		size_t next = size + size / 3 + 1;

		p = GC_REALLOC(p, next);
		CHECK(p && GC_size(p) >= next);
		CHECK(p[0] == 7);
		for (size_t i = 1; i < size; i += size / 16 + 1)
			CHECK(p[i] == (unsigned char)(i * 31));
		for (size_t i = 1; i < next; i++)
			p[i] = (unsigned char)(i * 31);
		size = next;
	}
	while (size > 10) {
		size_t next = size / 3;

		p = GC_REALLOC(p, next);
		CHECK(p[0] == 7);
		for (size_t i = 1; i < next; i += next / 16 + 1)
			CHECK(p[i] == (unsigned char)(i * 31));
		size = next;
	}
	CHECK(GC_REALLOC(p, 0) == NULL);

	/* The kind stays: what an uncollectable object points to lives. */
	void **u = GC_MALLOC_UNCOLLECTABLE(16);
	char *kept = GC_STRDUP("kept");

	u[0] = kept;
	u = GC_REALLOC(u, 5000);
	CHECK(u[0] == kept);
	collect();
	CHECK(strcmp(u[0], "kept") == 0);
	GC_FREE(u);
}

static GC_hidden_pointer pinned[N];
static GC_hidden_pointer held[N];

static void make_pinned(void)
{
	for (size_t i = 0; i < N; i++) {
		void **p = GC_MALLOC_UNCOLLECTABLE(32);
		size_t *leaf = GC_MALLOC_ATOMIC_UNCOLLECTABLE(48);
		size_t *h = GC_MALLOC_ATOMIC(16);

		CHECK(p[0] == NULL && p[3] == NULL);
		h[0] = i ^ 0x1234;
		leaf[5] = i;
		p[0] = h;
		p[1] = (void *)GC_HIDE_POINTER(leaf);
		pinned[i] = GC_HIDE_POINTER(p);
		held[i] = GC_HIDE_POINTER(h);
	}
}

static void check_pinned(void)
{
	for (size_t i = 0; i < N; i++) {
		void **p = GC_REVEAL_POINTER(pinned[i]);
		size_t *leaf = GC_REVEAL_POINTER((GC_word)p[1]);

		CHECK(GC_base(p) == p);
		CHECK(p[0] == GC_REVEAL_POINTER(held[i]));
		CHECK(*(size_t *)p[0] == (i ^ 0x1234));
		CHECK(leaf[5] == i);
		GC_FREE(leaf);
		GC_FREE(p);
	}
}

static void test_pinned(void)
{
	apart(make_pinned);
	for (int i = 0; i < 3; i++) {
		collect();
		for (size_t k = 0; k < 20 * N; k++)
			memset(GC_MALLOC_ATOMIC(16 + k % 64), 0xff, 16);
	}
	apart(check_pinned);
}

static void test_many(void)
{
	size_t count = 0;
	void *list = GC_malloc_many(40);

	CHECK(list);
	for (void *p = list; p; p = GC_NEXT(p), count++) {
		CHECK(GC_size(p) >= 40);
		CHECK(all_zero((char *)p + 8, 32));
	}
	CHECK(count >= 1);
}

/* Free lists in the program, as compilers that generate C keep them. */
static void *lists[GC_TINY_FREELISTS];
static void *leaf_lists[GC_TINY_FREELISTS];

static void test_inline(void)
{
	void **chain = NULL;

	for (size_t i = 0; i < 5000; i++) {
		void **cell, *leaf;

		GC_CONS(cell, chain, i << 1 | 1, lists);
		CHECK(cell);
		GC_MALLOC_ATOMIC_WORDS(leaf, 4, leaf_lists);
		CHECK(leaf);
		/* Leaf lists are followed by nobody: no collection may see one that is used further. */
		memset(leaf_lists, 0, sizeof(leaf_lists));
		memset(leaf, 0xee, 32);
		chain = cell;
	}
	collect();
	for (size_t i = 5000; i-- > 0; chain = chain[0])
		CHECK((size_t)chain[1] == (i << 1 | 1));
}

int main(void)
{
	GC_INIT();
	CHECK(GC_get_version() >= 0x080000);
	test_sizes();
	test_strings();
	test_aligned();
	test_realloc();
	test_pinned();
	test_many();
	test_inline();
	return 0;
}
