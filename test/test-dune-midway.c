/* test-dune-midway.c - processes started while other threads are in the middle of a call of libdune's: a child of fork can
 * make the same call, and a program started by vfork and exec is not ended by a kick that was still on its way.
 *
 * TEST-FLAGS: link=dune asan=no tsan=no short=yes timeout=300 */
#include "dune-check.h"

static volatile int stop;
static char *base;

static int handler(const struct dune_fault *fault, void *argument)
{
	(void)fault;
	(void)argument;
	return 1;
}

static void *registers(void *argument)
{
	char *range = argument;

	while (!stop) {
		CHECK_EQ(dune_fault_handler(range, PAGE, handler, NULL), 0);
		CHECK_EQ(dune_fault_handler(range, PAGE, NULL, NULL), 0);
	}
	return NULL;
}

static void *flushes(void *argument)
{
	(void)argument;
	while (!stop)
		CHECK(dune_flush_all() >= 0);
	return NULL;
}

int main(void)
{
	pthread_t thread;

	enter_or_skip();
	base = map_pages(4);
	CHECK(!pthread_create(&thread, NULL, registers, base));
	for (int i = 0; i < repetitions(200); i++) {
		pid_t pid = fork();

		if (!pid) {
			alarm(20);
			_exit(dune_fault_handler(base + 2 * PAGE, PAGE, handler, NULL) ? 1 : 0);
		}
		CHECK(pid > 0);
		CHECK_EQ(wait_for(pid), 0);
	}
	stop = 1;
	pthread_join(thread, NULL);
	stop = 0;
	CHECK(!pthread_create(&thread, NULL, flushes, NULL));
	for (int i = 0; i < repetitions(200); i++) {
		pid_t pid = vfork();

		if (!pid) {
			execl("/bin/true", "true", (char *)NULL);
			_exit(127);
		}
		CHECK(pid > 0);
		CHECK_EQ(wait_for(pid), 0);
	}
	stop = 1;
	pthread_join(thread, NULL);
	return 0;
}
