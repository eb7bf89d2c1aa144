/* finalize.h - finalizers and disappearing links (finalize.c). */
#ifndef GCDUNE_FINALIZE_H
#define GCDUNE_FINALIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "meta.h"

/* Roots: what finalizers are given, and objects whose turn has come. World stopped. */
void gcdune_finalize_mark_roots(void);
/* The same while threads run, and in the pause those that came since. */
void gcdune_finalize_mark_roots_running(void);
void gcdune_finalize_remark_roots(void);
/* Notes what seems to be dead, for gcdune_finalize_cycle. After marking, threads running. */
void gcdune_finalize_look(void);
/* Looks again at what was not marked then, if there is so much of it: false, if not. */
bool gcdune_finalize_look_again(size_t worth);
/* After marking: clears links, queues finalizers, marks what they keep. World stopped. LOOKED: gcdune_finalize_look was
 * called in this cycle. */
void gcdune_finalize_cycle(bool looked);
/* When that has much to do, the pause may be cut in two: world stopped, after marking, gcdune_finalize_look was called. True: links
 * have been cleared; gcdune_finalize_go_on, with threads running, queues what was dead, and another pause is to come. */
bool gcdune_finalize_begin(void);
void gcdune_finalize_go_on(void);
/* Threads running: the rest of what gcdune_finalize_cycle need not do in the pause. */
void gcdune_finalize_remove_hidden(void);
/* After a collection, threads running: runs finalizers or tells the program, as the mode says. */
void gcdune_finalize_after_cycle(void);
/* Under the lock of finalize.c while threads run; the collector's alone, without it, while they are stopped. */
struct gcdune_finalize_tables {
	struct gcdune_table finalizers, links[2];
};
extern struct gcdune_finalize_tables gcdune_finalize_tables __attribute__((visibility("hidden")));

/* Whether there are finalizers. Without the lock: what the calling thread made, or was told of, counts. */
static inline bool gcdune_finalize_any(void)
{
	return __atomic_load_n(&gcdune_finalize_tables.finalizers.count, __ATOMIC_RELAXED) != 0;
}
/* OBJECT is freed: its finalizer goes. */
void gcdune_finalize_forget(void *object);
/* Aborts if a table names a dead object. World stopped, after marking. */
void gcdune_finalize_verify(void);
unsigned long long gcdune_finalize_count(void);
/* Nanoseconds that the finalizers and links that there are may take in a pause: most of them die at once at times. A hint, without
 * a lock. */
uint64_t gcdune_finalize_takes(void);
/* The same of what is dead now: world stopped, after marking. Then gcdune_finalize_cycle(true), or _forget_suspects. */
uint64_t gcdune_finalize_takes_now(void);
void gcdune_finalize_forget_suspects(void);
/* A collection is over, and what may be allocated until the next is known: how much of that a finalizer counts for. */
void gcdune_finalize_weigh(void);

/* Called with each object when it is queued; world stopped, rules of mark callbacks. NULL: nobody wants to know. */
extern void (*gcdune_finalize_await)(void *object) __attribute__((visibility("hidden")));
/* Queues every finalizer there is, reachable or not. -ENOMEM: not all of them. */
int gcdune_finalize_queue_all(void);
/* FN for each finalizer (what: 'f', the object) and link ('s', 'l': the link, the target), under the lock. */
void gcdune_finalize_each(void (*fn)(char what, void *object, void *target));

void gcdune_finalize_lock(void);
void gcdune_finalize_unlock(void);
void gcdune_finalize_after_fork(void);

#endif
