/* Threads that the collector was not told of, made by C11's thrd_create (which calls pthread_create inside libc):
 * attached by hand or by their first allocation, detached by hand or by their end, and what they hold in between is
 * kept.
 *
 * TEST-FLAGS: timeout=60 torture=yes static=yes tsan=no
 */
#include <threads.h>

#include "check.h"

#define THREADS 4
#define COUNT 500

static pthread_barrier_t ready, collected;
ROOT void *handed_over[THREADS][COUNT];

static void NOINLINE hold(void **objects, uint64_t id)
{
	for (size_t i = 0; i < COUNT; i++)
		objects[i] = target_new(id + i);
}

static void NOINLINE check(void *const *objects, uint64_t id)
{
	for (size_t i = 0; i < COUNT; i++)
		TARGET_CHECK(objects[i], id + i);
}

static int attaches_by_hand(void *arg)
{
	size_t me = (size_t)arg;
	void *volatile objects[COUNT];

	CHECK(!gcdune_thread_is_attached());
	CHECK_EQ(gcdune_thread_detach(), -EINVAL);
	CHECK_EQ(gcdune_thread_attach(), 0);
	CHECK(gcdune_thread_is_attached());
	CHECK_EQ(gcdune_thread_attach(), -EALREADY);
	/* It has allocated nothing; it takes over what others made. */
	for (size_t i = 0; i < COUNT; i++) {
		objects[i] = handed_over[me][i];
		handed_over[me][i] = NULL;
	}
	pthread_barrier_wait(&ready);
	pthread_barrier_wait(&collected);
	check((void **)(uintptr_t)objects, me * COUNT);
	hold((void **)(uintptr_t)objects, me * COUNT + 1);
	gcdune_collect();
	check((void **)(uintptr_t)objects, me * COUNT + 1);
	CHECK_EQ(gcdune_thread_detach(), 0);
	CHECK(!gcdune_thread_is_attached());
	CHECK_EQ(gcdune_thread_detach(), -EINVAL);
	/* Again, and left to the end of the thread this time. */
	CHECK_EQ(gcdune_thread_attach(), 0);
	hold((void **)(uintptr_t)objects, me);
	gcdune_collect();
	check((void **)(uintptr_t)objects, me);
	return 0;
}

static int attached_by_allocation(void *arg)
{
	size_t me = (size_t)arg;
	void *volatile objects[COUNT];

	hold((void **)(uintptr_t)objects, me * COUNT);
	CHECK(gcdune_thread_is_attached());
	pthread_barrier_wait(&ready);
	pthread_barrier_wait(&collected);
	check((void **)(uintptr_t)objects, me * COUNT);
	return 0;
}

/* Never attached: it must not be waited for, nor harmed. */
static volatile int stop;	/* not bool: gcc 12 with -fsanitize=bool reads a volatile one only once */

static int stranger(void *arg)
{
	while (!stop)
		++*(uint64_t *)arg;
	return gcdune_thread_is_attached();
}

static void run(int (*fn)(void *))
{
	thrd_t threads[THREADS];

	for (size_t i = 0; i < THREADS; i++)
		CHECK_EQ(thrd_create(&threads[i], fn, (void *)i), thrd_success);
	pthread_barrier_wait(&ready);
	for (int i = 0; i < 5; i++)
		wipe_and_collect();
	for (size_t i = 0; i < 2000; i++)
		KEEP_ALIVE(target_new(i));
	pthread_barrier_wait(&collected);
	for (size_t i = 0; i < THREADS; i++)
		CHECK_EQ(thrd_join(threads[i], NULL), thrd_success);
	for (int i = 0; i < 1000 && stats_now().threads != 1; i++)
		sleep_ms(5);
	CHECK_EQ(stats_now().threads, 1);
}

int main(void)
{
	thrd_t thread;
	uint64_t counter = 0;
	int result;

	CHECK_EQ(gcdune_init(), 0);
	pthread_barrier_init(&ready, NULL, THREADS + 1);
	pthread_barrier_init(&collected, NULL, THREADS + 1);
	thrd_create(&thread, stranger, &counter);
	for (size_t i = 0; i < THREADS; i++)
		hold(handed_over[i], i * COUNT);
	run(attaches_by_hand);
	run(attached_by_allocation);
	stop = true;
	CHECK_EQ(thrd_join(thread, &result), thrd_success);
	CHECK_EQ(result, 0);
	return 0;
}
