/* finalize-cycle.c - what a collection does with finalizers and disappearing links; with those, that is, that are noted as
 * suspects (finalize-suspect.c).
 *
 * Order after marking: short links to dead objects are cleared; ordered finalizers mark from their dead objects without
 * marking these, so that what stays unmarked is reached by no other; the unmarked are queued and marked with all they
 * reach; then the UNREACHABLE ones the same way among what is left; links inside objects that are still dead are
 * forgotten; long links are cleared last.
 *
 * Where finalizers and links take long and the program runs while the heap is marked, the pause is cut in two
 * (gcdune_finalize_begin). The first ends when short links and ephemerons have been cleared and the dead objects with
 * finalizers are known (`dying'). Then the program runs, while these are marked from and queued, and short links in what is
 * still dead are forgotten, and a second pause does the rest for what has come since. That is right, for when the first pause is
 * over everything that the program can reach is marked (or made later, of what its threads had in reserve), so nothing white
 * leads it anywhere: what is dying, and all that only it leads to, is as it was in the pause, but for what we mark of it. Exceptions: through a long link the program may reach a dying object, which is then marked at the
 * latest in the second pause, and queued or not, as with a link that it asks just before the first one. And finalizers
 * may be taken away (gcdune_finalize_queue_all, or by who got the object through a long link) and their entries be used for others:
 * what was dying in the pause is flagged in the entry. Objects are marked, and all that they lead to, before they are
 * queued and the program may have them.
 *
 * Called by cycle.c and the collector. */
#include "finalize-parts.h"

#include "mark.h"
#include "options.h"
#include "os.h"
#include "remark.h"

static struct gcdune_finalize_tables *const tables = &gcdune_finalize_tables;
static struct gcdune_finalize_ready *const ready = &gcdune_finalize_ready;

void gcdune_finalize_mark_roots(void)
{
	GCDUNE_TABLE_EACH(&tables->finalizers, entry)
	gcdune_mark_object((void *)entry->value[GCDUNE_FINALIZE_DATA]);
	for (size_t i = 0; i < ready->count; i++) {
		gcdune_mark_object(ready->items[ready->first + i].object);
		gcdune_mark_object(ready->items[ready->first + i].data);
	}
}

enum { PIECE = GCDUNE_FINALIZE_PIECE };

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

void gcdune_finalize_remark_roots(void)
{
	const struct gcdune_suspects *s = &gcdune_finalize_suspects[GCDUNE_SUSPECT_FINALIZER];

	if (s->all || ready->unmarked)
		gcdune_finalize_mark_roots();
	for (size_t i = 0; i < s->count; i++) {
		const struct gcdune_entry *entry = &tables->finalizers.entries[s->indices[i]];

		if (entry->key)
			gcdune_mark_object((void *)entry->value[GCDUNE_FINALIZE_DATA]);
	}
}

static enum gcdune_finalize_order order_of(const struct gcdune_entry *entry)
{
	return (enum gcdune_finalize_order)(entry->value[GCDUNE_FINALIZE_ORDER] & GCDUNE_FINALIZE_ORDERS);
}

/* Marks from an object that is dead, not itself. One that is reached by another and not marked yet is marked by that, and what
 * it leads to either way. */
static void mark_from(void *object, enum gcdune_finalize_order order)
{
	if (order == GCDUNE_FINALIZE_UNORDERED || !gcdune_mark_is_dead(object))
		return;
	struct gcdune_ref ref = gcdune_ref_of(object);

	gcdune_mark_children(&ref, order != GCDUNE_FINALIZE_ORDERED);
}

/* Marks from the dead objects with finalizers of the orders LOW to HIGH; then queues those of orders up to HIGH that stayed
 * dead, and marks them. */
static void queue_dead(enum gcdune_finalize_order low, enum gcdune_finalize_order high)
{
	size_t queued = ready->count;
	unsigned n = 0;

	GCDUNE_EACH_SUSPECT(GCDUNE_SUSPECT_FINALIZER, entry, GCDUNE_FINALIZE_OF_CONTENTS)
	{
		enum gcdune_finalize_order order = order_of(entry);

		if (order < low || order > high)
			continue;
		mark_from((void *)entry->key, order);
		if (++n % PIECE == 0)
			gcdune_mark_run();
	}
	gcdune_mark_drain();
	GCDUNE_EACH_SUSPECT(GCDUNE_SUSPECT_FINALIZER, entry, GCDUNE_FINALIZE_OF_KEY)
	{
		enum gcdune_finalize_order order = order_of(entry);

		if (order < low || order > high || !gcdune_mark_is_dead((void *)entry->key))
			continue;
		if (gcdune_finalize_queue(entry))
			gcdune_finalize_remove(GCDUNE_SUSPECT_FINALIZER, entry);
	}
	gcdune_finalize_keep_suspects(GCDUNE_SUSPECT_FINALIZER);
	for (size_t i = queued; i < ready->count; i++)
		gcdune_mark_object(ready->items[ready->first + i].object);
	gcdune_mark_drain();
}

