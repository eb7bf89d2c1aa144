/* remark.c - owns what is tracked for writes during a cycle, and scans again what was written. Callers: cycle.c, and
 * mark-loop.c for the ranges that gcdune_remark_push leaves to the markers.
 *
 * The safety argument of the whole cycle. A white or young object that is reachable when the world is stopped for the
 * pause was missed because no marker read the words that hold its address now. Such a word is in a register, on a stack,
 * in thread-local storage or another root: these are all read in the pause. Or it is in a marked object. Then it was
 * written after the marker read it, that is, after the page was armed: before the last harvest, and that scanned it
 * again, or after it, and the page is dirty in the pause. Pages are armed, and made clean, only by gcdune_dirty_take,
 * gcdune_dirty_track and gcdune_dirty_gather, and the words are read after that, and after gcdune_dirty_settle; a page that was never armed counts as written. Or it is in an
 * object that is not marked itself; that one's address is then in one of these places, and so on.
 *
 * A block that is not armed counts as written, and all that is marked in it is scanned twice. Most of these are new,
 * and most of what is new dies, so they are not armed before they turn out to have something alive: by the marker
 * that finds the first object there, before it scans that (gcdune_remark_first), along with neighbours in which
 * nobody has found one. Another marker that comes by one of these meanwhile may read an object before the block is
 * armed, which then hides a write that came in between: so it asks for all of the block to be scanned (WATCH_WHOLE),
 * and does so before anyone is told by the block's colour that something in it is marked. So does a thread of the
 * program that helps, which has no time for the call; whoever arms the block then, scans all of it. Or a third one
 * takes the block's pages just then, after a write: making a page clean that was written interrupts all processors
 * that run the program, so the marker's store of the colour, made before it read what was overwritten, is seen behind
 * it.
 *
 * So what is allocated while a cycle runs need not be scanned for having been written, only if it is found.
 *
 * A pause that is given up has made no page clean: what it found dirty is as dirty in the next round, and a block that it
 * scanned and took ARMED from counts as written then. What it marked stays marked, and what it has not looked at yet is on
 * the markers' stacks. Nothing was decided in it; the next pause reads all roots again.
 *
 * A minor cycle takes what the last one marked for marked already. The argument is the same, with "after the marker read
 * it" reaching back to the last cycle, at whose end a marked object led to marked ones only. A page that was armed then
 * and still is reports what was written since. Every other page counts as written: of a block that was not armed all the
 * time all marked objects are scanned (WATCH_WHOLE), after it has been armed. ARMED is a hint as to what a fault would
 * cost, but it is set only with the page clean, or reporting: whatever makes a page clean (arm, below) sets WHOLE too,
 * or scans the page (take). */
#include "remark.h"

#include <string.h>
#include <sys/param.h>

#include "dirty/dirty.h"
#include "options.h"
#include "os.h"
#include "place.h"
#include "sweep.h"
#include "verify.h"

static struct gcdune_heap *const heap = &gcdune_heap;

/* What a marker takes at once: 16 MiB, some 5 microseconds when all is clean. */
enum { UNIT_PAGES = 4096 };
enum { BLOCK_PAGES = GCDUNE_BLOCK / GCDUNE_PAGE };
/* The same if all of it is to be scanned: some 300 microseconds. */
enum { UNIT_WHOLE = 256 };

/* Beyond the committed part, room for what comes into use during a cycle. */
static const uint32_t ROOM = (uint32_t)((4ull << 30) >> GCDUNE_BLOCK_SHIFT);

static _Atomic size_t dirty_pages;
static bool stopped_minor; /* see gcdune_remark_stopped */

/* ---- Arming ---- */

static uint32_t edge(void)
{
	return __atomic_load_n(&heap->spaces[GCDUNE_SPACE_SCANNED].edge, __ATOMIC_ACQUIRE);
}

static bool in_use(uint32_t i)
{
	uint8_t use = __atomic_load_n(&heap->blocks[i].use, __ATOMIC_ACQUIRE);

	return use != GCDUNE_USE_FREE && use != GCDUNE_USE_NONE;
}

static uint8_t watch(uint32_t i)
{
	return __atomic_load_n(&heap->spans[i].watch, __ATOMIC_RELAXED);
}

