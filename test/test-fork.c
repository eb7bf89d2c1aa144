/* fork from a single thread: parent and child each have the whole heap and work on: allocate, collect, finalize, make
 * threads, fork again; also inside a finalizer, with collections disabled, and deep in a recursion of forks.
 *
 * TEST-FLAGS: timeout=120 torture=yes static=yes short=yes tsan=no
 */
#include "check.h"

struct node {
	struct node *next;
	struct target *target;
};

ROOT struct node *graph;
static size_t graph_length;
static struct watch dropped;

static void graph_make(size_t n)
{
	graph = NULL;
	for (size_t i = 0; i < n; i++) {
		struct node *node = gcdune_alloc(sizeof(*node));

		node->next = graph;
		node->target = target_new(i);
		graph = node;
	}
	graph_length = n;
}

static void graph_check(void)
{
	size_t i = graph_length;

	for (struct node *n = graph; n; n = n->next) {
		CHECK(i > 0);
		TARGET_CHECK(n->target, --i);
	}
	CHECK_EQ(i, 0);
}

static void make_garbage(void *arg)
{
	for (uint64_t i = 0; i < 1000; i++)
		watch_add(&dropped, target_new(i));
}

static void *other_thread(void *arg)
{
	struct node *list = NULL;

	for (size_t i = 0; i < rounds(20000, 500); i++) {
		struct node *n = gcdune_alloc(sizeof(*n));

		n->next = i % 100 ? list : NULL;
		n->target = target_new(i);
		list = n;
		TARGET_CHECK(n->target, i);
	}
	gcdune_collect();
	return NULL;
}

/* All that a process can do, done after a fork. */
static void work(void)
{
	pthread_t thread;
	uint64_t before = stats_now().collections;

	graph_check();
	gcdune_collect();
	CHECK(stats_now().collections > before);
	graph_check();
	make_in_thread(make_garbage, NULL);
	wipe_and_collect();
	CHECK_DEAD(watch_live(&dropped), dropped.count);
	watch_reset(&dropped);
	thread = thread_start(other_thread, NULL);
	other_thread(NULL);
	pthread_join(thread, NULL);
	graph_check();
	KEEP_ALIVE(gcdune_alloc(3 << 20));
	gcdune_collect_and_release();
	graph_check();
}

static void child_does(void (*what)(void))
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		alarm(100);
		what();
		_exit(0);
	}
	graph_check();
	gcdune_collect();
	CHECK_EQ(child_wait(pid), 0);
}

static void descend(void)
{
	static int depth;

	graph_check();
	if (++depth < 5)
		child_does(descend);
	work();
}

static unsigned finalized;

static void forking_finalizer(void *object, void *data)
{
	TARGET_CHECK(object, 77);
	finalized++;
	if (finalized == 1)
		child_does(work);
}

static void make_finalizable(void *arg)
{
	for (int i = 0; i < 20; i++)
		CHECK_EQ(gcdune_finalizer_set(target_new(77), forking_finalizer, NULL, GCDUNE_FINALIZE_ORDERED, NULL,
					      NULL), 0);
}

/* The child's finalizers run in the child, the parent's in the parent. */
static void in_finalizer(void)
{
	in_thread(make_finalizable, NULL);
	wipe_and_collect();
	wipe_and_collect();
	CHECKF(finalized >= 19 && finalized <= 20, "%u of 20 finalizers ran", finalized);
}

static void enable_and_work(void)
{
	CHECK(gcdune_is_disabled());
	CHECK_EQ(gcdune_enable(), 0);
	work();
}

int main(void)
{
	graph_make(rounds(100000, 3000));
	for (int i = 0; i < 3; i++)
		child_does(work);
	child_does(descend);
	in_finalizer();
	gcdune_disable();
	child_does(enable_and_work);
	CHECK_EQ(gcdune_enable(), 0);
	work();
	return 0;
}