/* Of the rest, those are suspects still that lie in something dead. */
static void clear_links(unsigned which)
{
	enum { MANY_LINKS = 64 };
	struct gcdune_table *table = gcdune_finalize_table(which);
	struct gcdune_suspects *s = &gcdune_finalize_suspects[which];
	size_t kept = 0;

	if (s->count >= MANY_LINKS)
		gcdune_remark_open_links();

	GCDUNE_EACH_SUSPECT(which, entry, GCDUNE_FINALIZE_OF_TARGET)
	{
		if (gcdune_mark_is_dead((void *)entry->value[0])) {
			*(void **)entry->key = NULL;
			gcdune_finalize_remove(which, entry);
		} else if (!s->all && gcdune_mark_is_dead((void *)entry->key)) {
			s->indices[kept++] = (uint32_t)(entry - table->entries);
		}
	}
	if (!s->all)
		s->count = kept;
}

static void forget_dead_links(unsigned which)
{
	GCDUNE_EACH_SUSPECT(which, entry, GCDUNE_FINALIZE_OF_KEY)
	if (gcdune_mark_is_dead((void *)entry->key))
		gcdune_finalize_remove(which, entry);
}

/* ---- A pause that is cut in two ---- */

bool gcdune_finalize_is_cut;
static struct gcdune_suspects dying; /* finalizers; no more of them than those that were noted */

/* In a stop only may its object be marked from, and there is an order to be kept. */
static bool must_be_stopped(const struct gcdune_entry *entry)
{
	struct gcdune_ref ref = gcdune_ref_of((void *)entry->key);

	return order_of(entry) != GCDUNE_FINALIZE_UNORDERED && gcdune_heap.kinds[ref.block->kind].stopped;
}

/* The second pause, and the round before it, take some 0.1 ms each. */
static bool is_worth_a_cut(void)
{
	uint64_t takes = gcdune_finalize_takes_noted();

	return gcdune_options.stretch || gcdune_options.torture ? takes > 0 : takes >= (uint64_t)gcdune_options.pause_goal * 400;
}

bool gcdune_finalize_begin(void)
{
	struct gcdune_suspects *s = &gcdune_finalize_suspects[GCDUNE_SUSPECT_FINALIZER];
	size_t n = 0;

	gcdune_finalize_complete_suspects(true);
	if (s->all || gcdune_finalize_await || !is_worth_a_cut())
		return false;

	GCDUNE_EACH_SUSPECT(GCDUNE_SUSPECT_FINALIZER, entry, GCDUNE_FINALIZE_OF_KEY)
	{
		if (!gcdune_mark_is_dead((void *)entry->key))
			continue;
		if (must_be_stopped(entry))
			return false;
		entry->value[GCDUNE_FINALIZE_ORDER] = order_of(entry) | GCDUNE_FINALIZE_DYING;
		s->indices[n++] = (uint32_t)(entry - tables->finalizers.entries);
	}
	s->count = n;
	if (!is_worth_a_cut())
		return false;
	clear_links(GCDUNE_SUSPECT_SHORT);
	gcdune_mark_clear_ephemerons();

	struct gcdune_suspects empty = dying;

	dying = *s;
	*s = empty;
	s->count = 0;
	gcdune_finalize_is_cut = true;
	return true;
}

/* Under the lock. */
static struct gcdune_entry *dying_at(size_t i, uintptr_t flag)
{
	struct gcdune_entry *entry = &tables->finalizers.entries[dying.indices[i]];

	return entry->key && entry->value[GCDUNE_FINALIZE_ORDER] & flag ? entry : NULL;
}

#define EACH_DYING(i, entry, flag)                                                                                     \
	for (size_t k_ = (i); k_ < (i) + PIECE && k_ < dying.count; k_++)                                              \
		for (struct gcdune_entry *entry = dying_at(k_, flag); entry; entry = NULL)

/* Marks from those of the orders LOW to HIGH. The lock is not held meanwhile: that may take long. */
static void mark_from_dying(enum gcdune_finalize_order low, enum gcdune_finalize_order high)
{
	for (size_t i = 0; i < dying.count; i += PIECE) {
		struct {
			void *object;
			enum gcdune_finalize_order order;
		} piece[PIECE];
		unsigned n = 0;

		gcdune_finalize_lock();
		EACH_DYING(i, entry, GCDUNE_FINALIZE_DYING)
		if (order_of(entry) >= low && order_of(entry) <= high) {
			piece[n].object = (void *)entry->key;
			piece[n++].order = order_of(entry);
		}
		gcdune_finalize_unlock();
		for (unsigned k = 0; k < n; k++)
			mark_from(piece[k].object, piece[k].order);
		gcdune_mark_run();
	}
	gcdune_mark_drain();
}

