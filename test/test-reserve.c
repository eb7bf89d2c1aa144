/* Whether a pointer is to an object may be asked while another thread allocates beside it: what that one has in reserve is not
 * mistaken for the object, whichever block it takes its slots from next, the one that it has just filled among them.
 *
 * Not under TSan, which sees a race in each answer: they are had without a lock, and looked at twice.
 *
 * TEST-FLAGS: static=yes short=yes tsan=no
 */
#include "check.h"

/* Slots of 16 bytes fill a block to its end, and there the last of them is. */
enum { SIZE = 16 };

ROOT void *_Atomic shown;
static _Atomic int stop;
static _Atomic size_t collections;
static const size_t ENOUGH = 100000;

static void *ask(void *arg)
{
	size_t asked = 0;

	for (; !stop; asked++) {
		void *object = shown;

		CHECKF(!object || gcdune_base(object) == object, "%p, which was just allocated, is no object", object);
	}
	*(size_t *)arg = asked;
	return NULL;
}

/* A block that is full by now when it is swept is what its thread may have next. */
static void *collect(void *arg)
{
	(void)arg;
	for (; !stop; collections++)
		gcdune_collect();
	return NULL;
}

int main(void)
{
	size_t asked = 0;

	CHECK_EQ(gcdune_init(), 0);
	pthread_t asks = thread_start(ask, &asked), collects = thread_start(collect, NULL);

	/* How many collections that makes is up to the scheduler. */
	for (size_t i = 0; i < rounds(4000, 200) && collections < ENOUGH; i++)
		for (int n = 0; n < 5000; n++)
			shown = gcdune_alloc(SIZE);
	stop = 1;
	pthread_join(asks, NULL);
	pthread_join(collects, NULL);
	CHECK(asked > 0);
	return 0;
}
