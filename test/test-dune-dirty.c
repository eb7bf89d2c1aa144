/* test-dune-dirty.c - dirty bits, exactly: 0 missed, 0 extra. Single-threaded patterns of 0, 1, 10, 50 and 100 % of
 * pages; then with the address-space calls that move, throw away or copy pages, with fork, and a range of 4 GiB.
 *
 * TEST-FLAGS: link=dune asan=no tsan=no short=yes timeout=240 */
#include "dune-check.h"

static void take_and_compare(char *base, size_t pages, const uint8_t *expected, const char *what)
{
	uint64_t *bits = calloc(pages / 64 + 1, 8);
	size_t missed = 0, extra = 0;
	long n = dune_dirty_take(base, pages * PAGE, bits), count = 0;

	for (size_t i = 0; i < pages; i++) {
		bool dirty = bits[i / 64] >> i % 64 & 1;

		count += dirty;
		missed += expected[i] && !dirty;
		extra += !expected[i] && dirty;
	}
	if (missed || extra || n != count) {
		dprintf(2, "%s: %zu missed, %zu extra, %ld returned, %ld bits\n", what, missed, extra, n, count);
		_exit(1);
	}
	free(bits);
}

/* Several rounds at one density: write, in different ways; take; compare. */
static void densities(size_t pages)
{
	static const int percent[] = { 0, 1, 10, 50, 100, 10, 0 };
	char *base = map_pages(pages);
	uint8_t *expected = malloc(pages);
	uint64_t seed = 88172645463325252UL;

	CHECK_EQ(dune_dirty_track(base, pages * PAGE), 0);
	for (size_t p = 0; p < sizeof(percent) / sizeof(*percent); p++) {
		memset(expected, 0, pages);
		for (size_t i = 0; i < pages; i++) {
			volatile char *page = base + i * PAGE;
			uint64_t r = random_next(&seed);

			if (r % 100 < (unsigned)percent[p]) {
				expected[i] = 1;
				if (r & 1024)
					page[r >> 20 & 4095] = 1;
				else if (r & 2048) /* these write, whether or not they change anything */
					__asm__ volatile("lock orb $0, %0" : "+m"(*page));
				else
					__sync_bool_compare_and_swap(page, 77, 78); /* fails, and writes all the same */
			} else if (r & 4096) {
				(void)*page;
			}
		}
		take_and_compare(base, pages, expected, "density");
	}
	munmap(base, pages * PAGE);
	free(expected);
}

