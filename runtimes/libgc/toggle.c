/* toggle.c - toggle references: the program decides at each collection whether a reference is strong or weak.
 *
 * An entry hides its object and watches it by a long link on that hidden word, so a dead object's entry reads 0. Strong
 * entries are reported by the roots callback. Entries are pushed by GC_toggleref_add and taken out there as well; the
 * callbacks only read the list and set `status'.
 *
 * libgc_lock guards the list while threads run. With the world stopped it is read without: taking an entry out is one
 * store, and the entry is freed only after that. */
#include "libgc.h"

#include <errno.h>
#include <stdlib.h>

struct toggle {
	struct toggle *next;
	void *hidden;
	GC_ToggleRefStatus status;
};

static struct toggle *toggles;
static GC_toggleref_func toggle_func;

void GC_set_toggleref_func(GC_toggleref_func func)
{
	toggle_func = func;
}

GC_toggleref_func GC_get_toggleref_func(void)
{
	return toggle_func;
}

/* Takes out what died or was dropped. */
static struct toggle *take_idle(void)
{
	struct toggle **place = &toggles, *entry, *idle = NULL;

	while ((entry = *place)) {
		if (entry->hidden && entry->status != GC_TOGGLE_REF_DROP) {
			place = &entry->next;
			continue;
		}
		*place = entry->next;
		entry->next = idle;
		idle = entry;
	}
	return idle;
}

static void free_idle(struct toggle *entry)
{
	while (entry) {
		struct toggle *next = entry->next;

		gcdune_link_remove(&entry->hidden, GCDUNE_LINK_LONG);
		free(entry);
		entry = next;
	}
}

int GC_toggleref_add(void *object, int is_strong)
{
	struct toggle *entry, *idle;

	libgc_init();
	if (!toggle_func)
		return GC_SUCCESS;
	entry = malloc(sizeof(*entry));
	if (!entry)
		return GC_NO_MEMORY;
	entry->hidden = GCDUNE_HIDE(object);
	entry->status = is_strong ? GC_TOGGLE_REF_STRONG : GC_TOGGLE_REF_WEAK;
	if (gcdune_link_add(&entry->hidden, object, GCDUNE_LINK_LONG) == -ENOMEM) {
		free(entry);
		return GC_NO_MEMORY;
	}
	pthread_mutex_lock(&libgc_lock);
	idle = take_idle();
	entry->next = toggles;
	toggles = entry;
	pthread_mutex_unlock(&libgc_lock);
	free_idle(idle);
	__asm__ __volatile__("" : : "r"(object) : "memory"); /* alive until its entry is in the list */
	return GC_SUCCESS;
}

void libgc_toggle_decide(void)
{
	if (!toggles || !toggle_func)
		return;
	pthread_mutex_lock(&libgc_lock);
	for (struct toggle *entry = toggles; entry; entry = entry->next)
		if (entry->hidden && entry->status != GC_TOGGLE_REF_DROP)
			entry->status = toggle_func(GCDUNE_REVEAL(entry->hidden));
	pthread_mutex_unlock(&libgc_lock);
}

void libgc_toggle_push(struct gcdune_marker *marker)
{
	for (struct toggle *entry = toggles; entry; entry = entry->next)
		if (entry->hidden && entry->status == GC_TOGGLE_REF_STRONG)
			gcdune_mark(marker, GCDUNE_REVEAL(entry->hidden));
}
