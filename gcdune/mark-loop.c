/* mark-loop.c - owns the inner loop of all markers. It takes a burst of entries from the stack, finds the slot each means,
 * asks the memory for the slot's state and contents, and puts it into a queue; what leaves the queue at the other end, a
 * burst later, is tested, marked and scanned, by when its cache lines have arrived (Cher, Hosking and Vitek, "Software
 * prefetching for mark-sweep garbage collection", ASPLOS 2004; entries are tested after the queue, not before, as in
 * Garner, Blackburn and Frampton, "Effective prefetch for mark-sweep garbage collection", ISMM 2007). Called by mark.c,
 * mark-help.c and mark-roots.c; what is called for each object is in this file, or inline, where it need not be a call.
 *
 * Several markers may meet at an object: each may find it white, each stores the same black, and it is scanned twice.
 * That costs time, never an object. All other writes while marking are by one thread or idempotent (block colour,
 * OVERFLOW). A store of black may also follow a gcdune_free of the object, which then stays taken for a cycle.
 *
 * Markers run beside the program: what they read of an object may be older or newer than a write under way. Either it
 * is read before, and then the write makes its page dirty and the page is scanned again (remark.c), or after. In the
 * blocks' table nothing that is in use goes away meanwhile (heap.h). Callbacks that may not see a changing object wait
 * for the pause. */
#include "mark-parts.h"

#include "os.h"
#include "place.h"
#include "remark.h"
#include "thread.h"

static struct gcdune_heap *const heap = &gcdune_heap;

enum { SHARE_EVERY = 64, BURST = GCDUNE_QUEUE / 2, SMALL_GRANULES = 32 };

/* ---- Scanning ---- */

void gcdune_scan_object(struct gcdune_marker *m, const struct gcdune_ref *ref)
{
	const struct gcdune_kind_info *kind = &heap->kinds[ref->block->kind];
	size_t size = gcdune_ref_size(ref);
	bool large = ref->block->granules == 0;

	m->source = ref->block;
	switch (kind->scan) {
	case GCDUNE_SCAN_NONE:
		break;
	case GCDUNE_SCAN_WORDS:
		if (large)
			gcdune_marker_push(m, gcdune_slice((uintptr_t)ref->object, size / GCDUNE_PAGE, 0));
		else
			gcdune_marker_words(m, (uintptr_t *)ref->object, (uintptr_t *)(ref->object + size), 0);
		break;
	case GCDUNE_SCAN_TYPED:
		if (large) {
			gcdune_marker_push(
				m, gcdune_slice((uintptr_t)ref->object, size / GCDUNE_PAGE, GCDUNE_ENTRY_TYPED));
		} else {
			size_t words = size / sizeof(uintptr_t) - 1;

			gcdune_scan_typed(m, ref->object, ((uintptr_t *)ref->object)[words], 0, words);
		}
		break;
	case GCDUNE_SCAN_CALLBACK:
		if (kind->stopped && !gcdune_mark_state.stopped)
			break; /* gcdune_remark_callbacks comes by */
		kind->mark(ref->object, size - heap->extra_byte, kind->arg, m);
		break;
	case GCDUNE_SCAN_EPHEMERON:
		gcdune_ephemeron_scan(m, (struct gcdune_ephemeron *)ref->object);
		break;
	}
}

/* Scans the slice's first page and leaves the rest on the stack in halves, for others to take. */
static __attribute__((noinline)) void scan_slice(struct gcdune_marker *m, uint64_t entry)
{
	uintptr_t address = (uintptr_t)(entry & (((uint64_t)1 << 36) - 1)) << 12;
	uint64_t pages = entry >> 36 & GCDUNE_SLICE_PAGES_MAX, flags = entry & GCDUNE_ENTRY_TYPED;

	if (entry & GCDUNE_ENTRY_DIRTY) {
		gcdune_remark_range(m, address, pages);
		return;
	}
	/* It is in a marked object, unless that has been cut shorter since. */
	struct gcdune_ref ref = gcdune_ref_of((void *)address);

	m->source = ref.block;
	gcdune_mark_look_at_clock();
	while (pages > 1) {
		uint64_t half = pages / 2;

		gcdune_marker_push(m, gcdune_slice(address + (pages - half) * GCDUNE_PAGE, half, flags));
		pages -= half;
	}
	const uintptr_t *words = (const uintptr_t *)address;

	if (flags & GCDUNE_ENTRY_TYPED && ref.object) {
		size_t last = gcdune_ref_size(&ref) / sizeof(uintptr_t) - 1,
		       from = (address - (uintptr_t)ref.object) / sizeof(uintptr_t);
		size_t to = from + GCDUNE_PAGE / sizeof(uintptr_t);

		gcdune_scan_typed(m, ref.object, ((uintptr_t *)ref.object)[last], from, to < last ? to : last);
	} else {
		gcdune_marker_words(m, words, words + GCDUNE_PAGE / sizeof *words, 0);
	}
}

