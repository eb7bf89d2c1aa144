/* fork with every signal blocked, as Crystal does it, while collections run beside the program: the thread cannot be
 * stopped by a signal just then, and waits for locks that a collection holds. With libgc's interface, which stands in
 * front of no function that blocks signals.
 *
 * TEST-FLAGS: timeout=120 link=libgc tsan=no env:GCDUNE_MODE=concurrent env:GCDUNE_TORTURE=100
 */
#define GC_THREADS
#include <gc/gc.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "expect.h"

static volatile int stop, begun;

static void *allocates(void *arg)
{
	begun = 1;
	while (!stop)
		for (int i = 0; i < 40; i++)
			if (!GC_MALLOC(48))
				abort();
	return arg;
}

int main(void)
{
	pthread_t thread;

	GC_INIT();
	CHECK(pthread_create(&thread, NULL, allocates, NULL) == 0);
	while (!begun) /* it holds no lock of ASan's allocator any more when this one forks */
		usleep(1000);
	for (int i = 0; i < 40; i++) {
		sigset_t all, before;
		int status;

		sigfillset(&all);
		pthread_sigmask(SIG_BLOCK, &all, &before);
		/* Until a collection waits for this thread. */
		for (int k = 0; k < 1000; k++) {
			sigset_t pending;

			sigpending(&pending);
			if (sigismember(&pending, GC_get_suspend_signal()))
				break;
			usleep(20);
		}
		pid_t pid = fork();

		if (pid == 0)
			_exit(GC_MALLOC(16) == NULL);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
		CHECK(pid > 0);
		CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	}
	stop = 1;
	pthread_join(thread, NULL);
	return 0;
}
