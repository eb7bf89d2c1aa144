/* live.h - the page of statistics that `gcdune top' reads from a running program (live.c). Part of the command's interface
 * with the library: the size and the version tell whether they are of one kind. */
#ifndef GCDUNE_LIVE_H
#define GCDUNE_LIVE_H

#include <stdatomic.h>
#include <stdint.h>

#include "gcdune.h"

#define GCDUNE_LIVE_NAME "gcdune-live"	 /* of the memory file */
#define GCDUNE_LIVE_MAGIC 0x67636c6976653131 /* "gclive11" */
enum { GCDUNE_LIVE_PAUSES = 128 };

struct gcdune_live {
	uint64_t magic;
	uint32_t size, pid;
	_Atomic uint32_t sequence; /* odd while it is being written */
	uint32_t unused;
	uint64_t started_ns, updated_ns; /* CLOCK_MONOTONIC */
	struct gcdune_stats stats;
	uint64_t pauses; /* how many ever; the last of them, one after the other, at pauses % GCDUNE_LIVE_PAUSES: */
	uint32_t pause_ns[GCDUNE_LIVE_PAUSES];
	char dirty[16], mode[16];
};

/* After a collection, or a pause. Cheap; nothing unless GCDUNE_LIVE was set. Any thread, one at a time. */
void gcdune_live_pause(uint64_t ns);
void gcdune_live_update(void);
void gcdune_live_after_fork(void);

#endif
