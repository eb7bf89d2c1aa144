/* start.c - owns the records of threads that intercept.c has seen made: what is on its way to a thread, or from it to
 * its joiner, is held by nothing else. The list is under heap.cycle; roots-thread.c marks from it. */
#include "meta.h"
#include "os.h"
#include "thread.h"

struct gcdune_start *gcdune_starts;
static uint64_t serials;

struct gcdune_start *gcdune_start_new(void *(*routine)(void *), void *arg, bool detached)
{
	if (!gcdune_thread_get())
		return NULL;
	gcdune_critical_enter(gcdune_thread_self);
	struct gcdune_start *start = gcdune_meta_alloc(sizeof *start);

	gcdune_critical_leave(gcdune_thread_self);
	if (!start)
		return NULL;
	gcdune_cycle_lock();
	start->routine = routine;
	start->arg = arg;
	start->detached = detached;
	start->serial = ++serials;
	start->next = gcdune_starts;
	start->link = &gcdune_starts;
	if (start->next)
		start->next->link = &start->next;
	gcdune_starts = start;
	gcdune_cycle_unlock();
	return start;
}

void gcdune_start_free(struct gcdune_start *start)
{
	gcdune_cycle_lock();
	*start->link = start->next;
	if (start->next)
		start->next->link = start->link;
	/* No collection can begin while we hold heap.cycle: this lock needs no critical section. */
	gcdune_meta_free(start, sizeof *start);
	gcdune_cycle_unlock();
}

static struct gcdune_start *find_start(pthread_t thread)
{
	struct gcdune_start *start = gcdune_starts;

	while (start && !(start->begun && pthread_equal(start->thread, thread)))
		start = start->next;
	return start;
}

void *gcdune_start_run(void *p)
{
	struct gcdune_start *start = p, *stale;
	void *arg = start->arg;

	if (!gcdune_thread_get())
		gcdune_panic("no memory for a new thread's record");
	gcdune_cycle_lock();
	/* Someone joined the last thread of this descriptor behind our back. */
	stale = find_start(pthread_self());
	if (stale)
		gcdune_start_free(stale);
	start->arg = NULL;
	start->thread = pthread_self();
	start->begun = true;
	gcdune_thread_self->start = start;
	gcdune_cycle_unlock();
	void *result = start->routine(arg);

	gcdune_start_result(result);
	return result;
}

void gcdune_start_result(void *result)
{
	if (gcdune_thread_self && gcdune_thread_self->start)
		gcdune_thread_self->start->arg = result;
}

/* The thread is about to leave the list; heap.cycle. */
void gcdune_start_ended(struct gcdune_thread *thread)
{
	struct gcdune_start *start = thread->start;

	thread->start = NULL;
	if (!start)
		return;
	start->ended = true;
	if (start->detached)
		gcdune_start_free(start);
}

uint64_t gcdune_start_serial(pthread_t thread)
{
	gcdune_cycle_lock();
	/* A thread that has not begun yet has no descriptor here; its record then stays until the descriptor is used
	 * again. */
	struct gcdune_start *start = find_start(thread);
	uint64_t serial = start ? start->serial : 0;

	gcdune_cycle_unlock();
	return serial;
}

void gcdune_start_joined(uint64_t serial)
{
	if (!serial)
		return;
	gcdune_cycle_lock();
	struct gcdune_start *start = gcdune_starts;

	while (start && start->serial != serial)
		start = start->next;
	if (start)
		gcdune_start_free(start);
	gcdune_cycle_unlock();
}

void gcdune_start_detached(pthread_t thread)
{
	gcdune_cycle_lock();
	struct gcdune_start *start = find_start(thread);

	if (start && start->ended)
		gcdune_start_free(start);
	else if (start)
		start->detached = true;
	gcdune_cycle_unlock();
}
