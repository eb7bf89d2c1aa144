/* options.h - what the GCDUNE_* environment variables and gcdune_option_set decide (options.c). Read by everyone,
 * written before the first allocation or by gcdune_option_set. */
#ifndef GCDUNE_OPTIONS_H
#define GCDUNE_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

enum { GCDUNE_MODE_AUTO, GCDUNE_MODE_CONCURRENT, GCDUNE_MODE_STW, GCDUNE_MODE_GENERATIONAL };
enum { GCDUNE_HUGE_OFF, GCDUNE_HUGE_ON, GCDUNE_HUGE_AUTO };

struct gcdune_options {
	const char *stats; /* NULL, "1" or a file */
	const char *trace; /* NULL or a file */
	const char *dirty; /* a source's name, or "auto" */
	int mode;
	unsigned live; /* statistics can be read while the program runs */
	const char *malloc, *leak_report; /* of libgcdune-malloc.so, which reads them itself */
	uint64_t torture;  /* collect at every Nth allocation; 0: do not */
	unsigned stretch;  /* microseconds to wait in each phase that threads run in, for tests */
	unsigned settle; /* microseconds to wait for threads to come by before they are interrupted (gather.c); 0: as seems best */
	unsigned write_cost; /* nanoseconds for a first write to a tracked page; 0: as measured */
	unsigned dirty_plant; /* for tests of verify: lose what was written to some pages */
	size_t heap_limit;
	size_t heap_initial;
	size_t reserve; /* address space to ask for */
	unsigned verify; /* 1: the heap after marking; 2: also the dirty source; 3: no word points by chance */
	unsigned verify_plant;	/* for tests of verify: unmark one reachable object */
	unsigned growth;	/* percent */
	unsigned pause_goal;	/* microseconds; see is_short, cycle.c */
	unsigned markers;	/* 0: as many as there are cores */
	unsigned mark_segments; /* 0: as many as it takes; else a bound, for tests of overflow */
	int signal;
	int hugepages;
	int release;
	int wide;
};

extern struct gcdune_options gcdune_options __attribute__((visibility("hidden")));

/* Reads the environment; a value that cannot be understood is named in a warning and ignored. */
void gcdune_options_init(void);

#endif
