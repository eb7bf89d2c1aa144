/* dune-fault.c - dirty source: pages made read-only in Dune mode's own page tables. The first write to one comes up to the
 * program as a fault, by the nucleus and without leaving the guest; the handler gives the right to write back, and that the
 * entry has it is the mark (dune_protect_take). The kernel's writes make no faults there: libdune sets their dirty bits,
 * which count too. It is what a processor's dirty bits are to be compared with, as the OSDI 2012 system did; `dune' is
 * better wherever it works, which is everywhere.
 *
 * Not for data segments: each range needs a handler of its own, and there are few. What is left protected in the child of a
 * fork is opened by faults there. Called through dirty.c. */
#include <errno.h>

#include "../heap.h"
#include "../os.h"
#include "dirty.h"
#include "gather.h"
#include "library.h"

enum { RANGES = 4, OPEN = DUNE_READ | DUNE_WRITE };

/* With a handler. The heap is one, whole, so that there is no moment without while it grows. It begins a page before the
 * heap: static data are roots, libdune's too, and must not hold the address of the heap's first object. */
static struct {
	uintptr_t begin, end;
} handled[RANGES];

/* A fault is passed on to the monitor only if it is the program's mistake. What is passed on goes there when the instruction
 * is tried again, and by then the page may be protected, which the monitor takes for a violation: so a page that only has
 * no entry yet, which is as common, gets one here. */
static int on_fault(const struct dune_fault *fault, void *argument)
{
	struct dune_entry entry;

	(void)argument;
	if (gcdune_dune.lookup((void *)fault->address, &entry) || !entry.rights)
		return gcdune_dune.dirty_track((void *)fault->address, 1) ||
		       gcdune_dune.lookup((void *)fault->address, &entry) || !entry.rights;
	if (!(fault->error & DUNE_FAULT_WRITE) || entry.rights & DUNE_WRITE)
		return 0; /* another thread was faster; by faulting the processor has forgotten what it knew of the page */
	if (!entry.owned)
		return 1;
	gcdune_dirty_faults++;
	gcdune_dune.protect((void *)fault->address, 1, OPEN);
	return 0;
}

static void close_source(void)
{
	for (unsigned i = 0; i < RANGES; i++) {
		if (handled[i].end)
			gcdune_dune.fault_handler((void *)handled[i].begin, handled[i].end - handled[i].begin, NULL, NULL);
		handled[i].end = 0;
	}
	gcdune_gather_forget();
}

static int attach(uintptr_t begin, uintptr_t end)
{
	int free = -1, error;

	if (begin == gcdune_heap.base) {
		end = begin + gcdune_heap.size;
		begin -= GCDUNE_PAGE;
	}
	for (int i = 0; i < RANGES; i++) {
		if (!handled[i].end) {
			free = i;
			continue;
		}
		if (handled[i].begin <= begin && end <= handled[i].end)
			return 0;
		/* Of a test's memory: one that overlaps is made larger, with a moment of none. Never the heap's. */
		if (handled[i].begin < end && begin < handled[i].end) {
			gcdune_dune.fault_handler((void *)handled[i].begin, handled[i].end - handled[i].begin, NULL, NULL);
			begin = begin < handled[i].begin ? begin : handled[i].begin;
			end = end > handled[i].end ? end : handled[i].end;
			handled[i].end = 0;
			free = i;
		}
	}
	if (free < 0)
		return -ENOSPC;
	error = gcdune_dune.fault_handler((void *)begin, end - begin, on_fault, NULL);
	if (error)
		return error;
	handled[free].begin = begin;
	handled[free].end = end;
	return 0;
}

static int track(uintptr_t begin, uintptr_t end)
{
	return gcdune_gather_track(gcdune_dune.protect_take, begin, end);
}

static int gather(uintptr_t begin, uintptr_t end)
{
	return gcdune_gather(gcdune_dune.protect_take, begin, end);
}

static int take(uintptr_t begin, size_t pages, uint64_t *bits, bool rearm)
{
	return gcdune_gather_take(gcdune_dune.protect_take, gcdune_dune.protect_peek, begin, pages, bits, rearm);
}

static void open_range(uintptr_t begin, uintptr_t end)
{
	/* An entry that cannot be had is absent, and has no protection. */
	(void)gcdune_dune.protect((void *)begin, end - begin, OPEN);
}

const struct gcdune_dirty_source gcdune_dirty_dune_fault = {
	.name = "dune-fault",
	.rearms = true,
	.keeps = true,
	.open = gcdune_gather_open,
	.close = close_source,
	.begin = gcdune_gather_begin,
	.attach = attach,
	.track = track,
	.gather = gather,
	.settle = gcdune_gather_settle,
	.take = take,
	.mark = open_range,
	.end = open_range,
	.after_fork = gcdune_gather_forget,
};
