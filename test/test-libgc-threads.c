/* libgc-threads - threads by the wrappers and by hand: arguments, results and stacks keep what they hold; blocking
 * regions and calls back from them; the lock; stack bases.
 *
 * TSan holds signals back from a thread that waits for a mutex, so one that waits for another's collection never stops.
 *
 * TEST-FLAGS: link=libgc tsan=no torture=yes timeout=120 */
#define GC_NO_THREAD_REDIRECTS
#include "libgc-check.h"

#include <pthread.h>
#include <signal.h>

#define THREADS 4

struct cell {
	struct cell *next;
	size_t id;
};

static struct cell *make_list(size_t length, size_t tag)
{
	struct cell *list = NULL;

	for (size_t i = 0; i < length; i++) {
		struct cell *cell = GC_NEW(struct cell);

		CHECK(cell && !cell->next && !cell->id);
		cell->id = tag + i;
		cell->next = list;
		list = cell;
	}
	return list;
}

static __attribute__((noinline)) void check_list(struct cell *list, size_t length, size_t tag)
{
	while (length-- > 0) {
		CHECK(list && list->id == tag + length);
		list = list->next;
	}
	CHECK(!list);
}

/* The only pointer to the list is the argument; the only one to the result is the thread's. */
static void *work(void *arg)
{
	struct cell *list = arg;
	size_t tag = list->id;

	CHECK(GC_thread_is_registered());
	for (int round = 0; round < 20; round++) {
		struct cell *own = make_list(500, tag * 1000);

		if (round % 5 == 0)
			GC_gcollect();
		check_list(own, 500, tag * 1000);
	}
	return make_list(100, tag);
}

static void test_wrappers(void)
{
	pthread_t threads[THREADS];

	for (size_t i = 0; i < THREADS; i++)
		CHECK_EQ(GC_pthread_create(&threads[i], NULL, work, make_list(1, i)), 0);
	wipe_stack();
	for (size_t i = 0; i < THREADS; i++) {
		void *result;

		/* Threads have probably ended by now: their results wait. */
		for (int k = 0; k < 5; k++)
			collect();
		check_list(make_list(1000, 7), 1000, 7);
		CHECK_EQ(GC_pthread_join(threads[i], &result), 0);
		check_list(result, 100, i);
	}
}

static volatile int detached_done;

static void *detached(void *arg)
{
	check_list(arg, 10, 3);
	__sync_fetch_and_add(&detached_done, 1);
	return NULL;
}

static void test_detached(void)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	CHECK_EQ(GC_pthread_create(&thread, &attr, detached, make_list(10, 3)), 0);
	pthread_attr_destroy(&attr);
	CHECK_EQ(GC_pthread_create(&thread, NULL, detached, make_list(10, 3)), 0);
	CHECK_EQ(GC_pthread_detach(thread), 0);
	while (detached_done < 2) {
		collect();
		usleep(100);
	}
}

static void *nothing(void *arg)
{
	return arg;
}

/* Makes threads and joins or detaches them while others do so: a descriptor is another thread's as soon as one is joined. */
static void *makes_threads(void *arg)
{
	for (size_t i = 0; i < 300; i++) {
		pthread_t thread;
		void *result;

		CHECK_EQ(GC_pthread_create(&thread, NULL, nothing, arg), 0);
		if (i % 3 == 0) {
			CHECK_EQ(GC_pthread_detach(thread), 0);
			continue;
		}
		CHECK_EQ(GC_pthread_join(thread, &result), 0);
		CHECK(result == arg);
	}
	return NULL;
}

static void test_descriptors(void)
{
	pthread_t threads[THREADS];

	for (size_t i = 0; i < THREADS; i++)
		CHECK_EQ(GC_pthread_create(&threads[i], NULL, makes_threads, &threads[i]), 0);
	for (size_t i = 0; i < THREADS; i++)
		CHECK_EQ(GC_pthread_join(threads[i], NULL), 0);
}

/* A thread that the collector did not make. */
static void *by_hand(void *arg)
{
	struct GC_stack_base base, again;
	int here;

	(void)arg;
	CHECK(!GC_thread_is_registered());
	CHECK_EQ(GC_get_stack_base(&base), GC_SUCCESS);
	CHECK((char *)base.mem_base > (char *)&here && (char *)base.mem_base - (char *)&here < (64 << 20));
	for (int round = 0; round < 3; round++) {
		CHECK_EQ(GC_register_my_thread(&base), GC_SUCCESS);
		CHECK_EQ(GC_register_my_thread(&base), GC_DUPLICATE);
		CHECK(GC_thread_is_registered());
		CHECK(GC_get_my_stackbottom(&again) != NULL);
		CHECK((char *)again.mem_base > (char *)&here);
		struct cell *list = make_list(300, 5);
		collect();
		check_list(list, 300, 5);
		CHECK_EQ(GC_unregister_my_thread(), GC_SUCCESS);
		CHECK(!GC_thread_is_registered());
	}
	return NULL;
}

