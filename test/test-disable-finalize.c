/* test-disable-finalize.c - finalizers that a cycle of the collector's own thread has left behind are not run by an
 * allocation of a thread that has disabled collections, which may hold a lock that they take; afterwards they are.
 *
 * TEST-FLAGS: timeout=60 env:GCDUNE_MODE=concurrent
 */
#include "check.h"

static volatile bool forbidden, begun;
static unsigned ran;

static void finalizer(void *object, void *data)
{
	(void)object;
	(void)data;
	CHECK(!forbidden);
	ran++;
}

static void on_event(enum gcdune_event event)
{
	if (event == GCDUNE_EVENT_STOPPED)
		begun = true;
}

static void *drops(void *arg)
{
	for (uint64_t i = 0; i < 1000; i++)
		CHECK_EQ(gcdune_finalizer_set(target_new(i), finalizer, NULL, GCDUNE_FINALIZE_ORDERED, NULL, NULL), 0);
	return arg;
}

static void allocate(size_t bytes)
{
	for (size_t done = 0; done < bytes; done += 64)
		KEEP_ALIVE(gcdune_alloc(64));
}

int main(void)
{
	pthread_join(thread_start(drops, NULL), NULL);
	for (int round = 0; round < 5; round++) {
		uint64_t before = stats_now().collections;

		begun = false;
		gcdune_event_set(on_event);
		while (!begun)
			allocate(4096);
		/* It ends without an allocation of ours, and what it found is due. */
		for (int i = 0; i < 1000 && stats_now().collections == before; i++)
			sleep_ms(1);
		sleep_ms(5);
		gcdune_disable();
		forbidden = true;
		allocate(1 << 20);
		forbidden = false;
		CHECK_EQ(gcdune_enable(), 0);
		allocate(1 << 20);
	}
	CHECKF(ran >= 900, "%u of 1000 finalizers were run", ran);
	return 0;
}
