/* finalize.c - owns the tables of finalizers and disappearing links, as the program fills them.
 *
 * All under one lock (critical section) while threads run; by the collector alone, without it, while they are stopped.
 * Entries name objects by address; tables are not scanned, so a table alone keeps nothing alive, except for what
 * finalizers are given (roots). finalize-cycle.c has what a collection does with them, finalize-run.c the queue of those
 * whose turn has come. */
#define _GNU_SOURCE
#include "finalize-parts.h"

#include <errno.h>
#include <sys/param.h>

#include "options.h"
#include "pacer.h"

/* Held for some lookups at most: who waits looks again for a moment before it sleeps. */
static pthread_mutex_t lock = PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP;
struct gcdune_finalize_tables gcdune_finalize_tables;
static struct gcdune_finalize_tables *const tables = &gcdune_finalize_tables;

/* Bytes in the tables and in the notes of a collection; and a finalizer's object, with what hangs from it, lives through one more.
 * Not counted, Crystal's fibers had 20000 of them due at a time, in a heap of 2 MiB. */
enum { FINALIZER_TAKES = 200, LINK_TAKES = 100 };
/* In a small heap, which is collected in one stop, a finalizer may count for more: by what it takes alone, as many as are made
 * between two collections would take longer than the rest of the stop. */
enum { SMALL = 2 << 20 /* bytes that live */, TAKES_NS = 150 };
static int64_t finalizer_takes = FINALIZER_TAKES; /* under the lock */

void gcdune_finalize_weigh(void)
{
	struct gcdune_thread *thread = gcdune_thread_self;

	if (thread)
		gcdune_critical_enter(thread);
	gcdune_finalize_lock();
	/* As many as take half the pause goal; or a quarter of those there are, for all of them are looked at in each collection. */
	int64_t many = MAX((int64_t)gcdune_options.pause_goal * (1000 / 2) / TAKES_NS, tables->finalizers.count / 4) + 1;
	int64_t fits = gcdune_heap.live_bytes <= SMALL ? gcdune_heap.trigger / many : 0;

	finalizer_takes = MAX(fits, FINALIZER_TAKES);
	gcdune_finalize_unlock();
	if (thread)
		gcdune_critical_leave(thread);
}

void gcdune_finalize_lock(void)
{
	pthread_mutex_lock(&lock);
}

void gcdune_finalize_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

uint64_t gcdune_finalize_takes(void)
{
	enum { EACH = 25 };
	uint64_t n = __atomic_load_n(&tables->finalizers.count, __ATOMIC_RELAXED);

	for (unsigned kind = 0; kind < 2; kind++)
		n += __atomic_load_n(&tables->links[kind].count, __ATOMIC_RELAXED);
	return n * EACH;
}

void gcdune_finalize_after_fork(void)
{
	lock = (pthread_mutex_t)PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP;
	gcdune_finalize_forget_suspects();
	gcdune_finalize_drop_dying();
}

struct gcdune_thread *gcdune_finalize_enter(void)
{
	struct gcdune_thread *thread = gcdune_thread_get();

	if (thread) {
		gcdune_critical_enter(thread);
		gcdune_mutex_lock_soon(&lock);
	}
	return thread;
}

void gcdune_finalize_leave(struct gcdune_thread *thread)
{
	pthread_mutex_unlock(&lock);
	gcdune_critical_leave(thread);
}

/* The program does. */
static void take_away(struct gcdune_table *table, struct gcdune_entry *entry, int64_t takes)
{
	gcdune_table_remove(table, entry);
	gcdune_pacer_beside(-takes);
}

static bool is_start(const void *object)
{
	struct gcdune_ref ref;

	return gcdune_resolve((uintptr_t)object, &ref) && ref.object == object && gcdune_ref_live(&ref);
}

