/* Threads that come and go by the thousand while others allocate, collect and check what they hold: no object is
 * lost, whichever thread made it; the results that ended threads left are still there when they are joined; no
 * thread is counted for ever.
 * Not under ASan, whose own pthread_create keeps argument and result where no one else looks.
 *
 * TEST-FLAGS: timeout=120 torture=yes static=yes short=yes asan=no tsan=no
 */
#include "check.h"

#define WORKERS 3

struct node {
	struct node *next;
	struct target *target;
};

static volatile int stop;	/* not bool: gcc 12 with -fsanitize=bool reads a volatile one only once */
ROOT struct node *shared[WORKERS];
static pthread_mutex_t shared_lock[WORKERS] = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
						PTHREAD_MUTEX_INITIALIZER };

static struct node *NOINLINE list_new(uint64_t id, size_t length)
{
	struct node *list = NULL;

	for (size_t i = 0; i < length; i++) {
		struct node *n = gcdune_alloc(sizeof(*n) + i % 5 * 16);

		n->next = list;
		n->target = target_new(id + i);
		list = n;
	}
	return list;
}

static void NOINLINE list_check(struct node *list, uint64_t id, size_t length)
{
	for (; list; list = list->next) {
		CHECK(length > 0);
		TARGET_CHECK(list->target, id + --length);
	}
	CHECK_EQ(length, 0);
}

/* Each worker replaces its list and checks another's, made by another thread. */
static void *worker(void *arg)
{
	size_t me = (size_t)arg;
	uint64_t n = 0;

	while (!stop) {
		struct node *list = list_new(n, 50);
		size_t other = (me + n) % WORKERS;

		pthread_mutex_lock(&shared_lock[me]);
		shared[me] = list;
		pthread_mutex_unlock(&shared_lock[me]);
		pthread_mutex_lock(&shared_lock[other]);
		list = shared[other];
		pthread_mutex_unlock(&shared_lock[other]);
		if (list)
			list_check(list, list->target->id - 49, 50);
		if (++n % 64 == 0)
			gcdune_collect();
	}
	return (void *)(uintptr_t)n;
}

static void *short_lived(void *arg)
{
	struct node *given = arg;

	list_check(given, given->target->id - 9, 10);
	return list_new(given->target->id, 20);
}

static void come_and_go(void)
{
	pthread_t threads[16];
	uint64_t ids[16];

	for (size_t round = 0; round < rounds(150, 8); round++) {
		for (size_t i = 0; i < 16; i++) {
			struct node *list = list_new(round * 1000 + i * 20, 10);

			ids[i] = list->target->id;
			threads[i] = thread_start(short_lived, list);
		}
		/* They have ended, mostly; what they return is held by nothing but their descriptors. */
		if (round % 8 == 0)
			gcdune_collect();
		for (size_t i = 0; i < 16; i++) {
			void *result;

			CHECK_EQ(pthread_join(threads[i], &result), 0);
			list_check(result, ids[i], 20);
		}
	}
}

static void *ends_by_exit(void *arg)
{
	pthread_exit(target_new((uintptr_t)arg));
}

/* Detached ones too; and results looked at only after several collections. */
static void *detached(void *arg)
{
	KEEP_ALIVE(list_new(7, 30));
	__atomic_fetch_sub((unsigned *)arg, 1, __ATOMIC_RELAXED);
	return NULL;
}

static void results_wait(void)
{
	pthread_t threads[100];
	static unsigned left = 100;
	pthread_attr_t attr;

	for (uintptr_t i = 0; i < 100; i++)
		threads[i] = thread_start(ends_by_exit, (void *)i);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	for (int i = 0; i < 100; i++) {
		pthread_t thread;

		CHECK_EQ(pthread_create(&thread, &attr, detached, &left), 0);
	}
	pthread_attr_destroy(&attr);
	while (__atomic_load_n(&left, __ATOMIC_RELAXED))
		sleep_ms(1);
	sleep_ms(20);
	for (int i = 0; i < 5; i++)
		wipe_and_collect();
	KEEP_ALIVE(list_new(0, 3000));
	for (uintptr_t i = 0; i < 100; i++) {
		void *result;

		pthread_join(threads[i], &result);
		TARGET_CHECK(result, i);
	}
}

int main(void)
{
	pthread_t workers[WORKERS];
	uint32_t threads;

	CHECK_EQ(gcdune_init(), 0);
	CHECK(gcdune_thread_is_attached());
	threads = stats_now().threads;
	CHECK_EQ(threads, 1);
	for (size_t i = 0; i < WORKERS; i++)
		workers[i] = thread_start(worker, (void *)i);
	come_and_go();
	results_wait();
	stop = true;
	for (size_t i = 0; i < WORKERS; i++) {
		void *n;

		pthread_join(workers[i], &n);
		CHECKF(n != NULL, "worker %zu did nothing", i);
	}
	/* A joined thread may still be leaving the list, a detached one end a little later. */
	for (int i = 0; i < 1000 && stats_now().threads != 1; i++)
		sleep_ms(5);
	CHECK_EQ(stats_now().threads, 1);
	return 0;
}
