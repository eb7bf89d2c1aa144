/* mark-help.c - owns the threads that mark besides the one that collects: helpers, threads of the collector's own that
 * sleep between cycles, and threads of the program, which mark a little when they allocate faster than is marked. Called
 * by mark.c and cycle.c; the helpers' loop is mark-loop.c's, and whether all have come to an end worklist.c's.
 *
 * What a marker has counted, and the ephemerons that it met, are added up before the worklist hears that it has nothing
 * more to do, or that it puts down what it has: when marking is over they are all there, and when a stop is given up no
 * helper keeps an ephemeron, which may be dead before it marks again. */
#include "mark-parts.h"

#include <string.h>

#include "cycle.h"
#include "options.h"
#include "os.h"
#include "place.h"

static struct gcdune_heap *const heap = &gcdune_heap;

enum { MOST_HELPERS = 63 };
/* A helper is worth waking when it finds about this much to do. */
static const size_t BYTES_PER_MARKER = (size_t)2 << 20;

static unsigned helpers; /* that exist */
static unsigned wanted_helpers;
static _Atomic unsigned took_part;
static _Atomic uint64_t helper_bytes, helper_leaf_bytes, helper_young_bytes, helper_objects;

/* Others go on with what is left, and M has no segment. Its queue is empty, and what it counted has been added up. */
static void put_down(struct gcdune_marker *m)
{
	struct gcdune_segment *segment;

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
		gcdune_mark_set_colors(&m);
		gcdune_marker_adopt(&m, segment);
		gcdune_mark_loop(&m);
		gcdune_mark_loop_queue(&m); /* if enough has been done in this stop, there may be ephemerons in it */
		add_up(&m);
		if (atomic_load_explicit(&gcdune_mark_state.enough, memory_order_relaxed)) {
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
void gcdune_mark_prepare(bool little)
{
	unsigned want = gcdune_options.markers;

	little |= heap->live_bytes < BYTES_PER_MARKER && ((size_t)heap->allocated < 4 * BYTES_PER_MARKER ||
							      gcdune_form_expected() < BYTES_PER_MARKER);

	if (!want)
		want = little ? 1 : gcdune_os_cores();
	if (want > MOST_HELPERS + 1)
		want = MOST_HELPERS + 1;
	make_helpers(want - 1);
	wanted_helpers = want - 1;
}

void gcdune_mark_help(bool now)
{
	gcdune_worklist_helpers(now ? wanted_helpers : 0);
}

/* A marker that takes the program's processor is a pause by another name: only idle ones are used, and of these half,
 * for threads that wait just now must find one when they wake. */
void gcdune_mark_adapt(void)
{
	unsigned busy = gcdune_os_running(), cores = gcdune_os_cores(), idle = busy < cores ? cores - busy : 0;
	unsigned most = gcdune_options.markers ? gcdune_options.markers - 1 : (idle + 1) / 2;

	gcdune_worklist_helpers(most < wanted_helpers ? most : wanted_helpers);
}

void gcdune_mark_help_begin(void)
{
	took_part = 0;
}

uint64_t gcdune_mark_amount(void)
{
	enum { BYTES = 256 /* are scanned while an object is marked */ };
	const struct gcdune_marker *m = &gcdune_mark_main;

	return m->objects + helper_objects + (m->bytes - m->leaf_bytes + helper_bytes - helper_leaf_bytes) / BYTES;
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
	/* To look at one granule takes the wide loop as long as four. Where there are others in between, a branch for it costs more
	 * than it saves (docs/dropin.md). */
	gcdune_mark_state.tiny = marked.bytes < marked.objects * (GCDUNE_GRANULE + GCDUNE_GRANULE / 4);
	return marked;
}

void gcdune_mark_help_after_fork(void)
{
	helpers = 0;
	helper_bytes = helper_leaf_bytes = helper_young_bytes = helper_objects = 0;
}

/* ---- Assists ---- */

/* A thread of the program marks a little: SOME objects of a segment that another marker gave away, or fewer, for some
 * objects take long. In a critical section, so that the pause does not find it half done. 0: there was nothing to be
 * had. */
unsigned gcdune_mark_assist(unsigned some)
{
	uint64_t begin = __builtin_ia32_rdtsc();
	struct gcdune_segment *segment = gcdune_worklist_try();
	struct gcdune_marker m;

	if (!segment)
		return 0;
	memset(&m, 0, sizeof m);
	gcdune_mark_set_colors(&m);
	m.assist = true;
	m.segment = segment;
	m.top = segment->entries + segment->count;
	gcdune_mark_loop_some(&m, some, begin);
	unsigned marked = (unsigned)m.objects;

	add_up(&m);
	put_down(&m);
	return marked;
}
