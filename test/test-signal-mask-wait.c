/* Threads in calls of libc that block every signal for their duration - a handler whose sa_mask is full, sigsuspend,
 * ppoll, pselect, epoll_pwait - are stopped all the same and their objects kept.
 *
 * TEST-FLAGS: timeout=90 torture=yes static=yes tsan=no
 */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>

#include "check.h"

static unsigned ready, handlers;
static volatile int stop;	/* not bool: gcc 12 with -fsanitize=bool reads a volatile one only once */

/* The thread sits in a handler that has everything blocked. */
static void handler(int number)
{
	__atomic_fetch_add(&handlers, 1, __ATOMIC_RELEASE);
	while (!stop)
		sleep_ms(1);
}

static void *in_handler(void *arg)
{
	struct target *volatile object = target_new(5000);
	sigset_t usr1;

	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	pthread_sigmask(SIG_UNBLOCK, &usr1, NULL);
	__atomic_fetch_add(&ready, 1, __ATOMIC_RELEASE);
	pthread_kill(pthread_self(), SIGUSR1);
	TARGET_CHECK(object, 5000);
	return NULL;
}

static void *in_sigsuspend(void *arg)
{
	struct target *volatile object = target_new(6000);
	sigset_t all_but_usr2;

	sigfillset(&all_but_usr2);
	sigdelset(&all_but_usr2, SIGUSR2);
	__atomic_fetch_add(&ready, 1, __ATOMIC_RELEASE);
	while (!stop)
		sigsuspend(&all_but_usr2);
	TARGET_CHECK(object, 6000);
	return NULL;
}

/* The others wait for this to become readable. */
static int ends[2];

static void *in_ppoll(void *arg)
{
	struct target *volatile object = target_new(7000);
	struct pollfd p = { .fd = ends[0], .events = POLLIN };
	sigset_t all;

	sigfillset(&all);
	__atomic_fetch_add(&ready, 1, __ATOMIC_RELEASE);
	while (ppoll(&p, 1, NULL, &all) < 0)
		CHECK_EQ(errno, EINTR);
	TARGET_CHECK(object, 7000);
	return NULL;
}

static void *in_pselect(void *arg)
{
	struct target *volatile object = target_new(8000);
	sigset_t all;
	fd_set set;

	sigfillset(&all);
	__atomic_fetch_add(&ready, 1, __ATOMIC_RELEASE);
	do {
		FD_ZERO(&set);
		FD_SET(ends[0], &set);
	} while (pselect(ends[0] + 1, &set, NULL, NULL, NULL, &all) < 0);
	TARGET_CHECK(object, 8000);
	return NULL;
}

static void *in_epoll(void *arg)
{
	struct target *volatile object = target_new(9000);
	struct epoll_event event = { .events = EPOLLIN };
	int fd = epoll_create1(0);
	sigset_t all;

	epoll_ctl(fd, EPOLL_CTL_ADD, ends[0], &event);
	sigfillset(&all);
	__atomic_fetch_add(&ready, 1, __ATOMIC_RELEASE);
	while (epoll_pwait(fd, &event, 1, -1, &all) < 0)
		CHECK_EQ(errno, EINTR);
	close(fd);
	TARGET_CHECK(object, 9000);
	return NULL;
}

static void nothing(int number)
{
}

/* The thread comes out of its wait only when the collections are done. */
static void collect_against(void *(*kind)(void *))
{
	struct sigaction action = { .sa_handler = handler }, harmless = { .sa_handler = nothing };
	pthread_t thread;

	sigfillset(&action.sa_mask);
	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGUSR2, &harmless, NULL);
	CHECK(pipe(ends) == 0);
	thread = thread_start(kind, NULL);
	while (!__atomic_load_n(&ready, __ATOMIC_ACQUIRE) ||
	       (kind == in_handler && !__atomic_load_n(&handlers, __ATOMIC_ACQUIRE)))
		sleep_ms(1);
	sleep_ms(20);
	for (size_t i = 0; i < 20; i++) {
		wipe_and_collect();
		for (int k = 0; k < 100; k++)
			KEEP_ALIVE(target_new(~i));
	}
	stop = true;
	CHECK(write(ends[1], "x", 1) == 1);
	if (kind == in_sigsuspend)
		pthread_kill(thread, SIGUSR2);
	pthread_join(thread, NULL);
}

/* In a process of its own, for all of its threads may hang with every signal blocked. */
static bool against(void *(*kind)(void *), const char *name)
{
	pid_t pid = fork();
	int status = 0;

	CHECK(pid >= 0);
	if (pid == 0) {
		collect_against(kind);
		_exit(0);
	}
	for (int i = 0; i < 2000 && waitpid(pid, &status, WNOHANG) == 0; i++)
		sleep_ms(5);
	if (kill(pid, SIGKILL) == 0) {
		child_wait(pid);
		fprintf(stderr, "%s: a collection hangs\n", name);
		return false;
	}
	if (status)
		fprintf(stderr, "%s: status %x\n", name, (unsigned)status);
	return status == 0;
}

int main(void)
{
	bool ppoll_works = against(in_ppoll, "ppoll"), pselect_works = against(in_pselect, "pselect");
	bool epoll_works = against(in_epoll, "epoll_pwait"), sigsuspend_works = against(in_sigsuspend, "sigsuspend");
	bool handler_works = against(in_handler, "handler with a full sa_mask");

	CHECK(ppoll_works && pselect_works && epoll_works);
	CHECK(sigsuspend_works);
	CHECK(handler_works);
	return 0;
}
