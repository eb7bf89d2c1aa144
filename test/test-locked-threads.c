/* gcdune_locked_call in several threads at once, each asking again and again: never two at a time; a thread that asks
 * seldom, and one that collects, come to it while the others go on.
 *
 * TEST-FLAGS: timeout=120 torture=yes tsan=no
 */
#include "check.h"

#define THREADS 4

static volatile int stop;
static size_t inside, calls; /* under the lock */

static void *count(void *arg)
{
	CHECKF(inside == 0, "two threads are in gcdune_locked_call");
	inside = 1;
	calls++;
	inside = 0;
	return arg;
}

static void *again_and_again(void *arg)
{
	size_t n = 0;

	while (!stop) {
		for (int i = 0; i < 100; i++)
			CHECK(gcdune_locked_call(count, &n) == &n);
		n += 100;
		KEEP_ALIVE(target_new(n));
	}
	*(size_t *)arg = n;
	return NULL;
}

static void *seldom(void *arg)
{
	size_t n = rounds(200, 20);

	for (size_t i = 0; i < n; i++) {
		sleep_ms(1);
		gcdune_locked_call(count, NULL);
	}
	*(size_t *)arg = n;
	return NULL;
}

int main(void)
{
	pthread_t threads[THREADS + 1];
	size_t done[THREADS + 1], sum = 0;

	for (size_t i = 0; i < THREADS; i++)
		threads[i] = thread_start(again_and_again, &done[i]);
	threads[THREADS] = thread_start(seldom, &done[THREADS]);
	for (size_t i = 0; i < rounds(50, 5); i++)
		gcdune_collect();
	pthread_join(threads[THREADS], NULL);
	stop = 1;
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 0; i <= THREADS; i++)
		sum += done[i];
	CHECK_EQ(calls, sum);
	return 0;
}
