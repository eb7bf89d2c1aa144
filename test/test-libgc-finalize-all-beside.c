/* GC_finalize_all in the middle of a collection: what it queues was garbage already when the collection read the queue, and lives
 * until its finalizer is called all the same.
 *
 * TEST-FLAGS: link=libgc torture=no tsan=no timeout=120 env:GCDUNE_MODE=concurrent env:GCDUNE_STRETCH=3000
 */
#include "libgc-check.h"

#include <gc/javaxfc.h>

enum { OBJECTS = 400, ROUNDS = 30, WORDS = 6 };

static int called;
static int over;

static void check_one(void *object, void *data)
{
	const uintptr_t *word = object;

	(void)data;
	for (int i = 1; i < WORDS; i++)
		CHECK_EQ(word[i], word[0] ^ (uintptr_t)i);
	called++;
	/* The rest waits in the queue for some cycles. */
	if (called % 40 == 0)
		usleep(2000);
}

static void make(void)
{
	for (uintptr_t n = 0; n < OBJECTS; n++) {
		uintptr_t *object = GC_MALLOC(WORDS * sizeof *object);

		for (int i = 0; i < WORDS; i++)
			object[i] = i ? (n + 1) ^ (uintptr_t)i : n + 1;
		GC_REGISTER_FINALIZER_NO_ORDER(object, check_one, NULL, NULL, NULL);
	}
}

static void *collects(void *arg)
{
	(void)arg;
	while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
		GC_gcollect();
		/* What was freed is used again. */
		for (int i = 0; i < 2000; i++)
			memset(GC_MALLOC(WORDS * sizeof(void *)), 0xff, WORDS * sizeof(void *));
	}
	return NULL;
}

int main(void)
{
	pthread_t thread;

	GC_INIT();
	GC_set_finalize_on_demand(1);
	CHECK_EQ(pthread_create(&thread, NULL, collects, NULL), 0);
	for (int round = 0; round < ROUNDS; round++) {
		apart(make);
		usleep((unsigned)(round * 700 % 9000)); /* somewhere in a cycle */
		GC_finalize_all();
		GC_invoke_finalizers(); /* what a collection had queued, if it had queued all there were */
	}
	__atomic_store_n(&over, 1, __ATOMIC_RELAXED);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_EQ(called, OBJECTS * ROUNDS);
	return 0;
}
