/* lock.c - holding the collector off, stopping the world from outside (gc.h), and telling the program of the threads that a
 * collection stops. */
#include "libgc.h"

#include "loader.h"
#include "thread.h"

static GC_on_thread_event_proc on_thread_event;

void GC_alloc_lock(void)
{
	libgc_init();
	gcdune_cycle_lock();
}

void GC_alloc_unlock(void)
{
	gcdune_cycle_unlock();
}

/* The dynamic linker's lock must not stay with a stopped thread: the caller may need it. */
void GC_stop_world_external(void)
{
	libgc_init();
	if (!gcdune_thread_get())
		libgc_fatal("GC_stop_world_external: out of memory for a thread");
	gcdune_cycle_lock_with_loader();
	gcdune_stop_world();
}

void GC_start_world_external(void)
{
	gcdune_stop_release();
	gcdune_loader_unlock();
	gcdune_cycle_unlock();
}

void GC_set_on_thread_event(GC_on_thread_event_proc proc)
{
	gcdune_cycle_lock();
	on_thread_event = proc;
	gcdune_cycle_unlock();
}

GC_on_thread_event_proc GC_get_on_thread_event(void)
{
	return on_thread_event;
}

void libgc_tell_threads(GC_EventType event)
{
	if (!on_thread_event)
		return;
	for (struct gcdune_thread *thread = gcdune_threads; thread; thread = thread->next)
		if (thread != gcdune_thread_self && atomic_load(&thread->state) != GCDUNE_THREAD_BLOCKED)
			on_thread_event(event, (void *)thread->tp);
}

/* Whoever is on an alternate stack at a stop is found by asking the kernel. What it cannot be asked is where the thread's
 * ordinary stack is, if the program gave it another than the one it was made with. */
void GC_register_altstack(void *stack, GC_word size, void *altstack, GC_word altstack_size)
{
	(void)altstack;
	(void)altstack_size;
	libgc_init();
	if (!gcdune_thread_get() || !stack || !size)
		return;
	struct gcdune_thread *self = gcdune_thread_self;
	uintptr_t low = (uintptr_t)stack;

	gcdune_cycle_lock();
	if (low + size != self->stack_end || low != self->stack_low) {
		self->stack_low = low;
		self->stack_end = low + size;
	}
	gcdune_cycle_unlock();
}
