/* stats.c - owns the record of every pause, from which the report at exit is made: GCDUNE_STATS=1 for people, on
 * stderr; GCDUNE_STATS=file for programs, as JSON. A child of fork begins a record of its own and reports only when
 * asked to (gcdune_stats_write), so that it does not write over its parent's. Written under heap.cycle. */
#define _GNU_SOURCE
#include "stats.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cycle.h"
#include "finalize.h"
#include "heap.h"
#include "options.h"
#include "os.h"
#include "thread.h"

static struct gcdune_heap *const heap = &gcdune_heap;

enum { KEEP = 1 << 20 }; /* pauses recorded one by one; later ones only count */

static struct gcdune_pause *pauses;
static size_t count, capacity;
static uint64_t begun, pause_total, pause_max, pause_last, mark_ns, mark_bytes, last_objects,
	phase_total[GCDUNE_PHASES];
static uint64_t reasons[GCDUNE_CYCLE_REASONS];
static unsigned last_markers;
static pid_t owner;

static const char *const phase_names[GCDUNE_PHASES] = {"stop",	 "roots", "mark",   "finalize",
						       "verify", "sweep", "release"};
static const char *const reason_names[GCDUNE_CYCLE_REASONS] = {"budget", "no_memory", "asked", "torture"};

static uint64_t pause_length(const struct gcdune_pause *pause)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < GCDUNE_PHASES; i++)
		sum += pause->phase_ns[i];
	return sum;
}

uint64_t gcdune_stats_start(void)
{
	return begun;
}

void gcdune_stats_pause(const struct gcdune_pause *pause, uint64_t objects)
{
	uint64_t length = pause_length(pause);

	if (count == capacity && capacity < KEEP) {
		size_t more = capacity ? capacity * 2 : 256;
		void *items = gcdune_os_remap(pauses, capacity * sizeof *pauses, more * sizeof *pauses);

		if (items) {
			pauses = items;
			capacity = more;
		}
	}
	if (count < capacity)
		pauses[count++] = *pause;
	pause_total += length;
	pause_last = length;
	if (length > pause_max)
		pause_max = length;
	for (unsigned i = 0; i < GCDUNE_PHASES; i++)
		phase_total[i] += pause->phase_ns[i];
	reasons[pause->reason]++;
	mark_ns += pause->phase_ns[GCDUNE_PHASE_ROOTS] + pause->phase_ns[GCDUNE_PHASE_MARK];
	mark_bytes += pause->live_bytes;
	last_objects = objects;
	last_markers = pause->markers;
}

static void fill(struct gcdune_stats *s)
{
	uint64_t since = (uint64_t)(heap->allocated > 0 ? heap->allocated : 0);

	*s = (struct gcdune_stats){
		.collections = heap->collections,
		.bytes_allocated = heap->allocated_before + since,
		.bytes_since = since,
		.bytes_live = heap->live_bytes,
		.bytes_heap = (heap->blocks_used + heap->blocks_dirty) << GCDUNE_BLOCK_SHIFT,
		.bytes_heap_peak = heap->blocks_peak << GCDUNE_BLOCK_SHIFT,
		.bytes_free = heap->blocks_dirty << GCDUNE_BLOCK_SHIFT,
		.bytes_released = heap->released,
		.heap_limit = heap->limit,
		.objects_marked = last_objects,
		.pause_total_ns = pause_total,
		.pause_max_ns = pause_max,
		.pause_last_ns = pause_last,
		.mark_ns = mark_ns,
		.mark_bytes = mark_bytes,
		.finalizers_run = gcdune_finalize_count(),
		.threads = gcdune_threads_count,
		.markers = last_markers,
	};
}

void gcdune_stats_get(struct gcdune_stats *stats, size_t size)
{
	struct gcdune_stats all;

	(void)gcdune_init(); /* so that limits and the caller count from the beginning */
	fill(&all);
	memset(stats, 0, size);
	memcpy(stats, &all, size < sizeof all ? size : sizeof all);
}

/* ---- Reports ---- */

