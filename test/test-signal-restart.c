/* The signal that stops threads is harmless to their system calls: blocking ones are restarted, not failed with
 * EINTR; errno and floating-point state survive; the signal can be chosen, and what cannot be used is refused.
 *
 * TEST-FLAGS: timeout=60 torture=yes tsan=no
 */
#include <semaphore.h>
#include <sys/socket.h>

#include "check.h"

static int pipe_ends[2], sockets[2];
static sem_t semaphore;
static unsigned waiting;
static volatile int stop;	/* not bool: gcc 12 with -fsanitize=bool reads a volatile one only once */

static void *reads_pipe(void *arg)
{
	char c;

	KEEP_ALIVE(target_new(1));
	__atomic_fetch_add(&waiting, 1, __ATOMIC_RELEASE);
	CHECKF(read(pipe_ends[0], &c, 1) == 1, "read: %s", strerror(errno));
	return NULL;
}

static void *receives(void *arg)
{
	char c;

	KEEP_ALIVE(target_new(1));
	__atomic_fetch_add(&waiting, 1, __ATOMIC_RELEASE);
	CHECKF(recv(sockets[0], &c, 1, 0) == 1, "recv: %s", strerror(errno));
	return NULL;
}

static void *waits(void *arg)
{
	KEEP_ALIVE(target_new(1));
	__atomic_fetch_add(&waiting, 1, __ATOMIC_RELEASE);
	CHECKF(sem_wait(&semaphore) == 0, "sem_wait: %s", strerror(errno));
	return NULL;
}

/* A waitpid for a child that ends when its stdin does. */
static void *waits_for_child(void *arg)
{
	int status;

	KEEP_ALIVE(target_new(1));
	__atomic_fetch_add(&waiting, 1, __ATOMIC_RELEASE);
	CHECKF(waitpid(*(pid_t *)arg, &status, 0) == *(pid_t *)arg, "waitpid: %s", strerror(errno));
	return NULL;
}

/* Being stopped anywhere must not be seen in errno or in a computation. */
static void *computes(void *arg)
{
	double expected = 0;

	__atomic_fetch_add(&waiting, 1, __ATOMIC_RELEASE);
	for (uint64_t n = 0; !stop; n++) {
		double sum = 0;

		errno = 4321;
		for (int i = 1; i < 3000; i++)
			sum += 1.0 / (double)i * (double)(i % 7);
		CHECK_EQ(errno, 4321);
		if (n == 0)
			expected = sum;
		CHECKF(sum == expected, "the sum is %.17g, was %.17g", sum, expected);
	}
	return NULL;
}

static void handler(int number)
{
}

static void choose_signal(void)
{
	CHECK_EQ(gcdune_signal_get(), SIGPWR);
	CHECK_EQ(gcdune_signal_set(SIGKILL), -EINVAL);
	CHECK_EQ(gcdune_signal_set(SIGSTOP), -EINVAL);
	CHECK_EQ(gcdune_signal_set(0), -EINVAL);
	CHECK_EQ(gcdune_signal_set(1000), -EINVAL);
	signal(SIGUSR2, handler);
	CHECK_EQ(gcdune_signal_set(SIGUSR2), -EBUSY);
	signal(SIGUSR2, SIG_DFL);
	CHECK_EQ(gcdune_signal_set(SIGRTMIN + 3), 0);
	CHECK_EQ(gcdune_signal_get(), SIGRTMIN + 3);
}

int main(void)
{
	pthread_t threads[5];
	int child_input[2];
	pid_t child;

	if (!getenv("GCDUNE_SIGNAL"))
		choose_signal();
	CHECK(pipe(child_input) == 0);
	child = fork();
	if (child == 0) {
		char c;

		close(child_input[1]);
		_exit(read(child_input[0], &c, 1) != 0);
	}
	close(child_input[0]);
	CHECK_EQ(gcdune_init(), 0);
	CHECK(pipe(pipe_ends) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
	sem_init(&semaphore, 0, 0);
	threads[0] = thread_start(reads_pipe, NULL);
	threads[1] = thread_start(receives, NULL);
	threads[2] = thread_start(waits, NULL);
	threads[3] = thread_start(waits_for_child, &child);
	threads[4] = thread_start(computes, NULL);
	CHECK_EQ(gcdune_signal_set(SIGUSR1), -EBUSY);
	while (__atomic_load_n(&waiting, __ATOMIC_ACQUIRE) != 5)
		sleep_ms(1);
	sleep_ms(20);
	for (size_t i = 0; i < rounds(300, 50); i++) {
		gcdune_collect();
		if (i % 10 == 0)
			sleep_ms(1);
	}
	CHECK(write(pipe_ends[1], "x", 1) == 1);
	CHECK(send(sockets[1], "x", 1, 0) == 1);
	sem_post(&semaphore);
	close(child_input[1]);
	stop = true;
	for (int i = 0; i < 5; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
