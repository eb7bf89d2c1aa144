/* finalize-parts.h - what finalize.c, finalize-cycle.c and finalize-run.c share. No one else includes it. */
#ifndef GCDUNE_FINALIZE_PARTS_H
#define GCDUNE_FINALIZE_PARTS_H

#include "finalize.h"

#include "meta.h"
#include "thread.h"

/* Values of a finalizer's entry; a link's value[0] is its target. */
enum { GCDUNE_FINALIZE_FN, GCDUNE_FINALIZE_DATA, GCDUNE_FINALIZE_ORDER };

/* Under the lock while threads run; the collector's alone, without it, while they are stopped. */
struct gcdune_finalize_tables {
	struct gcdune_table finalizers, links[2];
};
extern struct gcdune_finalize_tables gcdune_finalize_tables __attribute__((visibility("hidden")));

/* Those whose turn has come. A ring would do; a list that is emptied from the front and appended to at the end is
 * simpler. */
struct gcdune_finalize_ready {
	struct gcdune_finalize_one {
		void *object, *data;
		gcdune_finalizer fn;
	} *items;
	size_t first, count, capacity;
};
extern struct gcdune_finalize_ready gcdune_finalize_ready __attribute__((visibility("hidden")));

/* A critical section with the lock. NULL: no memory, and neither. */
struct gcdune_thread *gcdune_finalize_enter(void);
void gcdune_finalize_leave(struct gcdune_thread *thread);

/* Which table an entry is in. */
enum { GCDUNE_SUSPECT_FINALIZER, GCDUNE_SUSPECT_SHORT, GCDUNE_SUSPECT_LONG, GCDUNE_SUSPECTS };

/* ENTRY was made or changed. The lock is held: no pause is under way. */
void gcdune_finalize_changed(unsigned which, const struct gcdune_entry *entry);
/* In a fork's child: no cycle is under way. */
void gcdune_finalize_forget_suspects(void);
/* At the end of the queue. False: no memory. Under the lock, or world stopped. */
bool gcdune_finalize_queue(const struct gcdune_entry *entry);

#endif
