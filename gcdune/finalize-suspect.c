/* finalize-suspect.c - owns the notes of finalizers and disappearing links that a collection may have to see to, so that
 * the pause does not walk the tables.
 *
 * The collector walks them before it, a few entries at a time, and notes the indices of those whose object is not marked
 * yet (suspects); while a cycle marks, every entry that is made or changed is noted too. What is not noted names a marked
 * object. An entry may be gone since, or be another's: one that was made meanwhile, and is noted anyway. When stacks have
 * been looked at, notes of what turned out to be marked are dropped. Without memory for the notes the tables are walked in
 * the pause.
 *
 * It also owns what is left to be removed from the tables when the pause is over: hidden entries, which no one finds. Called
 * by cycle.c, finalize.c and finalize-cycle.c. */
#include "finalize-parts.h"

#include "mark.h"
#include "os.h"
#include "remark.h"

static struct gcdune_finalize_tables *const tables = &gcdune_finalize_tables;

struct gcdune_suspects gcdune_finalize_suspects[GCDUNE_SUSPECTS];
static struct gcdune_suspects *const suspects = gcdune_finalize_suspects;

struct gcdune_table *gcdune_finalize_table(unsigned which)
{
	return which == GCDUNE_SUSPECT_FINALIZER ? &tables->finalizers : &tables->links[which == GCDUNE_SUSPECT_LONG];
}

static void suspect(unsigned which, uint32_t index)
{
	struct gcdune_suspects *s = &suspects[which];

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
	if (which == GCDUNE_SUSPECT_SHORT || which == GCDUNE_SUSPECT_LONG)
		gcdune_remark_note_link(gcdune_finalize_table(which)->entries[index].key);
}

void gcdune_finalize_changed(unsigned which, struct gcdune_entry *entry)
{
	if (which != GCDUNE_SUSPECT_FINALIZER)
		entry->value[GCDUNE_LINK_AFTER_CUT] = gcdune_finalize_is_cut ? gcdune_finalize_this_cycle() : 0;
	if (gcdune_heap.marking)
		suspect(which, (uint32_t)(entry - gcdune_finalize_table(which)->entries));
}

void gcdune_finalize_forget_suspects(void)
{
	for (unsigned which = 0; which < GCDUNE_SUSPECTS; which++) {
		suspects[which].count = 0;
		suspects[which].all = false;
	}
}

static void fetch_state(uintptr_t object)
{
	struct gcdune_ref ref;

	if (gcdune_resolve(object, &ref))
		__builtin_prefetch(ref.state, 0);
}

/* The list that the entry, of the table that WHICH is of, belongs on. */
static unsigned list_of(unsigned which, const struct gcdune_entry *entry)
{
	if (!entry->key)
		return GCDUNE_SUSPECTS;
	if (which != GCDUNE_SUSPECT_FINALIZER && gcdune_mark_is_dead((void *)entry->value[GCDUNE_LINK_TARGET]))
		return which == GCDUNE_SUSPECT_LONG ? GCDUNE_SUSPECT_LONG : GCDUNE_SUSPECT_SHORT;
	if (!gcdune_mark_is_dead((void *)entry->key))
		return GCDUNE_SUSPECTS;
	return which == GCDUNE_SUSPECT_SHORT ? GCDUNE_SUSPECT_HOLDER : which;
}

/* Those of one table, but the one whose list WHICH is. */
enum { TABLES = GCDUNE_SUSPECT_HOLDER };

static void note(unsigned which, uint32_t index)
{
	unsigned list = list_of(which, &gcdune_finalize_table(which)->entries[index]);

	if (list < GCDUNE_SUSPECTS)
		suspect(list, index);
}

static void fetch_states(unsigned which, const struct gcdune_entry *entry)
{
	fetch_state(entry->key);
	if (which != GCDUNE_SUSPECT_FINALIZER)
		fetch_state(entry->value[0]);
}

