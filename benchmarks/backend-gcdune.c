/* backend-gcdune.c - the out-of-line part of backend.h on gcdune.
 *
 * Figures are left to GCDUNE_STATS=FILE, which the driver sets for every program on gcdune, rebuilt or not.
 */
#include "backend.h"

#include <stdio.h>
#include <string.h>

void backend_init(void)
{
	int error = gcdune_init();

	if (error) {
		fprintf(stderr, "gcdune_init: %s\n", strerror(-error));
		exit(1);
	}
}

void backend_collect(void)
{
	gcdune_collect();
}

void backend_thread_create(pthread_t *thread, void *(*fn)(void *), void *arg)
{
	int error = pthread_create(thread, NULL, fn, arg);

	if (error) {
		fprintf(stderr, "pthread_create: %s\n", strerror(error));
		exit(1);
	}
}

void backend_thread_join(pthread_t thread)
{
	pthread_join(thread, NULL);
}

void *backend_stack_add(void *low, void *high)
{
	gcdune_stack *stack = gcdune_stack_add(low, high);

	if (!stack)
		backend_out_of_memory(0);
	return stack;
}

void backend_stack_remove(void *stack)
{
	gcdune_stack_remove(stack);
}

void backend_stack_switch(void *to)
{
	gcdune_stack_switch(to);
}

/* Threads are found by themselves. */
void backend_thread_attach(void)
{
}

void backend_thread_detach(void)
{
}

bool backend_finalizer(void *object, void (*fn)(void *object, void *data))
{
	return gcdune_finalizer_set(object, fn, NULL, GCDUNE_FINALIZE_UNORDERED, NULL, NULL) == 0;
}

bool backend_link(void **link, void *object)
{
	*link = GCDUNE_HIDE(object);
	return gcdune_link_add(link, object, GCDUNE_LINK_SHORT) == 0;
}

void backend_out_of_memory(size_t size)
{
	fprintf(stderr, "out of memory: gcdune has no %zu bytes\n", size);
	exit(1);
}