static void address_space(void)
{
	enum { N = 1024 };
	static uint8_t expected[2 * N];
	char *base = map_pages(N), *moved;
	int status;
	pid_t pid;

	/* New memory is clean. mprotect, both ways, keeps the bits. */
	dune_dirty_track(base, N * PAGE);
	memset(expected, 0, sizeof(expected));
	take_and_compare(base, N, expected, "new");
	for (int i = 0; i < N; i += 7)
		base[i * PAGE] = 1, expected[i] = 1;
	CHECK(!mprotect(base, N * PAGE, PROT_NONE));
	CHECK(!mprotect(base, N * PAGE, PROT_READ));
	CHECK(!mprotect(base, N * PAGE, PROT_READ | PROT_WRITE));
	take_and_compare(base, N, expected, "mprotect");

	/* Written with the protection gone and back. */
	memset(expected, 0, sizeof(expected));
	CHECK(!mprotect(base, N / 2 * PAGE, PROT_READ));
	CHECK(!mprotect(base, N / 2 * PAGE, PROT_READ | PROT_WRITE));
	for (int i = 0; i < N; i += 3)
		base[i * PAGE] = 1, expected[i] = 1;
	take_and_compare(base, N, expected, "after mprotect");

	/* mremap: the bits move along; what was added is clean. */
	memset(expected, 0, sizeof(expected));
	for (int i = 0; i < N; i += 5)
		base[i * PAGE] = 2, expected[i] = 1;
	moved = map_pages(2 * N);
	moved = mremap(base, N * PAGE, 2 * N * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, moved);
	CHECK(moved != MAP_FAILED && moved != base);
	take_and_compare(moved, 2 * N, expected, "mremap");
	base = moved;
	for (int i = 0; i < 2 * N; i++)
		CHECK_EQ(base[i * PAGE], i < N && i % 5 == 0 ? 2 : i < N && (i % 7 == 0 || i % 3 == 0) ? 1 : 0);

	/* madvise: the contents changed. */
	memset(expected, 0, sizeof(expected));
	take_and_compare(base, 2 * N, expected, "nothing");
	CHECK(!madvise(base + 10 * PAGE, 20 * PAGE, MADV_DONTNEED));
	memset(expected + 10, 1, 20);
	CHECK(!madvise(base + 100 * PAGE, 5 * PAGE, MADV_WILLNEED));
	CHECK_EQ(base[10 * PAGE], 0);
	take_and_compare(base, 2 * N, expected, "madvise");

	/* fork: the child has the parent's bits; each its own from there. */
	memset(expected, 0, sizeof(expected));
	base[3 * PAGE] = 1, expected[3] = 1;
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		base[4 * PAGE] = 1, expected[4] = 1;
		take_and_compare(base, 2 * N, expected, "child");
		memset(expected, 0, sizeof(expected));
		take_and_compare(base, 2 * N, expected, "child, again");
		for (int i = 0; i < N; i += 2)
			base[i * PAGE] = 9, expected[i] = 1;
		take_and_compare(base, 2 * N, expected, "child, third");
		_exit(0);
	}
	base[5 * PAGE] = 1, expected[5] = 1;
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	take_and_compare(base, 2 * N, expected, "parent");
	memset(expected, 0, sizeof(expected));
	for (int i = 0; i < N; i += 11)
		base[i * PAGE] = 1, expected[i] = 1;
	take_and_compare(base, 2 * N, expected, "parent after fork");

	/* A new mapping over an old one is clean. */
	memset(expected, 0, sizeof(expected));
	base[1 * PAGE] = 1;
	base[2 * PAGE] = 1, expected[2] = 1;
	CHECK(mmap(base + PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
	      base + PAGE);
	take_and_compare(base, 2 * N, expected, "mmap over");
	/* dune_dirty_set, dune_dirty_peek. */
	CHECK_EQ(dune_dirty_set(base + 7 * PAGE, 2 * PAGE), 0);
	CHECK_EQ(dune_dirty_peek(base, 2 * N * PAGE, NULL), 2);
	CHECK_EQ(dune_dirty_peek(base, 2 * N * PAGE, NULL), 2);
	CHECK_EQ(dune_dirty_take(base, 2 * N * PAGE, NULL), 2);
	CHECK_EQ(dune_dirty_take(base, 2 * N * PAGE, NULL), 0);
	munmap(base, 2 * N * PAGE);
}

/* 4 GiB of addresses, sparsely written. Not populated first: pages that were never touched are clean. */
static void large(void)
{
	size_t pages = (4UL << 30) / PAGE;
	char *base = map_pages(pages);
	uint8_t *expected = calloc(pages, 1);
	uint64_t seed = 42;

	/* From here on what is touched is exact too. */
	CHECK_EQ(dune_dirty_take(base, pages * PAGE, NULL), 0);
	for (int round = 0; round < 2; round++) {
		memset(expected, 0, pages);
		for (int i = 0; i < 3000; i++) {
			size_t page = random_next(&seed) % pages;

			base[page * PAGE + 8]++;
			expected[page] = 1;
		}
		take_and_compare(base, pages, expected, "4 GiB");
	}
	munmap(base, pages * PAGE);
	free(expected);
}

int main(void)
{
	struct dune_statistics before, after;
	char *page;

	enter_or_skip();
	densities(512 + 13);
	densities(16384);
	address_space();
	large();

	/* Taking and flushing leave no trace in the exits. */
	page = map_pages(4);
	page[0] = 1;
	dune_dirty_track(page, 4 * PAGE);
	dune_dirty_take(page, 4 * PAGE, NULL);
	dune_statistics(&before);
	for (int i = 0; i < 100; i++) {
		page[PAGE] = 1;
		CHECK_EQ(dune_dirty_take(page, 4 * PAGE, NULL), 1);
		dune_flush_local();
	}
	dune_statistics(&after);
	/* A signal or a timer of the host may come in between: not a hundred of them. */
	CHECK(after.exits - before.exits < 50);
	CHECK_EQ(after.local_flushes - before.local_flushes, 200);
	return 0;
}