void gcdune_finalize_look(void)
{
	for (unsigned which = 0; which < TABLES; which++) {
		const struct gcdune_table *table = gcdune_finalize_table(which);
		bool more = true;

		for (uint32_t i = 0; more; i += GCDUNE_FINALIZE_PIECE) {
			gcdune_finalize_lock();
			for (uint32_t k = i; k < i + GCDUNE_FINALIZE_PIECE && k < table->used; k++) {
				if (k + GCDUNE_FINALIZE_AHEAD < table->used)
					fetch_states(which, &table->entries[k + GCDUNE_FINALIZE_AHEAD]);
				note(which, k);
			}
			more = i + GCDUNE_FINALIZE_PIECE < table->used;
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
		struct gcdune_suspects *s = &suspects[which];
		size_t kept = 0;
		bool more = true;

		for (size_t i = 0; more; i += GCDUNE_FINALIZE_PIECE) {
			gcdune_finalize_lock();
			const struct gcdune_entry *entries = gcdune_finalize_table(which)->entries;

			for (size_t k = i; k < i + GCDUNE_FINALIZE_PIECE && k < s->count; k++) {
				const struct gcdune_entry *entry = &entries[s->indices[k]];

				if (k + 2 * GCDUNE_FINALIZE_AHEAD < s->count)
					__builtin_prefetch(&entries[s->indices[k + 2 * GCDUNE_FINALIZE_AHEAD]]);
				if (k + GCDUNE_FINALIZE_AHEAD < s->count)
					fetch_states(which, &entries[s->indices[k + GCDUNE_FINALIZE_AHEAD]]);
				unsigned list = list_of(which, entry);

				if (list == which)
					s->indices[kept++] = s->indices[k];
				else if (list < GCDUNE_SUSPECTS)
					suspect(list, s->indices[k]);
				else if (entry->key && which == GCDUNE_SUSPECT_FINALIZER)
					gcdune_mark_object((void *)entry->value[GCDUNE_FINALIZE_DATA]);
			}
			more = i + GCDUNE_FINALIZE_PIECE < s->count;
			if (!more)
				s->count = kept;
			gcdune_finalize_unlock();
			gcdune_mark_run();
		}
	}
	return true;
}

void gcdune_finalize_complete_suspects(bool looked)
{
	for (unsigned which = 0; which < TABLES; which++) {
		const struct gcdune_table *table = gcdune_finalize_table(which);
		struct gcdune_suspects *s = &suspects[which];
		struct gcdune_suspects *also = which == GCDUNE_SUSPECT_SHORT ? &suspects[GCDUNE_SUSPECT_HOLDER] : s;

		if (looked && !s->all && !also->all)
			continue;
		s->count = also->count = 0;
		s->all = also->all = false;
		for (uint32_t k = 0; k < table->used; k++) {
			if (k + GCDUNE_FINALIZE_AHEAD < table->used)
				fetch_states(which, &table->entries[k + GCDUNE_FINALIZE_AHEAD]);
			note(which, k);
		}
	}
}

uint64_t gcdune_finalize_takes_noted(void)
{
	static const unsigned each[GCDUNE_SUSPECTS] = {[GCDUNE_SUSPECT_FINALIZER] = 45,
						       [GCDUNE_SUSPECT_SHORT] = 25,
						       [GCDUNE_SUSPECT_LONG] = 25,
						       [GCDUNE_SUSPECT_HOLDER] = 12};
	uint64_t takes = 0;

	for (unsigned which = 0; which < GCDUNE_SUSPECTS; which++)
		takes += gcdune_finalize_suspect_limit(which) * each[which];
	return takes;
}

uint64_t gcdune_finalize_takes_now(void)
{
	gcdune_finalize_complete_suspects(false);
	return gcdune_finalize_takes_noted();
}

void gcdune_finalize_keep_suspects(unsigned which)
{
	struct gcdune_suspects *s = &suspects[which];
	const struct gcdune_entry *entries = gcdune_finalize_table(which)->entries;
	size_t kept = 0;

	for (size_t i = 0; i < s->count && !s->all; i++)
		if (entries[s->indices[i]].key)
			s->indices[kept++] = s->indices[i];
	s->count = s->all ? s->count : kept;
}

struct gcdune_entry *gcdune_finalize_suspect_at(unsigned which, size_t i, enum gcdune_finalize_asked asked)
{
	const struct gcdune_suspects *s = &suspects[which];
	struct gcdune_entry *entries = gcdune_finalize_table(which)->entries;
	size_t ahead = i + GCDUNE_FINALIZE_AHEAD, limit = gcdune_finalize_suspect_limit(which);

	/* First the entry, then what it names. */
	if (ahead + GCDUNE_FINALIZE_AHEAD < limit)
		__builtin_prefetch(&entries[s->all ? ahead + GCDUNE_FINALIZE_AHEAD : s->indices[ahead + GCDUNE_FINALIZE_AHEAD]]);
	if (ahead < limit) {
		const struct gcdune_entry *then = &entries[s->all ? ahead : s->indices[ahead]];

		fetch_state(then->key);
		if (asked == GCDUNE_FINALIZE_OF_TARGET) {
			fetch_state(then->value[0]);
			__builtin_prefetch((void *)then->key, 1); /* to be cleared */
		} else if (asked == GCDUNE_FINALIZE_OF_CONTENTS) {
			__builtin_prefetch((void *)then->key, 0);
		}
	}
	struct gcdune_entry *entry = &entries[s->all ? i : s->indices[i]];

	return entry->key ? entry : NULL;
}

/* ---- What is removed ---- */

static struct hidden {
	uintptr_t key;
	uint32_t index, which;
} *hidden;
static size_t hidden_count, hidden_capacity;

void gcdune_finalize_remove(unsigned which, struct gcdune_entry *entry)
{
	struct gcdune_table *table = gcdune_finalize_table(which);

	if (hidden_count == hidden_capacity) {
		size_t capacity = hidden_capacity ? hidden_capacity * 2 : 256;
		void *more = gcdune_os_remap(hidden, hidden_capacity * sizeof *hidden, capacity * sizeof *hidden);

		if (!more) {
			gcdune_table_remove(table, entry);
			return;
		}
		hidden = more;
		hidden_capacity = capacity;
	}
	hidden[hidden_count++] = (struct hidden){entry->key, (uint32_t)(entry - table->entries), which};
	gcdune_table_hide(entry);
}

void gcdune_finalize_remove_hidden(void)
{
	struct gcdune_thread *thread = gcdune_thread_self;

	while (hidden_count) {
		if (thread)
			gcdune_critical_enter(thread);
		gcdune_finalize_lock();
		for (unsigned n = 0; n < GCDUNE_FINALIZE_PIECE && hidden_count; n++) {
			const struct hidden *h = &hidden[--hidden_count];

			gcdune_table_remove_hidden(gcdune_finalize_table(h->which), h->index, h->key);
		}
		gcdune_finalize_unlock();
		if (thread)
			gcdune_critical_leave(thread);
	}
}
