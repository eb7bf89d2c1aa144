/* test-dune-ahead.c - first touch of memory in order, which libdune makes pages ahead of (ahead.c): never more than half
 * of what has been touched and 16 pages, never for what is touched here and there; what was made is zeroed and may be
 * used, given back and inherited like any other, also where the host has huge pages behind it; and dirty bits are exact from the first look at them on, though what
 * was made ahead may count as written before.
 *
 * TEST-FLAGS: link=dune asan=no tsan=no short=yes */
#include "dune-check.h"

enum { N = 4096, SHORTEST = 16, LONGEST = 512 };
#define HUGE (2UL << 20)

static size_t resident(char *at, size_t pages)
{
	static unsigned char there[16 * N];
	size_t n = 0;

	CHECK(pages <= sizeof(there));
	CHECK_EQ(mincore(at, pages * PAGE, there), 0);
	for (size_t i = 0; i < pages; i++)
		n += there[i] & 1;
	return n;
}

/* Pages of 4 KiB, whatever the machine's setting of huge pages is. */
static char *small_pages(size_t pages)
{
	char *at = map_pages(pages);

	madvise(at, pages * PAGE, MADV_NOHUGEPAGE);
	return at;
}

/* How much of the memory around at is in huge pages, in KiB. */
static long huge_at(const char *at)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	unsigned long start, end, wanted = (unsigned long)at;
	bool here = false;
	char line[512];
	long kib = -1;

	CHECK(f);
	while (kib < 0 && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = wanted >= start && wanted < end;
		else if (here)
			sscanf(line, "AnonHugePages: %ld", &kib);
	}
	fclose(f);
	return kib;
}

/* Whether the system's setting of huge pages is this one. */
static bool setting_is(const char *what)
{
	FILE *f = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");
	char text[64] = "[never]";

	if (f && !fgets(text, sizeof(text), f))
		*text = 0;
	if (f)
		fclose(f);
	return strstr(text, what);
}

/* Whether the system lets huge pages be made, and has memory for one. */
static bool has_huge(void)
{
	char *at = map_pages(1024), *whole = (char *)(((uintptr_t)at + HUGE - 1) & ~(HUGE - 1));
	bool has = !setting_is("[never]");

	*whole = 1;
	has = has && !madvise(whole, HUGE, 25 /* MADV_COLLAPSE */);
	munmap(at, 1024 * PAGE);
	return has;
}

static void in_order(bool small)
{
	struct dune_statistics before, after;
	char *at = small ? small_pages(N) : map_pages(N);
	bool always = !small && setting_is("[always]"); /* then all is resident 2 MiB at a time, natively too */

	dune_statistics(&before);
	for (size_t i = 0; i < N; i++) {
		at[i * PAGE] = 1;
		CHECK_EQ(at[i * PAGE + 1 + i % 4095], 0);
		if (!(i & (i + 1)) || i == 3000) {
			size_t n = resident(at, N), most = i + 1 + SHORTEST + (i < 2 * LONGEST ? i / 2 : LONGEST);

			CHECK(n > i && (n <= most || always));
		}
	}
	dune_statistics(&after);
	/* Not one for each page; and each is for more than the one before. */
	CHECK(after.faults - before.faults < 40);
	if (small)
		CHECK_EQ(huge_at(at), 0);
	else if (has_huge())
		CHECK(huge_at(at) >= 2048);
	/* The same memory once more, after it was given back. */
	madvise(at, N * PAGE, MADV_DONTNEED);
	CHECK_EQ(at[PAGE], 0);
	munmap(at, N * PAGE);
}

/* Memory that huge pages were made for is of small pages to the program: parts of it can be given back, protected, written
 * by a child and moved. */
