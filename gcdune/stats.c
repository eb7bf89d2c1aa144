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
#include "dirty/dirty.h"
#include "dirty/library.h"
#include "os.h"
#include "thread.h"
#include "trace.h"

static struct gcdune_heap *const heap = &gcdune_heap;

enum { SLOW_BLOCK = 50000 }; /* ns: worth a span of the trace */
enum { KEEP = 1 << 20 }; /* pauses recorded one by one; later ones only count */

static struct gcdune_pause *pauses;
static struct gcdune_cycle_record *cycles;
static size_t count, capacity, cycle_count, cycle_capacity;
static uint64_t concurrent_cycles, minor_cycles, gave_up, concurrent_total[GCDUNE_CONCURRENT_PHASES], dirty_total, dirty_in_pause;
static struct {
	_Atomic uint64_t total, most, times;
} lost[GCDUNE_LOST_KINDS];
static uint64_t begun, pause_total, pause_max, pause_last, mark_ns, mark_bytes, last_objects,
	phase_total[GCDUNE_PHASES];
static uint64_t reasons[GCDUNE_CYCLE_REASONS];
static unsigned last_markers;
static pid_t owner;

static const char *const phase_names[GCDUNE_PHASES] = {"stop",	 "roots", "mark",   "finalize",
						       "verify", "sweep", "release"};
static const char *const concurrent_names[GCDUNE_CONCURRENT_PHASES] = {"arm", "mark_beside", "preclean", "sweep_beside"};
static const char *const kind_names[GCDUNE_STOP_KINDS] = {"whole", "flip", "stacks", "final", "nothing"};
static const char *const lost_names[GCDUNE_LOST_KINDS] = {"stop", "assist", "sleep", "block"};
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

const char *gcdune_stats_phase_name(enum gcdune_phase phase)
{
	return phase_names[phase];
}

const char *gcdune_stats_concurrent_name(enum gcdune_concurrent_phase phase)
{
	return concurrent_names[phase];
}

/* A record too many for the memory there is, or after KEEP, is only counted. */
static void *append(void *items, size_t *n, size_t *room, size_t size, const void *record)
{
	if (*n == *room && *room < KEEP) {
		size_t more = *room ? *room * 2 : 256;
		void *bigger = gcdune_os_remap(items, *room * size, more * size);

		if (bigger) {
			items = bigger;
			*room = more;
		}
	}
	if (*n < *room)
		memcpy((char *)items + (*n)++ * size, record, size);
	return items;
}

void gcdune_stats_pause(const struct gcdune_pause *pause)
{
	uint64_t length = pause_length(pause);

	pauses = append(pauses, &count, &capacity, sizeof *pauses, pause);
	pause_total += length;
	pause_last = length;
	if (length > pause_max)
		pause_max = length;
	for (unsigned i = 0; i < GCDUNE_PHASES; i++)
		phase_total[i] += pause->phase_ns[i];
	mark_ns += pause->phase_ns[GCDUNE_PHASE_ROOTS] + pause->phase_ns[GCDUNE_PHASE_MARK];
	if (pause->kind == GCDUNE_STOP_WHOLE || pause->kind == GCDUNE_STOP_FINAL) {
		reasons[pause->reason]++;
		last_markers = pause->markers;
	}
}

void gcdune_stats_cycle(const struct gcdune_cycle_record *cycle, uint64_t objects)
{
	cycles = append(cycles, &cycle_count, &cycle_capacity, sizeof *cycles, cycle);
	concurrent_cycles += cycle->concurrent;
	minor_cycles += cycle->minor;
	gave_up += cycle->gave_up;
	dirty_total += cycle->dirty_pages;
	dirty_in_pause += cycle->dirty_last;
	for (unsigned i = 0; i < GCDUNE_CONCURRENT_PHASES; i++)
		concurrent_total[i] += cycle->phase_ns[i];
	mark_ns += cycle->phase_ns[GCDUNE_CONCURRENT_MARK] + cycle->phase_ns[GCDUNE_CONCURRENT_PRECLEAN];
	mark_bytes += cycle->marked_bytes;
	last_objects = objects;
}

