/* timed.c - see timed.h. Each thread counts in a histogram of its own (figures.h: within 1/64), in ticks, from mmap, so that no
 * collector scans it. They are never given back: at exit the list of them is added up. */
#include "timed.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "figures.h"

enum { BUCKETS = 1 << 12, CALIBRATE_NS = 20000000 };

struct histogram {
	struct histogram *next;
	uint64_t count, most, buckets[BUCKETS];
};

static _Atomic(struct histogram *) all;
static __thread struct histogram *mine;
static uint64_t began_ns, began_ticks;

static struct histogram *begin_thread(void)
{
	struct histogram *h =
		mmap(NULL, sizeof(*h), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (h == MAP_FAILED) {
		fputs("timed: no memory\n", stderr);
		exit(1);
	}
	h->next = atomic_load(&all);
	while (!atomic_compare_exchange_weak(&all, &h->next, h))
		;
	return mine = h;
}

void timed_record(uint64_t ticks)
{
	struct histogram *h = mine ? mine : begin_thread();
	unsigned bucket = figures_bucket(ticks);

	h->buckets[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
	h->count++;
	if (ticks > h->most)
		h->most = ticks;
}

static __attribute__((constructor)) void begin(void)
{
	began_ns = figures_now();
	began_ticks = timed_now();
}

static __attribute__((destructor)) void report(void)
{
	static const double shares[] = {0.5, 0.99, 0.999, 0.9999, 0.99999};
	static struct histogram sum;
	const char *path = getenv("BENCH_ALLOCATIONS");
	FILE *file = path ? fopen(path, "we") : NULL;

	if (!file)
		return;
	/* A program that ended at once: the longer, the better the two clocks compare. */
	while (figures_now() - began_ns < CALIBRATE_NS)
		;
	double ns = (double)(figures_now() - began_ns) / (double)(timed_now() - began_ticks);

	for (const struct histogram *h = atomic_load(&all); h; h = h->next) {
		sum.count += h->count;
		sum.most = h->most > sum.most ? h->most : sum.most;
		for (unsigned i = 0; i < BUCKETS; i++)
			sum.buckets[i] += h->buckets[i];
	}
	fprintf(file, "{\"count\":%llu,\"max_ns\":%.17g,\"quantiles\":[", (unsigned long long)sum.count,
		(double)sum.most * ns);
	for (unsigned s = 0; s < sizeof(shares) / sizeof(shares[0]); s++) {
		uint64_t want = (uint64_t)(shares[s] * (double)sum.count), seen = 0;
		unsigned i = 0;

		while (i < BUCKETS - 1 && (seen += sum.buckets[i]) <= want)
			i++;
		fprintf(file, "%s[%g,%.17g]", s ? "," : "", shares[s],
			(double)(figures_bucket_top(i) < sum.most ? figures_bucket_top(i) : sum.most) * ns);
	}
	fputs("]}\n", file);
	if (fclose(file))
		perror(path);
}
