/* fork while a thread of the collector's own is on its way from pthread_create to its first instruction, where it may hold
 * a lock of a sanitizer's that the child would find taken for ever: the child makes threads and collects. Each round is
 * a process of its own, in which the collector's threads are made anew; without the wait in os-thread.c, one of the
 * first rounds hangs (address sanitizer, linked statically).
 *
 * TEST-FLAGS: timeout=120 static=yes tsan=no env:GCDUNE_MODE=concurrent env:GCDUNE_MARKERS=3
 */
#include "check.h"

#define ROUNDS 300

static void *work(void *arg)
{
	KEEP_ALIVE(gcdune_alloc(100));
	return arg;
}

static void grandchild(void)
{
	alarm(20);
	for (int i = 0; i < 3; i++)
		pthread_join(thread_start(work, NULL), NULL);
	gcdune_collect();
	_exit(0);
}

/* This program's own threads are its own affair: while one begins or ends, it may hold such a lock as well. So fork falls
 * between these two. */
static _Atomic bool begun, forked;

static void *collect(void *arg)
{
	KEEP_ALIVE(gcdune_alloc(100));
	begun = true;
	gcdune_collect();
	while (!forked)
		usleep(100);
	return arg;
}

static void round_of(int i)
{
	pthread_t thread = thread_start(collect, NULL);

	while (!begun)
		;
	for (volatile int spin = 0; spin < i * 1000; spin++)
		;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0)
		grandchild();
	forked = true;
	CHECK_EQ(child_wait(pid), 0);
	pthread_join(thread, NULL);
	_exit(0);
}

int main(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		pid_t pid = fork();

		CHECK(pid >= 0);
		if (pid == 0) {
			alarm(60);
			round_of(i);
		}
		CHECKF(child_wait(pid) == 0, "round %d", i);
	}
	return 0;
}
