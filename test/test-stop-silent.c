/* test-stop-silent.c - what is said of threads that do not answer a stop: one that blocks the signal is named after a
 * second; of one that only gets no chance to answer, as when a child has its address space (vfork), nothing is said so
 * soon; and both are waited for, also where nothing can be read of /proc.
 *
 * TEST-FLAGS: tsan=no */
#define _GNU_SOURCE
#include "check.h"
#include "gcdune.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char said[4096];
static _Atomic int ready;

static void on_warning(const char *line)
{
	strncat(said, line, sizeof said - strlen(said) - 1);
}

static void wait_ms(long ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};

	while (nanosleep(&t, &t))
		;
}

/* The raw call: pthread_sigmask leaves the signal open. */
static void *blocks(void *argument)
{
	unsigned long all = ~0ul, before;
	struct target *mine[100];

	for (size_t i = 0; i < 100; i++)
		mine[i] = target_new(i);
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, 8ul);
	ready = 1;
	wait_ms(1700);
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, 8ul);
	for (size_t i = 0; i < 10000; i++)
		KEEP_ALIVE(target_new(i));
	for (size_t i = 0; i < 100; i++)
		TARGET_CHECK(mine[i], i);
	return argument;
}

static void *cannot_answer(void *argument)
{
	ready = 1;
	pid_t pid = vfork();

	if (!pid) {
		struct timespec t = {1, 700000000};

		syscall(SYS_nanosleep, &t, NULL);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	return argument;
}

static void stop(void *(*body)(void *))
{
	pthread_t thread;

	said[0] = 0;
	ready = 0;
	CHECK(!pthread_create(&thread, NULL, body, NULL));
	while (!ready)
		sched_yield();
	wait_ms(50);
	gcdune_collect();
	CHECK(!pthread_join(thread, NULL));
}

int main(void)
{
	CHECK(!gcdune_init());
	gcdune_warn_set(on_warning);
	stop(blocks);
	CHECK(strstr(said, "has not stopped for 1 s: it blocks the signal"));
	stop(cannot_answer);
	CHECK(!said[0]);
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid) {
		if (refuse_call(SYS_openat, EACCES))
			stop(blocks);
		_exit(0);
	}
	CHECK_EQ(child_wait(pid), 0);
	return 0;
}