void gcdune_stats_lost(struct gcdune_thread *thread, enum gcdune_lost what, uint64_t begin, uint64_t end)
{
	uint64_t length = end - begin, most = lost[what].most;

	lost[what].total += length;
	lost[what].times++;
	while (length > most && !atomic_compare_exchange_weak(&lost[what].most, &most, length))
		;
	thread->lost_ns[what] += length;
	if (length > thread->lost_most)
		thread->lost_most = length;
	/* A handler may have interrupted who holds the trace's lock; and most blocks are got at once. */
	if (what != GCDUNE_LOST_STOP && (what != GCDUNE_LOST_BLOCK || length > SLOW_BLOCK))
		gcdune_trace_thread(lost_names[what], thread->tid, begin, end);
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
	struct gcdune_thread *thread = gcdune_thread_self;

	/* What the caller made counts to the byte; of other threads up to 64 KiB each are not told yet (gcdune_account). */
	if (thread) {
		atomic_fetch_add(&heap->allocated, thread->allocated);
		thread->allocated = 0;
	}
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

/* The least share of any stretch of WINDOW ns that the program had, stops as found; the worst one begins or ends with a
 * stop (Cheng and Blelloch, "A parallel, real-time garbage collector", PLDI 2001). */
static double utilization(uint64_t window)
{
	double worst = 1;

	for (size_t i = 0; i < count; i++) {
		uint64_t from = pauses[i].start_ns, stopped = 0;

		for (size_t k = i; k < count && pauses[k].start_ns < from + window; k++) {
			uint64_t end = pauses[k].start_ns + pause_length(&pauses[k]);

			stopped += (end < from + window ? end : from + window) - pauses[k].start_ns;
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
		gcdune_dirty_name(), (unsigned long long)gcdune_dirty_write_ns(), (unsigned long long)concurrent_cycles, (unsigned long long)minor_cycles,
		(unsigned long long)gave_up,
		(unsigned long long)dirty_total, (unsigned long long)dirty_in_pause);
	for (unsigned i = 0; i < GCDUNE_CONCURRENT_PHASES; i++)
		fprintf(f, ", \"%s_ns\": %llu", concurrent_names[i], (unsigned long long)concurrent_total[i]);
	fprintf(f, "},\n  \"lost\": {");
	for (unsigned i = 0; i < GCDUNE_LOST_KINDS; i++)
		fprintf(f, "%s\"%s\": {\"times\": %llu, \"total_ns\": %llu, \"max_ns\": %llu}", i ? ", " : "", lost_names[i],
			(unsigned long long)lost[i].times, (unsigned long long)lost[i].total,
			(unsigned long long)lost[i].most);
	fprintf(f, "},\n  \"utilization\": {");
	for (unsigned i = 0; i < WINDOWS; i++)
		fprintf(f, "%s\"%u\": %.4f", i ? ", " : "", windows_ms[i], utilization(windows_ms[i] * 1000000ull));
	fprintf(f, "},\n  \"threads_lost\": [");
	bool any = false;

	for (struct gcdune_thread *t = gcdune_threads; t; t = t->next) {
		fprintf(f, "%s\n    {\"tid\": %d", any ? "," : "", t->tid);
		for (unsigned i = 0; i < GCDUNE_LOST_KINDS; i++)
			fprintf(f, ", \"%s_ns\": %llu", lost_names[i], (unsigned long long)t->lost_ns[i]);
		fprintf(f, ", \"max_ns\": %llu}", (unsigned long long)t->lost_most);
		any = true;
	}
	fprintf(f, "],\n  \"page_faults\": %ld,\n  \"cycles\": {\"fields\": [\"start_ns\"", gcdune_os_page_faults());
	for (unsigned i = 0; i < GCDUNE_CONCURRENT_PHASES; i++)
		fprintf(f, ", \"%s_ns\"", concurrent_names[i]);
	fprintf(f, ", \"concurrent\", \"minor\", \"gave_up\", \"rounds\", \"dirty_pages\", \"dirty_pages_in_pause\", "
		   "\"marked_bytes\"],\n    \"list\": [");
	for (size_t i = 0; i < cycle_count; i++) {
		const struct gcdune_cycle_record *c = &cycles[i];

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
		(unsigned long long)count, (unsigned long long)pause_max, (unsigned long long)q.p50,
		(unsigned long long)q.p90, (unsigned long long)q.p99, (unsigned long long)q.p999);
	for (unsigned i = 0; i < GCDUNE_PHASES; i++)
		fprintf(f, ", \"%s_ns\"", phase_names[i]);
	/* Columns that end in _ns are phases, which add up to the length. */
	fprintf(f, ", \"kind\", \"reason\", \"markers\", \"threads\", \"live_bytes\", \"heap_bytes\", \"cpu\"],\n    \"list\": [");
	for (size_t i = 0; i < count; i++) {
		const struct gcdune_pause *p = &pauses[i];

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
	if (concurrent_cycles) {
		fprintf(f,
			"gcdune: %llu cycles ran beside the program (%llu minor; writes by %s): %.1f MiB of pages scanned again, %.1f "
			"pages in each pause",
			(unsigned long long)concurrent_cycles, (unsigned long long)minor_cycles, gcdune_dirty_name(), mib(dirty_total * 4096),
			(double)dirty_in_pause / (double)concurrent_cycles);
		for (unsigned i = 0; i < GCDUNE_CONCURRENT_PHASES; i++)
			fprintf(f, "; %s %.1f ms", concurrent_names[i], (double)concurrent_total[i] / 1e6);
		if (gave_up)
			fprintf(f, "; %llu times the program wrote faster than it was followed",
				(unsigned long long)gave_up);
		fputc('\n', f);
	}
	fprintf(f, "gcdune: lost by threads, ms (longest):");
	for (unsigned i = 0; i < GCDUNE_LOST_KINDS; i++)
		fprintf(f, " %s %.3f (%.3f)", lost_names[i], (double)lost[i].total / 1e6, (double)lost[i].most / 1e6);
	fprintf(f, "\ngcdune: least utilization, percent in ms:");
	for (unsigned i = 0; i < WINDOWS; i++)
		fprintf(f, " %.0f in %u%s", 100 * utilization(windows_ms[i] * 1000000ull), windows_ms[i],
			i + 1 < WINDOWS ? "," : "\n");
}

static void at_exit(void)
{
	const char *where = gcdune_options.stats;

	if (gcdune_options.trace && owner == getpid()) {
		int error = gcdune_trace_write(gcdune_options.trace);

		if (error)
			gcdune_warn("the trace could not be written to %s: %s", gcdune_options.trace,
				    strerrordesc_np(-error));
	}

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
	count = cycle_count = 0;
	concurrent_cycles = minor_cycles = gave_up = dirty_total = dirty_in_pause = 0;
	memset(concurrent_total, 0, sizeof concurrent_total);
	memset((void *)lost, 0, sizeof lost);
	gcdune_trace_after_fork();
	pause_total = pause_max = pause_last = mark_ns = mark_bytes = 0;
	memset(phase_total, 0, sizeof phase_total);
	memset(reasons, 0, sizeof reasons);
	heap->collections = 0;
}