/* A thread may be taking ARMED away just now (gcdune_remark_fill); what it does not mean to change stays. */
static void change_watch(uint32_t i, uint8_t set, uint8_t clear)
{
	uint8_t before = watch(i);

	while (((before | set) & (uint8_t)~clear) != before &&
	       !__atomic_compare_exchange_n(&heap->spans[i].watch, &before, (uint8_t)((before | set) & ~clear), true,
					    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		;
}

/* Calls VISIT for each run of neighbouring blocks in [FIRST, LAST) that are WANTED, closing gaps of a few. */
static int each_run(uint32_t first, uint32_t last, bool (*wanted)(uint32_t i), int (*visit)(uint32_t from, uint32_t to))
{
	enum { GAP = 4 };
	uint32_t from = 0, to = 0;
	int error = 0;

	for (uint32_t i = first; i < last && !error; i++) {
		if (!wanted(i))
			continue;
		if (to && i - to <= GAP) {
			to = i + 1;
			continue;
		}
		if (to > from)
			error = visit(from, to);
		from = i;
		to = i + 1;
	}
	if (to > from && !error)
		error = visit(from, to);
	return error;
}

static bool is_unarmed(uint32_t i)
{
	return in_use(i) && !(watch(i) & GCDUNE_WATCH_ARMED);
}

static uint32_t head_of(uint32_t i)
{
	return __atomic_load_n(&heap->blocks[i].use, __ATOMIC_ACQUIRE) == GCDUNE_USE_TAIL ? heap->spans[i].head : i;
}

/* Most of what is new is dead, and arming it, and disarming it afterwards, would be for nothing. It counts as written
 * until the marker has been there and preclean finds what is marked. */
static bool is_to_be_armed(uint32_t i)
{
	return is_unarmed(i) && (heap->spans[head_of(i)].age > 0 || !gcdune_dirty_late());
}

/* One call arms neighbours too, as its price is mostly the interrupt of the other processors: 20 to 100 microseconds in a
 * virtual machine, and arming and disarming a block for nothing some 2. How many, goes by how many of those that were armed
 * in the last cycle came to have something alive. */
enum { REACH_MOST = 32, WORTH = 4 /* one in so many */ };
static unsigned reach = 1;
static _Atomic unsigned reached, came; /* blocks armed by markers in this cycle; of which so many had something alive */

static void choose_reach(void)
{
	if (!reached)
		return; /* nothing is known */
	if (came >= reached / WORTH)
		reach = reach * 2 < REACH_MOST ? reach * 2 : REACH_MOST;
	else
		reach = reach > 1 ? reach / 2 : 1;
	reached = came = 0;
}

static bool may_be_armed(uint32_t i)
{
	const struct gcdune_block *block = &heap->blocks[i];

	/* A thread is about to write to the rest of it if it is open. */
	return !(watch(i) & GCDUNE_WATCH_ARMED) && !(block->flags & GCDUNE_BLOCK_OPEN) &&
	       heap->kinds[block->kind].scan != GCDUNE_SCAN_NONE;
}

/* Makes the block the caller's to arm. False: it is another marker's. */
static bool begin_arming(uint32_t i)
{
	uint8_t before = watch(i);

	do
		if (before & (GCDUNE_WATCH_ARMING | GCDUNE_WATCH_ARMED))
			return false;
	while (!__atomic_compare_exchange_n(&heap->spans[i].watch, &before, before | GCDUNE_WATCH_ARMING, true, __ATOMIC_ACQ_REL,
					    __ATOMIC_ACQUIRE));
	return true;
}

/* Of one block, and nobody has found an object in it yet. */
static bool is_neighbour(uint32_t i)
{
	const struct gcdune_block *block = &heap->blocks[i];

	return __atomic_load_n(&block->use, __ATOMIC_ACQUIRE) == GCDUNE_USE_SMALL &&
	       __atomic_load_n(&block->color, __ATOMIC_RELAXED) != heap->black && may_be_armed(i) && begin_arming(i);
}

void gcdune_remark_first(uint32_t i, bool arm)
{
	const struct gcdune_block *block = &heap->blocks[i];

	if (!may_be_armed(i) || !gcdune_dirty_late()) {
		came += block->granules && watch(i) & GCDUNE_WATCH_ARMED && !heap->spans[i].age;
		return;
	}
	uint32_t begin = i, end = i + (block->granules ? 1 : heap->spans[i].length);

	if (!arm || !begin_arming(i)) {
		for (uint32_t k = i; k < end; k++)
			change_watch(k, GCDUNE_WATCH_WHOLE, 0);
		came += arm;
		return;
	}
	if (block->granules) {
		uint32_t last = edge();

		/* Upwards first: what was made together lies in this order, and is found in it or from both ends. */
		while (end < last && end - begin < reach && is_neighbour(end))
			end++;
		while (begin && end - begin < reach && is_neighbour(begin - 1))
			begin--;
		reached += end - begin;
		came++;
	}
	if (gcdune_options.stretch)
		gcdune_os_sleep(20000); /* for others to come by */
	bool armed = !gcdune_dirty_track(gcdune_block_address(begin), gcdune_block_address(end));

	for (uint32_t k = begin; k < end; k++)
		change_watch(k, armed ? GCDUNE_WATCH_ARMED : 0, GCDUNE_WATCH_ARMING);
}

/* Only marked objects are scanned again. A block that gets its first one later is found in the next round, or in the
 * pause. */
static bool has_marked(uint32_t i)
{
	if (!in_use(i))
		return false;
	const struct gcdune_block *block = &heap->blocks[head_of(i)];

	return __atomic_load_n(block->use == GCDUNE_USE_LARGE ? gcdune_block_states(block) : &block->color,
			       __ATOMIC_ACQUIRE) == heap->black;
}

static bool arm_minor; /* the cycle that begins is minor */

/* Gaps that were armed before lose what they had to report. */
static int arm(uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++)
		change_watch(i, GCDUNE_WATCH_ARMED | (arm_minor ? GCDUNE_WATCH_WHOLE : 0), GCDUNE_WATCH_DIRTY);
	return gcdune_dirty_track(gcdune_block_address(from), gcdune_block_address(to));
}

static int disarm(uint32_t from, uint32_t to)
{
	gcdune_dirty_end(gcdune_block_address(from), gcdune_block_address(to));
	for (uint32_t i = from; i < to; i++)
		change_watch(i, 0, 0xff);
	return 0;
}

bool gcdune_remark_arm(bool minor)
{
	arm_minor = minor;
	choose_reach();
	if (minor && gcdune_options.verify)
		gcdune_verify_minor_begin(edge());
	uint32_t end = edge(), leaf = __atomic_load_n(&heap->spaces[GCDUNE_SPACE_LEAF].edge, __ATOMIC_ACQUIRE);
	uint32_t limit = leaf - end > end + ROOM ? 2 * end + ROOM : leaf;

	if (gcdune_dirty_begin(heap->base, gcdune_block_address(limit)))
		return false;
	/* What is armed already has only more to report. What comes into use later is not armed, and counts as written. */
	for (uint32_t i = 0; minor && i < end; i++)
		if (is_unarmed(i) && has_marked(i))
			change_watch(i, GCDUNE_WATCH_WHOLE, 0);
	int error = each_run(0, end, is_to_be_armed, arm);

	/* Settled behind the stop that comes next. */
	if (minor && !error)
		gcdune_remark_gather();
	if (!error)
		return true;
	disarm(0, end);
	return false;
}

/* Blocks in which nothing was written all through the cycle stay armed: likely they are written to as little until the
 * next, and arming and disarming cost a fifth of a fault for each page (make bench-dirty). But those with much room
 * will be filled anew. */
static bool is_to_be_disarmed(uint32_t i)
{
	const struct gcdune_block *block = &heap->blocks[i];
	uint8_t w = watch(i);

	if (!(w & GCDUNE_WATCH_ARMED) || !gcdune_dirty_keeps())
		return w != 0;
	if (w & GCDUNE_WATCH_DIRTY)
		return true;
	if (block->use == GCDUNE_USE_SMALL)
		return !gcdune_color_lives(block->color) || gcdune_sweep_is_roomy(block);
	if (block->use == GCDUNE_USE_TAIL)
		block = &heap->blocks[heap->spans[i].head];
	return block->use != GCDUNE_USE_LARGE || !gcdune_color_lives(*gcdune_block_states(block));
}

void gcdune_remark_disarm(uint32_t from, uint32_t to)
{
	each_run(from, to, is_to_be_disarmed, disarm);
}

/* Blocks that are likely to be filled after one that is: listed ones are filled in the order of addresses (sweep.c); and with
 * the cycle over, all that the collector's thread would have disarmed by now if it had a processor. */
static bool is_filled_next(uint32_t i)
{
	return watch(i) & GCDUNE_WATCH_ARMED && (heap->marking ? heap->blocks[i].flags & GCDUNE_BLOCK_LISTED : is_to_be_disarmed(i));
}

void gcdune_remark_fill(uint32_t from, uint32_t to)
{
	enum { AHEAD = 16 };

	while (from < to && !(watch(from) & GCDUNE_WATCH_ARMED))
		from++;
	while (from < to && !(watch(to - 1) & GCDUNE_WATCH_ARMED))
		to--;
	if (from == to)
		return;
	for (uint32_t end = MIN(edge(), to + AHEAD); to < end && is_filled_next(to);)
		to++;
	/* One call costs less than a fault for each page. It interrupts other processors: the fewer the better. */
	gcdune_dirty_mark(gcdune_block_address(from), gcdune_block_address(to));
	for (uint32_t i = from; i < to; i++)
		change_watch(i, 0, GCDUNE_WATCH_ARMED);
}

unsigned gcdune_remark_unarmed(unsigned most)
{
	enum { LARGE = 512 }; /* there may be many dirty pages in the others */
	uint32_t end = edge();
	unsigned n = end > LARGE ? most : 0;

	for (uint32_t i = 0; i < end && n < most; i++)
		n += is_unarmed(i) && heap->blocks[i].color == heap->black;
	return n;
}

/* ---- Looking through ---- */

static int push_range(uint32_t first, uint32_t last)
{
	uintptr_t begin = gcdune_block_address(first), end = gcdune_block_address(last);

	while (begin < end) {
		size_t pages = (end - begin) / GCDUNE_PAGE;

		if (pages > (stopped_minor ? UNIT_WHOLE : UNIT_PAGES))
			pages = stopped_minor ? UNIT_WHOLE : UNIT_PAGES;
		gcdune_mark_main.source = NULL;
		gcdune_marker_push(&gcdune_mark_main, gcdune_slice(begin, pages, GCDUNE_ENTRY_DIRTY));
		begin += pages * GCDUNE_PAGE;
	}
	return 0;
}

static int gather_range(uint32_t first, uint32_t last)
{
	gcdune_dirty_gather(gcdune_block_address(first), gcdune_block_address(last));
	return 0;
}

void gcdune_remark_gather(void)
{
	each_run(0, edge(), has_marked, gather_range);
}

void gcdune_remark_push(void)
{
	each_run(0, edge(), has_marked, push_range);
}

void gcdune_remark_stopped(bool now)
{
	stopped_minor = now;
	if (!now)
		return;
	if (gcdune_options.verify)
		gcdune_verify_minor_begin(edge());
	each_run(0, edge(), has_marked, push_range);
}

uint64_t gcdune_remark_look(void)
{
	return (uint64_t)edge() * BLOCK_PAGES;
}

size_t gcdune_remark_count(void)
{
	return atomic_exchange(&dirty_pages, 0);
}

/* Nearly all that is found here is marked already. So states are asked first, a batch at a time to have their cache misses
 * together, and only what is not marked goes the way of the marker, which fetches the object too. */
enum { BATCH = 64 };

static void push_unmarked(struct gcdune_marker *m, uintptr_t *words, unsigned candidates, uint64_t flag)
{
	const uint8_t *state[BATCH];
	unsigned n = 0;

	for (unsigned i = 0; i < candidates; i++) {
		struct gcdune_ref ref;

		if (!gcdune_resolve(words[i], &ref))
			continue;
		__builtin_prefetch(ref.state, 0);
		words[n] = words[i];
		state[n++] = ref.state;
	}
	for (unsigned i = 0; i < n; i++) {
		uint8_t now = __atomic_load_n(state[i], __ATOMIC_RELAXED);

		if (now == m->white || now == m->young || now == GCDUNE_COLOR_KEY)
			gcdune_marker_push(m, words[i] | flag);
	}
}

static __attribute__((no_sanitize("address", "thread"))) void scan_part(struct gcdune_marker *m, uintptr_t from,
									  uintptr_t to)
{
	const uintptr_t *word = (const uintptr_t *)from, *end = (const uintptr_t *)to;
	const uintptr_t base = heap->base;
	const size_t size = heap->size;
	uintptr_t words[BATCH];

	while (word < end) {
		const uintptr_t *stop = end - word > BATCH ? word + BATCH : end;
		unsigned candidates = 0;

		/* Without a branch: whether a word is an address is anyone's guess. */
		for (; word < stop; word++) {
			uintptr_t w = *word;

			words[candidates] = w;
			candidates += w - base < size;
		}
		push_unmarked(m, words, candidates, 0);
	}
}

__attribute__((no_sanitize("address", "thread"))) void gcdune_remark_root_range(uintptr_t from, uintptr_t to)
{
	struct gcdune_marker *m = &gcdune_mark_main;
	const uintptr_t *word = (const uintptr_t *)((from + 7) & ~(uintptr_t)7), *end = (const uintptr_t *)(to & ~(uintptr_t)7);
	uintptr_t words[BATCH];

	if (gcdune_mark_check_roots) {
		gcdune_mark_root_range(m, from, to);
		return;
	}
	m->source = NULL;
	while (word < end) {
		unsigned candidates = 0;

		for (; word < end && candidates <= BATCH - 2; word++) {
			uintptr_t w = *word;

			if (w - heap->base > heap->size)
				continue;
			words[candidates++] = w;
			if (gcdune_mark_may_end(w))
				words[candidates++] = w - 1;
		}
		push_unmarked(m, words, candidates, GCDUNE_ENTRY_ROOT);
	}
}

/* The part of a marked object that lies between FROM and TO. */
static void scan_on_page(struct gcdune_marker *m, const struct gcdune_ref *ref, uintptr_t from, uintptr_t to)
{
	uintptr_t begin = (uintptr_t)ref->object, end = begin + gcdune_ref_size(ref);

	from = begin > from ? begin : from;
	to = end < to ? end : to;
	m->source = ref->block;
	switch (heap->kinds[__atomic_load_n(&ref->block->kind, __ATOMIC_ACQUIRE)].scan) {
	case GCDUNE_SCAN_NONE:
		break;
	case GCDUNE_SCAN_WORDS:
		scan_part(m, from, to);
		break;
	case GCDUNE_SCAN_TYPED: {
		size_t last = (end - begin) / sizeof(uintptr_t) - 1;
		size_t first = (from - begin) / sizeof(uintptr_t), stop = (to - begin) / sizeof(uintptr_t);
		gcdune_layout layout = __atomic_load_n((uintptr_t *)begin + last, __ATOMIC_RELAXED);

		gcdune_scan_typed(m, ref->object, layout, first, stop < last ? stop : last);
		break;
	}
	case GCDUNE_SCAN_CALLBACK:
	case GCDUNE_SCAN_EPHEMERON:
		gcdune_scan_object(m, ref);
		break;
	}
}

/* What lies of marked objects between FROM and TO, both in the block. Neighbours are scanned at one go: in a block of cells
 * there are thousands. */
static void small_part(struct gcdune_marker *m, uint32_t index, struct gcdune_block *block, uintptr_t from, uintptr_t to)
{
	size_t size = block->granules * GCDUNE_GRANULE;
	uintptr_t base = gcdune_block_address(index);
	unsigned slot = (unsigned)((from - base) / size), end = (unsigned)((to - 1 - base) / size) + 1;
	uint8_t *states = gcdune_block_states(block);

	if (end > block->nslots)
		end = block->nslots;
	m->source = block;
	while (slot < end) {
		if (__atomic_load_n(states + slot, __ATOMIC_ACQUIRE) != m->black) {
			slot++;
			continue;
		}
		if (!(block->flags & GCDUNE_BLOCK_WORDS)) {
			struct gcdune_ref ref = {(char *)base + slot * size, states + slot, block};

			scan_on_page(m, &ref, from, to);
			slot++;
			continue;
		}
		uintptr_t begin = base + slot * size;

		while (slot < end && __atomic_load_n(states + slot, __ATOMIC_ACQUIRE) == m->black)
			slot++;
		uintptr_t stop = base + slot * size;

		scan_part(m, begin > from ? begin : from, stop < to ? stop : to);
	}
}

/* [FROM, TO) lies in one block: pages that may have been written. */
static void scan_pages(struct gcdune_marker *m, uintptr_t from, uintptr_t to)
{
	uint32_t index = (uint32_t)((from - heap->base) >> GCDUNE_BLOCK_SHIFT);
	struct gcdune_block *block = &heap->blocks[index];
	uint8_t use = __atomic_load_n(&block->use, __ATOMIC_ACQUIRE);

	if (use == GCDUNE_USE_SMALL) {
		if (__atomic_load_n(&block->color, __ATOMIC_ACQUIRE) == m->black) /* else nothing in it is marked */
			small_part(m, index, block, from, to);
	} else if (use == GCDUNE_USE_LARGE || use == GCDUNE_USE_TAIL) {
		struct gcdune_ref ref;

		/* A typed object is scanned page by page, and one with a callback once for each. */
		for (uintptr_t page = from; page < to; page += GCDUNE_PAGE)
			if (gcdune_resolve(page, &ref) && __atomic_load_n(ref.state, __ATOMIC_ACQUIRE) == m->black)
				scan_on_page(m, &ref, page, page + GCDUNE_PAGE);
	}
}

/* Nobody knows what was written to the block, or which of its objects were scanned before it was armed. */
static bool is_whole(uint32_t i)
{
	return watch(i) & GCDUNE_WATCH_WHOLE || (stopped_minor && !(watch(i) & GCDUNE_WATCH_ARMED));
}

static size_t scan_dirty(struct gcdune_marker *m, uint32_t index, unsigned bits, bool rearm)
{
	uintptr_t base = gcdune_block_address(index);

	uint8_t dirty = watch(index) & GCDUNE_WATCH_ARMED ? GCDUNE_WATCH_DIRTY : 0; /* else it may not have been written */

	change_watch(index, dirty | (rearm ? GCDUNE_WATCH_ARMED : 0), rearm ? 0 : GCDUNE_WATCH_ARMED);
	for (unsigned rest = bits; rest;) {
		unsigned first = (unsigned)__builtin_ctz(rest), n = (unsigned)__builtin_ctz(~(rest >> first));
		uintptr_t page = base + first * GCDUNE_PAGE;

		if (__builtin_expect(gcdune_options.verify, 0))
			gcdune_verify_looked_at(page, n);
		scan_pages(m, page, page + n * GCDUNE_PAGE);
		rest &= ~(((1u << n) - 1) << first);
	}
	return (size_t)__builtin_popcount(bits);
}

void gcdune_remark_range(struct gcdune_marker *m, uintptr_t begin, size_t pages)
{
	uint64_t bits[UNIT_PAGES / 64];
	size_t found = 0;
	bool rearm = !gcdune_mark_is_stopped();
	uint32_t first = (uint32_t)((begin - heap->base) >> GCDUNE_BLOCK_SHIFT);
	uint32_t blocks = (uint32_t)(pages / BLOCK_PAGES);

	if (gcdune_worklist_wanted())
		gcdune_marker_share(m);
	memset(bits, 0, sizeof bits);
	bool known = !stopped_minor;

	for (uint32_t i = first; i < first + blocks && !known; i++)
		known = !is_whole(i);
	if (known)
		gcdune_dirty_take(begin, pages, bits, rearm);
	for (uint32_t k = 0; k < blocks; k++) {
		if (rearm)
			gcdune_place_look();
		unsigned of_block = bits[k / 4] >> (k % 4 * 16) & 0xffff;

		if (__builtin_expect(is_whole(first + k), 0)) {
			if (__builtin_expect(gcdune_options.verify, 0))
				gcdune_verify_looked_at(begin + k * GCDUNE_BLOCK, BLOCK_PAGES);
			change_watch(first + k, rearm ? GCDUNE_WATCH_ARMED : 0, GCDUNE_WATCH_WHOLE);
			scan_pages(m, begin + k * GCDUNE_BLOCK, begin + (k + 1) * GCDUNE_BLOCK);
			found += stopped_minor ? 0 : BLOCK_PAGES;
		} else if (of_block) {
			found += scan_dirty(m, first + k, of_block, rearm);
		}
	}
	dirty_pages += found;
	gcdune_mark_look_at_clock();
}

void gcdune_remark_callbacks(void)
{
	bool any = false;

	for (unsigned kind = GCDUNE_KIND_FIRST_USER; kind < heap->nkinds; kind++)
		any |= heap->kinds[kind].stopped;
	if (!any)
		return;
	GCDUNE_EACH_BLOCK(i) {
		struct gcdune_block *block = &heap->blocks[i];

		if ((block->use == GCDUNE_USE_SMALL || block->use == GCDUNE_USE_LARGE) &&
		    heap->kinds[block->kind].stopped && block->color == heap->black)
			gcdune_mark_rescan_block(&gcdune_mark_main, i, NULL);
	}
}
