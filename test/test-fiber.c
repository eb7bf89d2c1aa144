/* Fibers: many stacks registered with gcdune_stack_add, switched by swapcontext in random order, also between
 * threads. What each holds on its stack, or in a register that the switch saved there, is kept; a removed stack's
 * is not.
 *
 * TEST-FLAGS: timeout=120 torture=yes asan=no tsan=no
 */
#include <sys/mman.h>
#include <ucontext.h>

#include "check.h"

#define FIBERS 60
#define STACK ((size_t)128 * 1024)
#define COUNT 40

struct fiber {
	ucontext_t context;	/* registers are saved here, not on the stack: see fibers */
	gcdune_stack *stack;
	char *low;
	uint64_t id;
	bool done;
};

/* Static, and by that a root: swapcontext saves registers in it. */
static struct fiber fibers[FIBERS];
static __thread ucontext_t *home;
static __thread struct fiber *current;

/* Not inlined, for a fiber may go on in another thread: the address of `current' is taken anew each time. */
static NOINLINE void yield(void)
{
	struct fiber *me = current;

	gcdune_stack_switch(NULL);
	swapcontext(&me->context, home);
}

static NOINLINE void resume(struct fiber *fiber)
{
	ucontext_t here;

	home = &here;
	current = fiber;
	gcdune_stack_switch(fiber->stack);
	swapcontext(&here, &fiber->context);
}

static void NOINLINE descend(uint64_t id, int depth)
{
	struct target *volatile objects[COUNT];

	for (size_t i = 0; i < COUNT; i++) {
		objects[i] = target_new(id + i);
		if (i % 10 == 3)
			yield();
	}
	if (depth > 0)
		descend(id + COUNT, depth - 1);
	yield();
	for (size_t i = 0; i < COUNT; i++)
		TARGET_CHECK(objects[i], id + i);
}

static void fiber_main(unsigned high, unsigned low)
{
	struct fiber *me = (struct fiber *)((uintptr_t)high << 32 | low);

	for (int round = 0; round < 3; round++) {
		descend(me->id + (uint64_t)round * 1000, 3);
		gcdune_collect();
	}
	me->done = true;
	yield();
	abort();
}

static void fiber_start(struct fiber *f, uint64_t id)
{
	*f = (struct fiber){ .id = id };
	f->low = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(f->low != MAP_FAILED);
	f->stack = gcdune_stack_add(f->low, f->low + STACK);
	CHECK(f->stack != NULL);
	getcontext(&f->context);
	f->context.uc_stack.ss_sp = f->low;
	f->context.uc_stack.ss_size = STACK;
	makecontext(&f->context, (void (*)(void))fiber_main, 2, (unsigned)((uintptr_t)f >> 32), (unsigned)(uintptr_t)f);
}

static void fiber_end(struct fiber *f)
{
	gcdune_stack_remove(f->stack);
	munmap(f->low, STACK);
	f->stack = NULL;
}

/* Runs fibers [FIRST, FIRST + N) to their ends, in random order, replacing the first ones that end by new ones. */
static void run_fibers(size_t first, size_t n, uint64_t random)
{
	size_t left = n, more = rounds(n, 0);

	for (size_t i = first; i < first + n; i++)
		fiber_start(&fibers[i], i * 100000);
	while (left) {
		struct fiber *f = &fibers[first + random_next(&random) % n];

		if (!f->stack)
			continue;
		resume(f);
		if (random_next(&random) % 128 == 0)
			gcdune_collect();
		if (!f->done)
			continue;
		fiber_end(f);
		if (more) {
			more--;
			fiber_start(f, f->id + 10000);
		} else {
			left--;
		}
	}
}

static void *thread(void *arg)
{
	run_fibers((size_t)arg * (FIBERS / 3), FIBERS / 3, (uint64_t)(size_t)arg * 1000000);
	return NULL;
}

/* Fibers that go from one thread to another between two steps. */
static pthread_mutex_t hand_over = PTHREAD_MUTEX_INITIALIZER;
static size_t remaining;

static void *migrating(void *arg)
{
	uint64_t random = (uint64_t)(size_t)arg;

	for (;;) {
		struct fiber *f;

		pthread_mutex_lock(&hand_over);
		if (!remaining) {
			pthread_mutex_unlock(&hand_over);
			return NULL;
		}
		f = &fibers[random_next(&random) % 10];
		if (f->stack) {
			resume(f);
			if (f->done) {
				fiber_end(f);
				remaining--;
			}
		}
		pthread_mutex_unlock(&hand_over);
		if (random_next(&random) % 64 == 0)
			gcdune_collect();
	}
}

/* A fiber that will not run again is garbage with all it holds. */
static struct watch held;

static void abandoned_main(unsigned high, unsigned low)
{
	void *volatile objects[500];

	for (size_t i = 0; i < 500; i++) {
		objects[i] = target_new(i);
		watch_add(&held, objects[i]);
	}
	KEEP_ALIVE(objects);
	yield();
	abort();
}

static void abandon(void *arg)
{
	struct fiber *f = fibers;

	fiber_start(f, 0);
	makecontext(&f->context, (void (*)(void))abandoned_main, 2, 0, 0);
	resume(f);
	gcdune_collect();
	CHECK_EQ(watch_live(&held), 500);
	fiber_end(f);
}

int main(void)
{
	pthread_t threads[3];

	run_fibers(0, FIBERS, 1);
	for (size_t i = 0; i < 3; i++)
		threads[i] = thread_start(thread, (void *)i);
	for (size_t i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	remaining = 10;
	for (size_t i = 0; i < 10; i++)
		fiber_start(&fibers[i], i * 100000);
	for (size_t i = 0; i < 3; i++)
		threads[i] = thread_start(migrating, (void *)(i * 7777));
	for (size_t i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	in_thread(abandon, NULL);
	wipe_and_collect();
	CHECK_DEAD(watch_live(&held), held.count);
	return 0;
}