/* ---- The loop ---- */

/* What could be an address is pushed without a branch: whether a word is one is anyone's guess, and a wrong guess costs
 * more than the store. There is room for all. */
static inline __attribute__((no_sanitize("address", "thread"))) void scan_small(struct gcdune_marker *m,
										const uintptr_t *word, size_t granules)
{
	const uintptr_t base = heap->base;
	const size_t size = heap->size;
	uint64_t *top = m->top;

	do {
		uintptr_t w0 = word[0], w1 = word[1];

		*top = w0;
		top += w0 - base < size;
		*top = w1;
		top += w1 - base < size;
		word += 2;
	} while (--granules);
	m->top = top;
}

/* A young slot that its thread has not given out yet: what pointed there was never a pointer to it. */
static __attribute__((noinline)) bool in_reserve(const struct gcdune_marker *m, const struct gcdune_ref *ref)
{
	uint8_t flags = __atomic_load_n(&ref->block->flags, __ATOMIC_ACQUIRE);

	/* Large; or closed, just now or before: of plain words it does not matter. */
	if (ref->block->granules == 0 || (flags & (GCDUNE_BLOCK_OPEN | GCDUNE_BLOCK_WORDS)) == GCDUNE_BLOCK_WORDS)
		return false;
	uint32_t index = (uint32_t)(ref->block - heap->blocks);
	unsigned slot = (unsigned)(ref->state - gcdune_block_states(ref->block)), begin, end;

	for (;;) {
		uint32_t turns = gcdune_thread_turns(index);

		if (__atomic_load_n(ref->state, __ATOMIC_ACQUIRE) != m->young)
			return true; /* given back, or marked by another */
		if (gcdune_thread_reserve(index, turns, &begin, &end))
			return slot >= begin && slot < end;
	}
}

/* A marker that has next to nothing on its stack and finds one young object after the other follows a list to whose end the
 * program appends, perhaps faster than it can follow: a list leaves no choice and nothing to share. Threads that
 * allocate slow down until it has caught up. */
static __attribute__((noinline)) void look_for_chase(struct gcdune_marker *m)
{
	enum { LONG = 32, TIMES = 7 }; /* of SHARE_EVERY objects; sleep so many times as long as they run */
	bool serial = m->young_bytes != m->young_seen && !m->below && m->top - m->segment->entries <= 16 && !m->assist;

	m->young_seen = m->young_bytes;
	if (serial && !gcdune_mark_state.stopped) {
		if (++m->serial >= LONG && heap->throttle < TIMES)
			heap->throttle = TIMES;
		return;
	}
	if (m->serial >= LONG && heap->throttle == TIMES)
		heap->throttle = 0;
	m->serial = 0;
}

void gcdune_mark_look_at_clock(void)
{
	uint64_t end = atomic_load_explicit(&gcdune_mark_state.until, memory_order_relaxed);

	if (__builtin_expect(end != 0, 0) && gcdune_os_now() >= end)
		atomic_store_explicit(&gcdune_mark_state.enough, true, memory_order_relaxed);
}

