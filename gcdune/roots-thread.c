/* roots-thread.c - owns the reading of what belongs to threads: stacks (their own, fibers, alternate ones), registers, which a
 * stopped thread has put on its stack, and thread-local storage. It is read anew in each stop. World stopped; called by
 * cycle.c and by the other parts of roots.c.
 *
 * Thread-local storage: on x86-64 the thread pointer's second word is the dynamic thread vector, 16 bytes per module,
 * whose first word is the module's block in that thread or -1; vector[-1] holds its length. All of glibc's versions for
 * this processor agree. */
#include "dirty/library.h"
#include "mark.h"
#include "os.h"
#include "roots-parts.h"
#include "thread.h"

static bool covered(const struct gcdune_thread *thread, uintptr_t begin, uintptr_t end)
{
	return begin >= thread->stack_low && end <= thread->stack_end;
}

__attribute__((no_sanitize("address", "thread"))) static void mark_tls(const struct gcdune_thread *thread)
{
	struct entry {
		uintptr_t value, to_free;
	};
	const struct entry *vector = ((const struct entry *const *)thread->tp)[1];

	if (!covered(thread, thread->tp, thread->tp + GCDUNE_TCB_SIZE))
		gcdune_roots_mark_range(thread->tp, thread->tp + GCDUNE_TCB_SIZE);
	/* Values of pthread_setspecific beyond the first 32 keys are in blocks from malloc. */
	if (gcdune_thread_specific >= 0) {
		const uintptr_t *blocks = (const uintptr_t *)(thread->tp + (uintptr_t)gcdune_thread_specific);

		for (unsigned i = 1; i < 32; i++)
			if (blocks[i] && gcdune_os_is_mapped((void *)blocks[i], 512))
				gcdune_roots_mark_range(blocks[i], blocks[i] + 512);
	}
	if (!vector || !gcdune_os_is_mapped(vector - 1, sizeof *vector))
		return;
	uintptr_t length = vector[-1].value;

	if (length > 1 << 20 || !gcdune_os_is_mapped(vector, (length + 1) * sizeof *vector))
		return;
	for (size_t i = 0; i < gcdune_roots_modules.count; i++) {
		if (gcdune_roots_modules.items[i].id > length)
			continue;
		uintptr_t block = vector[gcdune_roots_modules.items[i].id].value;

		if (block == 0 || block == UINTPTR_MAX || covered(thread, block, block + gcdune_roots_modules.items[i].size))
			continue;
		/* Static blocks lie right below the thread pointer; others may be on their way in or out. */
		if ((block < thread->tp && thread->tp - block < 1 << 20) ||
		    gcdune_os_is_mapped((void *)block, gcdune_roots_modules.items[i].size))
			gcdune_roots_mark_range(block, block + gcdune_roots_modules.items[i].size);
	}
}

/* What a switch of stacks itself pushes below the frame that announced it. */
enum { SWITCH_SLACK = 1024 };

static void mark_left_stack(uintptr_t sp, uintptr_t low, uintptr_t high)
{
	if (sp >= low && sp < high)
		gcdune_roots_mark_range(sp - low > SWITCH_SLACK ? sp - SWITCH_SLACK : low, high);
}

static void mark_own_stack_whole(const struct gcdune_thread *thread)
{
	uintptr_t low, high;

	if (gcdune_os_mapping(thread->stack_end - 1, &low, &high) == 0)
		gcdune_roots_mark_range(low > thread->stack_low ? low : thread->stack_low, thread->stack_end);
}

static uint64_t look; /* at all threads; counts on */

static struct gcdune_stack *find_stack(uintptr_t sp)
{
	for (struct gcdune_stack *stack = gcdune_stacks; stack; stack = stack->next)
		if (sp >= stack->low && sp < stack->high)
			return stack;
	return NULL;
}

/* THREAD's registers are in memory above SP. */
static void mark_stack(struct gcdune_thread *thread, uintptr_t sp)
{
	uintptr_t low, high;

	/* In a fault handler of Dune mode's (dirty/dune-fault.c): what it interrupted counts, from the red zone on. */
	if (gcdune_dune_fault_stack(sp, &high, &low)) {
		gcdune_roots_mark_range(sp, high);
		sp = (low - 128) & ~(uintptr_t)7;
	}
	if (sp >= thread->stack_low && sp < thread->stack_end) {
		gcdune_roots_mark_range(sp, thread->stack_end);
		return;
	}
	/* Elsewhere: its own stack was left at own_sp if it told us so. */
	if (thread->own_sp && !thread->on_altstack)
		mark_left_stack(thread->own_sp, thread->stack_low, thread->stack_end);
	else
		mark_own_stack_whole(thread);
	struct gcdune_stack *stack = find_stack(sp);

	if (stack) {
		stack->seen = look;
		gcdune_roots_mark_range(sp, stack->high);
	} else if (thread->on_altstack && sp < thread->altstack_end) {
		gcdune_roots_mark_range(sp, thread->altstack_end);
		if (thread->stack) /* the handler interrupted a fiber, we cannot know where */
			gcdune_roots_mark_range(thread->stack->low, thread->stack->high);
	} else if (gcdune_os_mapping(sp, &low, &high) == 0) {
		/* A stack that no one told us of. */
		gcdune_roots_mark_range(sp, high);
	}
}

/* Its objects hold nothing, not even the next; and its first is where the program put it. */
static void mark_chain(const struct gcdune_chain *chain)
{
	gcdune_mark_object(chain->first);
	for (char *object = chain->from; object < chain->to; object += chain->step)
		gcdune_mark_object(object);
}

void gcdune_roots_threads(void)
{
	look++;
	/* First, for it may tell where the stacks end that threads are on by now (gcdune_thread_stack_end_tell). */
	if (gcdune_roots_callback) {
		gcdune_mark_main.source = NULL;
		gcdune_roots_callback(&gcdune_mark_main);
	}
	for (struct gcdune_thread *thread = gcdune_threads; thread; thread = thread->next) {
		mark_stack(thread, thread->sp);
		mark_tls(thread);
		mark_chain(&thread->chain);
	}
	for (struct gcdune_stack *stack = gcdune_stacks; stack; stack = stack->next)
		if (stack->seen != look)
			mark_left_stack(stack->sp, stack->low, stack->high);
	for (struct gcdune_start *start = gcdune_starts; start; start = start->next)
		gcdune_mark_object(start->arg);
}
