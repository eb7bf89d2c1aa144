/* mark.h - marking: from what has been pushed to everything reachable from it (mark.c, mark-loop.c, mark-wide.c,
 * mark-object.c, mark-help.c, mark-roots.c). Used by cycle.c, remark.c, roots.c and its parts, finalize-cycle.c, walk.c and verify.c. */
#ifndef GCDUNE_MARK_H
#define GCDUNE_MARK_H

#include "heap.h"
#include "worklist.h"

#define GCDUNE_BURST 32

struct gcdune_ephemeron {
	void *key, *value;
	struct gcdune_ephemeron *next; /* while marking: its key was not marked yet */
	uintptr_t listed;	       /* gcdune_mark_epoch: it is on such a list */
};

struct gcdune_marker {
	uint64_t *top;			/* where the next entry goes */
	struct gcdune_segment *segment; /* that `top' points into */
	struct gcdune_segment *below;	/* full ones */
	struct gcdune_segment *spare;	/* an empty one, or NULL: saves a trip to the pool */
	struct gcdune_block *source;	/* of the object being scanned; NULL: a root */
	uint8_t white, young, black;
	bool assist; /* a thread of the program that must not stay long */
	unsigned half; /* of the queue, that is filled next; what is in it is visited first */
	unsigned count[2];
	struct gcdune_ref queue[2][GCDUNE_BURST];
	uint64_t bytes, objects; /* marked; of the bytes, those of leaf objects: */
	uint64_t leaf_bytes, young_bytes;
	uint64_t young_seen; /* young_bytes a moment ago */
	unsigned serial;     /* moments since it last had a choice of what to mark */
	struct gcdune_ephemeron *ephemerons; /* pending */
};

/* The marker of the thread that collects. */
extern struct gcdune_marker gcdune_mark_main __attribute__((visibility("hidden")));

int gcdune_mark_init(void);
/* Sees to it that there are as many helpers as pay; LITTLE: hardly any. Before the world is stopped. */
void gcdune_mark_prepare(bool little);
/* Chooses the new colours: new objects are young from now on. MINOR, after heap.apart: what is black stays so. World
 * stopped. */
void gcdune_mark_flip(bool minor);
/* Whether the world is stopped from now on: how many helpers take part, and what may be called. */
void gcdune_mark_stopped(bool now);
/* Whether helpers mark too, from here on. */
void gcdune_mark_help(bool now);
bool gcdune_mark_is_stopped(void);
/* Chooses how many helpers take part while threads run. */
void gcdune_mark_adapt(void);
/* Counts flips; never 0 after the first. */
extern uintptr_t gcdune_mark_epoch __attribute__((visibility("hidden")));
/* While set, roots are pushed and nothing is marked; or looked at, and one that leads to something unmarked is a panic. */
extern bool gcdune_mark_push_only, gcdune_mark_check_roots __attribute__((visibility("hidden")));
/* Marks until nothing is left, with the helpers; but for ephemerons that were met before their keys. */
void gcdune_mark_run(void);
/* The same, with those whose keys are alive. */
void gcdune_mark_drain(void);
/* In a stop: the same as _run, for about so long. False: something is left, to be marked on from when the program runs. */
bool gcdune_mark_within(uint64_t ns);
/* Called by markers now and then. */
void gcdune_mark_look_at_clock(void);
/* A collection of a stopped program ends here, with nothing dead. Another must follow, of the whole heap. */
void gcdune_mark_abandon(void);
/* Those that helpers met. */
extern _Atomic(struct gcdune_ephemeron *) gcdune_mark_ephemerons __attribute__((visibility("hidden")));
/* Pushes the value, or puts the ephemeron on MARKER's list of those that wait for their keys. */
void gcdune_ephemeron_scan(struct gcdune_marker *marker, struct gcdune_ephemeron *ephemeron);
/* A key in state COLOR_KEY is being marked. */
void gcdune_ephemeron_visit_key(struct gcdune_marker *marker, const struct gcdune_ref *ref);
/* Clears ephemerons with dead keys. After a drain. */
void gcdune_mark_clear_ephemerons(void);
struct gcdune_marked {
	uint64_t bytes, leaf_bytes, young_bytes, objects; /* leaf and young ones are among the bytes */
	unsigned markers;
};
/* How much has been marked in this cycle, in objects; large ones count for more. After a drain. */
uint64_t gcdune_mark_amount(void);
/* What was marked in the cycle; counts anew. */
struct gcdune_marked gcdune_mark_count(void);
/* What is not black is dead from now on; new objects are black, or if APART have a colour of their own. World stopped. */
void gcdune_mark_end(bool apart);

