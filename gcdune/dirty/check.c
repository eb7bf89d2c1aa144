/* check.c - GCDUNE_VERIFY=2: a second dirty source to compare the first with, the memory itself. When a page becomes clean
 * it is copied, afterwards; a write that comes between is reported by the source in any case. In the pause every page that
 * the source has not reported since must still be the same, but for what markers write themselves, who may be at work beside.
 * Slow; for tests. Called by dirty.c, which lets one in at a time. */
#include <string.h>

#include "../heap.h"
#include "../mark.h"
#include "../os.h"
#include "dirty.h"

enum { WORDS = GCDUNE_PAGE / 8 };
typedef uint64_t copy[WORDS];

static copy *copies; /* by page of the heap */
enum { UNKNOWN, DUE, KNOWN };
static uint8_t *states; /* of each: whether there is one, or one is wanted */
static bool any_due;
static size_t npages, copies_room, states_room;

static size_t page_of(uintptr_t address)
{
	return (address - gcdune_heap.base) / GCDUNE_PAGE;
}

static const struct gcdune_block *block_of(uintptr_t address)
{
	return &gcdune_heap.blocks[(address - gcdune_heap.base) >> GCDUNE_BLOCK_SHIFT];
}

static __attribute__((no_sanitize("address", "thread"))) void take_copy(size_t page)
{
	const volatile uint64_t *words = (const volatile uint64_t *)(gcdune_heap.base + page * GCDUNE_PAGE);

	for (unsigned i = 0; i < WORDS; i++)
		copies[page][i] = words[i];
	states[page] = KNOWN;
}

/* A marker that meets an ephemeron before its key lists it. It may do so after the source was asked and before the page is
 * compared, and no marker cares. */
static bool is_markers(const struct gcdune_block *block, unsigned word)
{
	unsigned at = word * 8 % sizeof(struct gcdune_ephemeron);

	return block->use == GCDUNE_USE_SMALL && block->kind == GCDUNE_KIND_EPHEMERON &&
	       (at == offsetof(struct gcdune_ephemeron, next) || at == offsetof(struct gcdune_ephemeron, listed));
}

static __attribute__((no_sanitize("address", "thread"))) void compare(uintptr_t address)
{
	const volatile uint64_t *words = (const volatile uint64_t *)address;
	const uint64_t *then = copies[page_of(address)];
	const struct gcdune_block *block = block_of(address);

	for (unsigned i = 0; i < WORDS; i++) {
		uint64_t now = words[i];

		if (now != then[i] && !is_markers(block, i))
			gcdune_panic("verify: page %p was written in this cycle and %s did not report it (at %u, from %#lx to %#lx; "
				     "block use %u, kind %u, flags %u, watch %u, %u granules)",
				     (void *)address, gcdune_dirty_name(), i * 8, then[i], now, block->use, block->kind,
				     block->flags, gcdune_heap.spans[block - gcdune_heap.blocks].watch, block->granules);
	}
}

/* Memory for copies is reserved only: as much as the heap may grow to, of which little is used. */
static copy *grow_copies(size_t pages)
{
	if (copies)
		return gcdune_os_remap(copies, copies_room * sizeof *copies, pages * sizeof *copies);
	copy *fresh = gcdune_os_reserve(pages * sizeof *copies, GCDUNE_PAGE);

	if (fresh && gcdune_os_commit(fresh, pages * sizeof *copies)) {
		gcdune_os_unmap(fresh, pages * sizeof *copies);
		return NULL;
	}
	return fresh;
}

/* False: there is no memory for it, and no more is checked than before. */
static bool make_room(size_t pages)
{
	if (pages > copies_room) {
		copy *more = grow_copies(pages * 2);

		if (!more)
			return false;
		copies = more;
		copies_room = pages * 2;
	}
	if (pages > states_room) {
		uint8_t *more = gcdune_os_remap(states, states_room, pages * 2);

		if (!more)
			return false;
		states = more;
		states_room = pages * 2;
	}
	return true;
}

void gcdune_dirty_check_begin(uintptr_t end)
{
	size_t wanted = page_of(end);

	if (wanted > npages && make_room(wanted))
		npages = wanted;
}

void gcdune_dirty_check_track(uintptr_t begin, uintptr_t end)
{
	for (uintptr_t page = begin; page < end && page_of(page) < npages; page += GCDUNE_PAGE)
		take_copy(page_of(page));
}

void gcdune_dirty_check_due(uintptr_t begin, uintptr_t end)
{
	for (uintptr_t page = begin; page < end && page_of(page) < npages; page += GCDUNE_PAGE)
		states[page_of(page)] = DUE;
	any_due = true;
}

/* A write from here on leaves a trace. */
void gcdune_dirty_check_settled(void)
{
	for (size_t page = 0; any_due && page < npages; page++)
		if (states[page] == DUE)
			take_copy(page);
	any_due = false;
}

void gcdune_dirty_check_take(uintptr_t begin, size_t pages, const uint64_t *bits, bool rearm)
{
	for (size_t i = 0; i < pages; i++) {
		uintptr_t address = begin + i * GCDUNE_PAGE;
		size_t page = page_of(address);

		if (page >= npages)
			return;
		if (bits[i / 64] >> (i % 64) & 1) {
			states[page] = UNKNOWN;
			if (rearm && gcdune_dirty_rearms())
				take_copy(page);
		} else if (!rearm && states[page] == KNOWN) {
			compare(address);
		}
	}
}

void gcdune_dirty_check_forget(void)
{
	if (states)
		memset(states, UNKNOWN, states_room);
}

void gcdune_dirty_check_end(uintptr_t begin, uintptr_t end)
{
	for (size_t page = page_of(begin); page < page_of(end) && page < npages; page++)
		states[page] = UNKNOWN;
}
