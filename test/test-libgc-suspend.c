/* Holding off: the allocator's lock by two calls, stopping the world from outside, suspending and resuming one thread
 * (collections go on meanwhile, and what it holds lives), the events of threads, signal stacks.
 *
 * TEST-FLAGS: link=libgc tsan=no
 */
#include "libgc-check.h"

#include <signal.h>
#include <stdatomic.h>
#include <gc/javaxfc.h>

static atomic_int running, stop;
static atomic_long turns;

static void *spin(void *arg)
{
	void *volatile held = GC_MALLOC(64);

	*(long *)held = 4711;
	running = 1;
	while (!stop) {
		turns++;
		if (arg)
			GC_MALLOC(16);
	}
	CHECK_EQ(*(long *)held, 4711);
	return NULL;
}

static int goes_on(void)
{
	long before = turns;

	for (int i = 0; i < 2000; i++) {
		usleep(1000);
		if (turns != before)
			return 1;
	}
	return 0;
}

static int stands_still(void)
{
	usleep(20000);
	long before = turns;

	usleep(30000);
	return turns == before;
}

static pthread_t start(void *arg)
{
	pthread_t thread;

	running = stop = 0;
	CHECK_EQ(pthread_create(&thread, NULL, spin, arg), 0);
	while (!running)
		usleep(1000);
	return thread;
}

static void end(pthread_t thread)
{
	stop = 1;
	CHECK_EQ(pthread_join(thread, NULL), 0);
}

static void test_suspend(void *allocates)
{
	pthread_t thread = start(allocates);

	CHECK_EQ(GC_is_thread_suspended((GC_SUSPEND_THREAD_ID)thread), 0);
	for (int i = 0; i < 5; i++) {
		GC_suspend_thread((GC_SUSPEND_THREAD_ID)thread);
		GC_suspend_thread((GC_SUSPEND_THREAD_ID)thread);
		CHECK(GC_is_thread_suspended((GC_SUSPEND_THREAD_ID)thread) != 0);
		CHECK(stands_still());
		for (int j = 0; j < 3; j++) {
			for (int k = 0; k < 1000; k++)
				memset(GC_MALLOC(64), 0xff, 64);
			collect();
		}
		CHECK(stands_still());
		GC_resume_thread((GC_SUSPEND_THREAD_ID)thread);
		CHECK_EQ(GC_is_thread_suspended((GC_SUSPEND_THREAD_ID)thread), 0);
		CHECK(goes_on());
		collect();
	}
	end(thread);
	/* A thread that the collector does not know. */
	GC_resume_thread((GC_SUSPEND_THREAD_ID)pthread_self());
}

static void *short_lived(void *arg)
{
	GC_MALLOC(16);
	GC_gcollect();
	return arg;
}

/* A thread can be suspended from its making to its joining: before it has begun, while it runs, and when it has ended. Most of
 * these are suspended while they, or others, collect. */
static void test_any_time(void)
{
	enum { ROUNDS = 300 };
	pthread_t thread = start(&running);

	for (int i = 0; i < ROUNDS; i++) {
		pthread_t other, ended;

		CHECK_EQ(pthread_create(&ended, NULL, short_lived, NULL), 0);
		CHECK_EQ(pthread_create(&other, NULL, short_lived, NULL), 0);
		if (i % 2)
			usleep((unsigned)(i % 50) * 20);
		pthread_t one = i % 4 < 2 ? other : ended;

		CHECK_EQ(GC_is_thread_suspended((GC_SUSPEND_THREAD_ID)one), 0);
		GC_suspend_thread((GC_SUSPEND_THREAD_ID)one);
		CHECK(GC_is_thread_suspended((GC_SUSPEND_THREAD_ID)one) != 0);
		GC_suspend_thread((GC_SUSPEND_THREAD_ID)one);
		GC_resume_thread((GC_SUSPEND_THREAD_ID)one);
		CHECK_EQ(GC_is_thread_suspended((GC_SUSPEND_THREAD_ID)one), 0);
		GC_resume_thread((GC_SUSPEND_THREAD_ID)one);
		CHECK_EQ(pthread_join(ended, NULL), 0);
		CHECK_EQ(pthread_join(other, NULL), 0);
	}
	end(thread);
}

static void test_world(void)
{
	pthread_t thread = start(NULL);

	GC_stop_world_external();
	long before = turns;

	for (volatile int i = 0; i < 10000000; i++)
		;
	CHECK_EQ(turns, before);
	GC_start_world_external();
	CHECK(goes_on());
	end(thread);
}

/* A collection of another thread's waits for the lock. */
static void *collects(void *arg)
{
	running = 1;
	while (!stop)
		usleep(1000);
	GC_gcollect();
	atomic_store((atomic_int *)arg, 1);
	return NULL;
}

static void test_lock(void)
{
	atomic_int done = 0;
	pthread_t thread;

	running = stop = 0;
	CHECK_EQ(pthread_create(&thread, NULL, collects, &done), 0);
	while (!running)
		usleep(1000);
	GC_alloc_lock();
	stop = 1;
	usleep(50000);
	CHECK_EQ(done, 0);
	GC_alloc_unlock();
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_EQ(done, 1);
}

static int events[2];
static pthread_t expected;

static void on_event(GC_EventType event, void *thread)
{
	CHECK(event == GC_EVENT_THREAD_SUSPENDED || event == GC_EVENT_THREAD_UNSUSPENDED);
	if ((pthread_t)thread == expected)
		events[event == GC_EVENT_THREAD_UNSUSPENDED]++;
}

static void test_events(void)
{
	pthread_t thread = start(NULL);

	expected = thread;
	CHECK(GC_get_on_thread_event() == NULL);
	GC_set_on_thread_event(on_event);
	CHECK(GC_get_on_thread_event() == on_event);
	collect();
	GC_set_on_thread_event(NULL);
	/* A collection may stop it several times. */
	CHECK(events[0] >= 1);
	CHECK_EQ(events[1], events[0]);
	end(thread);
}

static int on_signal_stack;

static void handler(int signal)
{
	(void)signal;
	void *volatile held = GC_MALLOC(64);

	*(long *)held = 1234;
	for (int i = 0; i < 1000; i++)
		memset(GC_MALLOC(64), 0xff, 64);
	GC_gcollect();
	for (int i = 0; i < 1000; i++)
		memset(GC_MALLOC(64), 0xff, 64);
	CHECK_EQ(*(long *)held, 1234);
	on_signal_stack = 1;
}

static void *with_altstack(void *arg)
{
	pthread_attr_t attr;
	void *low;
	size_t size;
	stack_t former, stack = { .ss_sp = malloc(65536), .ss_size = 65536 };
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_ONSTACK };

	pthread_getattr_np(pthread_self(), &attr);
	pthread_attr_getstack(&attr, &low, &size);
	pthread_attr_destroy(&attr);
	sigaltstack(&stack, &former);
	GC_register_altstack(low, size, stack.ss_sp, stack.ss_size);
	sigaction(SIGUSR1, &action, NULL);
	raise(SIGUSR1);
	CHECK_EQ(on_signal_stack, 1);
	sigaltstack(&former, NULL);
	return arg;
}

int main(void)
{
	pthread_t thread;

	GC_INIT();
	test_suspend(NULL);
	test_suspend(&stop);
	test_any_time();
	test_world();
	test_lock();
	test_events();
	CHECK_EQ(pthread_create(&thread, NULL, with_altstack, NULL), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	return 0;
}
