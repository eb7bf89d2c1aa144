/* fork while other threads allocate, collect, fork and end: the child has one thread, nobody's locks, and the
 * whole heap. It verifies what all threads had published, collects, allocates, and has a child of its own.
 *
 * TEST-FLAGS: timeout=180 torture=yes static=yes tsan=no
 */
#include <sched.h>

#include "check.h"

#define THREADS 3
#define LENGTH 60

struct node {
	struct node *next;
	struct target *target;
};

static volatile int stop; /* 1: no more forks; 2: nothing more */

/* A thread that begins or ends may hold a lock of ASan's allocator, which no fork gives back in the child (gcc 12). So
 * with ASan none does either while another forks; elsewhere that is what shall happen. */
static pthread_mutex_t apart = PTHREAD_MUTEX_INITIALIZER;
static _Atomic bool begun, may_end;
#ifdef __SANITIZE_ADDRESS__
enum { KEPT_APART = 1 };
#else
enum { KEPT_APART = 0 };
#endif

static void keep_apart(void)
{
	if (KEPT_APART)
		CHECK_EQ(pthread_mutex_lock(&apart), 0);
}

static void no_longer(void)
{
	if (KEPT_APART)
		CHECK_EQ(pthread_mutex_unlock(&apart), 0);
}

static pthread_t start(void *(*fn)(void *), void *arg)
{
	pthread_t thread;

	keep_apart();
	begun = false;
	thread = thread_start(fn, arg);
	while (KEPT_APART && !begun)
		sched_yield();
	no_longer();
	return thread;
}

ROOT struct node *volatile published[THREADS + 1];
static unsigned forks;

static struct node *NOINLINE list_new(uint64_t id)
{
	struct node *list = NULL;

	for (uint64_t i = 0; i < LENGTH; i++) {
		struct node *n = gcdune_alloc(sizeof(*n) + mix(id + i) % 200);

		n->next = list;
		n->target = target_new(id * LENGTH + i);
		list = n;
	}
	return list;
}

static void NOINLINE list_check(struct node *list)
{
	uint64_t id = list->target->id;

	CHECK_EQ(id % LENGTH, LENGTH - 1);
	for (size_t i = 0; i < LENGTH; i++, list = list->next)
		TARGET_CHECK(list->target, id - i);
	CHECK(list == NULL);
}

static void check_all(void)
{
	for (size_t i = 0; i <= THREADS; i++)
		if (published[i])
			list_check(published[i]);
}

static void work_in_child(void)
{
	alarm(60);
	check_all();
	gcdune_collect();
	check_all();
	for (uint64_t i = 0; i < 200; i++) {
		published[THREADS] = list_new(i);
		list_check(published[THREADS]);
	}
	KEEP_ALIVE(gcdune_alloc_leaf(500000));
	gcdune_collect();
	check_all();
}

static void in_child(void)
{
	pid_t pid;

	work_in_child();
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		work_in_child();
		_exit(0);
	}
	check_all();
	CHECK_EQ(child_wait(pid), 0);
	_exit(0);
}

static void fork_once(void)
{
	pid_t pid;

	keep_apart();
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0)
		in_child();
	no_longer();
	check_all();
	CHECK_EQ(child_wait(pid), 0);
	__atomic_fetch_add(&forks, 1, __ATOMIC_RELAXED);
}

static void *works(void *arg)
{
	size_t me = (size_t)arg;

	begun = true;
	for (uint64_t n = 0; stop < 2; n++) {
		published[me] = list_new(n);
		if (n % 100 == 0)
			KEEP_ALIVE(gcdune_alloc(100000));
		if (me == 0 && n % 8 == 0)
			gcdune_collect();
		list_check(published[me]);
	}
	return NULL;
}

static void *forks_too(void *arg)
{
	begun = true;
	published[2] = list_new(1);
	while (!stop)
		fork_once();
	return NULL;
}

static void *ends(void *arg)
{
	begun = true;
	list_check(list_new(5));
	while (KEPT_APART && !may_end)
		sleep_ms(1);
	return NULL;
}

int main(void)
{
	pthread_t threads[THREADS];
	uint64_t end = now_ns() + rounds(12000, 6000) * 1000000u;

	published[THREADS] = list_new(0);
	threads[0] = start(works, (void *)0);
	threads[1] = start(works, (void *)1);
	threads[2] = start(forks_too, NULL);
	for (size_t i = 0; i < 5 || (now_ns() < end && i < 200); i++) {
		pthread_t thread = start(ends, NULL);

		fork_once();
		keep_apart();
		may_end = true;
		pthread_join(thread, NULL);
		may_end = false;
		no_longer();
	}
	stop = 1;
	pthread_join(threads[2], NULL);
	stop = 2;
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	CHECKF(forks >= 6, "only %u forks in all", forks);
	check_all();
	return 0;
}