static int by_length(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

struct quantiles {
	uint64_t p50, p90, p99, p999;
};

static struct quantiles quantiles(void)
{
	struct quantiles q = {0};
	uint64_t *lengths = count ? gcdune_os_map(count * sizeof *lengths) : NULL;

	if (!lengths)
		return q;
	for (size_t i = 0; i < count; i++)
		lengths[i] = pause_length(&pauses[i]);
	qsort(lengths, count, sizeof *lengths, by_length);
	/* The smallest value that at least that share of the pauses does not exceed. */
	q.p50 = lengths[(count * 500 + 999) / 1000 - 1];
	q.p90 = lengths[(count * 900 + 999) / 1000 - 1];
	q.p99 = lengths[(count * 990 + 999) / 1000 - 1];
	q.p999 = lengths[(count * 999 + 999) / 1000 - 1];
	gcdune_os_unmap(lengths, count * sizeof *lengths);
	return q;
}

static void write_json(FILE *f)
{
	struct gcdune_stats s;
	struct quantiles q = quantiles();

	fill(&s);
	fprintf(f, "{\n  \"version\": \"%s\",\n  \"pid\": %d,\n  \"run_ns\": %llu,\n", gcdune_version(), (int)getpid(),
		(unsigned long long)(gcdune_os_now() - begun));
#define FIELD(name) fprintf(f, "  \"" #name "\": %llu,\n", (unsigned long long)s.name)
	FIELD(collections);
	FIELD(bytes_allocated);
	FIELD(bytes_since);
	FIELD(bytes_live);
	FIELD(bytes_heap);
	FIELD(bytes_heap_peak);
	FIELD(bytes_free);
	FIELD(bytes_released);
	FIELD(heap_limit);
	FIELD(objects_marked);
	FIELD(pause_total_ns);
	FIELD(pause_max_ns);
	FIELD(mark_ns);
	FIELD(mark_bytes);
	FIELD(finalizers_run);
	FIELD(threads);
	FIELD(markers);
#undef FIELD
	fprintf(f, "  \"mark_bytes_per_s\": %.0f,\n", mark_ns ? (double)mark_bytes * 1e9 / (double)mark_ns : 0.0);
	fprintf(f, "  \"reasons\": {");
	for (unsigned i = 0; i < GCDUNE_CYCLE_REASONS; i++)
		fprintf(f, "%s\"%s\": %llu", i ? ", " : "", reason_names[i], (unsigned long long)reasons[i]);
	fprintf(f, "},\n  \"phases_ns\": {");
	for (unsigned i = 0; i < GCDUNE_PHASES; i++)
		fprintf(f, "%s\"%s\": %llu", i ? ", " : "", phase_names[i], (unsigned long long)phase_total[i]);
	fprintf(f,
		"},\n  \"pauses\": {\"count\": %llu, \"max_ns\": %llu, \"p50_ns\": %llu, \"p90_ns\": %llu, \"p99_ns\": "
		"%llu, "
		"\"p999_ns\": %llu,\n    \"fields\": [\"start_ns\"",
		(unsigned long long)s.collections, (unsigned long long)pause_max, (unsigned long long)q.p50,
		(unsigned long long)q.p90, (unsigned long long)q.p99, (unsigned long long)q.p999);
	for (unsigned i = 0; i < GCDUNE_PHASES; i++)
		fprintf(f, ", \"%s_ns\"", phase_names[i]);
	fprintf(f, ", \"reason\", \"markers\", \"threads\", \"live_bytes\", \"heap_bytes\"],\n    \"list\": [");
	for (size_t i = 0; i < count; i++) {
		const struct gcdune_pause *p = &pauses[i];

		fprintf(f, "%s\n      [%llu", i ? "," : "", (unsigned long long)p->start_ns);
		for (unsigned k = 0; k < GCDUNE_PHASES; k++)
			fprintf(f, ", %u", p->phase_ns[k]);
		fprintf(f, ", \"%s\", %u, %u, %llu, %llu]", reason_names[p->reason], p->markers, p->threads,
			(unsigned long long)p->live_bytes, (unsigned long long)p->heap_bytes);
	}
	fprintf(f, "]}\n}\n");
}

int gcdune_stats_write(const char *path)
{
	FILE *f = fopen(path, "we");

	if (!f)
		return -errno;
	gcdune_cycle_lock();
	write_json(f);
	gcdune_cycle_unlock();
	int failed = ferror(f);

	return fclose(f) || failed ? -EIO : 0;
}

static double mib(uint64_t bytes_)
{
	return (double)bytes_ / 1048576.0;
}

static void write_text(FILE *f)
{
	struct gcdune_stats s;
	struct quantiles q = quantiles();

	fill(&s);
	fprintf(f, "gcdune: %llu collections (", (unsigned long long)s.collections);
	for (unsigned i = 0, any = 0; i < GCDUNE_CYCLE_REASONS; i++)
		if (reasons[i])
			fprintf(f, "%s%s %llu", any++ ? ", " : "", reason_names[i], (unsigned long long)reasons[i]);
	fprintf(f, "), %.1f MiB allocated, %.1f MiB live, heap %.1f MiB, at most %.1f MiB\n", mib(s.bytes_allocated),
		mib(s.bytes_live), mib(s.bytes_heap), mib(s.bytes_heap_peak));
	fprintf(f, "gcdune: pauses: %.3f ms in all, p50 %.3f, p99 %.3f, p99.9 %.3f, longest %.3f ms\n",
		(double)pause_total / 1e6, (double)q.p50 / 1e6, (double)q.p99 / 1e6, (double)q.p999 / 1e6,
		(double)pause_max / 1e6);
	fprintf(f, "gcdune: phases, ms in all:");
	for (unsigned i = 0; i < GCDUNE_PHASES; i++)
		fprintf(f, " %s %.3f", phase_names[i], (double)phase_total[i] / 1e6);
	fprintf(f, "\ngcdune: mark rate %.0f MiB/s, %llu objects and %u markers last time, %llu finalizers run\n",
		mark_ns ? mib(mark_bytes) * 1e9 / (double)mark_ns : 0.0, (unsigned long long)last_objects, last_markers,
		(unsigned long long)s.finalizers_run);
}

static void at_exit(void)
{
	const char *where = gcdune_options.stats;

	if (!where || owner != getpid())
		return;
	if (!strcmp(where, "1")) {
		gcdune_cycle_lock();
		write_text(stderr);
		gcdune_cycle_unlock();
	} else {
		int error = gcdune_stats_write(where);

		if (error)
			gcdune_warn("statistics could not be written to %s: %s", where, strerrordesc_np(-error));
	}
}

void gcdune_stats_init(void)
{
	begun = gcdune_os_now();
	owner = getpid();
	atexit(at_exit);
}

void gcdune_stats_after_fork(void)
{
	count = 0;
	pause_total = pause_max = pause_last = mark_ns = mark_bytes = 0;
	memset(phase_total, 0, sizeof phase_total);
	memset(reasons, 0, sizeof reasons);
	heap->collections = 0;
}
