/* finalize.c - owns the tables of finalizers and disappearing links, and the queue of finalizers whose turn has come.
 *
 * All under one lock (critical section) while threads run; by the collector alone, without it, while they are stopped.
 * Entries name objects by address; tables are not scanned, so a table alone keeps nothing alive, except for what
 * finalizers are given (roots).
 *
 * So that the pause does not walk the tables, the collector does so before it, a few entries at a time, and notes the
 * keys of those whose object is not marked yet (suspects); while a cycle marks, every entry that is made or changed is
 * noted too. What is not noted names a marked object. Without memory for the notes the tables are walked in the pause.
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

enum { SUSPECT_FINALIZER, SUSPECT_SHORT, SUSPECT_LONG };
struct suspects {
	uintptr_t *keys;
	size_t count, capacity;
	bool all; /* there was no memory: every entry is one */
};
static struct suspects suspects[3];

static _Atomic int mode;
static void (*_Atomic notify)(void);
static _Atomic bool fresh; /* queued since the program was last told */
static _Atomic uint64_t have_run;

void (*gcdune_finalize_await)(void *object);

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
	for (unsigned which = 0; which < 3; which++) {
		suspects[which].count = 0;
		suspects[which].all = false;
	}
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

static void suspect(unsigned which, uintptr_t key)
{
	struct suspects *s = &suspects[which];

	if (s->count == s->capacity) {
		size_t capacity = s->capacity ? s->capacity * 2 : 1024;
		void *keys = gcdune_os_remap(s->keys, s->capacity * sizeof *s->keys, capacity * sizeof *s->keys);

		if (!keys) {
			s->all = true;
			return;
		}
		s->keys = keys;
		s->capacity = capacity;
	}
	s->keys[s->count++] = key;
}

