/* fork while other threads load and unload libraries: the loader's own lock may be held by one of them at that
 * moment, and the child, where that thread does not exist, must collect all the same. Not with ASan: those threads may
 * hold a lock of its allocator, which no fork gives back in the child (gcc 12).
 *
 * TEST-FLAGS: timeout=120 torture=yes static=yes asan=no tsan=no
 */
#include <dlfcn.h>

#include "check.h"

static volatile int stop;

/* The kernel's time is mostly in mmap; the loader's lock is held in between. */
static void *loads(void *arg)
{
	while (!stop) {
		void *handle = dlopen(arg, RTLD_NOW);

		CHECKF(handle != NULL, "%s", dlerror());
		KEEP_ALIVE(target_new(1));
		CHECK_EQ(dlclose(handle), 0);
	}
	return NULL;
}

/* It loads none itself: what state libc's own fork leaves the loader in is not the collector's matter. */
static void in_child(void)
{
	struct target *t = target_new(2);

	gcdune_collect();
	TARGET_CHECK(t, 2);
	KEEP_ALIVE(target_new(3));
	gcdune_collect();
	_exit(0);
}

/* Ends a child that hangs. */
static int wait_patiently(pid_t pid)
{
	int status;

	for (int i = 0; i < 10000; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		sleep_ms(i < 20 ? 1 : 5);
	}
	kill(pid, SIGKILL);
	child_wait(pid);
	return -1;
}

int main(void)
{
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		threads[i] = thread_start(loads, (void *)(uintptr_t)lib_path("root"));
	for (size_t i = 0; i < rounds(400, 60); i++) {
		pid_t pid = fork();
		int status;

		CHECK(pid >= 0);
		if (pid == 0)
			in_child();
		status = wait_patiently(pid);
		CHECKF(status != -1, "the child of fork %zu hangs", i);
		CHECKF(status == 0, "the child of fork %zu ended with %d", i, status);
	}
	stop = true;
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
