/* suspend.c - stopping one thread for as long as another wants (GC_suspend_thread; debuggers of programs).
 *
 * A thread that runs is suspended in the handler of a stop of the world: it stays there, on `suspended', when the others
 * go on, and counts as BLOCKED from its saved stack pointer, so that collections neither signal it nor wait for it. One
 * that is BLOCKED already goes on in its blocking region and is held when it wants to leave it (blocking.c, cycle.c).
 * Everything here is under heap.cycle, so no collection sees a state in between. */
#include "loader.h"
#include "os.h"
#include "thread.h"

static struct gcdune_thread *find(pthread_t thread)
{
	struct gcdune_thread *record = gcdune_threads;

	while (record && record->tp != (uintptr_t)thread)
		record = record->next;
	return record;
}

static void *nothing(void *arg)
{
	return arg;
}

void gcdune_thread_suspend(pthread_t id)
{
	gcdune_cycle_lock();
	struct gcdune_thread *thread = find(id);

	if (!thread || atomic_load(&thread->suspended)) {
		gcdune_cycle_unlock();
		return;
	}
	if (thread == gcdune_thread_self) {
		atomic_store(&thread->suspended, 1);
		gcdune_cycle_unlock();
		gcdune_blocking_call(nothing, NULL); /* and is held on leaving it */
		return;
	}
	if (atomic_load(&thread->state) == GCDUNE_THREAD_BLOCKED) {
		atomic_store(&thread->suspended, 1);
	} else {
		/* The dynamic linker's lock must not be with the one that stays stopped. */
		gcdune_loader_lock();
		gcdune_stop_world();
		atomic_store(&thread->suspended, 1);
		atomic_store(&thread->state, GCDUNE_THREAD_BLOCKED);
		thread->parked = true;
		gcdune_stop_release();
		gcdune_loader_unlock();
	}
	gcdune_cycle_unlock();
}

void gcdune_thread_resume(pthread_t id)
{
	gcdune_cycle_lock();
	struct gcdune_thread *thread = find(id);

	if (thread && atomic_load(&thread->suspended)) {
		if (thread->parked)
			atomic_store(&thread->state, GCDUNE_THREAD_RUNNING);
		thread->parked = false;
		atomic_store(&thread->suspended, 0);
		gcdune_os_futex_wake(&thread->suspended, 1 << 30);
	}
	gcdune_cycle_unlock();
}

bool gcdune_thread_is_suspended(pthread_t id)
{
	gcdune_cycle_lock();
	struct gcdune_thread *thread = find(id);
	bool suspended = thread && atomic_load(&thread->suspended);

	gcdune_cycle_unlock();
	return suspended;
}
