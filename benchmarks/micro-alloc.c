/* micro-alloc.c - what one allocation costs when little is live.
 *
 * Each thread allocates COUNT objects of SIZE bytes, writes the first word, and keeps the last 64 in a ring; on
 * malloc what falls out of the ring is freed. Collections are part of the time. Prints nanoseconds of wall time for
 * each allocation of the process: with two threads on two cores it should be half of that with one.
 *
 * Usage: micro-alloc THREADS [COUNT]
 */
#include "backend.h"
#include "program.h"

#include <time.h>

enum { ALLOC_SIZE = 32, ALLOC_RING = 64, ALLOC_MAX_THREADS = 64 };

static pthread_barrier_t alloc_barrier;
static long alloc_count;
static double alloc_began;
static double alloc_ended;

static double alloc_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void alloc_many(uint64_t **ring, long count)
{
	for (long i = 0; i < count; i++) {
		uint64_t *object = backend_alloc(ALLOC_SIZE);

		*object = (uint64_t)i;
		backend_free(ring[i % ALLOC_RING]);
		ring[i % ALLOC_RING] = object;
	}
}

static void *alloc_thread(void *arg)
{
	uint64_t **ring = backend_alloc_zeroed(ALLOC_RING * sizeof(uint64_t *));

	(void)arg;
	alloc_many(ring, alloc_count / 10);
	program_use(ring);
	if (pthread_barrier_wait(&alloc_barrier) == PTHREAD_BARRIER_SERIAL_THREAD)
		alloc_began = alloc_now();
	alloc_many(ring, alloc_count);
	if (pthread_barrier_wait(&alloc_barrier) == PTHREAD_BARRIER_SERIAL_THREAD)
		alloc_ended = alloc_now();
	program_use(ring);
	return NULL;
}

int main(int argc, char **argv)
{
	int threads = (int)program_number(argc, argv, 1, 1);
	pthread_t ids[ALLOC_MAX_THREADS];

	if (threads < 1 || threads > ALLOC_MAX_THREADS)
		return 2;
	alloc_count = program_number(argc, argv, 2, 100000000);
	backend_init();
	pthread_barrier_init(&alloc_barrier, NULL, (unsigned)threads);
	for (int i = 1; i < threads; i++)
		backend_thread_create(&ids[i], alloc_thread, NULL);
	alloc_thread(NULL);
	for (int i = 1; i < threads; i++)
		backend_thread_join(ids[i]);
	printf("%.4f\n", (alloc_ended - alloc_began) / ((double)alloc_count * threads));
	return 0;
}
