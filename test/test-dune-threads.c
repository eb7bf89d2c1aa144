/* test-dune-threads.c - threads in Dune mode: creation and joining, thread-local storage, mutexes and condition
 * variables, many at a time, threads that end in each way, detached ones, cancellation, thread-directed signals,
 * mmap and munmap from several at once, sched_setaffinity.
 *
 * TEST-FLAGS: link=dune asan=no tsan=no short=yes timeout=300 */
#include "dune-check.h"

#include <sched.h>
#include <sys/syscall.h>

static __thread int local = 7;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static int shared, waiting;

static void *simple(void *argument)
{
	size_t me = (size_t)argument;

	CHECK_EQ(local, 7);
	local = (int)me;
	CHECK(gettid() != getpid());
	for (int i = 0; i < 100; i++) {
		pthread_mutex_lock(&mutex);
		shared++;
		pthread_mutex_unlock(&mutex);
	}
	CHECK_EQ(local, (int)me);
	if (me % 3 == 0)
		pthread_exit((void *)(me + 1));
	return (void *)(me + 1);
}

static void *nothing(void *argument)
{
	return argument;
}

static void *sleeper(void *argument)
{
	pthread_mutex_lock(&mutex);
	waiting++;
	while (!shared)
		pthread_cond_wait(&condition, &mutex);
	pthread_mutex_unlock(&mutex);
	return NULL;
}

static void *mapper(void *argument)
{
	uint64_t seed = (size_t)argument + 99;

	for (int i = 0; i < 100; i++) {
		size_t pages = random_next(&seed) % 64 + 1;
		char *at = map_pages(pages);

		for (size_t p = 0; p < pages; p++) {
			CHECK_EQ(at[p * PAGE], 0);
			at[p * PAGE] = (char)i;
		}
		if (i % 3 == 0) {
			CHECK(!mprotect(at, pages * PAGE, PROT_READ));
			CHECK(!mprotect(at, pages * PAGE, PROT_READ | PROT_WRITE));
		}
		if (i % 4 == 0)
			CHECK(!madvise(at, pages * PAGE, MADV_DONTNEED));
		for (size_t p = 0; p < pages; p++)
			CHECK_EQ(at[p * PAGE], i % 4 ? (char)i : 0);
		CHECK(!munmap(at, pages * PAGE));
	}
	return NULL;
}

static void *forever(void *argument)
{
	for (;;)
		pause();
	return NULL;
}

static void *spin(void *argument)
{
	volatile int *stop = argument;

	while (!*stop)
		;
	return NULL;
}

static volatile int hits;
static __thread volatile int hits_here;
static void on_signal(int sig)
{
	__atomic_fetch_add(&hits, 1, __ATOMIC_SEQ_CST);
	hits_here++;
}

static void *counts(void *argument)
{
	while (hits_here < 5)
		sched_yield();
	return NULL;
}

static void many(int count)
{
	pthread_t *threads = calloc((size_t)count, sizeof(*threads));
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 << 10);
	shared = waiting = 0;
	for (int i = 0; i < count; i++)
		CHECK_EQ(pthread_create(&threads[i], &attr, sleeper, NULL), 0);
	for (;;) {
		pthread_mutex_lock(&mutex);
		if (waiting == count)
			break;
		pthread_mutex_unlock(&mutex);
		usleep(1000);
	}
	shared = 1;
	pthread_cond_broadcast(&condition);
	pthread_mutex_unlock(&mutex);
	for (int i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	free(threads);
}

int main(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	volatile int stop = 0;
	pthread_t threads[16];
	pthread_attr_t detached;
	struct dune_probe probe;
	cpu_set_t set;
	void *result;

	enter_or_skip();
	sigaction(SIGUSR1, &action, NULL);
	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	for (int round = 0; round < repetitions(200); round++) {
		shared = 0;
		for (size_t i = 0; i < 8; i++)
			CHECK_EQ(pthread_create(&threads[i], NULL, simple, (void *)i), 0);
		for (size_t i = 0; i < 8; i++) {
			CHECK(!pthread_join(threads[i], &result));
			CHECK_EQ((size_t)result, i + 1);
		}
		CHECK_EQ(shared, 800);
		CHECK_EQ(local, 7);
		CHECK_EQ(pthread_create(&threads[0], &detached, nothing, NULL), 0);
		CHECK_EQ(pthread_create(&threads[1], NULL, forever, NULL), 0);
		CHECK_EQ(pthread_create(&threads[2], NULL, counts, NULL), 0);
		for (int i = 0; i < 1000 && pthread_kill(threads[2], 0) == 0 && i < 5; i++) {
			int before = hits;

			pthread_kill(threads[2], SIGUSR1);
			while (hits == before)
				sched_yield();
		}
		pthread_cancel(threads[1]);
		CHECK(!pthread_join(threads[1], &result) && result == PTHREAD_CANCELED);
		CHECK(!pthread_join(threads[2], NULL));
		if (round % 10 == 0) {
			for (size_t i = 0; i < 4; i++)
				CHECK_EQ(pthread_create(&threads[i], NULL, mapper, (void *)i), 0);
			for (int i = 0; i < 4; i++)
				CHECK(!pthread_join(threads[i], NULL));
		}
	}
	dune_probe(&probe);
	CHECK(probe.max_threads >= 40);
	many(getenv("DUNE_SMALL") ? 40 : probe.max_threads < 1024 ? (int)probe.max_threads / 2 : 1000);

	/* Leaving is for a process with one thread. */
	CHECK_EQ(pthread_create(&threads[0], NULL, spin, (void *)&stop), 0);
	CHECK_EQ(dune_leave(), -EBUSY);
	CHECK(!sched_getaffinity(0, sizeof(set), &set) && CPU_COUNT(&set) > 0);
	stop = 1;
	pthread_join(threads[0], NULL);
	/* The process ends while others run. */
	stop = 0;
	for (int i = 0; i < 4; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, i % 2 ? spin : forever, (void *)&stop), 0);
	return 0;
}
