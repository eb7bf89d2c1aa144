/* ephemeron.c - ephemerons: as the program sees them, and what the collector does with those that it meets before their
 * keys. An ephemeron is an object of a kind of its own
 * whose fields are not scanned. A collection clears key and value together with the world stopped, so a reader sees
 * both or none. */
#include <errno.h>

#include "alloc.h"
#include "mark.h"
#include "meta.h"

gcdune_ephemeron *gcdune_ephemeron_new(void *key, void *value)
{
	if (gcdune_init())
		return NULL;
	if (!gcdune_base(key)) {
		errno = EINVAL;
		return NULL;
	}
	struct gcdune_ephemeron *ephemeron = gcdune_alloc_any(sizeof *ephemeron, 1, GCDUNE_KIND_EPHEMERON);

	if (ephemeron) {
		ephemeron->value = value;
		ephemeron->key = key;
		/* The caller's pointers hold both until here. */
		__asm__ volatile("" : : "r"(key), "r"(value) : "memory");
	}
	return ephemeron;
}

void *gcdune_ephemeron_key(gcdune_ephemeron *ephemeron)
{
	return ephemeron->key;
}

void *gcdune_ephemeron_value(gcdune_ephemeron *ephemeron)
{
	return ephemeron->value;
}

void gcdune_ephemeron_value_set(gcdune_ephemeron *ephemeron, void *value)
{
	if (ephemeron->key)
		ephemeron->value = value;
}

/* ---- In a collection ---- */

_Atomic(struct gcdune_ephemeron *) gcdune_mark_ephemerons;

/* Keys of pending ephemerons, when there are long chains of them: from a key to its ephemerons. Such a key has the
 * state GCDUNE_COLOR_KEY in place of white, so that visit() comes by here when it marks one; one marker only. */
static struct gcdune_table keys;

/* Markers, and rescans of its page, may meet an ephemeron again while it waits: it is listed once. The program may change
 * the value meanwhile; that makes the page dirty. */
void gcdune_ephemeron_scan(struct gcdune_marker *m, struct gcdune_ephemeron *ephemeron)
{
	void *key = __atomic_load_n(&ephemeron->key, __ATOMIC_RELAXED);

	if (!key)
		return;
	if (!gcdune_mark_is_dead(key)) {
		gcdune_marker_word(m, (uintptr_t)ephemeron->value, GCDUNE_ENTRY_ROOT);
	} else if (__atomic_exchange_n(&ephemeron->listed, gcdune_mark_epoch, __ATOMIC_ACQ_REL) != gcdune_mark_epoch) {
		ephemeron->next = m->ephemerons;
		m->ephemerons = ephemeron;
	}
}

void gcdune_ephemeron_visit_key(struct gcdune_marker *m, const struct gcdune_ref *ref)
{
	struct gcdune_entry *entry = gcdune_table_find(&keys, (uintptr_t)ref->object);
	struct gcdune_ephemeron *list = (struct gcdune_ephemeron *)entry->value[0];

	gcdune_table_remove(&keys, entry);
	m->source = NULL;
	for (; list; list = list->next) {
		list->listed = 0;
		gcdune_marker_word(m, (uintptr_t)list->value, GCDUNE_ENTRY_ROOT);
	}
}

static void collect_ephemerons(void)
{
	struct gcdune_ephemeron *list = atomic_exchange(&gcdune_mark_ephemerons, NULL), *next;

	for (; list; list = next) {
		next = list->next;
		list->next = gcdune_mark_main.ephemerons;
		gcdune_mark_main.ephemerons = list;
	}
}

/* One pass over the pending ephemerons: marks the values whose keys have been marked since. Returns how many, and how many
 * are *LEFT. */
static size_t ephemerons_pass(struct gcdune_marker *m, size_t *left)
{
	struct gcdune_ephemeron *list = m->ephemerons, *next;
	size_t progress = 0;

	*left = 0;

	m->ephemerons = NULL;
	for (; list; list = next) {
		next = list->next;
		if (gcdune_mark_is_dead(list->key)) {
			list->next = m->ephemerons;
			m->ephemerons = list;
			(*left)++;
		} else {
			m->source = NULL;
			/* First off the list, then read: a value set in between is seen here or by who scans the page. */
			__atomic_store_n(&list->listed, 0, __ATOMIC_SEQ_CST);
			gcdune_marker_word(m, (uintptr_t)list->value, GCDUNE_ENTRY_ROOT);
			progress++;
		}
	}
	return progress;
}

/* Every pending key gets an entry, so that marking one finds its values at once: linear however keys are chained. What
 * cannot be entered for want of memory stays pending for further passes. Returns whether anything was entered. */
static bool ephemerons_by_key(struct gcdune_marker *m)
{
	struct gcdune_ephemeron *list = m->ephemerons, *next;

	m->ephemerons = NULL;
	for (; list; list = next) {
		struct gcdune_ref ref = gcdune_ref_of(list->key);

		next = list->next;
		struct gcdune_entry *entry = gcdune_table_find(&keys, (uintptr_t)ref.object);

		if (!entry && gcdune_table_reserve(&keys) == 0) {
			entry = gcdune_table_insert(&keys, (uintptr_t)ref.object);
			*ref.state = GCDUNE_COLOR_KEY;
		}
		struct gcdune_ephemeron **head = entry ? (struct gcdune_ephemeron **)&entry->value[0] : &m->ephemerons;

		list->next = *head;
		*head = list;
	}
	return keys.count != 0;
}

/* The keys that no one reached are white again, their ephemerons pending. */
static void ephemerons_unlist(struct gcdune_marker *m)
{
	GCDUNE_TABLE_EACH(&keys, entry)
	{
		struct gcdune_ephemeron *list = (struct gcdune_ephemeron *)entry->value[0], *next;

		*gcdune_ref_of((void *)entry->key).state = gcdune_heap.white;
		for (; list; list = next) {
			next = list->next;
			list->next = m->ephemerons;
			m->ephemerons = list;
		}
		gcdune_table_remove(&keys, entry);
	}
}

void gcdune_mark_drain(void)
{
	struct gcdune_marker *m = &gcdune_mark_main;

	for (unsigned pass = 0;; pass++) {
		size_t found, left;

		gcdune_mark_run();
		collect_ephemerons();
		found = ephemerons_pass(m, &left);
		if (!found)
			return;
		/* Chains in a bad order give one a pass. They wait for the pause, where it is done by key: other markers, which
		 * threads that help are too, would have to be kept from keys. */
		if (pass >= 3 && found < left / 8 && !gcdune_mark_is_stopped()) {
			gcdune_mark_run();
			return;
		}
		if (pass >= 3 && gcdune_mark_is_stopped() && ephemerons_by_key(m)) {
			gcdune_worklist_helpers(0);
			/* An ephemeron met on the way whose key is not marked yet may find it listed here: it waits for
			 * the next pass. */
			gcdune_mark_run();
			ephemerons_unlist(m);
		}
	}
}

void gcdune_mark_clear_ephemerons(void)
{
	struct gcdune_ephemeron *list = gcdune_mark_main.ephemerons;

	for (; list; list = list->next) {
		list->key = list->value = NULL;
		list->listed = 0;
	}
	gcdune_mark_main.ephemerons = NULL;
}
