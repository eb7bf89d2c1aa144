/* libgc-own - what our libgc.so.1 does beyond Boehm's, or more strictly: not run on the system's library.
 *
 * TSan does not know of threads in the child of a process that had some.
 *
 * TEST-FLAGS: link=libgc tsan=no torture=yes timeout=120 */
#define GC_NO_THREAD_REDIRECTS
#include "libgc-check.h"

#include <pthread.h>
#include <sys/wait.h>

#include <gc/gc_disclaim.h>

struct cell {
	struct cell *next;
	size_t id;
};

static struct cell *make_list(size_t length)
{
	struct cell *list = NULL;

	for (size_t i = 0; i < length; i++) {
		struct cell *cell = GC_NEW(struct cell);

		cell->id = i;
		cell->next = list;
		list = cell;
	}
	return list;
}

/* A result given to GC_pthread_exit lives until it is joined. */
static void *leave(void *arg)
{
	(void)arg;
	GC_pthread_exit(make_list(1000));
}

static void test_exit(void)
{
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		CHECK_EQ(GC_pthread_create(&threads[i], NULL, leave, NULL), 0);
	usleep(100000);
	for (int i = 0; i < 4; i++) {
		void *result;
		struct cell *list;

		collect();
		make_list(5000);
		CHECK_EQ(GC_pthread_join(threads[i], &result), 0);
		list = result;
		for (size_t k = 1000; k-- > 0; list = list->next)
			CHECK(list->id == k);
	}
}

static void never(void *object, void *data)
{
	(void)object;
	(void)data;
	CHECK(!"the finalizer of a freed object ran");
}

static void make_freed(void)
{
	for (size_t i = 0; i < N; i++) {
		void *object = GC_MALLOC(32);

		GC_REGISTER_FINALIZER_NO_ORDER(object, never, NULL, NULL, NULL);
		GC_FREE(object);
	}
}

/* Links to what never dies. */
static void test_outside(void)
{
	static void *link, *other;
	static int outside;

	CHECK_EQ(GC_general_register_disappearing_link(&link, &outside), GC_SUCCESS);
	CHECK_EQ(GC_unregister_disappearing_link(&link), 0);
	CHECK_EQ(GC_move_disappearing_link(&link, &other), GC_NOT_FOUND);
	CHECK_EQ(GC_register_long_link(&link, (char *)GC_MALLOC(32) + 8), GC_SUCCESS);
	CHECK_EQ(GC_unregister_long_link(&link), 1);
}

static void test_aligned(void)
{
	for (size_t alignment = 8192; alignment <= 1 << 20; alignment *= 2)
		CHECK((uintptr_t)GC_memalign(alignment, 100) % alignment == 0);
}

static void make_default_proc(void)
{
	GC_push_other_roots_proc proc = GC_get_push_other_roots();

	proc();
}

/* fork, and threads in the child. */
static void test_fork(void)
{
	struct cell *list = make_list(1000);
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		pthread_t thread;
		void *result;

		collect();
		CHECK_EQ(GC_pthread_create(&thread, NULL, leave, NULL), 0);
		CHECK_EQ(GC_pthread_join(thread, &result), 0);
		for (size_t k = 1000; k-- > 0; list = list->next)
			CHECK(list->id == k);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK_EQ(status, 0);
	GC_reachable_here(list);
}

/* Objects that wait for their disclaim procedure are no reason to collect later: neither do they live, nor is their memory, once freed,
 * more than the collection has found dead. Boehm's collects each 84 KiB here. */
static void on_disclaim(void *object, void *data)
{
	(void)object;
	++*(long *)data;
}

static void test_disclaimed(void)
{
	enum { OBJECTS = 2000000 };
	static long disclaimed;
	static const struct GC_finalizer_closure closure = {on_disclaim, &disclaimed};
	GC_word before = GC_get_gc_no();

	GC_init_finalized_malloc();
	for (int i = 0; i < OBJECTS; i++) {
		GC_finalized_malloc(24, &closure);
		if (getenv("GCDUNE_TORTURE") && i >= N)
			return;
	}
	printf("%ld disclaimed, %lu collections, heap %zu KiB\n", disclaimed, (unsigned long)(GC_get_gc_no() - before),
	       GC_get_heap_size() >> 10);
	CHECK(disclaimed >= OBJECTS / 2);
	CHECK(GC_get_gc_no() - before >= 7);
}

int main(void)
{
	struct cell *early = GC_MALLOC(16); /* without GC_INIT */

	CHECK(early && !early->next);
	GC_INIT();
	CHECK(GC_get_version() == 0x080202);
	CHECK_EQ(GC_get_thr_restart_signal(), -1);
	test_exit();
	apart(make_freed);
	settle();
	test_outside();
	test_aligned();
	make_default_proc();
	test_disclaimed();
	test_fork();
	return 0;
}
