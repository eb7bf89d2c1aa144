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

/* What a stop was for. */
enum gcdune_stop_kind {
	GCDUNE_STOP_WHOLE,   /* all of a collection */
	GCDUNE_STOP_FLIP,    /* the beginning of a cycle that runs beside the program */
	GCDUNE_STOP_STACKS,  /* a look at stacks shortly before that */
	GCDUNE_STOP_FINAL,   /* its end */
	GCDUNE_STOP_NOTHING, /* collections were disabled just then, or the collection was abandoned */
	GCDUNE_STOP_KINDS
};

struct gcdune_pause {
	uint64_t start_ns; /* since the start of the collector */
	uint32_t phase_ns[GCDUNE_PHASES];
	uint8_t reason; /* enum gcdune_cycle_reason */
	uint8_t kind;	/* enum gcdune_stop_kind */
	uint8_t markers;
	uint16_t threads;
	uint64_t live_bytes, heap_bytes;
	uint64_t cpu_ns; /* what who collects used of the processor: on a busy machine the phases say little */
};

/* Phases beside the program. */
enum gcdune_concurrent_phase {
	GCDUNE_CONCURRENT_ARM,
	GCDUNE_CONCURRENT_MARK,
	GCDUNE_CONCURRENT_PRECLEAN,
	GCDUNE_CONCURRENT_SWEEP,
	GCDUNE_CONCURRENT_PHASES
};

struct gcdune_cycle_record {
	uint64_t start_ns;
	uint64_t phase_ns[GCDUNE_CONCURRENT_PHASES];
	uint64_t marked_bytes;
	uint64_t dirty_pages; /* scanned again beside the program */
	uint64_t dirty_last;  /* in the pause */
	uint32_t rounds;      /* of scanning again */
	uint8_t concurrent;
	uint8_t minor;
	uint8_t gave_up; /* pages got dirty faster than they could be scanned */
};

/* What threads of the program lose time to. */
enum gcdune_lost {
	GCDUNE_LOST_STOP,
	GCDUNE_LOST_ASSIST,
	GCDUNE_LOST_SLEEP, /* for the collector to keep up */
	GCDUNE_LOST_BLOCK, /* getting a block to allocate from */
	GCDUNE_LOST_KINDS
};

void gcdune_stats_init(void);
/* One more stop. heap.cycle. */
void gcdune_stats_pause(const struct gcdune_pause *pause);
/* One more collection, and how many objects it marked. heap.cycle. */
void gcdune_stats_cycle(const struct gcdune_cycle_record *cycle, uint64_t objects);
/* The calling thread lost the time from BEGIN to END, ns. Also from a signal handler. */
struct gcdune_thread;
void gcdune_stats_lost(struct gcdune_thread *thread, enum gcdune_lost what, uint64_t begin, uint64_t end);
uint64_t gcdune_stats_start(void);
const char *gcdune_stats_phase_name(enum gcdune_phase phase);
const char *gcdune_stats_concurrent_name(enum gcdune_concurrent_phase phase);
void gcdune_stats_after_fork(void);

#endif
