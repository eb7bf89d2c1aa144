/* finalize-run.c - the queue of finalizers whose turn has come, and who runs them when.
 *
 * Invariant: what is queued is in no table any more, and is a root with all it reaches until it has been taken off; from
 * then on it is on the stack of who runs it. Under the lock of finalize.c, or the world is stopped. Finalizers run
 * without a lock, in a thread that allocates or asks for it. */
#include "finalize-parts.h"

#include <errno.h>
#include <string.h>

#include "cycle.h"
#include "os.h"

struct gcdune_finalize_ready gcdune_finalize_ready;
static struct gcdune_finalize_ready *const ready = &gcdune_finalize_ready;

static _Atomic int mode;
static void (*_Atomic notify)(void);
static _Atomic bool fresh; /* queued since the program was last told */
static _Atomic uint64_t have_run;

void (*gcdune_finalize_await)(void *object);

bool gcdune_finalize_queue(const struct gcdune_entry *entry)
{
	if (ready->first + ready->count == ready->capacity) {
		size_t capacity = ready->capacity ? ready->capacity * 2 : 1024;

		if (ready->first > ready->capacity / 2) {
			memmove(ready->items, ready->items + ready->first, ready->count * sizeof *ready->items);
			ready->first = 0;
		} else {
			void *items = gcdune_os_remap(ready->items, ready->capacity * sizeof *ready->items,
						      capacity * sizeof *ready->items);

			if (!items)
				return false; /* it stays in the table, for the next collection */
			ready->items = items;
			ready->capacity = capacity;
		}
	}
	ready->items[ready->first + ready->count++] =
		(struct gcdune_finalize_one){(void *)entry->key, (void *)entry->value[GCDUNE_FINALIZE_DATA],
					     (gcdune_finalizer)entry->value[GCDUNE_FINALIZE_FN]};
	fresh = true;
	if (gcdune_finalize_await)
		gcdune_finalize_await((void *)entry->key);
	return true;
}

int gcdune_finalize_queue_all(void)
{
	struct gcdune_thread *thread;
	int error = 0;

	/* No collection may come between: it reads the queue without the lock. */
	gcdune_cycle_lock();
	thread = gcdune_finalize_enter();
	if (!thread) {
		gcdune_cycle_unlock();
		return -ENOMEM;
	}
	gcdune_finalize_ready.unmarked = true; /* a cycle that is under way has read the queue */
	GCDUNE_TABLE_EACH(&gcdune_finalize_tables.finalizers, entry)
	{
		if (gcdune_finalize_queue(entry))
			gcdune_table_remove(&gcdune_finalize_tables.finalizers, entry);
		else
			error = -ENOMEM;
	}
	gcdune_finalize_leave(thread);
	gcdune_cycle_unlock();
	return error;
}

bool gcdune_finalizers_pending(void)
{
	return ready->count != 0;
}

/* Takes one off the queue; from then on this frame's caller holds the object. */
static bool next(struct gcdune_finalize_one *one)
{
	struct gcdune_thread *thread = gcdune_finalize_enter();

	if (!thread)
		return false;
	bool any = ready->count != 0;

	if (any) {
		*one = ready->items[ready->first++];
		if (--ready->count == 0)
			ready->first = 0;
	}
	gcdune_finalize_leave(thread);
	return any;
}

size_t gcdune_finalizers_run(void)
{
	struct gcdune_thread *thread = gcdune_thread_get();
	struct gcdune_finalize_one one;
	size_t n = 0;

	if (!thread || thread->finalizing || gcdune_cycle_locked_here())
		return 0;
	thread->finalizing = 1;
	while (ready->count && next(&one)) {
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