static inline __attribute__((always_inline)) void visit(struct gcdune_marker *m, const struct gcdune_ref *ref)
{
	uint8_t state = __atomic_load_n(ref->state, __ATOMIC_RELAXED);

	if (state != m->white) {
		if (__builtin_expect(state == m->young, 0)) {
			if (in_reserve(m, ref))
				return;
			m->young_bytes += gcdune_ref_size(ref);
		} else if (__builtin_expect(state == GCDUNE_COLOR_KEY, 0)) {
			gcdune_ephemeron_visit_key(m, ref);
		} else {
			return;
		}
	}
	__atomic_store_n(ref->state, m->black, __ATOMIC_RELAXED);
	if (__builtin_expect(__atomic_load_n(&ref->block->color, __ATOMIC_RELAXED) != m->black, 0)) {
		if (!gcdune_mark_state.stopped)
			gcdune_remark_first((uint32_t)(ref->block - heap->blocks), !m->assist);
		__atomic_store_n(&ref->block->color, m->black, __ATOMIC_RELAXED);
	}
	if (!(++m->objects & (SHARE_EVERY - 1))) {
		if (gcdune_worklist_wanted())
			gcdune_marker_share(m);
		if (!gcdune_mark_state.stopped)
			gcdune_place_look();
		gcdune_mark_look_at_clock();
		if (__builtin_expect(m->young_bytes != m->young_seen || m->serial, 0))
			look_for_chase(m);
	}
	size_t granules = ref->block->granules;

	if (__builtin_expect(ref->block->flags & GCDUNE_BLOCK_WORDS, 1)) {
		m->bytes += granules * GCDUNE_GRANULE;
		m->source = ref->block;
		if (__builtin_expect(granules <= SMALL_GRANULES && gcdune_marker_has_room(m, 2 * granules), 1))
			scan_small(m, (const uintptr_t *)ref->object, granules);
		else
			gcdune_marker_words(m, (uintptr_t *)ref->object, (uintptr_t *)ref->object + granules * 2, 0);
		return;
	}
	size_t size = gcdune_ref_size(ref);

	m->bytes += size;
	if (heap->kinds[ref->block->kind].scan == GCDUNE_SCAN_NONE)
		m->leaf_bytes += size;
	else
		gcdune_scan_object(m, ref);
}

/* Takes up to BURST addresses off the stack and asks for their memory, in a loop as short as can be: the processor has
 * only so many instructions in flight, and so only that many misses at a time. False: the stack is empty. */
static inline bool fetch(struct gcdune_marker *m)
{
	for (unsigned n = 0; n < BURST;) {
		if (m->top == m->segment->entries && !gcdune_marker_below(m))
			return false;
		uint64_t entry = *--m->top;

		if (__builtin_expect(entry >> 63, 0)) {
			if (m->assist && entry & GCDUNE_ENTRY_DIRTY) {
				m->top++; /* takes too long */
				return false;
			}
			scan_slice(m, entry);
			n += m->assist; /* who assists looks at the clock: all the slices may hold nothing */
			continue;
		}
		uintptr_t address = entry & ~GCDUNE_ENTRY_ROOT;
		struct gcdune_ref *ref = &m->queue[m->head & (GCDUNE_QUEUE - 1)];

		if (!gcdune_resolve(address, ref))
			continue;
		if (__builtin_expect(heap->strict_interior, 0) && !(entry & GCDUNE_ENTRY_ROOT) &&
		    !gcdune_displacement_valid(address - (uintptr_t)ref->object))
			continue;
		__builtin_prefetch(ref->state, 1);
		__builtin_prefetch(ref->object, 0);
		m->head++;
		n++;
	}
	return true;
}

static inline void visit_burst(struct gcdune_marker *m)
{
	unsigned waiting = m->head - m->tail;

	for (unsigned n = waiting < BURST ? waiting : BURST; n > 0; n--)
		visit(m, &m->queue[m->tail++ & (GCDUNE_QUEUE - 1)]);
}

void gcdune_mark_loop(struct gcdune_marker *m)
{
	while (!atomic_load_explicit(&gcdune_mark_state.enough, memory_order_relaxed)) {
		bool more = fetch(m);
		unsigned waiting = m->head - m->tail;

		if (more && waiting <= GCDUNE_QUEUE - BURST)
			continue; /* there is room for another burst before the first is looked at */
		if (!waiting)
			return;
		visit_burst(m);
	}
}

void gcdune_mark_loop_some(struct gcdune_marker *m, unsigned some, uint64_t begin)
{
	enum { LONG = 3 * 60000 }; /* of the counter's ticks, some 3 for each ns; the clock costs more than it measures */

	/* Where there is only one thing to do at a time, as in a list, that is left to the others. */
	for (bool more = true;;) {
		more = more && m->objects < some && __builtin_ia32_rdtsc() - begin < LONG && fetch(m);
		if (more && m->head - m->tail <= GCDUNE_QUEUE - BURST)
			continue;
		if (m->head == m->tail)
			break;
		visit_burst(m);
	}
}

void gcdune_mark_loop_queue(struct gcdune_marker *m)
{
	while (m->head != m->tail)
		visit_burst(m);
}
