/* stats-parts.h - what stats.c records and stats-report.c prints. No one else includes it. */
#ifndef GCDUNE_STATS_PARTS_H
#define GCDUNE_STATS_PARTS_H

#include "stats.h"

#include <stddef.h>

#include "cycle.h"
#include "gcdune.h"

/* Records of one kind: all of them where a report was asked for (GCDUNE_STATS), up to a million; else the latest, for
 * gcdune_stats_write, in a ring. */
struct gcdune_stats_list {
	char *items;
	size_t count, capacity, oldest;
	uint64_t seen; /* kept or not */
};

/* How many pauses were so long: an octave in 16 steps, so that what is said is at most a 16th too much (the scheme of
 * Gil Tene's HdrHistogram). */
enum { GCDUNE_STATS_STEPS = 16, GCDUNE_STATS_LENGTHS = (64 - 4 + 1) * GCDUNE_STATS_STEPS };

/* heap.cycle, but for `lost'. */
struct gcdune_stats_record {
	struct gcdune_stats_list pauses, cycles;
	uint32_t *lengths; /* of pauses, GCDUNE_STATS_LENGTHS; NULL: no memory for it */
	uint64_t pause_total, pause_max, pause_last, phase_total[GCDUNE_PHASES], reasons[GCDUNE_CYCLE_REASONS];
	uint64_t mark_ns, mark_bytes, last_objects;
	unsigned last_markers;
	uint64_t concurrent_cycles, minor_cycles, gave_up, dirty, dirty_in_pause, concurrent_total[GCDUNE_CONCURRENT_PHASES];
	struct {
		_Atomic uint64_t total, most, times;
	} lost[GCDUNE_LOST_KINDS];
};
extern struct gcdune_stats_record gcdune_stats_record __attribute__((visibility("hidden")));

/* Which of the steps a length belongs to, and the most that is in it. */
static inline unsigned gcdune_stats_step(uint64_t ns)
{
	if (ns < GCDUNE_STATS_STEPS)
		return (unsigned)ns;
	unsigned octave = 63 - (unsigned)__builtin_clzll(ns);

	return (octave - 3) * GCDUNE_STATS_STEPS + (unsigned)(ns >> (octave - 4)) % GCDUNE_STATS_STEPS;
}

static inline uint64_t gcdune_stats_step_end(unsigned step)
{
	if (step < GCDUNE_STATS_STEPS)
		return step;
	unsigned octave = step / GCDUNE_STATS_STEPS + 3;

	return (((uint64_t)GCDUNE_STATS_STEPS + step % GCDUNE_STATS_STEPS + 1) << (octave - 4)) - 1;
}

/* The Ith record that is kept, the oldest first. */
static inline const void *gcdune_stats_at(const struct gcdune_stats_list *list, size_t i, size_t size)
{
	return list->items + (list->oldest + i) % list->count * size;
}
uint64_t gcdune_stats_pause_length(const struct gcdune_pause *pause);
const char *gcdune_stats_lost_name(enum gcdune_lost what);
void gcdune_stats_fill(struct gcdune_stats *stats);
/* For people, to stderr. heap.cycle. */
void gcdune_stats_write_text(void);

#endif
