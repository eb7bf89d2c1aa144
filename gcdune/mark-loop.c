/* mark-loop.c - owns the choice of the markers' inner loop (mark-burst.h), and its form for any processor. Called by
 * mark.c, mark-help.c and mark-roots.c. */
#include "mark-parts.h"

#include "options.h"
#include "os.h"
#include "place.h"
#include "remark.h"

#define BURST_TARGET

#define burst_scan gcdune_marker_granules
#include "mark-burst.h"

void gcdune_mark_look_at_clock(void)
{
	uint64_t end = atomic_load_explicit(&gcdune_mark_state.until, memory_order_relaxed);

	if (__builtin_expect(end != 0, 0) && gcdune_os_now() >= end)
		atomic_store_explicit(&gcdune_mark_state.enough, true, memory_order_relaxed);
}

__attribute__((no_sanitize("address", "thread"))) size_t gcdune_mark_find(const uintptr_t *word, size_t words, uintptr_t *found)
{
	const uintptr_t base = gcdune_heap.base;
	const size_t size = gcdune_heap.size;
	size_t n = 0;

	if (gcdune_mark_state.wide)
		return gcdune_mark_find_wide(word, words, found);
	/* Without a branch: whether a word is an address is anyone's guess. */
	for (size_t i = 0; i < words; i++) {
		uintptr_t w = word[i];

		found[n] = w;
		n += w - base <= size;
	}
	return n;
}

void gcdune_mark_loop(struct gcdune_marker *m)
{
	if (gcdune_mark_state.wide && !gcdune_mark_state.tiny)
		gcdune_mark_loop_wide(m);
	else
		loop(m);
}

void gcdune_mark_loop_some(struct gcdune_marker *m, unsigned some, uint64_t begin)
{
	enum { LONG = 3 * 60000 }; /* of the counter's ticks, some 3 for each ns; the clock costs more than it measures */

	/* Where there is only one thing to do at a time, as in a list, that is left to the others. */
	for (bool more = true;;) {
		more = more && m->objects < some && __builtin_ia32_rdtsc() - begin < LONG && fetch(m);
		if (!more)
			break;
		if (m->count[m->half])
			visit(m);
	}
	gcdune_mark_loop_queue(m);
}

void gcdune_mark_loop_queue(struct gcdune_marker *m)
{
	/* What has waited longest first. */
	for (unsigned i = 0; i < 2; i++, m->half ^= 1)
		if (m->count[m->half])
			visit(m);
}