/* The lock is held: no pause is under way. */
static void changed(unsigned which, uintptr_t key)
{
	if (gcdune_heap.marking)
		suspect(which, key);
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
	changed(SUSPECT_FINALIZER, (uintptr_t)object);
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
	changed(SUSPECT_SHORT + kind, (uintptr_t)link);
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
		changed(SUSPECT_SHORT + kind, (uintptr_t)to);
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

/* Entries looked at under one hold of the lock. */
enum { PIECE = 256 };

/* Entries keep their index, and what comes meanwhile is noted (changed). */
void gcdune_finalize_mark_roots_running(void)
{
	bool more = true;

	for (uint32_t i = 0; more; i += PIECE) {
		pthread_mutex_lock(&lock);
		for (uint32_t k = i; k < i + PIECE && k < finalizers.used; k++)
			if (finalizers.entries[k].key)
				gcdune_mark_object((void *)finalizers.entries[k].value[DATA]);
		more = i + PIECE < finalizers.used;
		pthread_mutex_unlock(&lock);
		gcdune_mark_run();
	}
	/* From the end, for it is taken from the front. What is taken is on a stack then. */
	size_t left = SIZE_MAX;

	for (more = true; more;) {
		pthread_mutex_lock(&lock);
		if (left > ready_count)
			left = ready_count;
		for (unsigned n = 0; n < PIECE && left; n++) {
			const struct ready *one = &ready[ready_first + --left];

			gcdune_mark_object(one->object);
			gcdune_mark_object(one->data);
		}
		more = left != 0;
		pthread_mutex_unlock(&lock);
		gcdune_mark_run();
	}
}

static bool is_suspect(unsigned which, const struct gcdune_entry *entry)
{
	/* Of a link, what it points to may be dead, or what it lies in. */
	return entry->key && (gcdune_mark_is_dead((void *)entry->key) ||
			      (which != SUSPECT_FINALIZER && gcdune_mark_is_dead((void *)entry->value[0])));
}

static struct gcdune_table *table_of(unsigned which)
{
	return which == SUSPECT_FINALIZER ? &finalizers : &links[which - SUSPECT_SHORT];
}

void gcdune_finalize_look(void)
{
	for (unsigned which = 0; which < 3; which++) {
		const struct gcdune_table *table = table_of(which);
		bool more = true;

		for (uint32_t i = 0; more; i += PIECE) {
			pthread_mutex_lock(&lock);
			for (uint32_t k = i; k < i + PIECE && k < table->used; k++)
				if (is_suspect(which, &table->entries[k]))
					suspect(which, table->entries[k].key);
			more = i + PIECE < table->used;
			pthread_mutex_unlock(&lock);
		}
	}
}

void gcdune_finalize_remark_roots(void)
{
	struct suspects *s = &suspects[SUSPECT_FINALIZER];

	if (s->all)
		gcdune_finalize_mark_roots();
	for (size_t i = 0; i < s->count; i++) {
		struct gcdune_entry *entry = gcdune_table_find(&finalizers, s->keys[i]);

		if (entry)
			gcdune_mark_object((void *)entry->value[DATA]);
	}
}

/* World stopped. Without a walk before, or memory for its notes, it is made now. */
static void complete_suspects(bool looked)
{
	for (unsigned which = 0; which < 3; which++) {
		const struct gcdune_table *table = table_of(which);
		struct suspects *s = &suspects[which];

		if (looked && !s->all)
			continue;
		s->count = 0;
		s->all = false;
		GCDUNE_TABLE_EACH(table, entry)
		if (is_suspect(which, entry))
			suspect(which, entry->key);
	}
}

/* The entries that may concern something dead; while walking, that one may be removed. */
#define EACH_SUSPECT(which, entry)                                                                                     \
	for (size_t i_ = 0; i_ < suspect_limit(which); i_++)                                                           \
		for (struct gcdune_entry *entry = suspect_at(which, i_); entry; entry = NULL)

static size_t suspect_limit(unsigned which)
{
	return suspects[which].all ? table_of(which)->used : suspects[which].count;
}

static struct gcdune_entry *suspect_at(unsigned which, size_t i)
{
	struct gcdune_table *table = table_of(which);

	if (!suspects[which].all)
		return gcdune_table_find(table, suspects[which].keys[i]);
	return table->entries[i].key ? &table->entries[i] : NULL;
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
	if (gcdune_finalize_await)
		gcdune_finalize_await((void *)entry->key);
	return true;
}

/* Marks from the dead objects with finalizers of the orders LOW to HIGH, not these themselves; then queues those of
 * orders up to HIGH that stayed dead, and marks them. */
static void queue_dead(enum gcdune_finalize_order low, enum gcdune_finalize_order high)
{
	size_t queued = ready_count;

	EACH_SUSPECT(SUSPECT_FINALIZER, entry)
	{
		enum gcdune_finalize_order order = (enum gcdune_finalize_order)entry->value[ORDER];

		if (order < low || order > high || order == GCDUNE_FINALIZE_UNORDERED ||
		    !gcdune_mark_is_dead((void *)entry->key))
			continue;
		struct gcdune_ref ref = gcdune_ref_of((void *)entry->key);

		gcdune_mark_children(&ref, order != GCDUNE_FINALIZE_ORDERED);
		gcdune_mark_drain();
	}
	EACH_SUSPECT(SUSPECT_FINALIZER, entry)
	{
		enum gcdune_finalize_order order = (enum gcdune_finalize_order)entry->value[ORDER];

		if (order < low || order > high || !gcdune_mark_is_dead((void *)entry->key))
			continue;
		if (queue(entry))
			gcdune_table_remove(&finalizers, entry);
	}
	for (size_t i = queued; i < ready_count; i++)
		gcdune_mark_object(ready[ready_first + i].object);
	gcdune_mark_drain();
}

static void clear_links(unsigned which)
{
	struct gcdune_table *table = table_of(which);

	EACH_SUSPECT(which, entry)
	{
		if (gcdune_mark_is_dead((void *)entry->value[0])) {
			*(void **)entry->key = NULL;
			gcdune_table_remove(table, entry);
		}
	}
}

static void forget_dead_links(unsigned which)
{
	struct gcdune_table *table = table_of(which);

	EACH_SUSPECT(which, entry)
	if (gcdune_mark_is_dead((void *)entry->key))
		gcdune_table_remove(table, entry);
}

void gcdune_finalize_cycle(bool looked)
{
	complete_suspects(looked);
	/* A link may lie in memory that is unmapped by now only if the program broke its word: it must be removed
	 * before. */
	clear_links(SUSPECT_SHORT);
	gcdune_mark_clear_ephemerons();
	if (suspect_limit(SUSPECT_FINALIZER)) {
		queue_dead(GCDUNE_FINALIZE_ORDERED, GCDUNE_FINALIZE_UNORDERED);
		queue_dead(GCDUNE_FINALIZE_UNREACHABLE, GCDUNE_FINALIZE_UNREACHABLE);
		/* What could not be queued for want of memory lives on. */
		EACH_SUSPECT(SUSPECT_FINALIZER, entry)
		gcdune_mark_object((void *)entry->key);
		gcdune_mark_drain();
		gcdune_mark_clear_ephemerons();
	}
	forget_dead_links(SUSPECT_SHORT);
	clear_links(SUSPECT_LONG);
	forget_dead_links(SUSPECT_LONG);
	for (unsigned which = 0; which < 3; which++) {
		suspects[which].count = 0;
		suspects[which].all = false;
	}
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

int gcdune_finalize_queue_all(void)
{
	struct gcdune_thread *thread;
	int error = 0;

	/* No collection may come between: it reads the queue without the lock. */
	gcdune_cycle_lock();
	thread = enter();
	if (!thread) {
		gcdune_cycle_unlock();
		return -ENOMEM;
	}
	GCDUNE_TABLE_EACH(&finalizers, entry)
	{
		if (queue(entry))
			gcdune_table_remove(&finalizers, entry);
		else
			error = -ENOMEM;
	}
	leave(thread);
	gcdune_cycle_unlock();
	return error;
}

void gcdune_finalize_each(void (*fn)(char what, void *object, void *target))
{
	struct gcdune_thread *thread = enter();

	if (!thread)
		return;
	GCDUNE_TABLE_EACH(&finalizers, entry)
	fn('f', (void *)entry->key, NULL);
	for (unsigned kind = 0; kind < 2; kind++)
		GCDUNE_TABLE_EACH(&links[kind], entry)
	fn(kind == GCDUNE_LINK_SHORT ? 's' : 'l', (void *)entry->key, (void *)entry->value[0]);
	leave(thread);
}

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
