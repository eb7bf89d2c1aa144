/* check.c - GCDUNE_VERIFY=2: a second dirty source to compare the first with, the memory itself. When a page becomes clean
 * its words are summed up, afterwards; a write that comes between is reported by the source in any case. In the pause
 * every page that the source has not reported since must still have that sum. Slow; for tests. Called by dirty.c. */
#include <string.h>

#include "../heap.h"
#include "../os.h"
#include "dirty.h"

static uint64_t *sums; /* by page of the heap; 0: none, DUE: wanted */
enum { DUE = 1 };
static bool any_due;
static size_t npages, sums_size;

static __attribute__((no_sanitize("address", "thread"))) uint64_t sum(uintptr_t page)
{
	const volatile uint64_t *word = (const volatile uint64_t *)page;
	uint64_t s = 1;

	for (unsigned i = 0; i < GCDUNE_PAGE / 8; i++)
		s = (s ^ word[i]) * 0x9e3779b97f4a7c15u + (s >> 29);
	return s > DUE ? s : 2;
}

static size_t page_of(uintptr_t address)
{
	return (address - gcdune_heap.base) / GCDUNE_PAGE;
}

static const struct gcdune_block *block_of(uintptr_t address)
{
	return &gcdune_heap.blocks[(address - gcdune_heap.base) >> GCDUNE_BLOCK_SHIFT];
}

void gcdune_dirty_check_begin(uintptr_t end)
{
	size_t want = page_of(end) * sizeof *sums;

	if (want > sums_size) {
		uint64_t *more = gcdune_os_remap(sums, sums_size, want * 2);

		if (!more)
			return;
		sums = more;
		sums_size = want * 2;
	}
	if (npages < page_of(end))
		npages = page_of(end);
}

void gcdune_dirty_check_track(uintptr_t begin, uintptr_t end)
{
	for (uintptr_t page = begin; page < end && page_of(page) < npages; page += GCDUNE_PAGE)
		sums[page_of(page)] = sum(page);
}

void gcdune_dirty_check_due(uintptr_t begin, uintptr_t end)
{
	for (uintptr_t page = begin; page < end && page_of(page) < npages; page += GCDUNE_PAGE)
		sums[page_of(page)] = DUE;
	any_due = true;
}

/* A write from here on leaves a trace. */
void gcdune_dirty_check_settled(void)
{
	for (size_t page = 0; any_due && page < npages; page++)
		if (sums[page] == DUE)
			sums[page] = sum(gcdune_heap.base + page * GCDUNE_PAGE);
	any_due = false;
}

void gcdune_dirty_check_take(uintptr_t begin, size_t pages, const uint64_t *bits, bool rearm)
{
	for (size_t i = 0; i < pages; i++) {
		uintptr_t address = begin + i * GCDUNE_PAGE;
		size_t page = page_of(address);

		if (page >= npages)
			return;
		if (bits[i / 64] >> (i % 64) & 1)
			sums[page] = rearm && gcdune_dirty_rearms() ? sum(address) : 0;
		else if (!rearm && sums[page] > DUE && sums[page] != sum(address))
			gcdune_panic("verify: page %p was written in this cycle and %s did not report it (block use %u, kind %u, "
				     "flags %u, watch %u)",
				     (void *)address, gcdune_dirty_name(), block_of(address)->use, block_of(address)->kind,
				     block_of(address)->flags,
				     gcdune_heap.spans[block_of(address) - gcdune_heap.blocks].watch);
	}
}

void gcdune_dirty_check_forget(void)
{
	if (sums)
		memset(sums, 0, sums_size);
}

void gcdune_dirty_check_end(uintptr_t begin, uintptr_t end)
{
	for (size_t page = page_of(begin); page < page_of(end) && page < npages; page++)
		sums[page] = 0;
}