/* As queue_dead does in a pause. */
static void queue_dying(enum gcdune_finalize_order low, enum gcdune_finalize_order high)
{
	mark_from_dying(low, high);
	for (size_t i = 0; i < dying.count; i += PIECE) {
		gcdune_finalize_lock();
		EACH_DYING(i, entry, GCDUNE_FINALIZE_DYING)
		if (order_of(entry) >= low && order_of(entry) <= high && gcdune_mark_is_dead((void *)entry->key))
			entry->value[GCDUNE_FINALIZE_ORDER] |= GCDUNE_FINALIZE_DUE;
		gcdune_finalize_unlock();
	}
	if (gcdune_options.stretch)
		gcdune_os_sleep((uint64_t)gcdune_options.stretch * 1000);
	for (size_t i = 0; i < dying.count; i += PIECE) {
		gcdune_finalize_lock();
		EACH_DYING(i, entry, GCDUNE_FINALIZE_DUE)
		gcdune_mark_object((void *)entry->key);
		gcdune_finalize_unlock();
		gcdune_mark_run();
	}
	gcdune_mark_drain();
	for (size_t i = 0; i < dying.count; i += PIECE) {
		gcdune_finalize_lock();
		EACH_DYING(i, entry, GCDUNE_FINALIZE_DUE)
		if (gcdune_finalize_queue(entry))
			gcdune_table_remove(&tables->finalizers, entry);
		else
			entry->value[GCDUNE_FINALIZE_ORDER] = order_of(entry); /* lives on until the next collection */
		gcdune_finalize_unlock();
	}
}

/* What lay in something dead in the first pause, and does still now that all dying objects are marked with what they lead to, is
 * never seen again: only a long link could lead there, or a finalizer that was queued by the program. The memory is not used
 * again before the cycle's end. Others may lie in something that is not marked for it was only made since, of what a thread
 * had at its cursor when the cycle began. */
static void forget_dead_links_running(unsigned which)
{
	struct gcdune_suspects *s = &gcdune_finalize_suspects[which];
	struct gcdune_table *table = gcdune_finalize_table(which);
	size_t kept = 0, i = 0;

	for (bool more = true; more;) {
		gcdune_finalize_lock();
		bool sure = !tables->links[1].count && !ready->unmarked;

		for (size_t end = i + PIECE; !s->all && i < s->count && i < end; i++) {
			struct gcdune_entry *entry = gcdune_finalize_suspect_at(which, i, GCDUNE_FINALIZE_OF_KEY);

			if (entry && sure && entry->value[GCDUNE_LINK_AFTER_CUT] != gcdune_finalize_this_cycle() &&
			    gcdune_mark_is_dead((void *)entry->key))
				gcdune_table_remove(table, entry);
			else if (entry)
				s->indices[kept++] = s->indices[i];
		}
		more = !s->all && i < s->count;
		if (!more && !s->all)
			s->count = kept;
		gcdune_finalize_unlock();
	}
}

void gcdune_finalize_go_on(void)
{
	queue_dying(GCDUNE_FINALIZE_ORDERED, GCDUNE_FINALIZE_UNORDERED);
	queue_dying(GCDUNE_FINALIZE_UNREACHABLE, GCDUNE_FINALIZE_UNREACHABLE);
	dying.count = 0;
	forget_dead_links_running(GCDUNE_SUSPECT_SHORT);
	forget_dead_links_running(GCDUNE_SUSPECT_HOLDER);
}

void gcdune_finalize_drop_dying(void)
{
	dying.count = 0;
	gcdune_finalize_is_cut = false;
}

/* ---- In the pause ---- */

void gcdune_finalize_cycle(bool looked)
{
	gcdune_finalize_complete_suspects(looked);
	/* A link may lie in memory that is unmapped by now only if the program broke its word: it must be removed
	 * before. */
	clear_links(GCDUNE_SUSPECT_SHORT);
	gcdune_mark_clear_ephemerons();
	if (gcdune_finalize_suspect_limit(GCDUNE_SUSPECT_FINALIZER)) {
		queue_dead(GCDUNE_FINALIZE_ORDERED, GCDUNE_FINALIZE_UNORDERED);
		queue_dead(GCDUNE_FINALIZE_UNREACHABLE, GCDUNE_FINALIZE_UNREACHABLE);
		/* What could not be queued for want of memory lives on. */
		GCDUNE_EACH_SUSPECT(GCDUNE_SUSPECT_FINALIZER, entry, GCDUNE_FINALIZE_OF_KEY)
		gcdune_mark_object((void *)entry->key);
		gcdune_mark_drain();
		gcdune_mark_clear_ephemerons();
	}
	forget_dead_links(GCDUNE_SUSPECT_SHORT);
	forget_dead_links(GCDUNE_SUSPECT_HOLDER);
	clear_links(GCDUNE_SUSPECT_LONG);
	forget_dead_links(GCDUNE_SUSPECT_LONG);
	gcdune_finalize_forget_suspects();
	ready->unmarked = false;
	gcdune_finalize_is_cut = false;
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
