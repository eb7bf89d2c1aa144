/* A thread that waits for all signals with sigwait, as servers have one, neither hangs a collection nor sees its
 * signal.
 *
 * TEST-FLAGS: timeout=60 torture=yes static=yes tsan=no
 */
#include "check.h"

static unsigned ready;

static void *waiter(void *arg)
{
	struct target *volatile object = target_new(1);
	sigset_t all;
	int number;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	for (;;) {
		__atomic_store_n(&ready, 1, __ATOMIC_RELEASE);
		if (arg) {
			siginfo_t info;

			number = sigwaitinfo(&all, &info);
			if (number < 0 && errno == EINTR)
				continue;	/* allowed: any handler may do this */
		} else {
			CHECK_EQ(sigwait(&all, &number), 0);
		}
		CHECKF(number != gcdune_signal_get(), "the program was given the collector's signal");
		if (number == SIGUSR1)
			break;
	}
	TARGET_CHECK(object, 1);
	return NULL;
}

static void one(void *arg)
{
	pthread_t thread;

	ready = 0;
	thread = thread_start(waiter, arg);
	while (!__atomic_load_n(&ready, __ATOMIC_ACQUIRE))
		sleep_ms(1);
	sleep_ms(10);
	for (int i = 0; i < 20; i++) {
		wipe_and_collect();
		KEEP_ALIVE(target_new(2));
		sleep_ms(1);
	}
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, NULL);
}

int main(void)
{
	alarm(50);
	one(NULL);
	one(&ready);	/* with sigwaitinfo */
	return 0;
}
