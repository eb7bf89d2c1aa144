/* mark.c - owns the colours while the heap is marked, and the marker of the thread that collects: a cycle's beginning, its
 * end, and marking in between until nothing is left. Called by cycle.c, and by roots.c, remark.c, ephemeron.c,
 * finalize-cycle.c and walk.c, which ask what is marked or mark on from what they pushed. Its parts are mark-loop.c and
 * mark-wide.c, what every marker does (mark-burst.h); mark-object.c, what it does with objects that are not plain;
 * mark-help.c, who else marks; mark-roots.c, what is pushed to begin with.
 *
 * The invariant that verify.c checks: when marking is over, a black object points to no white one. */
#include "mark-parts.h"

#include "options.h"
#include "os.h"
#include "roots.h"
#include "sweep.h"
#include "thread.h"

static struct gcdune_heap *const heap = &gcdune_heap;

struct gcdune_marker gcdune_mark_main;
struct gcdune_mark_state gcdune_mark_state;
uintptr_t gcdune_mark_epoch;

int gcdune_mark_init(void)
{
	gcdune_mark_state.wide = gcdune_options.wide && gcdune_mark_wide_works();
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
	gcdune_mark_state.white = heap->color;
	gcdune_mark_state.young = next_color();
	gcdune_mark_state.black = minor ? heap->black : next_color();
	heap->white = gcdune_mark_state.white;
	heap->black = gcdune_mark_state.black;
	heap->color = gcdune_mark_state.young;
	heap->marking = 1;
	heap->minor = minor;
	heap->apart = 0;
	gcdune_mark_epoch++;
	gcdune_mark_set_colors(&gcdune_mark_main);
	gcdune_mark_help_begin();
	color_reserves();
}

void gcdune_mark_end(bool apart)
{
	heap->marking = 0;
	heap->apart = apart;
	heap->white = gcdune_mark_state.black;
	heap->color = apart ? next_color() : gcdune_mark_state.black;
	for (struct gcdune_thread *thread = gcdune_threads; thread; thread = thread->next)
		gcdune_thread_rewind(thread);
	color_reserves();
}

void gcdune_mark_abandon(void)
{
	struct gcdune_marker *m = &gcdune_mark_main;

	gcdune_worklist_quiet();
	gcdune_worklist_drop();
	while (gcdune_marker_below(m))
		;
	m->top = m->segment->entries;
	m->count[0] = m->count[1] = 0;
	m->ephemerons = NULL;
	gcdune_mark_ephemerons = NULL;
	gcdune_mark_overflowed = gcdune_roots_overflowed = false;
	(void)gcdune_mark_count();
	/* Old, new and marked objects live on, each with a colour of its own, until the next flip (sweep.c: unwhiten). */
	heap->marking = 0;
	heap->apart = 0;
}

bool gcdune_mark_is_unmarked(uint8_t state)
{
	return state == gcdune_mark_state.white || state == gcdune_mark_state.young || state == GCDUNE_COLOR_KEY;
}

bool gcdune_mark_is_dead(const void *object)
{
	struct gcdune_ref ref;

	return gcdune_resolve((uintptr_t)object, &ref) &&
	       gcdune_mark_is_unmarked(__atomic_load_n(ref.state, __ATOMIC_RELAXED));
}

/* ---- Until nothing is left ---- */

void gcdune_mark_loop_all(void)
{
	struct gcdune_marker *m = &gcdune_mark_main;
	struct gcdune_segment *segment;

	for (;;) {
		gcdune_mark_loop(m);
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

		if (*ref.state != gcdune_mark_state.black)
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
			gcdune_mark_loop_all();
		}
		GCDUNE_EACH_BLOCK(i) {
			struct gcdune_block *block = &heap->blocks[i];

			if (!(block->flags & GCDUNE_BLOCK_OVERFLOW))
				continue;
			gcdune_block_flag(block, 0, GCDUNE_BLOCK_OVERFLOW);
			gcdune_mark_rescan_block(m, i, gcdune_mark_loop_all);
		}
	}
}

void gcdune_mark_run(void)
{
	gcdune_mark_loop_all();
	if (gcdune_mark_overflowed && gcdune_mark_state.stopped)
		recover();
}

/* What is put down stays on the stack of the main marker, and with the segments that are shared, as if someone was about to
 * mark from it. Slices of dirty pages among it are looked through while the program runs, and what was looked through
 * already is as dirty as before. */
bool gcdune_mark_within(uint64_t ns)
{
	struct gcdune_marker *m = &gcdune_mark_main;

	gcdune_mark_state.until = gcdune_os_now() + ns;
	while (!gcdune_mark_state.enough) {
		gcdune_mark_loop(m);
		struct gcdune_segment *segment = gcdune_mark_state.enough ? NULL : gcdune_worklist_next();

		if (!segment)
			break;
		gcdune_marker_adopt(m, segment);
	}
	gcdune_mark_state.until = 0;
	bool over = !gcdune_mark_state.enough;

	if (!over)
		gcdune_worklist_quiet();
	gcdune_mark_state.enough = false;
	return over;
}

/* ---- Stops and forks ---- */

void gcdune_mark_stopped(bool now)
{
	gcdune_mark_state.stopped = now;
	gcdune_mark_help(now); /* while stopped, there is nothing else to be done */
}

bool gcdune_mark_is_stopped(void)
{
	return gcdune_mark_state.stopped;
}

void gcdune_mark_after_fork(void)
{
	struct gcdune_marker *m = &gcdune_mark_main;

	/* A cycle that was under way is given up, with all that its markers held. Colours are put right when the next
	 * one begins. */
	gcdune_mark_help_after_fork();
	gcdune_mark_ephemerons = NULL;
	gcdune_mark_overflowed = gcdune_roots_overflowed = false;
	gcdune_mark_state.stopped = gcdune_mark_push_only = false;
	if (heap->marking)
		heap->apart = 0;
	heap->marking = 0;
	gcdune_worklist_after_fork();
	if (!gcdune_marker_init(m))
		gcdune_panic("no memory to go on with after fork");
}
