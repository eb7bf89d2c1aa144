/* GCDUNE_FINALIZE_ON_DEMAND: nothing runs until gcdune_finalizers_run; what waits is kept whole, is announced once
 * per collection that found some, and runs in the thread that asks; AUTO runs them in the thread that collected.
 *
 * TEST-FLAGS: timeout=60 torture=yes
 */
#include "check.h"

#define COUNT 500

static unsigned called, notified;
static pthread_t runner;

static void finalizer(void *object, void *data)
{
	TARGET_CHECK(object, (uintptr_t)data >> 1);
	CHECKF(pthread_equal(pthread_self(), runner), "a finalizer ran in a wrong thread");
	called++;
}

static void notify(void)
{
	notified++;
	/* No lock is held: it may allocate, and ask. */
	KEEP_ALIVE(target_new(1));
	CHECK(gcdune_finalizers_pending());
}

static void make(void *arg)
{
	for (uintptr_t i = 0; i < COUNT; i++)
		CHECK_EQ(gcdune_finalizer_set(target_new(i), finalizer, (void *)(i << 1 | 1), GCDUNE_FINALIZE_UNORDERED,
					      NULL, NULL), 0);
}

static void run_here(void *arg)
{
	runner = pthread_self();
	*(size_t *)arg = gcdune_finalizers_run();
}

static void collect_here(void *arg)
{
	runner = pthread_self();
	gcdune_collect();
	gcdune_collect();
}

static void on_demand(void)
{
	size_t ran = 0;

	gcdune_finalizers_mode_set(GCDUNE_FINALIZE_ON_DEMAND);
	CHECK(!gcdune_finalizers_pending());
	CHECK_EQ(gcdune_finalizers_run(), 0);
	in_thread(make, NULL);
	wipe_and_collect();
	CHECK_EQ(called, 0);
	CHECK(gcdune_finalizers_pending());
	CHECK(notified >= 1);
	/* They wait, through more collections and reuse of memory. */
	for (int i = 0; i < 3; i++) {
		wipe_and_collect();
		for (size_t k = 0; k < 2000; k++)
			KEEP_ALIVE(target_new(~k));
	}
	CHECK_EQ(called, 0);
	in_thread(run_here, &ran);
	CHECKF(ran >= COUNT - COUNT / 20 && ran <= COUNT, "%zu of %d finalizers ran", ran, COUNT);
	CHECK_EQ(called, ran);
	CHECK(!gcdune_finalizers_pending());
	CHECK_EQ(gcdune_finalizers_run(), 0);
}

static void not_without_need(void)
{
	unsigned before;

	/* Stragglers first. */
	for (int i = 0; i < 2; i++) {
		wipe_and_collect();
		runner = pthread_self();
		gcdune_finalizers_run();
	}
	before = notified;
	gcdune_collect();
	CHECK_EQ(notified, before);
}

static void automatic(void)
{
	gcdune_finalizers_notify_set(NULL);
	gcdune_finalizers_mode_set(GCDUNE_FINALIZE_AUTO);
	called = 0;
	/* Under torture the thread that makes them would collect. */
	gcdune_disable();
	in_thread(make, NULL);
	wipe_stack();
	CHECK_EQ(gcdune_enable(), 0);
	in_thread(collect_here, NULL);
	CHECKF(called >= COUNT - COUNT / 20, "%u of %d finalizers ran", called, COUNT);
}

int main(void)
{
	gcdune_finalizers_notify_set(notify);
	on_demand();
	not_without_need();
	automatic();
	return 0;
}