int gcdune_finalizer_set(void *object, gcdune_finalizer fn, void *data, enum gcdune_finalize_order order,
			 gcdune_finalizer *old_fn, void **old_data)
{
	struct gcdune_thread *thread = gcdune_finalize_enter();
	int error = 0;

	if (old_fn)
		*old_fn = NULL;
	if (old_data)
		*old_data = NULL;
	if (!thread)
		return -ENOMEM;
	struct gcdune_entry *entry = gcdune_table_find(&tables->finalizers, (uintptr_t)object);

	if (!is_start(object) || order < GCDUNE_FINALIZE_ORDERED || order > GCDUNE_FINALIZE_UNREACHABLE) {
		error = -EINVAL;
		goto out;
	}
	if (entry) {
		if (old_fn)
			*old_fn = (gcdune_finalizer)entry->value[GCDUNE_FINALIZE_FN];
		if (old_data)
			*old_data = (void *)entry->value[GCDUNE_FINALIZE_DATA];
	}
	if (!fn) {
		if (entry)
			take_away(&tables->finalizers, entry, finalizer_takes);
		goto out;
	}
	if (!entry) {
		error = gcdune_table_reserve(&tables->finalizers);
		if (error)
			goto out;
		entry = gcdune_table_insert(&tables->finalizers, (uintptr_t)object);
		gcdune_pacer_beside(finalizer_takes);
	}
	entry->value[GCDUNE_FINALIZE_FN] = (uintptr_t)fn;
	entry->value[GCDUNE_FINALIZE_DATA] = (uintptr_t)data;
	entry->value[GCDUNE_FINALIZE_ORDER] = (uintptr_t)order;
	gcdune_finalize_changed(GCDUNE_SUSPECT_FINALIZER, entry);
out:
	gcdune_finalize_leave(thread);
	return error;
}

void gcdune_finalize_forget(void *object)
{
	if (!gcdune_finalize_any())
		return;
	struct gcdune_thread *thread = gcdune_finalize_enter();

	if (!thread)
		return;
	struct gcdune_entry *entry = gcdune_table_find(&tables->finalizers, (uintptr_t)object);

	if (entry)
		take_away(&tables->finalizers, entry, finalizer_takes);
	gcdune_finalize_leave(thread);
}

int gcdune_link_add(void **link, const void *target, enum gcdune_link_kind kind)
{
	struct gcdune_thread *thread = gcdune_finalize_enter();
	int error = -EEXIST;

	if (!thread)
		return -ENOMEM;
	struct gcdune_entry *entry = gcdune_table_find(&tables->links[kind], (uintptr_t)link);

	if (!link || (uintptr_t)link % sizeof(void *) || !is_start(target)) {
		error = -EINVAL;
		goto out;
	}
	if (!entry) {
		error = gcdune_table_reserve(&tables->links[kind]);
		if (error)
			goto out;
		entry = gcdune_table_insert(&tables->links[kind], (uintptr_t)link);
		gcdune_pacer_beside(LINK_TAKES);
	}
	entry->value[0] = (uintptr_t)target;
	gcdune_finalize_changed(GCDUNE_SUSPECT_SHORT + kind, entry);
out:
	gcdune_finalize_leave(thread);
	return error;
}

int gcdune_link_remove(void **link, enum gcdune_link_kind kind)
{
	struct gcdune_thread *thread = gcdune_finalize_enter();

	if (!thread)
		return -ENOMEM;
	struct gcdune_entry *entry = gcdune_table_find(&tables->links[kind], (uintptr_t)link);

	if (entry)
		take_away(&tables->links[kind], entry, LINK_TAKES);
	gcdune_finalize_leave(thread);
	return entry ? 0 : -ENOENT;
}

int gcdune_link_move(void **from, void **to, enum gcdune_link_kind kind)
{
	struct gcdune_thread *thread = gcdune_finalize_enter();
	int error = 0;

	if (!thread)
		return -ENOMEM;
	struct gcdune_entry *entry = gcdune_table_find(&tables->links[kind], (uintptr_t)from);

	if (!entry) {
		error = -ENOENT;
	} else if (from != to && gcdune_table_find(&tables->links[kind], (uintptr_t)to)) {
		error = -EEXIST;
	} else if (from != to) {
		uintptr_t target = entry->value[0];

		gcdune_table_remove(&tables->links[kind], entry); /* leaves room for one */
		entry = gcdune_table_insert(&tables->links[kind], (uintptr_t)to);
		entry->value[0] = target;
		gcdune_finalize_changed(GCDUNE_SUSPECT_SHORT + kind, entry);
	}
	gcdune_finalize_leave(thread);
	return error;
}

void gcdune_finalize_each(void (*fn)(char what, void *object, void *target))
{
	struct gcdune_thread *thread = gcdune_finalize_enter();

	if (!thread)
		return;
	GCDUNE_TABLE_EACH(&tables->finalizers, entry)
	fn('f', (void *)entry->key, NULL);
	for (unsigned kind = 0; kind < 2; kind++)
		GCDUNE_TABLE_EACH(&tables->links[kind], entry)
	fn(kind == GCDUNE_LINK_SHORT ? 's' : 'l', (void *)entry->key, (void *)entry->value[0]);
	gcdune_finalize_leave(thread);
}
