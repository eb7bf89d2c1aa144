/* mark.c - owns the markers. The loop takes a burst of entries from the stack, finds the slot each means, asks the
 * memory for the slot's state and contents, and puts it into a queue; what leaves the queue at the other end, a burst
 * later, is tested, marked and scanned, by when its cache lines have arrived (Cher, Hosking and Vitek, "Software
 * prefetching for mark-sweep garbage collection", ASPLOS 2004; entries are tested after the queue, not before, as in
 * Garner, Blackburn and Frampton, "Effective prefetch for mark-sweep garbage collection", ISMM 2007).
 *
 * Several markers may meet at an object: each may find it white, each stores the same black, and it is scanned twice.
 * That costs time, never an object. All other writes while marking are by one thread or idempotent (block colour,
 * OVERFLOW). A store of black may also follow a gcdune_free of the object, which then stays taken for a cycle.
 *
 * Markers run beside the program: what they read of an object may be older or newer than a write under way. Either it
 * is read before, and then the write makes its page dirty and the page is scanned again (remark.c), or after. In the
 * blocks' table nothing that is in use goes away meanwhile (heap.h). Callbacks that may not see a changing object wait
 * for the pause.
 *
 * The invariant that verify.c checks: when marking is over, a black object points to no white one. */
#define _GNU_SOURCE
#include "mark.h"

#include <string.h>

#include "cycle.h"
#include "options.h"
#include "os.h"
#include "place.h"
#include "remark.h"
#include "roots.h"
#include "sweep.h"
#include "thread.h"

static struct gcdune_heap *const heap = &gcdune_heap;

enum { MOST_HELPERS = 63, SHARE_EVERY = 64, BURST = GCDUNE_QUEUE / 2, SMALL_GRANULES = 32 };
/* A helper is worth waking when it finds about this much to do. */
static const size_t BYTES_PER_MARKER = (size_t)2 << 20;

struct gcdune_marker gcdune_mark_main;
bool gcdune_mark_push_only, gcdune_mark_check_roots;
uintptr_t gcdune_mark_epoch;
static uint8_t white, young, black;
static bool stopped;	 /* the world is: this is the pause */
static _Atomic uint64_t until; /* when marking in a stop is given up; 0: it is not */
static _Atomic bool enough;    /* it is: markers put down what they have */
static unsigned helpers; /* that exist */
static unsigned cores, wanted_helpers;
static _Atomic unsigned took_part;
static _Atomic uint64_t helper_bytes, helper_leaf_bytes, helper_young_bytes, helper_objects;

/* ---- Scanning ---- */

static inline __attribute__((no_sanitize("address", "thread"))) void
scan_words(struct gcdune_marker *m, const uintptr_t *from, const uintptr_t *to, uint64_t flags)
{
	for (; from < to; from++)
		gcdune_marker_word(m, *from, flags);
}

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
			scan_words(m, (uintptr_t *)ref->object, (uintptr_t *)(ref->object + size), 0);
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
		if (kind->stopped && !stopped)
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
		scan_words(m, words, words + GCDUNE_PAGE / sizeof *words, 0);
	}
}

/* ---- The loop ---- */

