/* finalize-cycle.c - what a collection does with finalizers and disappearing links.
 *
 * So that the pause does not walk the tables, the collector does so before it, a few entries at a time, and notes the
 * indices of those whose object is not marked yet (suspects); while a cycle marks, every entry that is made or changed is
 * noted too. What is not noted names a marked object. An entry may be gone since, or be another's: one that was made
 * meanwhile, and is noted anyway. When stacks have been looked at, notes of what turned out to be marked are dropped.
 * Without memory for the notes the tables are walked in the pause.
 *
 * Order after marking: short links to dead objects are cleared; ordered finalizers mark from their dead objects without
 * marking these, so that what stays unmarked is reached by no other; the unmarked are queued and marked with all they
 * reach; then the UNREACHABLE ones the same way among what is left; links inside objects that are still dead are
 * forgotten; long links are cleared last. Called by cycle.c and the collector. */
#include "finalize-parts.h"

#include "mark.h"
#include "os.h"

static struct gcdune_finalize_tables *const tables = &gcdune_finalize_tables;
static struct gcdune_finalize_ready *const ready = &gcdune_finalize_ready;

struct suspects {
	uint32_t *indices; /* in the table */
	size_t count, capacity;
	bool all; /* there was no memory: every entry is one */
};
static struct suspects suspects[GCDUNE_SUSPECTS];

static void suspect(unsigned which, uint32_t index)
{
	struct suspects *s = &suspects[which];

	if (s->count == s->capacity) {
		size_t capacity = s->capacity ? s->capacity * 2 : 1024;
		void *indices =
			gcdune_os_remap(s->indices, s->capacity * sizeof *s->indices, capacity * sizeof *s->indices);

		if (!indices) {
			s->all = true;
			return;
		}
		s->indices = indices;
		s->capacity = capacity;
	}
	s->indices[s->count++] = index;
}

static struct gcdune_table *table_of(unsigned which)
{
	return which == GCDUNE_SUSPECT_FINALIZER ? &tables->finalizers : &tables->links[which - GCDUNE_SUSPECT_SHORT];
}

void gcdune_finalize_changed(unsigned which, const struct gcdune_entry *entry)
{
	if (gcdune_heap.marking)
		suspect(which, (uint32_t)(entry - table_of(which)->entries));
}

void gcdune_finalize_forget_suspects(void)
{
	for (unsigned which = 0; which < GCDUNE_SUSPECTS; which++) {
		suspects[which].count = 0;
		suspects[which].all = false;
	}
}

void gcdune_finalize_mark_roots(void)
{
	GCDUNE_TABLE_EACH(&tables->finalizers, entry)
	gcdune_mark_object((void *)entry->value[GCDUNE_FINALIZE_DATA]);
	for (size_t i = 0; i < ready->count; i++) {
		gcdune_mark_object(ready->items[ready->first + i].object);
		gcdune_mark_object(ready->items[ready->first + i].data);
	}
}

/* Entries looked at under one hold of the lock. */
enum { PIECE = 64 };

/* Entries keep their index, and what comes meanwhile is noted (gcdune_finalize_changed). */
void gcdune_finalize_mark_roots_running(void)
{
	bool more = true;

	for (uint32_t i = 0; more; i += PIECE) {
		gcdune_finalize_lock();
		for (uint32_t k = i; k < i + PIECE && k < tables->finalizers.used; k++)
			if (tables->finalizers.entries[k].key)
				gcdune_mark_object((void *)tables->finalizers.entries[k].value[GCDUNE_FINALIZE_DATA]);
		more = i + PIECE < tables->finalizers.used;
		gcdune_finalize_unlock();
		gcdune_mark_run();
	}
	/* From the end, for it is taken from the front. What is taken is on a stack then. */
	size_t left = SIZE_MAX;

	for (more = true; more;) {
		gcdune_finalize_lock();
		if (left > ready->count)
			left = ready->count;
		for (unsigned n = 0; n < PIECE && left; n++) {
			const struct gcdune_finalize_one *one = &ready->items[ready->first + --left];

			gcdune_mark_object(one->object);
			gcdune_mark_object(one->data);
		}
		more = left != 0;
		gcdune_finalize_unlock();
		gcdune_mark_run();
	}
}

