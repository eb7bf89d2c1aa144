/* The argument of pthread_create is kept alive until the new thread holds it, though the creator forgets it at
 * once and everybody collects.
 * Not under ASan, whose own pthread_create keeps the argument where no one else looks.
 *
 * TEST-FLAGS: timeout=60 torture=yes static=yes asan=no tsan=no
 */
#include "check.h"

static volatile int stop;	/* not bool: gcc 12 with -fsanitize=bool reads a volatile one only once */
static unsigned running;

static void *collector(void *arg)
{
	while (!stop)
		gcdune_collect();
	return NULL;
}

static void *started(void *arg)
{
	struct target **t = arg;

	CHECK(gcdune_thread_is_attached());
	/* Reuses what was freed. */
	for (size_t i = 0; i < 20; i++)
		KEEP_ALIVE(target_new(~i));
	TARGET_CHECK(t[0], t[1]->id);
	__atomic_fetch_sub(&running, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void NOINLINE start(uint64_t id, const pthread_attr_t *attr)
{
	struct target **arg = gcdune_alloc(2 * sizeof(*arg));
	pthread_t thread;

	arg[0] = target_new(id);
	arg[1] = target_new(id);
	__atomic_fetch_add(&running, 1, __ATOMIC_RELAXED);
	CHECK_EQ(pthread_create(&thread, attr, started, arg), 0);
}

int main(void)
{
	pthread_t thread = thread_start(collector, NULL);
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	for (size_t i = 0; i < rounds(2000, 100); i++) {
		start(i, &attr);
		wipe_stack();
		if (i % 16 == 0)
			gcdune_collect();
		while (__atomic_load_n(&running, __ATOMIC_ACQUIRE) > 20)
			sched_yield();
	}
	while (__atomic_load_n(&running, __ATOMIC_ACQUIRE))
		sleep_ms(1);
	stop = true;
	pthread_join(thread, NULL);
	return 0;
}
