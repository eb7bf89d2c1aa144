/* worklist.h - what is still to be marked (worklist.c).
 *
 * An entry is one word: the possible address of an object, as found; or a slice, a piece of pages to scan. Each marker
 * has a stack of entries in segments; full segments are handed to idle markers through one list under a lock. Segments
 * come from the kernel as needed. When there are none to be had the entry is dropped, and the block of the object that
 * was being scanned is flagged OVERFLOW: its marked objects are scanned again when all else is done (mark.c), so that
 * marking never fails, whatever the shape of the heap. */
#ifndef GCDUNE_WORKLIST_H
#define GCDUNE_WORKLIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GCDUNE_SEGMENT_ENTRIES 1022

struct gcdune_segment {
	struct gcdune_segment *next;
	uint64_t count; /* used while it is on a list */
	uint64_t entries[GCDUNE_SEGMENT_ENTRIES];
};

/* Entry formats. An address has bits 47 and up clear.
 *   bit 63  slice: bits 0-35 page number, bits 36-59 number of pages
 *   bit 62  an address found in a root: any offset into an object counts
 *   bit 61  slice of a typed object
 *   bit 60  slice of the heap, whose dirty pages are to be scanned again (remark.c) */
#define GCDUNE_ENTRY_SLICE ((uint64_t)1 << 63)
#define GCDUNE_ENTRY_ROOT ((uint64_t)1 << 62)
#define GCDUNE_ENTRY_TYPED ((uint64_t)1 << 61)
#define GCDUNE_ENTRY_DIRTY ((uint64_t)1 << 60)
#define GCDUNE_SLICE_PAGES_MAX (((uint64_t)1 << 24) - 1)

static inline uint64_t gcdune_slice(uintptr_t address, uint64_t pages, uint64_t flags)
{
	return GCDUNE_ENTRY_SLICE | flags | pages << 36 | address >> 12;
}

/* Makes sure that a few segments exist. 0 or -ENOMEM. */
int gcdune_worklist_init(void);
/* An empty segment, or NULL. */
struct gcdune_segment *gcdune_segment_take(void);
void gcdune_segment_give(struct gcdune_segment *segment);

/* Hands a full segment to whoever is idle. */
void gcdune_worklist_share(struct gcdune_segment *segment);
/* Whether sharing would find a taker. */
bool gcdune_worklist_wanted(void);
/* For the marker that runs the collection: a shared segment, or NULL when all markers are idle and nothing is left. */
struct gcdune_segment *gcdune_worklist_next(void);
/* For helpers: waits for a segment, as long as it takes. WAS_ACTIVE: the caller has just used up another. */
struct gcdune_segment *gcdune_worklist_wait(bool was_active);
/* For threads of the program: a shared segment if there is one; and what is left of it, or of another, back. In between
 * marking is not over. */
struct gcdune_segment *gcdune_worklist_try(void);
void gcdune_worklist_leave(struct gcdune_segment *segment);
/* Returns when no helper has anything; none may take part meanwhile. */
void gcdune_worklist_quiet(void);
/* Gives all that is shared back to the pool. After _quiet. */
void gcdune_worklist_drop(void);
/* How many helpers may take part from now on. */
void gcdune_worklist_helpers(unsigned count);
void gcdune_worklist_lock(void);
void gcdune_worklist_unlock(void);
/* In the child of a fork all markers are gone: all segments are free. */
void gcdune_worklist_after_fork(void);

#endif