/* Words of a range of roots; aligned. */
void gcdune_mark_root_range(struct gcdune_marker *marker, uintptr_t begin, uintptr_t end);
/* Those of the words that could be addresses in the heap, or of its end, in their order. FOUND has room for all, and eight
 * more. How many. */
size_t gcdune_mark_find(const uintptr_t *word, size_t words, uintptr_t *found);
/* A word that equals the start of a slot may also be a pointer one past the end of the object before it, if that fills
 * its slot; a root may be all that holds that one. (Were this done for every slot, a dropped tree would live as long as
 * a pointer to the object that happened to be allocated next: GCBench's stretch tree does.) */
static inline bool gcdune_mark_may_end(uintptr_t word)
{
	uintptr_t base = gcdune_heap.base;

	if (word & (GCDUNE_GRANULE - 1) || word == base)
		return false;
	const struct gcdune_block *before = &gcdune_heap.blocks[(word - 1 - base) >> GCDUNE_BLOCK_SHIFT];

	return before->flags & GCDUNE_BLOCK_EXACT || before->granules == 0;
}
/* An object that must live, by its start. */
void gcdune_mark_object(void *object);
/* What the object at REF points to, not itself; without pointers into itself if IGNORE_SELF. */
void gcdune_mark_children(const struct gcdune_ref *ref, bool ignore_self);
/* Allocated, and not marked (so far) in this collection. */
bool gcdune_mark_is_dead(const void *object);

/* A thread of the program marks about SOME objects; critical section. How many it did; few or none: there was little
 * for it to do, or it took long. */
unsigned gcdune_mark_assist(unsigned some);
/* Scans the marked objects of a block, calling AFTER_EACH after each. World stopped. */
void gcdune_mark_rescan_block(struct gcdune_marker *marker, uint32_t index, void (*after_each)(void));

/* Pushes what an object points to onto MARKER. */
void gcdune_scan_object(struct gcdune_marker *marker, const struct gcdune_ref *ref);
/* Whether a slot of that state is allocated and not marked; or, if young, in reserve. */
bool gcdune_mark_is_unmarked(uint8_t state);

/* The helpers' main function, for intercept.c to recognize. */
void *gcdune_mark_helper(void *arg);
void gcdune_mark_after_fork(void);

/* ---- descriptor.c ---- */
/* Pushes by layout the words [from, to) of OBJECT. */
void gcdune_scan_typed(struct gcdune_marker *marker, char *object, gcdune_layout layout, size_t from, size_t to);
/* Bit i: a pointer in the heap to offset i of an object counts, where not all do. */
extern _Atomic uint8_t gcdune_displacements[GCDUNE_SMALL_MAX / 8] __attribute__((visibility("hidden")));

static inline bool gcdune_displacement_valid(size_t offset)
{
	return offset < GCDUNE_SMALL_MAX && /* 0 is in the table: where pointers carry tags, it is as likely as not */
	       atomic_load_explicit(&gcdune_displacements[offset / 8], memory_order_relaxed) >> (offset % 8) & 1;
}
/* Where a typed object keeps its layout. */
gcdune_layout *gcdune_layout_of(void *object);

/* ---- Pushing ---- */

/* False: no memory. */
bool gcdune_marker_init(struct gcdune_marker *marker);
/* The segment is used up: goes on with one below. False: there is none. */
bool gcdune_marker_below(struct gcdune_marker *marker);
/* Goes on with SEGMENT; its own is empty. */
void gcdune_marker_adopt(struct gcdune_marker *marker, struct gcdune_segment *segment);
/* Someone is idle: gives work away. */
void gcdune_marker_share(struct gcdune_marker *marker);
/* Some block is flagged OVERFLOW; some root was not pushed. */
extern _Atomic bool gcdune_mark_overflowed __attribute__((visibility("hidden")));
extern _Atomic bool gcdune_roots_overflowed __attribute__((visibility("hidden")));

/* Makes room for at least one entry. False: there is none, and the overflow has been noted. */
bool gcdune_marker_room(struct gcdune_marker *marker);

static inline void gcdune_marker_push(struct gcdune_marker *marker, uint64_t entry)
{
	if (__builtin_expect(marker->top == marker->segment->entries + GCDUNE_SEGMENT_ENTRIES, 0) &&
	    !gcdune_marker_room(marker))
		return;
	*marker->top++ = entry;
}

/* Pushes WORD if it could be an address in the heap. */
static inline void gcdune_marker_word(struct gcdune_marker *marker, uintptr_t word, uint64_t flags)
{
	if (word - gcdune_heap.base < gcdune_heap.size)
		gcdune_marker_push(marker, word | flags);
}

#endif
