/* What finalizers are given is held by the table alone. Threads change it all the time, while collections mark beside them: the
 * objects are marked before the table is looked through, what is new in it is not.
 *
 * TEST-FLAGS: timeout=120 tsan=no env:GCDUNE_MODE=concurrent env:GCDUNE_STRETCH=1000 env:GCDUNE_VERIFY=1
 */
#include "check.h"

enum { THREADS = 2, OBJECTS = 3000, CYCLES = 30 };

ROOT void **objects[THREADS];
static uint64_t ids[THREADS][OBJECTS];
static _Atomic bool over;

static void finalizer(void *object, void *data)
{
	(void)object;
	(void)data;
}

static NOINLINE void change(size_t me, size_t i)
{
	void *old;
	uint64_t id = ids[me][i] + 1;

	CHECK_EQ(gcdune_finalizer_set(objects[me][i], finalizer, target_new(id), (int)(id % 4), NULL, &old), 0);
	if (ids[me][i])
		TARGET_CHECK(old, ids[me][i]);
	ids[me][i] = id;
}

static void *thread(void *arg)
{
	size_t me = (size_t)arg;
	uint64_t random = me + 1;

	objects[me] = gcdune_alloc(OBJECTS * sizeof(void *));
	for (size_t i = 0; i < OBJECTS; i++)
		objects[me][i] = gcdune_alloc(32);
	for (size_t i = 0; i < OBJECTS; i++)
		change(me, i);
	while (!over)
		change(me, (size_t)((random = mix(random + 1)) % OBJECTS));
	for (size_t i = 0; i < OBJECTS; i++)
		change(me, i);
	return NULL;
}

int main(void)
{
	pthread_t threads[THREADS];

	CHECK_EQ(gcdune_init(), 0);
	for (size_t t = 0; t < THREADS; t++)
		CHECK_EQ(pthread_create(&threads[t], NULL, thread, (void *)t), 0);
	for (int i = 0; i < CYCLES; i++)
		gcdune_collect();
	over = true;
	for (size_t t = 0; t < THREADS; t++)
		CHECK_EQ(pthread_join(threads[t], NULL), 0);
	return 0;
}
