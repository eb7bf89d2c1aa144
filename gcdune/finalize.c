/* finalize.c - owns the tables of finalizers and disappearing links, and the queue of finalizers whose turn has come.
 *
 * All under one lock (critical section) while threads run; by the collector alone, without it, while they are stopped.
 * Entries name objects by address; tables are not scanned, so a table alone keeps nothing alive, except for what
 * finalizers are given (roots).
 *
 * Order after marking: short links to dead objects are cleared; ordered finalizers mark from their dead objects without
 * marking these, so that what stays unmarked is reached by no other; the unmarked are queued and marked with all they
 * reach; then the UNREACHABLE ones the same way among what is left; links inside objects that are still dead are
 * forgotten; long links are cleared last. */
#define _GNU_SOURCE
#include "finalize.h"

#include <errno.h>
#include <string.h>

#include "mark.h"
#include "meta.h"
#include "os.h"
#include "thread.h"

enum { FN, DATA, ORDER }; /* values of a finalizer's entry; a link's value[0] is its target */

struct ready {
	void *object, *data;
	gcdune_finalizer fn;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct gcdune_table finalizers, links[2];

/* A ring would do; a list that is emptied from the front and appended to at the end is simpler. */
static struct ready *ready;
static size_t ready_first, ready_count, ready_capacity;

static _Atomic int mode;
static void (*_Atomic notify)(void);
static _Atomic bool fresh; /* queued since the program was last told */
static _Atomic uint64_t have_run;

void gcdune_finalize_lock(void)
{
	pthread_mutex_lock(&lock);
}

void gcdune_finalize_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

void gcdune_finalize_after_fork(void)
{
	pthread_mutex_init(&lock, NULL);
}

static struct gcdune_thread *enter(void)
{
	struct gcdune_thread *thread = gcdune_thread_get();

