/* test-bench-figures.c - what benchmark programs measure of themselves (benchmarks/figures.c): the histogram counts every value
 * within a 64th of it; an operation that is late because another one took long is counted as late (no coordinated
 * omission); time that was lost is recorded where it was.
 *
 * TEST-FLAGS: once=yes */
#define _GNU_SOURCE
#include "../benchmarks/figures.c"

#include <string.h>
#include <unistd.h>

#include "expect.h"

static void buckets(void)
{
	unsigned last = 0;

	for (uint64_t v = 0; v < (UINT64_C(1) << 40); v += v / 50 + 1) {
		unsigned b = figures_bucket(v);

		CHECK(b >= last && b < BUCKETS);
		CHECK(figures_bucket_top(b) >= v);
		CHECK(figures_bucket_top(b) - v <= v / 64);
		CHECK(b == 0 || figures_bucket_top(b - 1) < v);
		last = b;
	}
	CHECK(figures_bucket(UINT64_MAX) == BUCKETS - 1);
}

/* A number after TEXT in the file; -1: not there. */
static double after(const char *file, const char *text)
{
	const char *at = strstr(file, text);

	return at ? strtod(at + strlen(text), NULL) : -1;
}

int main(void)
{
	char path[] = "/tmp/test-bench-figures-XXXXXX", *file = calloc(1, 1 << 20);
	int fd = mkstemp(path);

	buckets();
	CHECK(fd >= 0 && file);
	setenv("BENCH_FIGURES", path, 1);
	figures_set("answer", 42);
	/* 200 operations, one due each millisecond; the 50th takes 100 ms, so about a hundred more are late. */
	figures_operations(1000);
	for (int i = 0; i < 200; i++) {
		figures_operation_begin();
		if (i == 50)
			usleep(100000);
		figures_operation_end();
	}
	CHECK(figures_finish());
	CHECK(read(fd, file, (1 << 20) - 1) > 0);
	unlink(path);
	CHECK(after(file, "\"answer\":") == 42);
	CHECK(after(file, "\"count\":") == 200);
	CHECK(after(file, "\"max_ns\":") >= 100e6);
	CHECK(after(file, "[0.750000,") >= 5e6);
	CHECK(after(file, "[0.999000,") >= 100e6);
	CHECK(strstr(file, "\"gaps\":[["));
	return 0;
}
