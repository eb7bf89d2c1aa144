/* dune.c - dirty source: Dune mode's own page tables. The processor sets a bit in the entry of a page that is written, and
 * ring 3 reads and clears it: no fault, no system call. What the kernel writes in system calls of this process, libdune
 * marks there too (docs/dune.md). Works where the process is in Dune mode (library.c); what is exact, and why, is gather.c's.
 *
 * Nothing is needed to stop tracking, or for pages about to be filled: a write costs what it costs anyway. Called through
 * dirty.c. */
#include "dirty.h"
#include "gather.h"
#include "library.h"

static int attach(uintptr_t begin, uintptr_t end)
{
	(void)begin;
	(void)end;
	return 0;
}

static int track(uintptr_t begin, uintptr_t end)
{
	return gcdune_gather_track(gcdune_dune.dirty_take, begin, end);
}

static int gather(uintptr_t begin, uintptr_t end)
{
	return gcdune_gather(gcdune_dune.dirty_take, begin, end);
}

static int take(uintptr_t begin, size_t pages, uint64_t *bits, bool rearm)
{
	return gcdune_gather_take(gcdune_dune.dirty_take, gcdune_dune.dirty_peek, begin, pages, bits, rearm);
}

static void nothing(uintptr_t begin, uintptr_t end)
{
	(void)begin;
	(void)end;
}

const struct gcdune_dirty_source gcdune_dirty_dune = {
	.name = "dune",
	.anywhere = true,
	.rearms = true,
	.keeps = true,
	.open = gcdune_gather_open,
	.close = gcdune_gather_forget,
	.begin = gcdune_gather_begin,
	.attach = attach,
	.track = track,
	.gather = gather,
	.settle = gcdune_gather_settle,
	.take = take,
	.mark = nothing,
	.end = nothing,
	.after_fork = gcdune_gather_forget,
};
