/* gcdune_locked_call by one thread again and again, which takes the lock without an exchange then (lock.c), while others ask now
 * and then, collect, and fork: never two at a time, none waits for ever, and what each counts is all there. What is called may
 * wait for the dynamic linker's lock, which a collection takes as well, and ask for the lock again. Also where the system
 * refuses the fence that this needs, from a moment on, and in the child of a fork.
 *
 * TEST-FLAGS: timeout=100 torture=yes tsan=no
 */
#include <link.h>
#include <sys/syscall.h>

#include "check.h"

#define OTHERS 2

static volatile int stop;
static volatile size_t inside, calls; /* under the lock */
static size_t by_others[OTHERS];

static int look(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)info, (void)size, (void)arg;
	return 1;
}

static void *nested(void *arg)
{
	CHECK_EQ(inside, 1);
	return arg;
}

/* Any other that is let in meanwhile makes `inside' another number, or one of the calls be counted for two. */
static void *count(void *arg)
{
	size_t n = calls;

	CHECKF(inside == 0, "two threads are in gcdune_locked_call");
	inside = 1;
	if (n % 3000 == 0)
		dl_iterate_phdr(look, NULL);
	if (n % 7 == 0)
		CHECK(gcdune_locked_call(nested, arg) == arg);
	CHECK_EQ(inside, 1);
	inside = 0;
	calls = n + 1;
	return arg;
}

static void *seldom(void *arg)
{
	size_t *mine = arg, n = 0;

	while (!stop) {
		for (size_t i = 0; i < 1 + n % 3; i++)
			gcdune_locked_call(count, arg);
		n += 1 + n % 3;
		if (n % 32 == 0)
			gcdune_collect();
		for (volatile size_t wait = 0; wait < n * 7919 % 60000;)
			wait = wait + 1;
		if (n % 5 == 0)
			sleep_ms(1);
	}
	*mine = n;
	return NULL;
}

static void often(size_t n)
{
	pthread_t threads[OTHERS];
	size_t sum = n;

	stop = 0;
	calls = 0;
	for (size_t i = 0; i < OTHERS; i++)
		threads[i] = thread_start(seldom, &by_others[i]);
	for (size_t i = 0; i < n; i++) {
		gcdune_locked_call(count, &n);
		if (i % 4096 == 0)
			KEEP_ALIVE(target_new(i));
	}
	stop = 1;
	for (size_t i = 0; i < OTHERS; i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 0; i < OTHERS; i++)
		sum += by_others[i];
	CHECK_EQ(calls, sum);
}

/* The favoured thread collects with the lock held, while one waits for the lock, whose stack is looked at from where it waits, and
 * another tries it, as who leaves a blocking region does: neither may take itself for the owner and run on. */
static _Atomic int quiet; /* who is */
static volatile int be_quiet;
static const size_t COLLECTIONS = 3;

static void may_be_quiet(void)
{
	if (!be_quiet)
		return;
	quiet++;
	while (be_quiet)
		sched_yield();
	quiet--;
}

static void *nothing(void *arg)
{
	return arg;
}

static void *leaves(void *arg)
{
	for (; !stop; may_be_quiet())
		gcdune_blocking_call(nothing, NULL);
	return arg;
}

static void *holds(void *arg)
{
	for (uint64_t id = 0; !stop; id++, may_be_quiet()) {
		struct target *volatile target = target_new(id);

		CHECK(gcdune_locked_call(nested, arg) == arg);
		TARGET_CHECK(target, id);
	}
	return NULL;
}

static void *collects(void *arg)
{
	be_quiet = 0;
	for (size_t i = 0; i < COLLECTIONS; i++) {
		gcdune_collect();
		KEEP_ALIVE(target_new(i));
	}
	return arg;
}

static void waits_meanwhile(void)
{
	pthread_t waits, tries;

	inside = 1;
	stop = 0;
	waits = thread_start(holds, NULL);
	tries = thread_start(leaves, NULL);
	for (size_t i = 0; i < rounds(500, 20); i++) {
		be_quiet = 1;
		while (quiet < 2)
			sleep_ms(1);
		for (size_t n = 0; n < 17000; n++)
			gcdune_locked_call(nested, NULL);
		gcdune_locked_call(collects, NULL);
	}
	stop = 1;
	pthread_join(waits, NULL);
	pthread_join(tries, NULL);
	inside = 0;
}

static void forks(void)
{
	inside = 1;
	for (size_t i = 0; i < 50000; i++)
		gcdune_locked_call(nested, NULL);
	pid_t pid = fork();

	CHECK(pid >= 0);
	inside = 0;
	if (pid == 0) {
		often(rounds(200000, 20000));
		_exit(0);
	}
	CHECK_EQ(child_wait(pid), 0);
}

int main(void)
{
	size_t n = rounds(30000000, 300000);

	waits_meanwhile();
	often(n);
	forks();
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		inside = 1;
		for (size_t i = 0; i < 50000; i++)
			gcdune_locked_call(nested, NULL);
		inside = 0;
		if (refuse_call(SYS_membarrier, EPERM))
			often(n / 3);
		_exit(0);
	}
	CHECK_EQ(child_wait(pid), 0);
	return 0;
}
