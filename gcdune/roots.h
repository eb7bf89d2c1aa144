/* roots.h - where marking begins (roots.c, roots-thread.c, roots-track.c). */
#ifndef GCDUNE_ROOTS_H
#define GCDUNE_ROOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Notes the data segments and thread-local storage of everything loaded, then calls STOP while no library can come or
 * go. */
void gcdune_roots_prepare(void (*stop)(void));
/* Pushes every root onto the main marker; MINOR: every one that may have changed since the last cycle. World stopped. */
void gcdune_roots_mark(bool minor);

/* The same in parts, for a cycle that marks while the program runs: with the world stopped, notes which ranges are roots
 * and pushes what belongs to threads; */
void gcdune_roots_note(void);
/* then, while the program runs, has the large ones tracked, */
void gcdune_roots_arm(void);
/* and behind gcdune_dirty_settle marks from the ranges, */
void gcdune_roots_read(void);
/* and from objects of pinned kinds; */
void gcdune_roots_pinned(void);
/* and from what was written to tracked ranges since: what the one takes the other reads, behind gcdune_dirty_settle; */
void gcdune_roots_gather(void);
void gcdune_roots_reread(void);
/* and from what belongs to threads now, with the world stopped; */
void gcdune_roots_threads(void);
/* and with the world stopped again reads what may have changed since, and what belongs to threads; */
void gcdune_roots_remark(void);
/* and no longer tracks what is written to. Threads run. */
void gcdune_roots_forget(void);
/* In the child, where nothing is tracked. */
void gcdune_roots_after_fork(void);

/* Aborts if a root leads to something unmarked. World stopped, after marking. */
void gcdune_roots_verify(void);
/* Where the root range that is being read lies, in words. */
const char *gcdune_roots_place(void);

/* Bytes of roots, by the last gcdune_roots_mark or gcdune_roots_remark. */
size_t gcdune_roots_bytes(void);
/* gcdune_init has excluded what is the library's own. */
void gcdune_roots_own_end(void);

/* Asked for each writable segment of a library, named as by dl_iterate_phdr, while the dynamic linker's lock is held:
 * whether it is to be scanned. NULL: all are. */
extern bool (*gcdune_roots_filter)(const char *name, void *begin, size_t size) __attribute__((visibility("hidden")));
/* Whether ADDRESS was in a scanned segment at the last collection. */
bool gcdune_roots_in_segment(const void *address);
/* Forgets what gcdune_roots_exclude was told by the program. */
void gcdune_roots_include_all(void);
/* FN for each segment ('s'), added range ('a') and excluded range ('x'); heap.cycle. */
void gcdune_roots_each(void (*fn)(char what, void *begin, void *end));

#endif
