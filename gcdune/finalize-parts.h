/* finalize-parts.h - what finalize.c, finalize-cycle.c and finalize-run.c share. No one else includes it. */
#ifndef GCDUNE_FINALIZE_PARTS_H
#define GCDUNE_FINALIZE_PARTS_H

#include "finalize.h"

#include "thread.h"

/* Values of a finalizer's entry. */
enum { GCDUNE_FINALIZE_FN, GCDUNE_FINALIZE_DATA, GCDUNE_FINALIZE_ORDER };
/* Of a link's. If it was made or changed after the first pause of one that was cut in two: in which cycle, counted from 1. */
enum { GCDUNE_LINK_TARGET, GCDUNE_LINK_AFTER_CUT };
/* The order, and flags of a pause that is cut in two (finalize-cycle.c). */
enum { GCDUNE_FINALIZE_ORDERS = 3, GCDUNE_FINALIZE_DYING = 4, GCDUNE_FINALIZE_DUE = 8 };

/* Those whose turn has come. A ring would do; a list that is emptied from the front and appended to at the end is
 * simpler. */
struct gcdune_finalize_ready {
	struct gcdune_finalize_one {
		void *object, *data;
		gcdune_finalizer fn;
	} *items;
	size_t first, count, capacity;
	bool unmarked; /* something was queued in another way than by a collection since the last one */
};
extern struct gcdune_finalize_ready gcdune_finalize_ready __attribute__((visibility("hidden")));

/* A critical section with the lock. NULL: no memory, and neither. */
struct gcdune_thread *gcdune_finalize_enter(void);
void gcdune_finalize_leave(struct gcdune_thread *thread);

/* ---- Suspects ---- */

/* Finalizers; links that may have to be cleared; and short links to what lives, in what may be dead: these can only be
 * forgotten, which a third of the time of a pause goes into if nobody tells them from others. */
enum { GCDUNE_SUSPECT_FINALIZER, GCDUNE_SUSPECT_SHORT, GCDUNE_SUSPECT_LONG, GCDUNE_SUSPECT_HOLDER, GCDUNE_SUSPECTS };
/* Entries looked at under one hold of the lock; and for so many that come later their states are fetched. */
enum { GCDUNE_FINALIZE_PIECE = 64, GCDUNE_FINALIZE_AHEAD = 12 };

struct gcdune_suspects {
	uint32_t *indices; /* in the table */
	size_t count, capacity;
	bool all; /* there was no memory: every entry is one */
};
extern struct gcdune_suspects gcdune_finalize_suspects[GCDUNE_SUSPECTS] __attribute__((visibility("hidden")));

struct gcdune_table *gcdune_finalize_table(unsigned which);
/* ENTRY was made or changed. The lock is held: no pause is under way. */
void gcdune_finalize_changed(unsigned which, struct gcdune_entry *entry);
/* The first pause of this cycle is over (finalize-cycle.c). Changes in a stop. */
extern bool gcdune_finalize_is_cut __attribute__((visibility("hidden")));
static inline uintptr_t gcdune_finalize_this_cycle(void)
{
	return gcdune_heap.collections + 1;
}
/* In a fork's child: no cycle is under way. */
void gcdune_finalize_drop_dying(void);
/* World stopped. Without a walk before (LOOKED), or memory for its notes, it is made now. */
void gcdune_finalize_complete_suspects(bool looked);

static inline size_t gcdune_finalize_suspect_limit(unsigned which)
{
	const struct gcdune_suspects *s = &gcdune_finalize_suspects[which];

	return s->all ? gcdune_finalize_table(which)->used : s->count;
}

/* The entries that may concern something dead; while walking, that one may be removed. What will be ASKED of them: whether
 * the key is dead (a finalizer's object, what a link lies in), or what a link points to; or what the key contains. */
enum gcdune_finalize_asked { GCDUNE_FINALIZE_OF_KEY, GCDUNE_FINALIZE_OF_TARGET, GCDUNE_FINALIZE_OF_CONTENTS };
struct gcdune_entry *gcdune_finalize_suspect_at(unsigned which, size_t i, enum gcdune_finalize_asked asked);

#define GCDUNE_EACH_SUSPECT(which, entry, asked)                                                                       \
	for (size_t i_ = 0; i_ < gcdune_finalize_suspect_limit(which); i_++)                                           \
		for (struct gcdune_entry *entry = gcdune_finalize_suspect_at(which, i_, asked); entry; entry = NULL)

/* Nanoseconds that they take in a pause, about. */
uint64_t gcdune_finalize_takes_noted(void);

/* Forgets those that have been removed. */
void gcdune_finalize_keep_suspects(unsigned which);

/* From the table, but for what can be left for gcdune_finalize_remove_hidden. World stopped. */
void gcdune_finalize_remove(unsigned which, struct gcdune_entry *entry);

/* ---- The queue ---- */

/* At the end of the queue. False: no memory. Under the lock, or world stopped. */
bool gcdune_finalize_queue(const struct gcdune_entry *entry);

#endif
