/* A thread that makes the collector's own thread can be stopped meanwhile: it may wait for a lock of libc's that a thread
 * which is stopped already holds. Here that lock is one that pthread_attr_init takes. And so can a thread that forks with
 * every signal blocked, and waits for the maker. With libgc's interface, which stands in front of no function that blocks
 * signals.
 *
 * TEST-FLAGS: timeout=60 link=libgc asan=no tsan=no env:GCDUNE_MODE=concurrent
 */
#define GC_THREADS
#include <dlfcn.h>
#include <gc/gc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#include "expect.h"

static pthread_mutex_t of_libc = PTHREAD_MUTEX_INITIALIZER;
static _Atomic bool locked, waits, forks, stopped;

int pthread_attr_init(pthread_attr_t *attr)
{
	int (*real)(pthread_attr_t *) = (int (*)(pthread_attr_t *))dlsym(RTLD_NEXT, "pthread_attr_init");

	CHECK(real);
	if (locked) {
		waits = true;
		pthread_mutex_lock(&of_libc);
		pthread_mutex_unlock(&of_libc);
	}
	return real(attr);
}

static void *holds(void *arg)
{
	CHECK(GC_MALLOC(16));
	pthread_mutex_lock(&of_libc);
	locked = true;
	while (!stopped)
		;
	pthread_mutex_unlock(&of_libc);
	return arg;
}

static void *makes(void *arg)
{
	CHECK(GC_MALLOC(16));
	GC_gcollect();
	return arg;
}

static void *masked(void *arg)
{
	sigset_t all;
	int status;

	CHECK(GC_MALLOC(16));
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	forks = true;
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	CHECK(pid > 0);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	return arg;
}

int main(void)
{
	pthread_t holder, maker, forker;

	GC_INIT();
	CHECK(GC_pthread_create(&holder, NULL, holds, NULL) == 0);
	while (!locked)
		usleep(1000);
	CHECK(GC_pthread_create(&maker, NULL, makes, NULL) == 0);
	while (!waits)
		usleep(1000);
	CHECK(GC_pthread_create(&forker, NULL, masked, NULL) == 0);
	while (!forks)
		usleep(1000);
	usleep(20000);
	alarm(20); /* it hangs */
	GC_stop_world_external();
	GC_start_world_external();
	stopped = true;
	CHECK(GC_pthread_join(holder, NULL) == 0);
	CHECK(GC_pthread_join(maker, NULL) == 0);
	CHECK(GC_pthread_join(forker, NULL) == 0);
	return 0;
}
