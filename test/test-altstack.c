/* A thread that is stopped while it runs a signal handler, on an alternate stack or not: what the interrupted code
 * held in its registers and on its own stack is kept, and what the handler holds too.
 *
 * TEST-FLAGS: timeout=60 torture=yes tsan=no
 */
#include "check.h"

#define COUNT 200

ROOT struct target *volatile handed[COUNT];	/* taken out by the handler, put back when it ends */
static unsigned in_handler;
static volatile int stop;	/* not bool: gcc 12 with -fsanitize=bool reads a volatile one only once */

static void handler(int number)
{
	struct target *volatile taken[COUNT];

	for (size_t i = 0; i < COUNT; i++) {
		taken[i] = handed[i];
		handed[i] = NULL;
	}
	__atomic_store_n(&in_handler, 1, __ATOMIC_RELEASE);
	while (!stop)
		;
	for (size_t i = 0; i < COUNT; i++)
		handed[i] = taken[i];
}

static void NOINLINE fill(void)
{
	for (size_t i = 0; i < COUNT; i++)
		handed[i] = target_new(i);
}

static void NOINLINE interrupted(void)
{
	struct target *volatile objects[COUNT];

	for (size_t i = 0; i < COUNT; i++)
		objects[i] = target_new(i + COUNT);
	raise(SIGUSR1);
	for (size_t i = 0; i < COUNT; i++)
		TARGET_CHECK(objects[i], i + COUNT);
}

static void *thread(void *arg)
{
	stack_t alternate = { .ss_sp = NULL, .ss_size = 128 * 1024 }, before;

	if (arg) {
		alternate.ss_sp = malloc(alternate.ss_size);
		CHECK_EQ(sigaltstack(&alternate, &before), 0);
	}
	fill();
	wipe_stack();
	interrupted();
	for (size_t i = 0; i < COUNT; i++)
		TARGET_CHECK(handed[i], i);
	if (arg) {
		alternate.ss_flags = SS_DISABLE;
		sigaltstack(&alternate, NULL);
		free(alternate.ss_sp);
	}
	return NULL;
}

static void one(bool alternate)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = alternate ? SA_ONSTACK : 0 };
	pthread_t t;

	sigaction(SIGUSR1, &action, NULL);
	stop = false;
	in_handler = 0;
	t = thread_start(thread, alternate ? &action : NULL);
	while (!__atomic_load_n(&in_handler, __ATOMIC_ACQUIRE))
		sleep_ms(1);
	for (int i = 0; i < 10; i++) {
		wipe_and_collect();
		for (size_t k = 0; k < 500; k++)
			KEEP_ALIVE(target_new(~k));
	}
	stop = true;
	pthread_join(t, NULL);
}

int main(void)
{
	for (int i = 0; i < 3; i++) {
		one(false);
		one(true);
	}
	return 0;
}