static inline bool marker_has_room(struct gcdune_marker *m, size_t entries)
{
	return (size_t)(m->segment->entries + GCDUNE_SEGMENT_ENTRIES - m->top) >= entries || gcdune_marker_room(m);
}

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
	if (serial && !stopped) {
		if (++m->serial >= LONG && heap->throttle < TIMES)
			heap->throttle = TIMES;
		return;
	}
	if (m->serial >= LONG && heap->throttle == TIMES)
		heap->throttle = 0;
	m->serial = 0;
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
		if (!stopped)
			gcdune_remark_first((uint32_t)(ref->block - heap->blocks), !m->assist);
		__atomic_store_n(&ref->block->color, m->black, __ATOMIC_RELAXED);
	}
	if (!(++m->objects & (SHARE_EVERY - 1))) {
		if (gcdune_worklist_wanted())
			gcdune_marker_share(m);
		if (!stopped)
			gcdune_place_look();
		gcdune_mark_look_at_clock();
		if (__builtin_expect(m->young_bytes != m->young_seen || m->serial, 0))
			look_for_chase(m);
	}
	size_t granules = ref->block->granules;

	if (__builtin_expect(ref->block->flags & GCDUNE_BLOCK_WORDS, 1)) {
		m->bytes += granules * GCDUNE_GRANULE;
		m->source = ref->block;
		if (__builtin_expect(granules <= SMALL_GRANULES && marker_has_room(m, 2 * granules), 1))
			scan_small(m, (const uintptr_t *)ref->object, granules);
		else
			scan_words(m, (uintptr_t *)ref->object, (uintptr_t *)ref->object + granules * 2, 0);
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

/* Until there is nothing; or enough has been done in this stop. */
static void drain(struct gcdune_marker *m)
{
	while (!atomic_load_explicit(&enough, memory_order_relaxed)) {
		bool more = fetch(m);
		unsigned waiting = m->head - m->tail;

		if (more && waiting <= GCDUNE_QUEUE - BURST)
			continue; /* there is room for another burst before the first is looked at */
		if (!waiting)
			return;
		visit_burst(m);
	}
}

/* ---- Helpers ---- */

static void set_colors(struct gcdune_marker *m)
{
	m->white = white;
	m->young = young;
	m->black = black;
}

/* Others go on with what is left, and M has no segment. */
static void put_down(struct gcdune_marker *m)
{
	struct gcdune_segment *segment;

	while (m->head != m->tail)
		visit_burst(m);
	while (m->below) {
		segment = m->below;
		m->below = segment->next;
		gcdune_worklist_share(segment);
	}
	if (m->spare)
		gcdune_segment_give(m->spare);
	m->spare = NULL;
	m->segment->count = (uint64_t)(m->top - m->segment->entries);
	gcdune_worklist_leave(m->segment);
	m->segment = NULL;
}

static void add_up(struct gcdune_marker *m)
{
	helper_bytes += m->bytes;
	helper_leaf_bytes += m->leaf_bytes;
	helper_young_bytes += m->young_bytes;
	helper_objects += m->objects;
	m->bytes = m->leaf_bytes = m->young_bytes = m->young_seen = m->objects = 0;
	while (m->ephemerons) {
		struct gcdune_ephemeron *e = m->ephemerons, *head = gcdune_mark_ephemerons;

		m->ephemerons = e->next;
		do
			e->next = head;
		while (!atomic_compare_exchange_weak(&gcdune_mark_ephemerons, &head, e));
	}
}

void *gcdune_mark_helper(void *arg)
{
	struct gcdune_marker m;
	bool was_active = false;
	uint64_t last = UINT64_MAX; /* the collection that it was last part of */

	(void)arg;
	gcdune_os_thread_begins();
	gcdune_place_thread_begins();
	while (!gcdune_marker_init(&m))
		gcdune_os_futex_wait_for(&helpers, helpers, 100000000u); /* no memory now; perhaps later */
	for (;;) {
		struct gcdune_segment *segment = gcdune_worklist_wait(was_active);

		if (heap->collections != last)
			took_part++;
		last = heap->collections;
		was_active = true;
		set_colors(&m);
		gcdune_marker_adopt(&m, segment);
		drain(&m);
		add_up(&m);
		if (atomic_load_explicit(&enough, memory_order_relaxed)) {
			put_down(&m);
			was_active = false;
		}
	}
	return NULL;
}

static void make_helpers(unsigned want)
{
	while (helpers < want && gcdune_os_thread_make(gcdune_mark_helper, gcdune_options.signal) == 0) /* fewer markers do as well */
		helpers++;
}

/* Before the world is stopped: thread creation takes locks of libc's. */
void gcdune_mark_prepare(void)
{
	unsigned want = gcdune_options.markers ? gcdune_options.markers : cores;

	if (heap->live_bytes < BYTES_PER_MARKER &&
	    ((size_t)heap->allocated < 4 * BYTES_PER_MARKER || gcdune_form_expected() < BYTES_PER_MARKER))
		want = 1;
	if (want > MOST_HELPERS + 1)
		want = MOST_HELPERS + 1;
	make_helpers(want - 1);
	wanted_helpers = want - 1;
}

void gcdune_mark_stopped(bool now)
{
	stopped = now;
	gcdune_mark_help(now); /* while stopped, there is nothing else to be done */
}

void gcdune_mark_help(bool now)
{
	gcdune_worklist_helpers(now ? wanted_helpers : 0);
}

/* A marker that takes the program's processor is a pause by another name: only idle ones are used, and of these half,
 * for threads that wait just now must find one when they wake. */
void gcdune_mark_adapt(void)
{
	unsigned busy = gcdune_os_running(), idle = busy < cores ? cores - busy : 0;
	unsigned most = gcdune_options.markers ? gcdune_options.markers - 1 : (idle + 1) / 2;

	gcdune_worklist_helpers(most < wanted_helpers ? most : wanted_helpers);
}

bool gcdune_mark_is_stopped(void)
{
	return stopped;
}

/* ---- One collection ---- */

int gcdune_mark_init(void)
{
	cores = gcdune_os_cores();
	if (gcdune_worklist_init() || !gcdune_marker_init(&gcdune_mark_main))
		return -1;
	return 0;
}

/* A number that no live object has; nor a dead one, for between two full cycles less than half of the numbers are used
 * (pacer.c), and whenever half of them have been, those of the dead are cleared (sweep.c). */
static uint8_t next_color(void)
{
	do
		heap->newest = heap->newest == GCDUNE_COLOR_LAST ? 1 : heap->newest + 1;
	while (heap->newest == heap->black);
	return heap->newest;
}

/* What threads have in reserve takes the colour of new objects, whatever that is. */
static void color_reserves(void)
{
	for (struct gcdune_thread *thread = gcdune_threads; thread; thread = thread->next)
		gcdune_thread_color(thread, heap->color);
}

void gcdune_mark_flip(bool minor)
{
	if (!minor)
		gcdune_sweep_unwhiten();
	white = heap->color;
	young = next_color();
	black = minor ? heap->black : next_color();
	heap->white = white;
	heap->black = black;
	heap->color = young;
	heap->marking = 1;
	heap->minor = minor;
	heap->apart = 0;
	gcdune_mark_epoch++;
	set_colors(&gcdune_mark_main);
	took_part = 0;
	color_reserves();
}

/* Marks from the stack of the main marker, helped or not, until there is nothing. */
static void drain_all(void)
{
	struct gcdune_marker *m = &gcdune_mark_main;
	struct gcdune_segment *segment;

	for (;;) {
		drain(m);
		segment = gcdune_worklist_next();
		if (!segment)
			return;
		gcdune_marker_adopt(m, segment);
	}
}

void gcdune_mark_rescan_block(struct gcdune_marker *m, uint32_t index, void (*after_each)(void))
{
	struct gcdune_block *block = &heap->blocks[index];
	uint8_t *states = gcdune_block_states(block);

	for (unsigned slot = 0; slot < block->nslots; slot++) {
		struct gcdune_ref ref = {(char *)gcdune_block_address(index) +
						 (size_t)slot * block->granules * GCDUNE_GRANULE,
					 states + slot, block};

		if (*ref.state != black)
			continue;
		gcdune_scan_object(m, &ref);
		if (after_each)
			after_each();
	}
}

/* Scans again, alone and one by one, the marked objects of blocks in which a scan was cut short. Each object is scanned
 * with an empty stack, which has room for all it points to, so every round marks something new or is the last. */
static void recover(void)
{
	struct gcdune_marker *m = &gcdune_mark_main;

	gcdune_worklist_helpers(0);
	while (atomic_exchange(&gcdune_mark_overflowed, false)) {
		if (atomic_exchange(&gcdune_roots_overflowed, false)) {
			gcdune_roots_mark(false);
			drain_all();
		}
		GCDUNE_EACH_BLOCK(i) {
			struct gcdune_block *block = &heap->blocks[i];

			if (!(block->flags & GCDUNE_BLOCK_OVERFLOW))
				continue;
			gcdune_block_flag(block, 0, GCDUNE_BLOCK_OVERFLOW);
			gcdune_mark_rescan_block(m, i, drain_all);
		}
	}
}

void gcdune_mark_run(void)
{
	drain_all();
	if (gcdune_mark_overflowed && stopped)
		recover();
}

void gcdune_mark_look_at_clock(void)
{
	uint64_t end = atomic_load_explicit(&until, memory_order_relaxed);

	if (__builtin_expect(end != 0, 0) && gcdune_os_now() >= end)
		atomic_store_explicit(&enough, true, memory_order_relaxed);
}

/* What is put down stays on the stack of the main marker, and with the segments that are shared, as if someone was about to
 * mark from it. Slices of dirty pages among it are looked through while the program runs, and what was looked through
 * already is as dirty as before. */
bool gcdune_mark_within(uint64_t ns)
{
	struct gcdune_marker *m = &gcdune_mark_main;

	until = gcdune_os_now() + ns;
	while (!enough) {
		drain(m);
		struct gcdune_segment *segment = enough ? NULL : gcdune_worklist_next();

		if (!segment)
			break;
		gcdune_marker_adopt(m, segment);
	}
	until = 0;
	bool over = !enough;

	if (!over)
		gcdune_worklist_quiet();
	enough = false;
	return over;
}

void gcdune_mark_abandon(void)
{
	struct gcdune_marker *m = &gcdune_mark_main;

	gcdune_worklist_quiet();
	gcdune_worklist_drop();
	while (gcdune_marker_below(m))
		;
	m->top = m->segment->entries;
	m->head = m->tail = 0;
	m->ephemerons = NULL;
	gcdune_mark_ephemerons = NULL;
	gcdune_mark_overflowed = gcdune_roots_overflowed = false;
	(void)gcdune_mark_count();
	/* Old, new and marked objects live on, each with a colour of its own, until the next flip (sweep.c: unwhiten). */
	heap->marking = 0;
	heap->apart = 0;
}

struct gcdune_marked gcdune_mark_count(void)
{
	struct gcdune_marker *m = &gcdune_mark_main;
	struct gcdune_marked marked = {
		.bytes = m->bytes + atomic_exchange(&helper_bytes, 0),
		.leaf_bytes = m->leaf_bytes + atomic_exchange(&helper_leaf_bytes, 0),
		.young_bytes = m->young_bytes + atomic_exchange(&helper_young_bytes, 0),
		.objects = m->objects + atomic_exchange(&helper_objects, 0),
		.markers = 1 + took_part,
	};

	m->bytes = m->leaf_bytes = m->young_bytes = m->young_seen = m->objects = 0;
	m->serial = 0;
	return marked;
}

void gcdune_mark_end(bool apart)
{
	heap->marking = 0;
	heap->apart = apart;
	heap->white = black;
	heap->color = apart ? next_color() : black;
	color_reserves();
}

/* ---- Assists ---- */

/* A thread of the program marks a little: SOME objects of a segment that another marker gave away, or fewer, for some
 * objects take long. In a critical section, so that the pause does not find it half done. 0: there was nothing to be
 * had. */
unsigned gcdune_mark_assist(unsigned some)
{
	enum { LONG = 3 * 60000 }; /* of the counter's ticks, some 3 for each ns; the clock costs more than it measures */
	uint64_t begin = __builtin_ia32_rdtsc();
	struct gcdune_segment *segment = gcdune_worklist_try();
	struct gcdune_marker m;

	if (!segment)
		return 0;
	memset(&m, 0, sizeof m);
	set_colors(&m);
	m.assist = true;
	m.segment = segment;
	m.top = segment->entries + segment->count;
	/* Where there is only one thing to do at a time, as in a list, that is left to the others. */
	for (bool more = true;;) {
		more = more && m.objects < some && __builtin_ia32_rdtsc() - begin < LONG && fetch(&m);
		if (more && m.head - m.tail <= GCDUNE_QUEUE - BURST)
			continue;
		if (m.head == m.tail)
			break;
		visit_burst(&m);
	}

	unsigned marked = (unsigned)m.objects;

	add_up(&m);
	put_down(&m);
	return marked;
}

/* ---- Roots and single objects ---- */

/* For verify.c: when marking is over, a root leads to nothing unmarked. But something young may have been made where a
 * word that was read before, and not written since, happens to point. */
static void check_root(uintptr_t address, const uintptr_t *word)
{
	struct gcdune_ref ref;

	if (!gcdune_resolve(address, &ref) || !gcdune_mark_is_unmarked(*ref.state) || *ref.state == young)
		return;
	gcdune_panic("verify: root %p in %s leads to unmarked object %p (kind %u, %zu bytes)", (const void *)word,
		     gcdune_roots_place(), (void *)ref.object, ref.block->kind, gcdune_ref_size(&ref));
}

__attribute__((no_sanitize("address", "thread"))) void gcdune_mark_root_range(struct gcdune_marker *m, uintptr_t begin,
									      uintptr_t end)
{
	const uintptr_t *word = (const uintptr_t *)((begin + 7) & ~(uintptr_t)7),
			*last = (const uintptr_t *)(end & ~(uintptr_t)7);
	uintptr_t base = heap->base;
	size_t size = heap->size;

	while (word < last) {
		const uintptr_t *stop = last - word > 256 ? word + 256 : last;

		m->source = NULL;
		for (; word < stop; word++) {
			/* Most words are no address: no branch for each of these. One past the last block counts. */
			while (stop - word >= 4 && !((word[0] - base <= size) | (word[1] - base <= size) |
						     (word[2] - base <= size) | (word[3] - base <= size)))
				word += 4;
			if (word >= stop)
				break;
			uintptr_t w = *word;

			if (w - base > size)
				continue;
			if (__builtin_expect(gcdune_mark_check_roots, 0))
				check_root(w, word);
			gcdune_marker_push(m, w | GCDUNE_ENTRY_ROOT);
			if (!gcdune_mark_may_end(w))
				continue;
			if (__builtin_expect(gcdune_mark_check_roots, 0))
				check_root(w - 1, word);
			gcdune_marker_push(m, (w - 1) | GCDUNE_ENTRY_ROOT);
		}
		/* Roots must not pile up: large ranges of them are marked from as they are read. But in the pause that
		 * begins a cycle nothing is marked. */
		if (m->below && m == &gcdune_mark_main && !gcdune_mark_push_only)
			drain(m);
	}
	m->source = NULL; /* the roots callback's next range is of roots too (gcdune_mark_range) */
}

void gcdune_mark_object(void *object)
{
	gcdune_mark_main.source = NULL;
	gcdune_marker_word(&gcdune_mark_main, (uintptr_t)object, GCDUNE_ENTRY_ROOT);
}

/* Takes what resolves to REF's object off the stack, down to FLOOR. */
static void drop_self(struct gcdune_marker *m, const struct gcdune_ref *ref, uint64_t *floor)
{
	uint64_t *to = floor;

	for (uint64_t *from = floor; from < m->top; from++) {
		struct gcdune_ref target;

		if (gcdune_resolve(*from & ~GCDUNE_ENTRY_ROOT, &target) && target.object == ref->object)
			continue;
		*to++ = *from;
	}
	m->top = to;
}

void gcdune_mark_children(const struct gcdune_ref *ref, bool ignore_self)
{
	struct gcdune_marker *m = &gcdune_mark_main;
	enum gcdune_scan scan = heap->kinds[ref->block->kind].scan;

	if (!ignore_self || scan == GCDUNE_SCAN_NONE || scan == GCDUNE_SCAN_EPHEMERON) {
		gcdune_scan_object(m, ref);
		return;
	}
	/* Piece by piece, each no more than a segment holds, and with the segment or the stack empty. */
	enum { PIECE = 512 };
	size_t words = gcdune_ref_size(ref) / sizeof(uintptr_t);
	uintptr_t *object = (uintptr_t *)ref->object;

	m->source = ref->block;
	if (scan != GCDUNE_SCAN_CALLBACK && words <= PIECE && marker_has_room(m, words)) {
		uint64_t *floor = m->top;

		if (scan == GCDUNE_SCAN_TYPED)
			gcdune_scan_typed(m, ref->object, object[words - 1], 0, words - 1);
		else
			scan_words(m, object, object + words, 0);
		drop_self(m, ref, floor);
		return;
	}
	drain_all();
	m->source = ref->block;
	if (scan == GCDUNE_SCAN_CALLBACK) {
		gcdune_scan_object(m, ref);
		if (!m->below)
			drop_self(m, ref, m->segment->entries);
		return;
	}
	for (size_t from = 0; from < words; from += PIECE) {
		size_t to = words - from > PIECE ? from + PIECE : words;

		m->source = ref->block;
		if (scan == GCDUNE_SCAN_TYPED)
			gcdune_scan_typed(m, ref->object, object[words - 1], from, to < words ? to : words - 1);
		else
			scan_words(m, object + from, object + to, 0);
		drop_self(m, ref, m->segment->entries);
		drain_all();
	}
}

bool gcdune_mark_is_dead(const void *object)
{
	struct gcdune_ref ref;

	return gcdune_resolve((uintptr_t)object, &ref) &&
	       gcdune_mark_is_unmarked(__atomic_load_n(ref.state, __ATOMIC_RELAXED));
}

bool gcdune_mark_is_unmarked(uint8_t state)
{
	return state == white || state == young || state == GCDUNE_COLOR_KEY;
}

void gcdune_mark(struct gcdune_marker *marker, const void *pointer)
{
	gcdune_marker_word(marker, (uintptr_t)pointer, GCDUNE_ENTRY_ROOT);
}

void gcdune_mark_range(struct gcdune_marker *marker, const void *begin, const void *end)
{
	if (marker->source)
		scan_words(marker, begin, end, GCDUNE_ENTRY_ROOT);
	else
		gcdune_mark_root_range(marker, (uintptr_t)begin, (uintptr_t)end);
}

void gcdune_mark_after_fork(void)
{
	struct gcdune_marker *m = &gcdune_mark_main;

	/* A cycle that was under way is given up, with all that its markers held. Colours are put right when the next
	 * one begins. */
	helpers = 0;
	helper_bytes = helper_leaf_bytes = helper_young_bytes = helper_objects = 0;
	gcdune_mark_ephemerons = NULL;
	gcdune_mark_overflowed = gcdune_roots_overflowed = false;
	stopped = gcdune_mark_push_only = false;
	if (heap->marking)
		heap->apart = 0;
	heap->marking = 0;
	gcdune_worklist_after_fork();
	if (!gcdune_marker_init(m))
		gcdune_panic("no memory to go on with after fork");
}
