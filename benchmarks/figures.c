/* figures.c - see figures.h.
 *
 * The histogram is logarithmic with 64 linear steps in each doubling (as in Tene's HdrHistogram): any value from 1 ns to
 * hours is counted within 1.6 %, in 16 KiB. */
#include "figures.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

enum {
	STEP_BITS = 6,
	STEPS = 1 << STEP_BITS,
	DOUBLINGS = 42,
	BUCKETS = STEPS * DOUBLINGS,
	GAPS = 1 << 18,
	FIGURES = 16
};

struct gap {
	uint64_t start, length;
};

static struct {
	uint64_t begin, due, actual, count, most;
	uint64_t *buckets;
	struct gap *gaps;
	uint32_t gaps_count;
	double rate;
} operations;
static struct {
	const char *name;
	double value;
} figures[FIGURES];
static unsigned figures_count;

uint64_t figures_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

double figures_cpu(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void figures_set(const char *name, double value)
{
	if (figures_count == FIGURES) {
		fprintf(stderr, "figures: more than %d figures\n", FIGURES);
		exit(1);
	}
	figures[figures_count].name = name;
	figures[figures_count++].value = value;
}

unsigned figures_bucket(uint64_t ns)
{
	unsigned bucket;

	if (ns < 2 * STEPS)
		return (unsigned)ns;
	unsigned shift = 63 - STEP_BITS - (unsigned)__builtin_clzll(ns);

	bucket = shift * STEPS + (unsigned)(ns >> shift);
	return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

uint64_t figures_bucket_top(unsigned bucket)
{
	if (bucket < 2 * STEPS)
		return bucket;
	unsigned shift = bucket / STEPS - 1;

	return (((uint64_t)(bucket - shift * STEPS) + 1) << shift) - 1;
}

void figures_operations(double rate)
{
	size_t size = BUCKETS * sizeof(uint64_t) + GAPS * sizeof(struct gap);

	if (!getenv("BENCH_FIGURES"))
		return;
	if (!operations.buckets) {
		operations.buckets =
			mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		if (operations.buckets == MAP_FAILED) {
			fprintf(stderr, "figures: no memory\n");
			exit(1);
		}
		operations.gaps = (struct gap *)(operations.buckets + BUCKETS);
	}
	operations.rate = rate;
	operations.begin = operations.actual = operations.due = figures_now();
}

static void gap(uint64_t from, uint64_t to)
{
	if (to - from > FIGURES_GAP_NS && operations.gaps_count < GAPS)
		operations.gaps[operations.gaps_count++] = (struct gap){from - operations.begin, to - from};
}

void figures_operation_begin(void)
{
	if (!operations.buckets || operations.rate <= 0)
		return;
	operations.due = operations.begin + (uint64_t)((double)operations.count * 1e9 / operations.rate);
	for (uint64_t last = operations.actual, now;; last = now) {
		now = figures_now();
		gap(last, now);
		if (now >= operations.due) {
			operations.actual = now;
			break;
		}
		__builtin_ia32_pause();
	}
}

void figures_operation_end(void)
{
	if (!operations.buckets)
		return;
	uint64_t now = figures_now();
	uint64_t latency = now - operations.due;

	gap(operations.actual, now);
	operations.buckets[figures_bucket(latency)]++;
	if (latency > operations.most)
		operations.most = latency;
	operations.count++;
	operations.actual = now;
	if (operations.rate <= 0)
		operations.due = now;
}

static uint64_t quantile(double share)
{
	uint64_t want = (uint64_t)(share * (double)operations.count), sum = 0;

	for (unsigned i = 0; i < BUCKETS; i++) {
		sum += operations.buckets[i];
		if (sum > want)
			return figures_bucket_top(i) < operations.most ? figures_bucket_top(i) : operations.most;
	}
	return operations.most;
}

static void write_operations(FILE *f)
{
	static const double shares[] = {0.5,   0.75,   0.9,    0.95,	0.99,	 0.995,
					0.999, 0.9995, 0.9999, 0.99995, 0.99999, 0.999999};

	fprintf(f, ",\"latency\":{\"count\":%llu,\"rate\":%.17g,\"span_ns\":%llu,\"max_ns\":%llu,\"quantiles\":[",
		(unsigned long long)operations.count, operations.rate,
		(unsigned long long)(operations.actual - operations.begin), (unsigned long long)operations.most);
	for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++)
		fprintf(f, "%s[%.6f,%llu]", i ? "," : "", shares[i], (unsigned long long)quantile(shares[i]));
	fprintf(f, "],\"gaps_full\":%s,\"gaps\":[", operations.gaps_count == GAPS ? "true" : "false");
	for (uint32_t i = 0; i < operations.gaps_count; i++)
		fprintf(f, "%s[%llu,%llu]", i ? "," : "", (unsigned long long)operations.gaps[i].start,
			(unsigned long long)operations.gaps[i].length);
	fputs("]}", f);
}

bool figures_finish(void)
{
	const char *path = getenv("BENCH_FIGURES");
	FILE *f;

	if (!path)
		return true;
	f = fopen(path, "we");
	if (f) {
		fputs("{\"figures\":{", f);
		for (unsigned i = 0; i < figures_count; i++)
			fprintf(f, "%s\"%s\":%.17g", i ? "," : "", figures[i].name, figures[i].value);
		fputs("}", f);
		if (operations.buckets)
			write_operations(f);
		fputs("}\n", f);
	}
	if (!f || fclose(f)) {
		perror(path);
		return false;
	}
	return true;
}