static void parts(void)
{
	char *at = map_pages(N), *moved;
	pid_t pid;

	for (size_t i = 0; i < N; i++)
		at[i * PAGE] = (char)(i % 100 + 1);
	for (size_t i = 2000; i < 3000; i += 7)
		CHECK_EQ(madvise(at + i * PAGE, PAGE, MADV_DONTNEED), 0);
	for (size_t i = 0; i < N; i++)
		CHECK_EQ(at[i * PAGE], i >= 2000 && i < 3000 && (i - 2000) % 7 == 0 ? 0 : i % 100 + 1);
	CHECK_EQ(mprotect(at + 3500 * PAGE, PAGE, PROT_READ), 0);
	CHECK_EQ(at[3500 * PAGE], 1);
	CHECK_EQ(mprotect(at + 3500 * PAGE, PAGE, PROT_READ | PROT_WRITE), 0);
	pid = fork();
	if (!pid) {
		for (size_t i = 3000; i < N; i++)
			at[i * PAGE]++;
		for (size_t i = 3000; i < N; i++)
			CHECK_EQ(at[i * PAGE], i % 100 + 2);
		_exit(0);
	}
	CHECK_EQ(wait_for(pid), 0);
	/* All of it is still one mapping. */
	moved = mremap(at, N * PAGE, 2 * N * PAGE, MREMAP_MAYMOVE);
	CHECK(moved != MAP_FAILED);
	for (size_t i = 3000; i < N; i++)
		CHECK_EQ(moved[i * PAGE], i % 100 + 1);
	munmap(moved, 2 * N * PAGE);
}

static void here_and_there(void)
{
	char *at = small_pages(16 * N);

	for (size_t i = 300; i < 16 * N; i += 512)
		at[i * PAGE] = 1;
	CHECK_EQ(resident(at, 16 * N), 16 * N / 512);
	munmap(at, 16 * N * PAGE);
}

static size_t bits(char *at, size_t pages, size_t touched, bool take)
{
	static uint64_t bitmap[N / 64];
	long n = take ? dune_dirty_take(at, pages * PAGE, bitmap) : dune_dirty_peek(at, pages * PAGE, bitmap);

	for (size_t i = 0; i < touched; i++)
		CHECK(bitmap[i / 64] >> i % 64 & 1);
	return (size_t)n;
}

/* The memory is in a chunk of addresses of its own, as other tests look at bits. */
static void dirty(bool small)
{
	char *at = small ? small_pages(9 * 16384) : map_pages(9 * 16384), *chunk = (char *)(((uintptr_t)at + (64UL << 20) - 1) & ~((64UL << 20) - 1));
	size_t n;
	pid_t pid;

	for (size_t i = 0; i < 1000; i++)
		chunk[i * PAGE] = 1;
	n = bits(chunk, N, 1000, false);
	CHECK(n <= 1000 + 500 + SHORTEST);
	/* From now on exact, also in what is touched for the first time. */
	CHECK(bits(chunk, N, 1000, true) >= 1000);
	CHECK_EQ(bits(chunk, N, 0, true), 0);
	for (size_t i = 0; i < 2000; i++)
		chunk[i * PAGE] = 2;
	CHECK_EQ(bits(chunk, N, 2000, true), 2000);

	/* Looked at before anything was touched. */
	chunk += 64UL << 20;
	CHECK_EQ(dune_dirty_track(chunk, N * PAGE), 0);
	for (size_t i = 0; i < 1000; i++)
		chunk[i * PAGE] = 1;
	CHECK_EQ(bits(chunk, N, 1000, false), 1000);
	CHECK(resident(chunk, N) == 1000 || (!small && setting_is("[always]")));
	chunk += 64UL << 20;
	CHECK_EQ(dune_dirty_take(chunk, N * PAGE, NULL), 0);
	for (size_t i = 0; i < 1000; i++)
		chunk[i * PAGE] = 1;
	CHECK_EQ(bits(chunk, N, 1000, false), 1000);

	/* The same where it has gone on for long. */
	chunk += 64UL << 20;
	for (size_t i = 0; i < 3000; i++)
		chunk[i * PAGE] = 1;
	CHECK(bits(chunk, N, 3000, true) <= 3000 + LONGEST);
	for (size_t i = 0; i < 3500; i += 10)
		chunk[i * PAGE] = 2;
	CHECK_EQ(bits(chunk, N, 0, false), 350);

	/* A child's are its own. */
	chunk += 64UL << 20;
	for (size_t i = 0; i < 100; i++)
		chunk[i * PAGE] = 1;
	pid = fork();
	if (!pid) {
		for (size_t i = 0; i < 1000; i++)
			chunk[i * PAGE]++;
		for (size_t i = 0; i < 1000; i++)
			CHECK_EQ(chunk[i * PAGE], i < 100 ? 2 : 1);
		_exit(0);
	}
	CHECK_EQ(wait_for(pid), 0);
	for (size_t i = 0; i < 1000; i++)
		CHECK_EQ(chunk[i * PAGE], i < 100);
	munmap(at, 9UL * 16384 * PAGE);
}

int main(void)
{
	enter_or_skip();
	in_order(true);
	in_order(false);
	parts();
	here_and_there();
	dirty(true);
	dirty(false);
	return 0;
}
