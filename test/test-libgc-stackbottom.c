/* A runtime with stacks of its own tells in its roots procedure, which is called in the stop, where the stacks end that threads
 * are on by then (Crystal does): what a thread left on a stack that it is not on any more is not looked at.
 *
 * TEST-FLAGS: link=libgc torture=no asan=no tsan=no timeout=60
 */
#include "libgc-check.h"

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <ucontext.h>

enum { SIZE = 256 * 1024 };

static char *stacks[2];
static ucontext_t contexts[2], origin;
static int current = -1; /* the stack that the thread is on */
static int step, finalized;
static void *handle;
static struct GC_stack_base own;
static GC_push_other_roots_proc others;

static void push(void)
{
	struct GC_stack_base base = own;

	if (current >= 0)
		base.mem_base = stacks[current] + SIZE;
	if (handle)
		GC_set_stackbottom(handle, &base);
	if (others)
		others();
}

static void count(void *object, void *data)
{
	(void)object;
	(void)data;
	finalized++;
}

static void wait_for(int wanted)
{
	while (__atomic_load_n(&step, __ATOMIC_ACQUIRE) != wanted)
		sched_yield();
}

static void go_to(int to)
{
	__atomic_store_n(&step, to, __ATOMIC_RELEASE);
}

/* Leaves N addresses in its frame, deep in the stack that nobody is on afterwards. */
static void first(void)
{
	void *volatile objects[N];

	for (int i = 0; i < N; i++) {
		objects[i] = GC_MALLOC(32);
		GC_REGISTER_FINALIZER_NO_ORDER(objects[i], count, NULL, NULL, NULL);
	}
	go_to(1);
	wait_for(2);
	__atomic_store_n(&current, 1, __ATOMIC_RELEASE);
	swapcontext(&contexts[0], &contexts[1]);
}

static void second(void)
{
	go_to(3);
	wait_for(4);
	__atomic_store_n(&current, -1, __ATOMIC_RELEASE);
	swapcontext(&contexts[1], &origin);
}

static void *thread(void *arg)
{
	(void)arg;
	handle = GC_get_my_stackbottom(&own);
	for (int i = 0; i < 2; i++) {
		getcontext(&contexts[i]);
		contexts[i].uc_stack.ss_sp = stacks[i];
		contexts[i].uc_stack.ss_size = SIZE;
	}
	makecontext(&contexts[0], first, 0);
	makecontext(&contexts[1], second, 0);
	/* In no stop may it be said to be where it is not: there is none here, for nobody allocates. */
	current = 0;
	swapcontext(&origin, &contexts[0]);
	handle = NULL;
	return NULL;
}

int main(void)
{
	pthread_t id;

	GC_INIT();
	others = GC_get_push_other_roots();
	GC_set_push_other_roots(push);
	GC_set_finalize_on_demand(1);
	for (int i = 0; i < 2; i++) {
		stacks[i] = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CHECK(stacks[i] != MAP_FAILED);
	}
	GC_disable();
	CHECK_EQ(pthread_create(&id, NULL, thread, NULL), 0);
	wait_for(1);
	GC_enable();
	GC_gcollect();
	GC_invoke_finalizers();
	CHECK_EQ(finalized, 0);
	go_to(2);
	wait_for(3);
	/* Once. */
	GC_gcollect();
	GC_invoke_finalizers();
	CHECK_MOST(finalized, N);
	go_to(4);
	CHECK_EQ(pthread_join(id, NULL), 0);
	return 0;
}
