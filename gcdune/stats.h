/* stats.h - what is recorded of each collection, and reported (stats.c). */
#ifndef GCDUNE_STATS_H
#define GCDUNE_STATS_H

#include <stdint.h>

/* Phases of a pause, in order. */
enum gcdune_phase {
	GCDUNE_PHASE_STOP, /* request to the last answer */
	GCDUNE_PHASE_ROOTS,
	GCDUNE_PHASE_MARK,
	GCDUNE_PHASE_FINALIZE, /* ephemerons, links, finalizers */
	GCDUNE_PHASE_VERIFY,
	GCDUNE_PHASE_SWEEP,   /* dead blocks freed, sweep lists made */
	GCDUNE_PHASE_RELEASE, /* threads woken */
	GCDUNE_PHASES
};

struct gcdune_pause {
	uint64_t start_ns; /* since the start of the collector */
	uint32_t phase_ns[GCDUNE_PHASES];
	uint8_t reason; /* enum gcdune_cycle_reason */
	uint8_t markers;
	uint16_t threads;
	uint64_t live_bytes, heap_bytes;
};

void gcdune_stats_init(void);
/* One more collection. heap.cycle. */
void gcdune_stats_pause(const struct gcdune_pause *pause, uint64_t objects);
uint64_t gcdune_stats_start(void);
void gcdune_stats_after_fork(void);

#endif
