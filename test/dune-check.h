/* dune-check.h - what the tests of Dune mode share. */
#ifndef DUNE_CHECK_H
#define DUNE_CHECK_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <dune.h>

#include "expect.h"

#define PAGE 4096UL

/* Enters, or skips the test where there is no KVM for it. Under dune-run it is in Dune mode already. */
UNUSED static void enter_or_skip(void)
{
	int error;

	if (dune_is_active())
		return;
	error = dune_enter();
	if (error == -ENOENT || error == -EACCES || error == -EPERM || error == -ENOTSUP || error == -ENODEV) {
		printf("SKIP: no Dune mode here: %s\n", dune_error());
		fflush(stdout);
		_exit(77);
	}
	if (error) {
		dprintf(2, "dune_enter: error %d: %s\n", error, dune_error());
		_exit(1);
	}
}

/* How often the repeated tests repeat; DUNE_REPEAT overrides. */
UNUSED static int repetitions(int usual)
{
	const char *text = getenv("DUNE_REPEAT");

	return text ? atoi(text) : usual;
}

UNUSED static char *map_pages(size_t pages)
{
	char *at = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	CHECK(at != MAP_FAILED);
	return at;
}

/* The status of a child that has ended. */
UNUSED static int wait_for(pid_t pid)
{
	int status;
	pid_t got;

	do
		got = waitpid(pid, &status, 0);
	while (got < 0 && errno == EINTR);
	CHECK_EQ(got, pid);
	return status;
}

/* xorshift. */
UNUSED static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	return *state ^= *state << 17;
}

UNUSED static void tick_nothing(int sig)
{
}

/* SIGALRM each LEAST microseconds, or as often as leaves the program most of its time: on a slow machine a handler may take
 * longer than that, and nothing else would ever run. */
UNUSED static void ticks_begin(long least)
{
	enum { TIMES = 20, SHARE = 4 };
	struct timespec from, to;
	void (*before)(int) = signal(SIGUSR2, tick_nothing);

	clock_gettime(CLOCK_MONOTONIC, &from);
	for (int i = 0; i < TIMES; i++)
		raise(SIGUSR2);
	clock_gettime(CLOCK_MONOTONIC, &to);
	signal(SIGUSR2, before);
	long each = ((to.tv_sec - from.tv_sec) * 1000000 + (to.tv_nsec - from.tv_nsec) / 1000) * SHARE / TIMES;
	suseconds_t us = each < least ? least : each < 999999 ? each : 999999;

	setitimer(ITIMER_REAL, &(struct itimerval){ { 0, us }, { 0, us } }, NULL);
}

UNUSED static void ticks_end(void)
{
	setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
}

#endif