static bool is_suspect(unsigned which, const struct gcdune_entry *entry)
{
	/* Of a link, what it points to may be dead, or what it lies in. */
	return entry->key && (gcdune_mark_is_dead((void *)entry->key) ||
			      (which != GCDUNE_SUSPECT_FINALIZER && gcdune_mark_is_dead((void *)entry->value[0])));
}

void gcdune_finalize_look(void)
{
	for (unsigned which = 0; which < GCDUNE_SUSPECTS; which++) {
		const struct gcdune_table *table = table_of(which);
		bool more = true;

		for (uint32_t i = 0; more; i += PIECE) {
			gcdune_finalize_lock();
			for (uint32_t k = i; k < i + PIECE && k < table->used; k++)
				if (is_suspect(which, &table->entries[k]))
					suspect(which, k);
			more = i + PIECE < table->used;
			gcdune_finalize_unlock();
		}
	}
}

/* What a finalizer made meanwhile is given is marked when the note of it is dropped, not in the pause. */
bool gcdune_finalize_look_again(size_t worth)
{
	size_t all = 0;

	for (unsigned which = 0; which < GCDUNE_SUSPECTS; which++)
		all += suspects[which].count;
	if (all < worth)
		return false;
	for (unsigned which = 0; which < GCDUNE_SUSPECTS; which++) {
		struct suspects *s = &suspects[which];
		size_t kept = 0;
		bool more = true;

		for (size_t i = 0; more; i += PIECE) {
			gcdune_finalize_lock();
			for (size_t k = i; k < i + PIECE && k < s->count; k++) {
				const struct gcdune_entry *entry = &table_of(which)->entries[s->indices[k]];

				if (is_suspect(which, entry))
					s->indices[kept++] = s->indices[k];
				else if (entry->key && which == GCDUNE_SUSPECT_FINALIZER)
					gcdune_mark_object((void *)entry->value[GCDUNE_FINALIZE_DATA]);
			}
			more = i + PIECE < s->count;
			if (!more)
				s->count = kept;
			gcdune_finalize_unlock();
			gcdune_mark_run();
		}
	}
	return true;
}

void gcdune_finalize_remark_roots(void)
{
	struct suspects *s = &suspects[GCDUNE_SUSPECT_FINALIZER];

	if (s->all)
		gcdune_finalize_mark_roots();
	for (size_t i = 0; i < s->count; i++) {
		const struct gcdune_entry *entry = &tables->finalizers.entries[s->indices[i]];

		if (entry->key)
			gcdune_mark_object((void *)entry->value[GCDUNE_FINALIZE_DATA]);
	}
}

