/* Thread-specific data (pthread_setspecific) is a root: of the first 32 keys, which lie in the thread's
 * descriptor, and of later ones, which do not; and values are still there while the destructors of the keys run at
 * thread exit.
 *
 * TEST-FLAGS: timeout=60 torture=yes tsan=no
 */
#include "check.h"

#define KEYS 200
#define THREADS 4

static pthread_key_t keys[KEYS];
static pthread_barrier_t filled, collected;
static unsigned destructions;

/* A key's destructor collects and allocates as any code of the thread may. */
static void destructor(void *value)
{
	struct target *t = value;

	if (t->id % 10 == 0)
		gcdune_collect();
	KEEP_ALIVE(target_new(1));
	TARGET_CHECK(t, t->id);
	__atomic_fetch_add(&destructions, 1, __ATOMIC_RELAXED);
}

static void NOINLINE fill(uint64_t id)
{
	for (size_t i = 0; i < KEYS; i++)
		CHECK_EQ(pthread_setspecific(keys[i], target_new(id + i)), 0);
}

static void NOINLINE check(uint64_t id)
{
	for (size_t i = 0; i < KEYS; i++)
		TARGET_CHECK(pthread_getspecific(keys[i]), id + i);
}

static void *thread(void *arg)
{
	uint64_t id = (uintptr_t)arg * 1000;

	fill(id);
	wipe_stack();
	pthread_barrier_wait(&filled);
	pthread_barrier_wait(&collected);
	check(id);
	return NULL;
}

int main(void)
{
	pthread_t threads[THREADS];

	pthread_barrier_init(&filled, NULL, THREADS + 1);
	pthread_barrier_init(&collected, NULL, THREADS + 1);
	for (size_t i = 0; i < KEYS; i++)
		CHECK_EQ(pthread_key_create(&keys[i], destructor), 0);
	for (uintptr_t i = 0; i < THREADS; i++)
		threads[i] = thread_start(thread, (void *)(i + 1));
	fill(0);
	pthread_barrier_wait(&filled);
	for (int i = 0; i < 3; i++)
		wipe_and_collect();
	for (size_t i = 0; i < rounds(1000, 1000); i++)
		KEEP_ALIVE(target_new(9));
	pthread_barrier_wait(&collected);
	check(0);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	CHECK_EQ(destructions, KEYS * THREADS);
	return 0;
}
