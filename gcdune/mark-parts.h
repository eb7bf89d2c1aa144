/* mark-parts.h - what mark.c, mark-loop.c, mark-wide.c, mark-object.c, mark-help.c and mark-roots.c share. No one else includes it. */
#ifndef GCDUNE_MARK_PARTS_H
#define GCDUNE_MARK_PARTS_H

#include "mark.h"

/* ---- mark.c ---- */

/* Colours, `stopped' and `tiny' change in a stopped world, while no other marker has anything. */
struct gcdune_mark_state {
	uint8_t white, young, black;
	bool stopped;		/* the world is: this is the pause */
	_Atomic bool enough;	/* `until' has come: markers put down what they have */
	_Atomic uint64_t until; /* when marking in a stop is given up; 0: it is not */
	bool wide;		/* mark-wide.c's loop is used */
	bool tiny;		/* but not this time: what was marked last was one granule an object, nearly all of it */
};
extern struct gcdune_mark_state gcdune_mark_state __attribute__((visibility("hidden")));

static inline void gcdune_mark_set_colors(struct gcdune_marker *m)
{
	m->white = gcdune_mark_state.white;
	m->young = gcdune_mark_state.young;
	m->black = gcdune_mark_state.black;
}

/* Marks from the stack of the main marker, helped or not, until there is nothing. */
void gcdune_mark_loop_all(void);

/* ---- mark-loop.c ---- */

/* Marks until M's stack and queue hold nothing; or enough has been done in this stop. */
void gcdune_mark_loop(struct gcdune_marker *m);
/* The same for a marker that must not stay long: about SOME objects, or what can be done by some time after BEGIN, which
 * the time stamp counter showed. The queue is empty then; the stack may not be. */
void gcdune_mark_loop_some(struct gcdune_marker *m, unsigned some, uint64_t begin);
/* Marks what is in the queue, until that is empty. */
void gcdune_mark_loop_queue(struct gcdune_marker *m);

/* ---- mark-wide.c ---- */

bool gcdune_mark_wide_works(void);
/* The same as gcdune_mark_loop. */
void gcdune_mark_loop_wide(struct gcdune_marker *m);

/* The same as gcdune_mark_find. */
size_t gcdune_mark_find_wide(const uintptr_t *word, size_t words, uintptr_t *found);

/* ---- mark-object.c ---- */

/* Scans the slice's first page and leaves the rest on the stack in halves, for others to take. */
void gcdune_mark_slice(struct gcdune_marker *m, uint64_t entry);
/* A slot whose STATE is young, or that of a key. False: it is not to be marked. */
bool gcdune_mark_odd(struct gcdune_marker *m, const struct gcdune_ref *ref, uint8_t state);
/* After some objects: does M follow a list that the program appends to? */
void gcdune_mark_look_for_chase(struct gcdune_marker *m);

/* ---- mark-help.c ---- */

/* A cycle begins, in which no one has helped yet. */
void gcdune_mark_help_begin(void);
/* In a fork's child: there are no helpers. */
void gcdune_mark_help_after_fork(void);

/* ---- Pushing ---- */

/* What the compiler cannot see through it does not turn into a branch. */
static inline size_t gcdune_opaque(size_t number)
{
	__asm__("" : "+r"(number));
	return number;
}

static inline bool gcdune_marker_has_room(struct gcdune_marker *m, size_t entries)
{
	return (size_t)(m->segment->entries + GCDUNE_SEGMENT_ENTRIES - m->top) >= entries || gcdune_marker_room(m);
}

/* Pushes those of the words [from, to) that could be addresses in the heap. */
static inline __attribute__((no_sanitize("address", "thread"))) void
gcdune_marker_words(struct gcdune_marker *m, const uintptr_t *from, const uintptr_t *to, uint64_t flags)
{
	for (; from < to; from++)
		gcdune_marker_word(m, *from, flags);
}

/* Pushes those words of an object of so many granules that could be addresses: each is stored, and stays if it is one. There is
 * room for all. Where the next entry goes then. */
static inline __attribute__((no_sanitize("address", "thread"))) uint64_t *
gcdune_marker_granules(uint64_t *top, const uintptr_t *word, size_t granules)
{
	const uintptr_t base = gcdune_heap.base;
	const size_t size = gcdune_heap.size;

	for (; granules > 0; granules--, word += 2) {
		uintptr_t first = word[0], second = word[1];

		*top = first;
		top += first - base < size;
		*top = second;
		top += second - base < size;
	}
	return top;
}

#endif
