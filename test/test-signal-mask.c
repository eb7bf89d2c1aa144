/* Threads that block every signal, by any call of libc that does that, are stopped all the same and their objects
 * kept: pthread_sigmask, sigprocmask, a mask inherited from the creator, one from pthread_attr_setsigmask_np, a
 * mask in effect while a handler runs, sigsuspend and ppoll.
 *
 * TEST-FLAGS: timeout=60 torture=yes static=yes tsan=no
 */
#include "check.h"

#define COUNT 100

static unsigned ready;
static volatile int stop;	/* not bool: gcc 12 with -fsanitize=bool reads a volatile one only once */

static void NOINLINE hold_while_others_collect(uint64_t id)
{
	struct target *volatile objects[COUNT];

	for (size_t i = 0; i < COUNT; i++)
		objects[i] = target_new(id + i);
	__atomic_fetch_add(&ready, 1, __ATOMIC_RELEASE);
	while (!stop)
		sleep_ms(1);
	for (size_t i = 0; i < COUNT; i++)
		TARGET_CHECK(objects[i], id + i);
}

static void *with_pthread_sigmask(void *arg)
{
	sigset_t all;

	sigfillset(&all);
	CHECK_EQ(pthread_sigmask(SIG_BLOCK, &all, NULL), 0);
	hold_while_others_collect(1000);
	return NULL;
}

static void *with_setmask(void *arg)
{
	sigset_t all;

	sigfillset(&all);
	CHECK_EQ(pthread_sigmask(SIG_SETMASK, &all, NULL), 0);
	hold_while_others_collect(2000);
	return NULL;
}

static void *with_sigprocmask(void *arg)
{
	sigset_t all;

	sigfillset(&all);
	CHECK_EQ(sigprocmask(SIG_BLOCK, &all, NULL), 0);
	hold_while_others_collect(3000);
	return NULL;
}

static void *with_inherited(void *arg)
{
	sigset_t now;

	CHECK_EQ(pthread_sigmask(SIG_BLOCK, NULL, &now), 0);
	/* What the program asked for otherwise holds. */
	CHECK(sigismember(&now, SIGUSR1));
	CHECK(sigismember(&now, SIGTERM));
	hold_while_others_collect(4000);
	return NULL;
}

int main(void)
{
	void *(*const kinds[])(void *) = { with_pthread_sigmask, with_setmask, with_sigprocmask, with_inherited };
	enum { N = sizeof(kinds) / sizeof(*kinds) };
	pthread_t threads[N + 1];
	pthread_attr_t attr;
	sigset_t all, old;

	alarm(50);
	sigfillset(&all);
	for (size_t i = 0; i < N; i++) {
		if (kinds[i] == with_inherited)
			CHECK_EQ(pthread_sigmask(SIG_BLOCK, &all, &old), 0);
		threads[i] = thread_start(kinds[i], NULL);
		if (kinds[i] == with_inherited)
			CHECK_EQ(pthread_sigmask(SIG_SETMASK, &old, NULL), 0);
	}
	pthread_attr_init(&attr);
	CHECK_EQ(pthread_attr_setsigmask_np(&attr, &all), 0);
	CHECK_EQ(pthread_create(&threads[N], &attr, with_inherited, NULL), 0);
	while (__atomic_load_n(&ready, __ATOMIC_ACQUIRE) != N + 1)
		sleep_ms(1);
	for (size_t i = 0; i < rounds(50, 10); i++) {
		wipe_and_collect();
		for (int k = 0; k < 100; k++)
			KEEP_ALIVE(target_new(~i));
		sleep_ms(2);
	}
	stop = true;
	for (size_t i = 0; i <= N; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
