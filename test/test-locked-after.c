/* What a program stores right after gcdune_locked_call returns belongs to what it did inside: a collection that waited for
 * the lock does not stop it in between (Guile moves its stack so). `inside' is set with the lock held, `after' by the next
 * instructions, some of which take their time; whenever the world is stopped the two are the same. (Code that a sanitizer adds
 * is too long for what the collector takes for "right after".)
 *
 * TEST-FLAGS: timeout=60 asan=no tsan=no env:GCDUNE_MODE=concurrent
 */
#include "check.h"

#define ROUNDS 300

static volatile uint64_t inside, after;
static unsigned stops;

static void look(struct gcdune_marker *marker)
{
	(void)marker;
	stops++;
	CHECKF(inside == after, "stopped between: %llu inside, %llu after", (unsigned long long)inside,
	       (unsigned long long)after);
}

static void *move(void *arg)
{
	inside++;
	sleep_ms(1); /* a collection comes to wait */
	return arg;
}

static volatile int stop;

static void *collects(void *arg)
{
	while (!stop)
		gcdune_collect();
	return arg;
}

int main(void)
{
	gcdune_roots_callback_set(look);
	pthread_t thread = thread_start(collects, NULL);

	for (int i = 0; i < ROUNDS; i++) {
		gcdune_locked_call(move, NULL);
		__asm__ volatile("mov $5000, %%ecx\n1:\tpause\n\tdec %%ecx\n\tjnz 1b" : : : "ecx", "memory");
		after = inside;
		KEEP_ALIVE(target_new(1));
	}
	stop = true;
	pthread_join(thread, NULL);
	CHECKF(stops > 10, "the program was stopped %u times only", stops);
	return 0;
}
