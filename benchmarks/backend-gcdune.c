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

void backend_out_of_memory(size_t size)
{
	fprintf(stderr, "out of memory: gcdune has no %zu bytes\n", size);
	exit(1);
}
