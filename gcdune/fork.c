/* fork.c - makes fork safe at any moment. The forking thread waits until the collector's own threads have begun, and for
 * heap.cycle, so the world is not stopped, then takes every lock that other threads may hold, so that the child finds
 * each structure whole. In the child only this thread is left: the others' caches are given back, the markers and the
 * collector's thread are made anew when needed. A cycle that was marking is given up there: until the next one begins,
 * what was marked and what was not live both (mark.c).
 * Registered by gcdune_init. */
#include <pthread.h>

#include "backtrace.h"
#include "cycle.h"
#include "finalize.h"
#include "loader.h"
#include "mark.h"
#include "meta.h"
#include "options.h"
#include "os.h"
#include "thread.h"

static void prepare(void)
{
	struct gcdune_thread *self = gcdune_thread_self;

	gcdune_os_fork_begins(gcdune_options.signal);
	gcdune_cycle_lock_with_loader();
	if (self)
		gcdune_critical_enter(self);
	gcdune_finalize_lock();
	pthread_mutex_lock(&gcdune_heap.lock);
	gcdune_meta_lock();
	gcdune_backtrace_lock();
	gcdune_worklist_lock();
}

static void parent(void)
{
	struct gcdune_thread *self = gcdune_thread_self;

	gcdune_backtrace_unlock();
	gcdune_worklist_unlock();
	gcdune_meta_unlock();
	pthread_mutex_unlock(&gcdune_heap.lock);
	gcdune_finalize_unlock();
	if (self)
		gcdune_critical_leave(self);
	gcdune_loader_unlock();
	gcdune_cycle_unlock();
	gcdune_os_fork_ends(false);
}

static void child(void)
{
	struct gcdune_thread *self = gcdune_thread_self;

	gcdune_backtrace_unlock();
	gcdune_meta_after_fork();
	gcdune_heap_lock_init();
	gcdune_finalize_after_fork();
	gcdune_mark_after_fork();
	gcdune_thread_after_fork();
	gcdune_cycle_lock_after_fork();
	gcdune_cycle_after_fork();
	gcdune_loader_after_fork();
	if (self) {
		self->stop_pending = 0;
		atomic_store(&self->stop_wanted, 0);
		gcdune_critical_leave(self);
	}
	gcdune_cycle_unlock();
	gcdune_os_fork_ends(true);
}

void gcdune_fork_init(void)
{
	if (pthread_atfork(prepare, parent, child))
		gcdune_warn("no memory for fork handlers: a child of fork must not allocate");
}