/* World stopped. Without a walk before, or memory for its notes, it is made now. */
static void complete_suspects(bool looked)
{
	for (unsigned which = 0; which < GCDUNE_SUSPECTS; which++) {
		const struct gcdune_table *table = table_of(which);
		struct suspects *s = &suspects[which];

		if (looked && !s->all)
			continue;
		s->count = 0;
		s->all = false;
		GCDUNE_TABLE_EACH(table, entry)
		if (is_suspect(which, entry))
			suspect(which, (uint32_t)(entry - table->entries));
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
	struct gcdune_entry *entry = &table_of(which)->entries[suspects[which].all ? i : suspects[which].indices[i]];

	return entry->key ? entry : NULL;
}

/* Marks from the dead objects with tables->finalizers of the orders LOW to HIGH, not these themselves; then queues those of
 * orders up to HIGH that stayed dead, and marks them. */
static void queue_dead(enum gcdune_finalize_order low, enum gcdune_finalize_order high)
{
	enum { PUSHED = 64 };
	size_t queued = ready->count;
	unsigned n = 0;

	EACH_SUSPECT(GCDUNE_SUSPECT_FINALIZER, entry)
	{
		enum gcdune_finalize_order order = (enum gcdune_finalize_order)entry->value[GCDUNE_FINALIZE_ORDER];

		if (order < low || order > high || order == GCDUNE_FINALIZE_UNORDERED ||
		    !gcdune_mark_is_dead((void *)entry->key))
			continue;
		struct gcdune_ref ref = gcdune_ref_of((void *)entry->key);

		/* One that is reached by another and not marked yet is marked by that, and what it leads to either way. */
		gcdune_mark_children(&ref, order != GCDUNE_FINALIZE_ORDERED);
		if (++n % PUSHED == 0)
			gcdune_mark_run();
	}
	gcdune_mark_drain();
	EACH_SUSPECT(GCDUNE_SUSPECT_FINALIZER, entry)
	{
		enum gcdune_finalize_order order = (enum gcdune_finalize_order)entry->value[GCDUNE_FINALIZE_ORDER];

		if (order < low || order > high || !gcdune_mark_is_dead((void *)entry->key))
			continue;
		if (gcdune_finalize_queue(entry))
			gcdune_table_remove(&tables->finalizers, entry);
	}
	for (size_t i = queued; i < ready->count; i++)
		gcdune_mark_object(ready->items[ready->first + i].object);
	gcdune_mark_drain();
}

/* Of the rest, those are suspects still that lie in something dead. */
static void clear_links(unsigned which)
{
	struct gcdune_table *table = table_of(which);
	struct suspects *s = &suspects[which];
	size_t kept = 0;

	EACH_SUSPECT(which, entry)
	{
		if (gcdune_mark_is_dead((void *)entry->value[0])) {
			*(void **)entry->key = NULL;
			gcdune_table_remove(table, entry);
		} else if (!s->all && gcdune_mark_is_dead((void *)entry->key)) {
			s->indices[kept++] = (uint32_t)(entry - table->entries);
		}
	}
	if (!s->all)
		s->count = kept;
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
	clear_links(GCDUNE_SUSPECT_SHORT);
	gcdune_mark_clear_ephemerons();
	if (suspect_limit(GCDUNE_SUSPECT_FINALIZER)) {
		queue_dead(GCDUNE_FINALIZE_ORDERED, GCDUNE_FINALIZE_UNORDERED);
		queue_dead(GCDUNE_FINALIZE_UNREACHABLE, GCDUNE_FINALIZE_UNREACHABLE);
		/* What could not be queued for want of memory lives on. */
		EACH_SUSPECT(GCDUNE_SUSPECT_FINALIZER, entry)
		gcdune_mark_object((void *)entry->key);
		gcdune_mark_drain();
		gcdune_mark_clear_ephemerons();
	}
	forget_dead_links(GCDUNE_SUSPECT_SHORT);
	clear_links(GCDUNE_SUSPECT_LONG);
	forget_dead_links(GCDUNE_SUSPECT_LONG);
	gcdune_finalize_forget_suspects();
}

void gcdune_finalize_verify(void)
{
	GCDUNE_TABLE_EACH(&tables->finalizers, entry)
	{
		if (gcdune_mark_is_dead((void *)entry->key))
			gcdune_panic("object %p has a finalizer and is dead, but was not queued", (void *)entry->key);
		if (gcdune_mark_is_dead((void *)entry->value[GCDUNE_FINALIZE_DATA]))
			gcdune_panic("what the finalizer of object %p is given is dead", (void *)entry->key);
	}
	for (unsigned kind = 0; kind < 2; kind++)
		GCDUNE_TABLE_EACH(&tables->links[kind], entry)
	if (gcdune_mark_is_dead((void *)entry->value[0]))
		gcdune_panic("link %p to dead object %p was not cleared", (void *)entry->key, (void *)entry->value[0]);
}
