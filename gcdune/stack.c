/* stack.c - owns the list of stacks beyond the threads' own (fibers, coroutines), under heap.cycle; roots-thread.c scans them.
 * A switch is announced by a store of where the old stack was left; where a thread is, its stack pointer tells. */
#include <errno.h>

#include "meta.h"
#include "os.h"
#include "thread.h"

struct gcdune_stack *gcdune_stacks;

gcdune_stack *gcdune_stack_add(void *low, void *high)
{
	struct gcdune_thread *thread = gcdune_thread_get();

	if (!thread || low >= high)
		return NULL;
	gcdune_critical_enter(thread);
	struct gcdune_stack *stack = gcdune_meta_alloc(sizeof *stack);

	gcdune_critical_leave(thread);
	if (!stack)
		return NULL;
	stack->low = (uintptr_t)low;
	stack->high = (uintptr_t)high;
	gcdune_cycle_lock();
	stack->next = gcdune_stacks;
	stack->link = &gcdune_stacks;
	if (stack->next)
		stack->next->link = &stack->next;
	gcdune_stacks = stack;
	gcdune_cycle_unlock();
	return stack;
}

void gcdune_stack_remove(gcdune_stack *stack)
{
	struct gcdune_thread *thread = gcdune_thread_get();

	if (!stack || !thread)
		return;
	gcdune_cycle_lock();
	*stack->link = stack->next;
	if (stack->next)
		stack->next->link = stack->link;
	if (thread->stack == stack)
		thread->stack = NULL;
	gcdune_cycle_unlock();
	gcdune_critical_enter(thread);
	gcdune_meta_free(stack, sizeof *stack);
	gcdune_critical_leave(thread);
}

void gcdune_stack_switch(gcdune_stack *to)
{
	struct gcdune_thread *thread = gcdune_thread_self;
	uintptr_t sp = (uintptr_t)__builtin_frame_address(0);

	if (!thread)
		return;
	if (thread->stack)
		atomic_store_explicit(&thread->stack->sp, sp, memory_order_release);
	else
		thread->own_sp = sp;
	/* From here until the switch the stack pointer still tells where the thread is (roots-thread.c). */
	thread->stack = to;
}

void *gcdune_thread_stack_end(void)
{
	struct gcdune_thread *thread = gcdune_thread_get();

	return thread ? (void *)thread->stack_end : NULL;
}

int gcdune_thread_stack_end_set(void *end)
{
	struct gcdune_thread *thread = gcdune_thread_get();
	uintptr_t here = (uintptr_t)__builtin_frame_address(0), low, high;

	if (!thread || (uintptr_t)end <= here)
		return -EINVAL;
	if (here < thread->stack_low || here >= thread->stack_end) {
		/* Another stack altogether: it reaches down as far as its mapping. */
		if (gcdune_os_mapping(here, &low, &high) == 0)
			thread->stack_low = low;
	}
	thread->stack_end = (uintptr_t)end;
	return 0;
}

int gcdune_thread_stack_end_tell(pthread_t id, void *end)
{
	uintptr_t low, high;
	struct gcdune_thread *thread;
	int error = -ESRCH;

	gcdune_cycle_lock();
	for (thread = gcdune_threads; thread; thread = thread->next)
		if (thread->tp == (uintptr_t)id) {
			if (thread->stack_end != (uintptr_t)end && gcdune_os_mapping((uintptr_t)end - 1, &low, &high) == 0) {
				thread->stack_low = low;
				thread->stack_end = (uintptr_t)end;
			}
			error = 0;
		}
	gcdune_cycle_unlock();
	return error;
}
