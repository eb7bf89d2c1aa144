/* backend-malloc.c - the out-of-line part of backend.h on malloc and free.
 *
 * Which malloc is decided at link time: the same objects are linked with jemalloc, with mimalloc and with neither.
 */
#include "backend.h"

#include <stdio.h>
#include <string.h>

void backend_init(void)
{
}

void backend_collect(void)
{
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
	return low;
}

void backend_stack_remove(void *stack)
{
}

void backend_stack_switch(void *to)
{
}

void backend_thread_attach(void)
{
}

void backend_thread_detach(void)
{
}

bool backend_finalizer(void *object, void (*fn)(void *object, void *data))
{
	return false;
}

bool backend_link(void **link, void *object)
{
	return false;
}

void backend_out_of_memory(size_t size)
{
	fprintf(stderr, "out of memory: malloc has no %zu bytes\n", size);
	exit(1);
}
