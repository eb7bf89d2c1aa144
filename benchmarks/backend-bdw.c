/* backend-bdw.c - the out-of-line part of backend.h on the Boehm-Demers-Weiser collector, with its default settings.
 *
 * Figures come from observe-bdw.c, which is linked into these programs.
 */
#include "backend.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <gc/gc_mark.h>

/* Boehm's collector knows one stack for each thread. Of the others, those that were left are pushed from the stack pointer
 * at that moment, less what the switch itself may push; the one that was switched to becomes the thread's. */
struct backend_stack {
	struct backend_stack *next, *before;
	char *low, *high, *pointer; /* NULL: never left, or running */
};

enum { SWITCH_PUSHES = 512 };

static struct backend_stack backend_own = {.next = &backend_own, .before = &backend_own};
static struct backend_stack *backend_current = &backend_own;
static GC_push_other_roots_proc backend_others;

static void backend_push_stacks(void)
{
	struct backend_stack *stack = &backend_own;

	do {
		if (stack->pointer)
			GC_push_all_eager(stack->pointer, stack->high);
	} while ((stack = stack->next) != &backend_own);
	if (backend_others)
		backend_others();
}

void *backend_stack_add(void *low, void *high)
{
	struct backend_stack *stack = calloc(1, sizeof(*stack));

	if (!stack)
		backend_out_of_memory(sizeof(*stack));
	if (!backend_own.high) {
		struct GC_stack_base base;

		GC_get_my_stackbottom(&base);
		backend_own.high = base.mem_base;
		backend_others = GC_get_push_other_roots();
		GC_set_push_other_roots(backend_push_stacks);
	}
	stack->low = low;
	stack->high = high;
	stack->next = &backend_own;
	stack->before = backend_own.before;
	stack->before->next = backend_own.before = stack;
	return stack;
}

void backend_stack_remove(void *gone)
{
	struct backend_stack *stack = gone;

	stack->next->before = stack->before;
	stack->before->next = stack->next;
	free(stack);
}

void backend_stack_switch(void *to)
{
	struct backend_stack *stack = to ? to : &backend_own;
	struct GC_stack_base base = {.mem_base = stack->high};
	char *here = __builtin_frame_address(0);

	backend_current->pointer = here - SWITCH_PUSHES;
	if (backend_current->low && backend_current->pointer < backend_current->low)
		backend_current->pointer = backend_current->low;
	stack->pointer = NULL;
	backend_current = stack;
	GC_set_stackbottom(NULL, &base);
}

void backend_thread_attach(void)
{
	struct GC_stack_base base;

	if (GC_get_stack_base(&base) == GC_SUCCESS)
		GC_register_my_thread(&base);
}

void backend_thread_detach(void)
{
	GC_unregister_my_thread();
}

bool backend_finalizer(void *object, void (*fn)(void *object, void *data))
{
	GC_register_finalizer_no_order(object, fn, NULL, NULL, NULL);
	return true;
}

bool backend_link(void **link, void *object)
{
	*link = (void *)GC_HIDE_POINTER(object);
	return GC_general_register_disappearing_link(link, object) == GC_SUCCESS;
}

void backend_init(void)
{
	GC_INIT();
	GC_allow_register_threads();
}

void backend_collect(void)
{
	GC_gcollect();
}

void backend_thread_create(pthread_t *thread, void *(*fn)(void *), void *arg)
{
	int error = GC_pthread_create(thread, NULL, fn, arg);

	if (error) {
		fprintf(stderr, "GC_pthread_create: %s\n", strerror(error));
		exit(1);
	}
}

void backend_thread_join(pthread_t thread)
{
	GC_pthread_join(thread, NULL);
}

void backend_out_of_memory(size_t size)
{
	fprintf(stderr, "out of memory: Boehm's collector has no %zu bytes\n", size);
	exit(1);
}
