/* malloc-threads.c - malloc from several threads, for malloc.py: "mix" has each thread replace random objects of its own,
 * "pass" has pairs of threads in which one allocates what the other frees, "share" has all of them replace objects in one
 * table, whoever made them, and threads end and are followed by new ones (a server's, as in Larson and Krishnan, "Memory
 * Allocation for Long-Running Server Applications", ISMM 1998). Any malloc, by LD_PRELOAD.
 *
 *	malloc-threads mix|pass|share THREADS ROUNDS */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 1000, RING = 1024 };

static long rounds;
static _Atomic(void *) ring[64][RING];

static void *mix(void *arg)
{
	void *slots[SLOTS] = {0};
	uint32_t seed = (uint32_t)(uintptr_t)arg * 7919 + 1;

	for (long i = 0; i < rounds; i++) {
		seed = seed * 1103515245 + 12345;
		size_t slot = (seed >> 8) % SLOTS, size = 16 + (seed >> 16) % 200;

		if (seed >> 28 == 0)
			size *= 30;
		free(slots[slot]);
		slots[slot] = malloc(size);
		*(char *)slots[slot] = 1;
	}
	for (size_t i = 0; i < SLOTS; i++)
		free(slots[i]);
	return NULL;
}

static void *give(void *arg)
{
	_Atomic(void *) *mine = ring[(uintptr_t)arg / 2];

	for (long i = 0; i < rounds; i++) {
		char *object = malloc(16 + (size_t)i % 300);

		*object = 1;
		while (atomic_load_explicit(&mine[i % RING], memory_order_relaxed))
			sched_yield();
		atomic_store_explicit(&mine[i % RING], object, memory_order_release);
	}
	return NULL;
}

static void *take(void *arg)
{
	_Atomic(void *) *mine = ring[(uintptr_t)arg / 2];

	for (long i = 0; i < rounds; i++) {
		void *object;

		while (!(object = atomic_load_explicit(&mine[i % RING], memory_order_acquire)))
			sched_yield();
		atomic_store_explicit(&mine[i % RING], NULL, memory_order_release);
		free(object);
	}
	return NULL;
}

enum { SHARED = 20000, LIVES = 10 };

static _Atomic(void *) shared[SHARED];

static void *share(void *arg)
{
	uint32_t seed = (uint32_t)(uintptr_t)arg * 7919 + 1;

	for (long i = 0; i < rounds / LIVES; i++) {
		seed = seed * 1103515245 + 12345;
		char *object = malloc(10 + (seed >> 16) % 490);

		*object = 1;
		free(atomic_exchange_explicit(&shared[(seed >> 8) % SHARED], object, memory_order_acq_rel));
	}
	return NULL;
}

static void *share_lives(void *arg)
{
	for (uintptr_t life = 0; life < LIVES; life++) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, share, (void *)((uintptr_t)arg * LIVES + life)))
			abort();
		pthread_join(thread, NULL);
	}
	return NULL;
}

static void *(*routine(const char *kind, int i))(void *)
{
	if (!strcmp(kind, "mix"))
		return mix;
	if (!strcmp(kind, "share"))
		return share_lives;
	return strcmp(kind, "pass") ? NULL : i % 2 ? take : give;
}

int main(int argc, char **argv)
{
	pthread_t threads[128];
	int n;

	if (argc != 4 || !routine(argv[1], 0) || (n = atoi(argv[2])) < 1 || n > 128) {
		fputs("usage: malloc-threads mix|pass|share THREADS ROUNDS\n", stderr);
		return 2;
	}
	rounds = atol(argv[3]);
	for (int i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, routine(argv[1], i), (void *)(uintptr_t)i))
			return 1;
	for (int i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	puts("done");
	return 0;
}
