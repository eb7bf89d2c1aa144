/* micro-dirty.c - what each dirty source costs here: to track a page, to write to it for the first time (with one thread
 * of the process running, and with another that keeps a second processor busy: then the first write must interrupt that
 * one too), to look through clean and dirty pages, to announce a block, to stop tracking.
 *
 * Linked with the library's objects, for it calls the sources themselves. Medians of seven. Usage: micro-dirty [MEBIBYTES]
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "../gcdune/dirty/dirty.h"
#include "../gcdune/os.h"

enum { PAGE = 4096, ROUNDS = 7, WRITES = 2000 };

static volatile char *memory;
static size_t pages;
static uint64_t *bits;
static atomic_bool busy_stop;
static double samples[8][ROUNDS];

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(unsigned what)
{
	qsort(samples[what], ROUNDS, sizeof(double), by_size);
	return samples[what][ROUNDS / 2];
}

static void *busy(void *arg)
{
	volatile char own[PAGE];

	while (!busy_stop)
		own[0]++;
	return arg;
}

static double since(uint64_t begin, size_t n)
{
	return (double)(gcdune_os_now() - begin) / (double)n;
}

/* Every WRITES-th of the pages, one write each. */
static double write_some(void)
{
	size_t step = pages / WRITES;
	uint64_t begin = gcdune_os_now();

	for (size_t i = 0; i < WRITES; i++)
		memory[i * step * PAGE] = 1;
	return since(begin, WRITES);
}

static int measure(const struct gcdune_dirty_source *s)
{
	uintptr_t low = (uintptr_t)memory, high = low + pages * PAGE;
	pthread_t other;
	const char *missed;

	if (s->open())
		return -1;
	missed = gcdune_dirty_selftest(s);
	if (missed) {
		printf("%-10s %s\n", s->name, missed);
		return 0;
	}
	s->close();
	if (s->open() || s->attach(low, high))
		return -1;
	for (unsigned r = 0; r < ROUNDS; r++) {
		uint64_t begin = gcdune_os_now();

		if (s->track(low, high))
			return -1;
		samples[0][r] = since(begin, pages);
		samples[1][r] = write_some();
		begin = gcdune_os_now();
		s->take(low, pages, bits, true);
		samples[2][r] = (double)(gcdune_os_now() - begin) / 1e3;
		begin = gcdune_os_now();
		s->take(low, pages, bits, false);
		samples[3][r] = since(begin, pages);
		busy_stop = false;
		if (s->rearms && pthread_create(&other, NULL, busy, NULL) == 0) {
			gcdune_os_sleep(2000000);
			samples[4][r] = write_some();
			busy_stop = true;
			pthread_join(other, NULL);
		}
		begin = gcdune_os_now();
		for (unsigned i = 0; i < 64; i++)
			s->mark(low + i * 64 * PAGE, low + (i * 64 + 16) * PAGE);
		samples[5][r] = since(begin, 64);
		begin = gcdune_os_now();
		s->end(low, high);
		samples[6][r] = since(begin, pages);
	}
	printf("%-10s %9.0f %11.0f %11.0f %11.2f %11.0f %11.0f %9.0f\n", s->name, median(0), median(1), median(4), median(3),
	       median(2), median(5), median(6));
	s->close();
	return 0;
}

int main(int argc, char **argv)
{
	static const struct gcdune_dirty_source *const sources[] = {&gcdune_dirty_uffd, &gcdune_dirty_softdirty,
								    &gcdune_dirty_mprotect};
	size_t mib = argc > 1 ? strtoul(argv[1], NULL, 10) : 256;

	pages = mib << 8;
	if (pages < 2 * WRITES) {
		fprintf(stderr, "micro-dirty: at least %d MiB\n", 2 * WRITES / 256 + 1);
		return 2;
	}
	memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bits = calloc(pages / 64 + 1, sizeof(*bits));
	if (memory == MAP_FAILED || !bits) {
		fprintf(stderr, "micro-dirty: no memory\n");
		return 1;
	}
	(void)madvise((void *)memory, pages * PAGE, MADV_NOHUGEPAGE);
	memset((void *)memory, 1, pages * PAGE);
	printf("%zu MiB; ns, but where it says us\n", mib);
	printf("%-10s %9s %11s %11s %11s %11s %11s %9s\n", "source", "track", "first", "first write", "look", "look, us,", "announce",
	       "end");
	printf("%-10s %9s %11s %11s %11s %11s %11s %9s\n", "", "a page", "write", "2nd busy", "clean page", "2000 dirty", "64 KiB",
	       "a page");
	for (size_t i = 0; i < sizeof(sources) / sizeof(*sources); i++)
		if (measure(sources[i]))
			printf("%-10s cannot be had here\n", sources[i]->name);
	return 0;
}
