/* blocking.c - regions in which a thread does not touch the heap, so that a collection need not stop it.
 *
 * While a thread is BLOCKED its stack from thread->sp on is what it left behind, and is scanned as that. It becomes
 * RUNNING again only under heap.cycle, that is, when no collection is under way. */
#include "os.h"
#include "thread.h"

struct call {
	void *(*fn)(void *);
	void *arg;
	void *result;
};

static void wait_for_release(struct gcdune_thread *thread, int state);

/* Everything the caller holds in registers is in the frame of the function that spilled them, above this one's. */
static __attribute__((noinline)) void call_blocked(struct gcdune_thread *thread, struct call *call)
{
	uintptr_t outer = thread->sp;

	thread->sp = (uintptr_t)__builtin_frame_address(0);
	atomic_store(&thread->state, GCDUNE_THREAD_BLOCKED);
	call->result = call->fn(call->arg);
	wait_for_release(thread, GCDUNE_THREAD_RUNNING);
	thread->sp = outer;
}

static __attribute__((noinline)) void call_active(struct gcdune_thread *thread, struct call *call)
{
	uintptr_t outer = thread->sp;

	wait_for_release(thread, GCDUNE_THREAD_RUNNING);
	call->result = call->fn(call->arg);
	thread->sp = outer;
	atomic_store(&thread->state, GCDUNE_THREAD_BLOCKED);
}

/* A brief stop is over sooner than a thread that sleeps is woken. */
static void lock_cycle(void)
{
	for (uint64_t until = gcdune_os_now() + gcdune_stop_brief(); !gcdune_cycle_trylock(); __builtin_ia32_pause()) {
		if (gcdune_os_now() < until)
			continue;
		gcdune_cycle_lock();
		return;
	}
}

/* Becomes RUNNING again, but not while the world is stopped. A collection looks at the state only while it holds
 * heap.cycle, and is over when it lets go: having the lock once is enough. */
static void wait_for_release(struct gcdune_thread *thread, int state)
{
	if (!gcdune_cycle_locked_here()) {
		lock_cycle();
		while (atomic_load(&thread->suspended)) {
			gcdune_cycle_unlock();
			gcdune_os_futex_wait(&thread->suspended, 1);
			gcdune_cycle_lock();
		}
		atomic_store(&thread->state, state);
		gcdune_cycle_unlock();
	} else {
		atomic_store(&thread->state, state);
	}
}

static void *with_spilled_registers(void (*fn)(struct gcdune_thread *, struct call *), void *(*what)(void *), void *arg)
{
	struct call call = {what, arg, NULL};

	__builtin_unwind_init(); /* callee-saved registers to this frame */
	fn(gcdune_thread_self, &call);
	__asm__ volatile("" : : : "memory"); /* not a tail call */
	return call.result;
}

void *gcdune_blocking_call(void *(*fn)(void *), void *arg)
{
	struct gcdune_thread *thread = gcdune_thread_self;

	if (!thread || thread->critical || atomic_load(&thread->state) == GCDUNE_THREAD_BLOCKED ||
	    gcdune_cycle_locked_here())
		return fn(arg);
	return with_spilled_registers(call_blocked, fn, arg);
}

void *gcdune_active_call(void *(*fn)(void *), void *arg)
{
	struct gcdune_thread *thread = gcdune_thread_self;

	if (!thread || atomic_load(&thread->state) != GCDUNE_THREAD_BLOCKED)
		return fn(arg);
	return with_spilled_registers(call_active, fn, arg);
}
