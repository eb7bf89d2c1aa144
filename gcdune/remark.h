/* remark.h - scanning again what was written after it was marked (remark.c). */
#ifndef GCDUNE_REMARK_H
#define GCDUNE_REMARK_H

#include "mark.h"

/* Has writes recorded from now on to all pages with objects that may hold pointers; what was recorded before counts in a
 * MINOR cycle, and blocks of which it was not will be scanned whole. Threads run. False: the dirty source would not. */
bool gcdune_remark_arm(bool minor);
/* The cycle is over: of the blocks [FROM, TO) those that are written to cost nothing from now on. Threads run; the sweep
 * has not come there yet. */
void gcdune_remark_disarm(uint32_t from, uint32_t to);
/* How many blocks a minor cycle with the program stopped would have to look through; no more than MOST. A guess. */
unsigned gcdune_remark_unarmed(unsigned most);
/* For so many blocks in a row a call that makes them untracked is cheaper than gcdune_dirty_touch: it interrupts the other
 * processors, 20 us in a virtual machine, and takes little for each page, which costs 0.15 us there (make bench-dirty). */
enum { GCDUNE_REMARK_CALL = 8 };
static inline bool gcdune_remark_is_armed(uint32_t i)
{
	return __atomic_load_n(&gcdune_heap.spans[i].watch, __ATOMIC_RELAXED) & GCDUNE_WATCH_ARMED;
}
/* Blocks [FROM, TO) are about to be filled, by the calling thread in a critical section. */
void gcdune_remark_fill(uint32_t from, uint32_t to);
/* The word at ADDRESS may have to be cleared in the pause: in the pause, pages that have such are made to take writes, at one
 * go. A page that does not costs a fault, a microsecond; there may be hundreds. */
void gcdune_remark_note_link(uintptr_t address);
void gcdune_remark_open_links(void);

/* Threads run: makes clean what is to be looked through next; then gcdune_dirty_settle. A page that is not gathered is
 * looked at in the next round. */
void gcdune_remark_gather(void);
/* Pushes the heap's tracked part onto the main marker, to be looked through for dirty pages: by gcdune_remark_range. */
void gcdune_remark_push(void);
/* By any marker beside the program that finds block I's colour other than black: before it makes that black, and scans the
 * object that it has found there. Not ARM: it has no time for the call, and the block still counts as written. */
void gcdune_remark_first(uint32_t i, bool arm);
/* Scans the marked objects on the dirty pages of a range. A marker's job. */
void gcdune_remark_range(struct gcdune_marker *marker, uintptr_t begin, size_t pages);
/* A minor cycle with the program stopped: scans what is marked already, all but what is known not to have been written
 * since the last. From here on markers do so; until it is called with false. */
void gcdune_remark_stopped(bool now);
/* About so many nanoseconds of a pause go into the look for dirty pages, whatever is found. */
uint64_t gcdune_remark_look(void);
/* How many pages were found dirty since last asked. */
size_t gcdune_remark_count(void);

/* gcdune_mark_root_range where nearly all that the roots lead to is marked. */
void gcdune_remark_root_range(uintptr_t begin, uintptr_t end);
/* Scans marked objects whose callbacks wait for the world to be stopped. It is. They may look at memory that is not the
 * heap's, so all of them are called, in a minor cycle too. */
void gcdune_remark_callbacks(void);

#endif
