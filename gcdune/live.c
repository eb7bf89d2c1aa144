/* live.c - GCDUNE_LIVE=1: a page of statistics in a memory file (memfd), which `gcdune top' finds among the descriptors of
 * the process and maps. It is renewed after each collection; nothing waits for a reader. A child of fork makes its own. It
 * cannot outlive the process, nor be left behind. */
#define _GNU_SOURCE
#include "live.h"

#include <string.h>

#include "dirty/dirty.h"
#include "options.h"
#include "os.h"
#include "stats.h"

static struct gcdune_live *live;
static bool tried;

static struct gcdune_live *page(void)
{
	if (tried || !gcdune_options.live)
		return live;
	tried = true;
	live = gcdune_os_shared(GCDUNE_LIVE_NAME, sizeof *live);
	if (!live) {
		gcdune_warn("GCDUNE_LIVE: no shared memory for the statistics");
		return NULL;
	}
	live->size = sizeof *live;
	live->pid = (uint32_t)gcdune_os_pid();
	live->started_ns = gcdune_stats_start();
	live->magic = GCDUNE_LIVE_MAGIC;
	return live;
}

void gcdune_live_pause(uint64_t ns)
{
	struct gcdune_live *l = page();

	if (l)
		l->pause_ns[l->pauses++ % GCDUNE_LIVE_PAUSES] = ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
}

void gcdune_live_update(void)
{
	struct gcdune_live *l = page();

	if (!l)
		return;
	atomic_fetch_add(&l->sequence, 1);
	gcdune_stats_get(&l->stats, sizeof l->stats);
	l->updated_ns = gcdune_os_now();
	strncpy(l->dirty, gcdune_dirty_name(), sizeof l->dirty - 1);
	atomic_fetch_add(&l->sequence, 1);
}

void gcdune_live_after_fork(void)
{
	gcdune_os_unshare(live, sizeof *live);
	live = NULL;
	tried = false;
}
