/* A thread that refuses to be stopped just after a locked call is signalled again at once: its refusal is not missed by who
 * waits for answers, who would then find out only when threads that do not answer are signalled again, after a second.
 * (Shown with a sleep before that wait in stop.c: every second collection takes so long. A few that do for other reasons, on
 * a busy machine, are let pass.)
 *
 * TEST-FLAGS: timeout=100 asan=no tsan=no env:GCDUNE_MODE=stw
 */
#include "check.h"

#define COLLECTIONS 300
#define MOST_LATE 20
#define THREADS 3
#define SECOND_NS 1000000000u

static volatile int stop;

static void *nothing(void *arg)
{
	return arg;
}

static void *calls(void *arg)
{
	while (!stop)
		gcdune_locked_call(nothing, NULL);
	return arg;
}

int main(void)
{
	pthread_t threads[THREADS];
	unsigned late = 0;

	for (int i = 0; i < THREADS; i++)
		threads[i] = thread_start(calls, NULL);
	for (int i = 0; i < COLLECTIONS && late <= MOST_LATE; i++) {
		uint64_t before = now_ns();

		gcdune_collect();
		late += now_ns() - before >= SECOND_NS;
	}
	stop = true;
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	CHECKF(late <= MOST_LATE, "%u collections took a second", late);
	return 0;
}