	if (thread) {
		gcdune_critical_enter(thread);
		pthread_mutex_lock(&lock);
	}
	return thread;
}

static void leave(struct gcdune_thread *thread)
{
	pthread_mutex_unlock(&lock);
	gcdune_critical_leave(thread);
}

/* ---- What the program says ---- */

static bool is_start(const void *object)
{
	struct gcdune_ref ref;

	return gcdune_resolve((uintptr_t)object, &ref) && ref.object == object && gcdune_ref_live(&ref);
}

int gcdune_finalizer_set(void *object, gcdune_finalizer fn, void *data, enum gcdune_finalize_order order,
			 gcdune_finalizer *old_fn, void **old_data)
{
	struct gcdune_thread *thread = enter();
	int error = 0;

	if (old_fn)
		*old_fn = NULL;
	if (old_data)
		*old_data = NULL;
	if (!thread)
		return -ENOMEM;
	struct gcdune_entry *entry = gcdune_table_find(&finalizers, (uintptr_t)object);

	if (!is_start(object) || order < GCDUNE_FINALIZE_ORDERED || order > GCDUNE_FINALIZE_UNREACHABLE) {
		error = -EINVAL;
		goto out;
	}
	if (entry) {
		if (old_fn)
			*old_fn = (gcdune_finalizer)entry->value[FN];
		if (old_data)
			*old_data = (void *)entry->value[DATA];
	}
	if (!fn) {
		if (entry)
			gcdune_table_remove(&finalizers, entry);
		goto out;
	}
	if (!entry) {
		error = gcdune_table_reserve(&finalizers);
		if (error)
			goto out;
		entry = gcdune_table_insert(&finalizers, (uintptr_t)object);
	}
	entry->value[FN] = (uintptr_t)fn;
	entry->value[DATA] = (uintptr_t)data;
	entry->value[ORDER] = (uintptr_t)order;
out:
	leave(thread);
	return error;
}

void gcdune_finalize_forget(void *object)
{
	if (!finalizers.count)
		return;
	struct gcdune_thread *thread = enter();

	if (!thread)
		return;
	struct gcdune_entry *entry = gcdune_table_find(&finalizers, (uintptr_t)object);

	if (entry)
		gcdune_table_remove(&finalizers, entry);
	leave(thread);
}

int gcdune_link_add(void **link, const void *target, enum gcdune_link_kind kind)
{
	struct gcdune_thread *thread = enter();
	int error = -EEXIST;

	if (!thread)
		return -ENOMEM;
	struct gcdune_entry *entry = gcdune_table_find(&links[kind], (uintptr_t)link);

	if (!link || (uintptr_t)link % sizeof(void *) || !is_start(target)) {
		error = -EINVAL;
		goto out;
	}
	if (!entry) {
		error = gcdune_table_reserve(&links[kind]);
		if (error)
			goto out;
		entry = gcdune_table_insert(&links[kind], (uintptr_t)link);
	}
	entry->value[0] = (uintptr_t)target;
out:
	leave(thread);
	return error;
}

int gcdune_link_remove(void **link, enum gcdune_link_kind kind)
{
	struct gcdune_thread *thread = enter();

	if (!thread)
		return -ENOMEM;
	struct gcdune_entry *entry = gcdune_table_find(&links[kind], (uintptr_t)link);

	if (entry)
		gcdune_table_remove(&links[kind], entry);
	leave(thread);
	return entry ? 0 : -ENOENT;
}

int gcdune_link_move(void **from, void **to, enum gcdune_link_kind kind)
{
	struct gcdune_thread *thread = enter();
	int error = 0;

	if (!thread)
		return -ENOMEM;
	struct gcdune_entry *entry = gcdune_table_find(&links[kind], (uintptr_t)from);

	if (!entry) {
		error = -ENOENT;
	} else if (from != to && gcdune_table_find(&links[kind], (uintptr_t)to)) {
		error = -EEXIST;
	} else if (from != to) {
		uintptr_t target = entry->value[0];

		gcdune_table_remove(&links[kind], entry); /* leaves room for one */
		gcdune_table_insert(&links[kind], (uintptr_t)to)->value[0] = target;
	}
	leave(thread);
	return error;
}

/* ---- In a collection ---- */

void gcdune_finalize_mark_roots(void)
{
	GCDUNE_TABLE_EACH(&finalizers, entry)
	gcdune_mark_object((void *)entry->value[DATA]);
	for (size_t i = 0; i < ready_count; i++) {
		gcdune_mark_object(ready[ready_first + i].object);
		gcdune_mark_object(ready[ready_first + i].data);
	}
}

static bool queue(struct gcdune_entry *entry)
{
	if (ready_first + ready_count == ready_capacity) {
		size_t capacity = ready_capacity ? ready_capacity * 2 : 1024;

		if (ready_first > ready_capacity / 2) {
			memmove(ready, ready + ready_first, ready_count * sizeof *ready);
			ready_first = 0;
		} else {
			void *items = gcdune_os_remap(ready, ready_capacity * sizeof *ready, capacity * sizeof *ready);

			if (!items)
				return false; /* it stays in the table, for the next collection */
			ready = items;
			ready_capacity = capacity;
		}
	}
	ready[ready_first + ready_count++] =
		(struct ready){(void *)entry->key, (void *)entry->value[DATA], (gcdune_finalizer)entry->value[FN]};
	fresh = true;
	return true;
}

/* Marks from the dead objects with finalizers of the orders LOW to HIGH, not these themselves; then queues those of
 * orders up to HIGH that stayed dead, and marks them. */
static void queue_dead(enum gcdune_finalize_order low, enum gcdune_finalize_order high)
{
	GCDUNE_TABLE_EACH(&finalizers, entry)
	{
		enum gcdune_finalize_order order = (enum gcdune_finalize_order)entry->value[ORDER];

		if (order < low || order > high || order == GCDUNE_FINALIZE_UNORDERED ||
		    !gcdune_mark_is_dead((void *)entry->key))
			continue;
		struct gcdune_ref ref = gcdune_ref_of((void *)entry->key);

		gcdune_mark_children(&ref, order != GCDUNE_FINALIZE_ORDERED);
		gcdune_mark_drain();
	}
	GCDUNE_TABLE_EACH(&finalizers, entry)
	{
		enum gcdune_finalize_order order = (enum gcdune_finalize_order)entry->value[ORDER];

		if (order < low || order > high || !gcdune_mark_is_dead((void *)entry->key))
			continue;
		if (queue(entry))
			gcdune_table_remove(&finalizers, entry);
	}
	for (size_t i = 0; i < ready_count; i++)
		gcdune_mark_object(ready[ready_first + i].object);
	gcdune_mark_drain();
}

static void clear_links(struct gcdune_table *table)
{
	GCDUNE_TABLE_EACH(table, entry)
	{
		if (gcdune_mark_is_dead((void *)entry->value[0])) {
			*(void **)entry->key = NULL;
			gcdune_table_remove(table, entry);
		}
	}
}

static void forget_dead_links(struct gcdune_table *table)
{
	GCDUNE_TABLE_EACH(table, entry)
	if (gcdune_mark_is_dead((void *)entry->key))
		gcdune_table_remove(table, entry);
}

void gcdune_finalize_cycle(void)
{
	/* A link may lie in memory that is unmapped by now only if the program broke its word: it must be removed
	 * before. */
	clear_links(&links[GCDUNE_LINK_SHORT]);
	gcdune_mark_clear_ephemerons();
	if (finalizers.count) {
		queue_dead(GCDUNE_FINALIZE_ORDERED, GCDUNE_FINALIZE_UNORDERED);
		queue_dead(GCDUNE_FINALIZE_UNREACHABLE, GCDUNE_FINALIZE_UNREACHABLE);
		/* What could not be queued for want of memory lives on. */
		GCDUNE_TABLE_EACH(&finalizers, entry)
		gcdune_mark_object((void *)entry->key);
		gcdune_mark_drain();
		gcdune_mark_clear_ephemerons();
	}
	forget_dead_links(&links[GCDUNE_LINK_SHORT]);
	clear_links(&links[GCDUNE_LINK_LONG]);
	forget_dead_links(&links[GCDUNE_LINK_LONG]);
}

void gcdune_finalize_verify(void)
{
	GCDUNE_TABLE_EACH(&finalizers, entry)
	if (gcdune_mark_is_dead((void *)entry->key))
		gcdune_panic("object %p has a finalizer and is dead, but was not queued", (void *)entry->key);
	for (unsigned kind = 0; kind < 2; kind++)
		GCDUNE_TABLE_EACH(&links[kind], entry)
	if (gcdune_mark_is_dead((void *)entry->value[0]))
		gcdune_panic("link %p to dead object %p was not cleared", (void *)entry->key, (void *)entry->value[0]);
}

/* ---- Running ---- */

bool gcdune_finalizers_pending(void)
{
	return ready_count != 0;
}

/* Takes one off the queue; from then on this frame's caller holds the object. */
static bool next(struct ready *one)
{
	struct gcdune_thread *thread = enter();

	if (!thread)
		return false;
	bool any = ready_count != 0;

	if (any) {
		*one = ready[ready_first++];
		if (--ready_count == 0)
			ready_first = 0;
	}
	leave(thread);
	return any;
}

size_t gcdune_finalizers_run(void)
{
	struct gcdune_thread *thread = gcdune_thread_get();
	struct ready one;
	size_t n = 0;

	if (!thread || thread->finalizing || gcdune_cycle_locked_here())
		return 0;
	thread->finalizing = 1;
	while (ready_count && next(&one)) {
		one.fn(one.object, one.data);
		n++;
		have_run++;
	}
	thread->finalizing = 0;
	memset(&one, 0, sizeof one);
	__asm__ volatile("" : : "r"(&one) : "memory");
	return n;
}

void gcdune_finalize_after_cycle(void)
{
	if (mode == GCDUNE_FINALIZE_AUTO) {
		gcdune_finalizers_run();
	} else if (atomic_exchange(&fresh, false)) {
		void (*tell)(void) = notify;

		if (tell)
			tell();
	}
}

void gcdune_finalizers_mode_set(enum gcdune_finalize_mode new_mode)
{
	mode = (int)new_mode;
}

void gcdune_finalizers_notify_set(void (*tell)(void))
{
	notify = tell;
}

unsigned long long gcdune_finalize_count(void)
{
	return have_run;
}