static void test_by_hand(void)
{
	pthread_t thread;

	GC_allow_register_threads();
	CHECK(GC_thread_is_registered());
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(pthread_create(&thread, NULL, by_hand, NULL), 0);
		CHECK_EQ(pthread_join(thread, NULL), 0);
	}
}

/* A thread in a blocking region does not keep others from collecting, and what it holds below stays. */
static volatile int blocked, unblock;

static void *back_again(void *arg)
{
	check_list(arg, 50, 11);
	struct cell *list = make_list(200, 13);
	collect();
	check_list(list, 200, 13);
	return list;
}

static void *block(void *arg)
{
	sigset_t all, old;

	/* No signal can stop this thread now. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	blocked = 1;
	while (!unblock)
		usleep(100);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return GC_call_with_gc_active(back_again, arg);
}

static void *blocker(void *arg)
{
	struct cell *list = make_list(50, 11);

	(void)arg;
	check_list(GC_do_blocking(block, list), 200, 13);
	check_list(list, 50, 11);
	return NULL;
}

static void test_blocking(void)
{
	pthread_t thread;

	blocked = unblock = 0;
	CHECK_EQ(GC_pthread_create(&thread, NULL, blocker, NULL), 0);
	while (!blocked)
		usleep(100);
	for (int i = 0; i < 5; i++) {
		collect();
		check_list(make_list(2000, 1), 2000, 1);
	}
	unblock = 1;
	CHECK_EQ(GC_pthread_join(thread, NULL), 0);
}

static void *plus_one(void *arg)
{
	return (char *)arg + 1;
}

static void *with_base(struct GC_stack_base *base, void *arg)
{
	int here;

	CHECK((char *)base->mem_base > (char *)&here);
	return (char *)arg + 2;
}

static void test_calls(void)
{
	char c[3];

	CHECK(GC_call_with_alloc_lock(plus_one, c) == c + 1);
	CHECK(GC_call_with_gc_active(plus_one, c) == c + 1);
	CHECK(GC_call_with_stack_base(with_base, c) == c + 2);
}

static void test_sigmask(void)
{
	sigset_t all, now;

	sigfillset(&all);
	CHECK_EQ(GC_pthread_sigmask(SIG_BLOCK, &all, NULL), 0);
	CHECK_EQ(GC_pthread_sigmask(SIG_BLOCK, NULL, &now), 0);
	CHECK(sigismember(&now, SIGUSR1));
	CHECK(!sigismember(&now, GC_get_suspend_signal()));
	CHECK_EQ(GC_pthread_sigmask(SIG_UNBLOCK, &all, NULL), 0);
}

/* What GC_pthread_create stores is there when the thread begins. */
static pthread_t early[50];

static void *look_early(void *arg)
{
	CHECK(pthread_equal(*(pthread_t *)arg, pthread_self()));
	return NULL;
}

static void test_early(void)
{
	for (int i = 0; i < 50; i++)
		CHECK_EQ(GC_pthread_create(&early[i], NULL, look_early, &early[i]), 0);
	for (int i = 0; i < 50; i++)
		CHECK_EQ(GC_pthread_join(early[i], NULL), 0);
}

/* The end of another thread's stack, told by its handle, before each collection. */
static void *volatile handle;
static struct GC_stack_base handle_base;
static volatile int handle_stop;

static void *has_handle(void *arg)
{
	void *volatile held = GC_MALLOC(64);

	*(long *)held = 4711;
	handle = GC_get_my_stackbottom(&handle_base);
	while (!handle_stop)
		usleep(1000);
	CHECK_EQ(*(long *)held, 4711);
	return arg;
}

static void test_handle(void)
{
	pthread_t thread;

	CHECK_EQ(GC_pthread_create(&thread, NULL, has_handle, NULL), 0);
	while (!handle)
		usleep(1000);
	for (int i = 0; i < 5; i++) {
		GC_alloc_lock();
		GC_set_stackbottom(handle, &handle_base);
		GC_alloc_unlock();
		collect();
		for (int k = 0; k < 1000; k++)
			memset(GC_MALLOC(64), 0xff, 64);
	}
	handle_stop = 1;
	CHECK_EQ(GC_pthread_join(thread, NULL), 0);
}

int main(void)
{
	GC_INIT();
	test_early();
	test_handle();
	test_calls();
	test_wrappers();
	test_detached();
	test_descriptors();
	test_by_hand();
	test_blocking();
	test_sigmask();
	return 0;
}
