/* libgc-own - what our libgc.so.1 does beyond Boehm's, or more strictly: not run on the system's library.
 *
 * TSan does not know of threads in the child of a process that had some.
 *
 * TEST-FLAGS: link=libgc tsan=no torture=yes timeout=120 */
#define GC_NO_THREAD_REDIRECTS
#include "libgc-check.h"

#include <pthread.h>
#include <stdbool.h>
#include <sys/wait.h>

#include <gc/gc_disclaim.h>
#include <gc/gc_mark.h>

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

/* Objects that were disclaimed are freed, which makes no room for more than the collection that found them dead: there are about as
 * many collections as with other objects. */
static long disclaimed;

static void on_disclaim(void *object, void *data)
{
	(void)object;
	(void)data;
	disclaimed++;
}

static unsigned long collections_of(bool disclaim)
{
	static const struct GC_finalizer_closure closure = {on_disclaim, NULL};
	enum { OBJECTS = 4000000 };
	GC_word before = GC_get_gc_no();
	int objects = getenv("GCDUNE_TORTURE") ? N : OBJECTS;

	for (int i = 0; i < objects; i++)
		CHECK(disclaim ? GC_finalized_malloc(24, &closure) : GC_MALLOC(32));
	return (unsigned long)(GC_get_gc_no() - before);
}

static void test_disclaimed(void)
{
	GC_init_finalized_malloc();
	unsigned long without = collections_of(false), with = collections_of(true);

	printf("%ld disclaimed, %lu collections instead of %lu, heap %zu KiB\n", disclaimed, with, without, GC_get_heap_size() >> 10);
	CHECK(with >= without / 2);
	CHECK(disclaimed > 0 || getenv("GCDUNE_TORTURE")); /* too few to collect for */
}

/* A procedure that collects: what each of these collections finds, those of the highest addresses first, waits for it to return, and
 * has a mark bit until then. */
enum { NESTED = 40, EACH = 20 };
static GC_hidden_pointer waiting[NESTED * EACH];
static void **unreachable_soon;
static int nested_kind, nested_done;

static __attribute__((noinline)) void make_waiting(void)
{
	unreachable_soon = GC_MALLOC_UNCOLLECTABLE(sizeof(waiting));
	for (int i = 0; i < NESTED * EACH; i++) {
		unreachable_soon[i] = GC_generic_malloc(32, nested_kind);
		waiting[i] = GC_HIDE_POINTER(unreachable_soon[i]);
	}
}

static int on_nested(void *object)
{
	int unmarked = 0, spared = 0;
	GC_word before = GC_get_gc_no();

	(void)object;
	if (nested_done++)
		return 0;
	make_waiting();
	for (int i = NESTED; i-- > 0;) {
		memset(unreachable_soon + i * EACH, 0, EACH * sizeof(void *));
		wipe_stack();
		GC_gcollect();
	}
	if (GC_get_gc_no() < before + NESTED) /* not where another collection is just being asked for */
		return 0;
	for (int i = 0; i < NESTED * EACH; i++) {
		void *other = GC_REVEAL_POINTER(waiting[i]);

		if (GC_is_marked(other)) /* a stray pointer to it */
			continue;
		unmarked++;
		GC_set_mark_bit(other);
		spared += GC_is_marked(other);
		if (i % 2)
			GC_clear_mark_bit(other);
		CHECK_EQ(GC_is_marked(other), i % 2 == 0);
	}
	CHECK_EQ(spared, unmarked);
	CHECK_MOST(unmarked, NESTED * EACH);
	return 0;
}

static void make_nested(void)
{
	GC_generic_malloc(32, nested_kind);
}

static void test_nested(void)
{
	nested_kind = (int)GC_new_kind(GC_new_free_list(), GC_DS_LENGTH, 1, 1);
	GC_register_disclaim_proc(nested_kind, on_nested, 0);
	apart(make_nested);
	for (int i = 0; i < 100 && !nested_done; i++)
		collect();
	CHECK(nested_done > 0);
}

/* fork while another thread is in a disclaim procedure: its stack, and what was noted there, is not there in the child. */
static volatile int is_inside, go_on;

static void waits(void *object, void *data)
{
	(void)object;
	(void)data;
	is_inside = 1;
	while (!go_on)
		usleep(100);
}

static void *is_given(void *arg)
{
	static const struct GC_finalizer_closure closure = {waits, NULL};

	for (int i = 0; i < 100; i++)
		GC_finalized_malloc(24, &closure);
	while (!is_inside)
		GC_gcollect();
	return arg;
}

static void test_fork_inside(void)
{
	pthread_t thread;
	void *object = GC_MALLOC(24);
	int status;

	CHECK_EQ(GC_pthread_create(&thread, NULL, is_given, NULL), 0);
	while (!is_inside)
		usleep(100);
	pid_t pid = fork();

	CHECK(pid >= 0);
	go_on = 1;
	if (pid == 0) {
		for (int i = 0; i < 3; i++) {
			pthread_t other;

			/* Where the stack was. */
			CHECK_EQ(GC_pthread_create(&other, NULL, leave, NULL), 0);
			CHECK_EQ(GC_pthread_join(other, NULL), 0);
			GC_gcollect();
			CHECK(GC_is_marked(object));
		}
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK_EQ(status, 0);
	CHECK_EQ(GC_pthread_join(thread, NULL), 0);
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
	test_nested();
	test_fork();
	test_fork_inside();
	return 0;
}
