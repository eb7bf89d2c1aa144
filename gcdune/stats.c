/* stats.c - owns the record of every pause, which stats-report.c reports at exit: GCDUNE_STATS=1 for people, on
 * stderr; GCDUNE_STATS=file for programs, as JSON. A child of fork begins a record of its own and reports only when
 * asked to (gcdune_stats_write), so that it does not write over its parent's. Written under heap.cycle.
 *
 * Most programs never report, and some run for months: without GCDUNE_STATS only the latest pauses are kept, and of all
 * the others how many were how long. */
#define _GNU_SOURCE
#include "stats-parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "finalize.h"
#include "heap.h"
#include "meta.h"
#include "options.h"
#include "os.h"
#include "thread.h"
#include "trace.h"

static struct gcdune_heap *const heap = &gcdune_heap;

enum { SLOW_BLOCK = 50000 }; /* ns: worth a span of the trace */
enum { LATEST = 128, KEEP = 1 << 20 };

struct gcdune_stats_record gcdune_stats_record;
static struct gcdune_stats_record *const record = &gcdune_stats_record;
static uint64_t begun;
static pid_t owner;

static const char *const phase_names[GCDUNE_PHASES] = {"stop",	 "roots", "mark",   "finalize",
						       "verify", "sweep", "release"};
static const char *const concurrent_names[GCDUNE_CONCURRENT_PHASES] = {"arm", "mark_beside", "preclean", "sweep_beside"};
static const char *const lost_names[GCDUNE_LOST_KINDS] = {"stop", "assist", "sleep", "block"};

uint64_t gcdune_stats_pause_length(const struct gcdune_pause *pause)
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

const char *gcdune_stats_lost_name(enum gcdune_lost what)
{
	return lost_names[what];
}

/* A record too many for the memory there is, or after KEEP, only counts. */
static void append(struct gcdune_stats_list *list, size_t size, const void *item)
{
	bool all = gcdune_options.stats != NULL;

	list->seen++;
	if (list->count == list->capacity && list->capacity < (all ? KEEP : LATEST)) {
		size_t more = list->capacity ? list->capacity * 2 : LATEST;
		void *bigger = gcdune_os_remap(list->items, list->capacity * size, more * size);

		if (bigger) {
			list->items = bigger;
			list->capacity = more;
		}
	}
	if (list->count < list->capacity) {
		memcpy(list->items + list->count++ * size, item, size);
	} else if (!all && list->count) {
		memcpy(list->items + list->oldest * size, item, size);
		list->oldest = (list->oldest + 1) % list->count;
	}
}

void gcdune_stats_pause(const struct gcdune_pause *pause)
{
	uint64_t length = gcdune_stats_pause_length(pause);

	append(&record->pauses, sizeof *pause, pause);
	if (record->lengths)
		record->lengths[gcdune_stats_step(length)]++;
	record->pause_total += length;
	record->pause_last = length;
	if (length > record->pause_max)
		record->pause_max = length;
	for (unsigned i = 0; i < GCDUNE_PHASES; i++)
		record->phase_total[i] += pause->phase_ns[i];
	record->mark_ns += pause->phase_ns[GCDUNE_PHASE_ROOTS] + pause->phase_ns[GCDUNE_PHASE_MARK];
	if (pause->kind == GCDUNE_STOP_WHOLE || pause->kind == GCDUNE_STOP_FINAL) {
		record->reasons[pause->reason]++;
		record->last_markers = pause->markers;
	}
}

void gcdune_stats_cycle(const struct gcdune_cycle_record *cycle, uint64_t objects)
{
	append(&record->cycles, sizeof *cycle, cycle);
	record->concurrent_cycles += cycle->concurrent;
	record->minor_cycles += cycle->minor;
	record->gave_up += cycle->gave_up;
	record->dirty += cycle->dirty_pages;
	record->dirty_in_pause += cycle->dirty_last;
	for (unsigned i = 0; i < GCDUNE_CONCURRENT_PHASES; i++)
		record->concurrent_total[i] += cycle->phase_ns[i];
	record->mark_ns += cycle->phase_ns[GCDUNE_CONCURRENT_MARK] + cycle->phase_ns[GCDUNE_CONCURRENT_PRECLEAN];
	record->mark_bytes += cycle->marked_bytes;
	record->last_objects = objects;
}

void gcdune_stats_lost(struct gcdune_thread *thread, enum gcdune_lost what, uint64_t begin, uint64_t end)
{
	uint64_t length = end - begin, most = record->lost[what].most;

	record->lost[what].total += length;
	record->lost[what].times++;
	while (length > most && !atomic_compare_exchange_weak(&record->lost[what].most, &most, length))
		;
	thread->lost_ns[what] += length;
	if (length > thread->lost_most)
		thread->lost_most = length;
	/* A handler may have interrupted who holds the trace's lock; and most blocks are got at once. */
	if (what != GCDUNE_LOST_STOP && (what != GCDUNE_LOST_BLOCK || length > SLOW_BLOCK))
		gcdune_trace_thread(lost_names[what], thread->tid, begin, end);
}

void gcdune_stats_fill(struct gcdune_stats *s)
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
		.objects_marked = record->last_objects,
		.pause_total_ns = record->pause_total,
		.pause_max_ns = record->pause_max,
		.pause_last_ns = record->pause_last,
		.mark_ns = record->mark_ns,
		.mark_bytes = record->mark_bytes,
		.finalizers_run = gcdune_finalize_count(),
		.threads = gcdune_threads_count,
		.markers = record->last_markers,
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
	gcdune_stats_fill(&all);
	memset(stats, 0, size);
	memcpy(stats, &all, size < sizeof all ? size : sizeof all);
}

/* ---- At exit ---- */

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
		gcdune_stats_write_text();
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
	record->lengths = gcdune_meta_alloc(GCDUNE_STATS_LENGTHS * sizeof *record->lengths);
	atexit(at_exit);
}

void gcdune_stats_after_fork(void)
{
	struct gcdune_stats_record old = *record;

	memset((void *)record, 0, sizeof *record);
	record->pauses = (struct gcdune_stats_list){.items = old.pauses.items, .capacity = old.pauses.capacity};
	record->cycles = (struct gcdune_stats_list){.items = old.cycles.items, .capacity = old.cycles.capacity};
	record->lengths = old.lengths;
	if (record->lengths)
		memset(record->lengths, 0, GCDUNE_STATS_LENGTHS * sizeof *record->lengths);
	gcdune_trace_after_fork();
	heap->collections = 0;
}
