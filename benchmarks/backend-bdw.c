/* backend-bdw.c - the out-of-line part of backend.h on the Boehm-Demers-Weiser collector, with its default settings.
 *
 * Figures come from observe-bdw.c, which is linked into these programs.
 */
#include "backend.h"

#include <stdio.h>
#include <string.h>

void backend_init(void)
{
	GC_INIT();
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
