/* stats-report.c - says what stats.c has recorded, for people and as JSON. Called by stats.c at exit, and by the program
 * (gcdune_stats_write). Under heap.cycle, so that the record stands still. */
#define _GNU_SOURCE
#include "stats-parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "dirty/dirty.h"
#include "dirty/library.h"
#include "heap.h"
#include "os.h"
#include "thread.h"

static struct gcdune_stats_record *const record = &gcdune_stats_record;

static const char *const kind_names[GCDUNE_STOP_KINDS] = {"whole", "flip", "stacks", "final", "nothing"};
static const char *const reason_names[GCDUNE_CYCLE_REASONS] = {"budget", "no_memory", "asked", "torture"};

static const struct gcdune_pause *pause_at(size_t i)
{
	return gcdune_stats_at(&record->pauses, i, sizeof(struct gcdune_pause));
}

static int by_length(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

struct quantiles {
	uint64_t p50, p90, p99, p999;
};

/* The rank of the smallest value that at least so many thousandths of COUNT do not exceed. */
static uint64_t rank(uint64_t count, unsigned thousandths)
{
	return (count * thousandths + 999) / 1000;
}

static uint64_t quantile_by_steps(unsigned thousandths)
{
	uint64_t below = 0, want = rank(record->pauses.seen, thousandths);

	for (unsigned i = 0; i < GCDUNE_STATS_LENGTHS; i++) {
		below += record->lengths[i];
		if (below >= want) {
			uint64_t most = gcdune_stats_step_end(i);

			return most < record->pause_max ? most : record->pause_max;
		}
	}
	return record->pause_max;
}

static struct quantiles quantiles(void)
{
	size_t n = record->pauses.count;

	if (record->pauses.seen > n && record->lengths)
		return (struct quantiles){quantile_by_steps(500), quantile_by_steps(900), quantile_by_steps(990),
					  quantile_by_steps(999)};
	struct quantiles q = {0};
	uint64_t *lengths = n ? gcdune_os_map(n * sizeof *lengths) : NULL;

	if (!lengths)
		return q;
	for (size_t i = 0; i < n; i++)
		lengths[i] = gcdune_stats_pause_length(pause_at(i));
	qsort(lengths, n, sizeof *lengths, by_length);
	q.p50 = lengths[rank(n, 500) - 1];
	q.p90 = lengths[rank(n, 900) - 1];
	q.p99 = lengths[rank(n, 990) - 1];
	q.p999 = lengths[rank(n, 999) - 1];
	gcdune_os_unmap(lengths, n * sizeof *lengths);
	return q;
}

/* The least share of any stretch of WINDOW ns that the program had, stops as found and of those that are kept; the worst one begins or ends with a
 * stop (Cheng and Blelloch, "A parallel, real-time garbage collector", PLDI 2001). */
static double utilization(uint64_t window)
{
	double worst = 1;

	for (size_t i = 0; i < record->pauses.count; i++) {
		uint64_t from = pause_at(i)->start_ns, stopped = 0;

		for (size_t k = i; k < record->pauses.count && pause_at(k)->start_ns < from + window; k++) {
			uint64_t begin = pause_at(k)->start_ns, end = begin + gcdune_stats_pause_length(pause_at(k));

			stopped += (end < from + window ? end : from + window) - begin;
		}
		double share = 1 - (double)stopped / (double)window;

		if (share < worst)
			worst = share;
	}
	return worst;
}

static const unsigned windows_ms[] = {1, 2, 5, 10, 20, 50, 100, 1000};
enum { WINDOWS = sizeof windows_ms / sizeof *windows_ms };

static void write_json_concurrent(FILE *f)
{
	struct dune_statistics d;

	if (gcdune_dune_active() && gcdune_dune.statistics(&d) == 0)
		fprintf(f,
			"  \"dune\": {\"exits\": %llu, \"system_calls\": %llu, \"faults\": %llu, \"exits_signal\": %llu, "
			"\"flushes\": %llu, \"upcalls\": %llu, \"local_flushes\": %llu},\n",
			(unsigned long long)d.exits, (unsigned long long)d.system_calls, (unsigned long long)d.faults,
			(unsigned long long)d.exits_signal, (unsigned long long)d.flushes, (unsigned long long)d.upcalls,
			(unsigned long long)d.local_flushes);
	fprintf(f, "  \"dirty_faults\": %llu,\n  \"dirty_flushes\": %llu,\n  \"dirty_exits\": %llu,\n",
		(unsigned long long)gcdune_dirty_faults, (unsigned long long)gcdune_dirty_flushes,
		(unsigned long long)gcdune_dirty_exits);
	fprintf(f, "  \"dirty_source\": \"%s\",\n  \"dirty_write_ns\": %llu,\n  \"concurrent\": {\"cycles\": %llu, \"minor\": %llu, \"gave_up\": %llu, \"dirty_pages\": %llu, "
		   "\"dirty_pages_in_pause\": %llu",
		gcdune_dirty_name(), (unsigned long long)gcdune_dirty_write_ns(), (unsigned long long)record->concurrent_cycles,
		(unsigned long long)record->minor_cycles, (unsigned long long)record->gave_up, (unsigned long long)record->dirty,
		(unsigned long long)record->dirty_in_pause);
	for (unsigned i = 0; i < GCDUNE_CONCURRENT_PHASES; i++)
		fprintf(f, ", \"%s_ns\": %llu", gcdune_stats_concurrent_name(i), (unsigned long long)record->concurrent_total[i]);
	fprintf(f, "},\n  \"lost\": {");
	for (unsigned i = 0; i < GCDUNE_LOST_KINDS; i++)
		fprintf(f, "%s\"%s\": {\"times\": %llu, \"total_ns\": %llu, \"max_ns\": %llu}", i ? ", " : "", gcdune_stats_lost_name(i),
			(unsigned long long)record->lost[i].times, (unsigned long long)record->lost[i].total,
			(unsigned long long)record->lost[i].most);
	fprintf(f, "},\n  \"utilization\": {");
	for (unsigned i = 0; i < WINDOWS; i++)
		fprintf(f, "%s\"%u\": %.4f", i ? ", " : "", windows_ms[i], utilization(windows_ms[i] * 1000000ull));
	fprintf(f, "},\n  \"threads_lost\": [");
	bool any = false;

	for (struct gcdune_thread *t = gcdune_threads; t; t = t->next) {
		fprintf(f, "%s\n    {\"tid\": %d", any ? "," : "", t->tid);
		for (unsigned i = 0; i < GCDUNE_LOST_KINDS; i++)
			fprintf(f, ", \"%s_ns\": %llu", gcdune_stats_lost_name(i), (unsigned long long)t->lost_ns[i]);
		fprintf(f, ", \"max_ns\": %llu}", (unsigned long long)t->lost_most);
		any = true;
	}
	fprintf(f, "],\n  \"page_faults\": %ld,\n  \"cycles\": {\"fields\": [\"start_ns\"", gcdune_os_page_faults());
	for (unsigned i = 0; i < GCDUNE_CONCURRENT_PHASES; i++)
		fprintf(f, ", \"%s_ns\"", gcdune_stats_concurrent_name(i));
	fprintf(f, ", \"concurrent\", \"minor\", \"gave_up\", \"rounds\", \"dirty_pages\", \"dirty_pages_in_pause\", "
		   "\"marked_bytes\"],\n    \"list\": [");
	for (size_t i = 0; i < record->cycles.count; i++) {
		const struct gcdune_cycle_record *c = gcdune_stats_at(&record->cycles, i, sizeof *c);

		fprintf(f, "%s\n      [%llu", i ? "," : "", (unsigned long long)c->start_ns);
		for (unsigned k = 0; k < GCDUNE_CONCURRENT_PHASES; k++)
			fprintf(f, ", %llu", (unsigned long long)c->phase_ns[k]);
		fprintf(f, ", %u, %u, %u, %u, %llu, %llu, %llu]", c->concurrent, c->minor, c->gave_up, c->rounds,
			(unsigned long long)c->dirty_pages, (unsigned long long)c->dirty_last,
			(unsigned long long)c->marked_bytes);
	}
	fprintf(f, "]}\n");
}

static void write_json(FILE *f)
{
	struct gcdune_stats s;
	struct quantiles q = quantiles();

	gcdune_stats_fill(&s);
	fprintf(f, "{\n  \"version\": \"%s\",\n  \"pid\": %d,\n  \"run_ns\": %llu,\n", gcdune_version(), (int)getpid(),
		(unsigned long long)(gcdune_os_now() - gcdune_stats_start()));
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
	fprintf(f, "  \"mark_bytes_per_s\": %.0f,\n",
		record->mark_ns ? (double)record->mark_bytes * 1e9 / (double)record->mark_ns : 0.0);
	fprintf(f, "  \"reasons\": {");
	for (unsigned i = 0; i < GCDUNE_CYCLE_REASONS; i++)
		fprintf(f, "%s\"%s\": %llu", i ? ", " : "", reason_names[i], (unsigned long long)record->reasons[i]);
	fprintf(f, "},\n  \"phases_ns\": {");
	for (unsigned i = 0; i < GCDUNE_PHASES; i++)
		fprintf(f, "%s\"%s\": %llu", i ? ", " : "", gcdune_stats_phase_name(i), (unsigned long long)record->phase_total[i]);
	fprintf(f,
		"},\n  \"pauses\": {\"count\": %llu, \"max_ns\": %llu, \"p50_ns\": %llu, \"p90_ns\": %llu, \"p99_ns\": "
		"%llu, "
		"\"p999_ns\": %llu,\n    \"fields\": [\"start_ns\"",
		(unsigned long long)record->pauses.seen, (unsigned long long)record->pause_max, (unsigned long long)q.p50,
		(unsigned long long)q.p90, (unsigned long long)q.p99, (unsigned long long)q.p999);
	for (unsigned i = 0; i < GCDUNE_PHASES; i++)
		fprintf(f, ", \"%s_ns\"", gcdune_stats_phase_name(i));
	/* Columns that end in _ns are phases, which add up to the length. */
	fprintf(f, ", \"kind\", \"reason\", \"markers\", \"threads\", \"live_bytes\", \"heap_bytes\", \"cpu\"],\n    \"list\": [");
	for (size_t i = 0; i < record->pauses.count; i++) {
		const struct gcdune_pause *p = pause_at(i);

		fprintf(f, "%s\n      [%llu", i ? "," : "", (unsigned long long)p->start_ns);
		for (unsigned k = 0; k < GCDUNE_PHASES; k++)
			fprintf(f, ", %u", p->phase_ns[k]);
		fprintf(f, ", \"%s\", \"%s\", %u, %u, %llu, %llu, %llu]", kind_names[p->kind], reason_names[p->reason],
			p->markers, p->threads, (unsigned long long)p->live_bytes, (unsigned long long)p->heap_bytes,
			(unsigned long long)p->cpu_ns);
	}
	fprintf(f, "]},\n");
	write_json_concurrent(f);
	fprintf(f, "}\n");
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

void gcdune_stats_write_text(void)
{
	FILE *f = stderr;
	struct gcdune_stats s;
	struct quantiles q = quantiles();

	gcdune_stats_fill(&s);
	fprintf(f, "gcdune: %llu collections (", (unsigned long long)s.collections);
	for (unsigned i = 0, any = 0; i < GCDUNE_CYCLE_REASONS; i++)
		if (record->reasons[i])
			fprintf(f, "%s%s %llu", any++ ? ", " : "", reason_names[i], (unsigned long long)record->reasons[i]);
	fprintf(f, "), %.1f MiB allocated, %.1f MiB live, heap %.1f MiB, at most %.1f MiB\n", mib(s.bytes_allocated),
		mib(s.bytes_live), mib(s.bytes_heap), mib(s.bytes_heap_peak));
	fprintf(f, "gcdune: pauses: %.3f ms in all, p50 %.3f, p99 %.3f, p99.9 %.3f, longest %.3f ms\n",
		(double)record->pause_total / 1e6, (double)q.p50 / 1e6, (double)q.p99 / 1e6, (double)q.p999 / 1e6,
		(double)record->pause_max / 1e6);
	fprintf(f, "gcdune: phases, ms in all:");
	for (unsigned i = 0; i < GCDUNE_PHASES; i++)
		fprintf(f, " %s %.3f", gcdune_stats_phase_name(i), (double)record->phase_total[i] / 1e6);
	fprintf(f, "\ngcdune: mark rate %.0f MiB/s, %llu objects and %u markers last time, %llu finalizers run\n",
		record->mark_ns ? mib(record->mark_bytes) * 1e9 / (double)record->mark_ns : 0.0,
		(unsigned long long)record->last_objects, record->last_markers,
		(unsigned long long)s.finalizers_run);
	if (record->concurrent_cycles) {
		fprintf(f,
			"gcdune: %llu cycles ran beside the program (%llu minor; writes by %s): %.1f MiB of pages scanned again, %.1f "
			"pages in each pause",
			(unsigned long long)record->concurrent_cycles, (unsigned long long)record->minor_cycles, gcdune_dirty_name(),
			mib(record->dirty * 4096),
			(double)record->dirty_in_pause / (double)record->concurrent_cycles);
		for (unsigned i = 0; i < GCDUNE_CONCURRENT_PHASES; i++)
			fprintf(f, "; %s %.1f ms", gcdune_stats_concurrent_name(i), (double)record->concurrent_total[i] / 1e6);
		if (record->gave_up)
			fprintf(f, "; %llu times the program wrote faster than it was followed",
				(unsigned long long)record->gave_up);
		fputc('\n', f);
	}
	fprintf(f, "gcdune: lost by threads, ms (longest):");
	for (unsigned i = 0; i < GCDUNE_LOST_KINDS; i++)
		fprintf(f, " %s %.3f (%.3f)", gcdune_stats_lost_name(i), (double)record->lost[i].total / 1e6,
			(double)record->lost[i].most / 1e6);
	fprintf(f, "\ngcdune: least utilization, percent in ms:");
	for (unsigned i = 0; i < WINDOWS; i++)
		fprintf(f, " %.0f in %u%s", 100 * utilization(windows_ms[i] * 1000000ull), windows_ms[i],
			i + 1 < WINDOWS ? "," : "\n");
}
