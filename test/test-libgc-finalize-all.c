/* GC_finalize_all calls every finalizer, of live objects and those registered by finalizers too; the await procedure hears of
 * each object whose finalizer's turn has come.
 *
 * TEST-FLAGS: link=libgc torture=yes
 */
#include "libgc-check.h"

#include <gc/javaxfc.h>

static int called, awaited;
static void **objects;

static void second(void *object, void *data)
{
	(void)object;
	(void)data;
	called += 1000000;
}

static void first(void *object, void *data)
{
	called++;
	if (data)
		GC_REGISTER_FINALIZER(object, second, NULL, NULL, NULL);
}

static void await(void *object)
{
	CHECK(object != NULL);
	awaited++;
}

static void make(void)
{
	objects = GC_MALLOC(N * sizeof(void *));
	for (int i = 0; i < N; i++) {
		objects[i] = GC_MALLOC(24);
		GC_REGISTER_FINALIZER(objects[i], first, NULL, NULL, NULL);
	}
}

int main(void)
{
	GC_INIT();
	CHECK(GC_get_await_finalize_proc() == NULL);
	GC_set_await_finalize_proc(await);
	CHECK(GC_get_await_finalize_proc() == await);
	apart(make);
	settle();
	CHECK_EQ(called, 0);
	memset(objects, 0, N / 2 * sizeof(void *));
	settle();
	CHECK_MOST(called, N / 2);
	CHECK_MOST(awaited, N / 2);
	GC_set_await_finalize_proc(NULL);
	GC_REGISTER_FINALIZER(objects[N - 1], first, &called, NULL, NULL);
	GC_finalize_all();
	CHECK_EQ(called, N + 1000000);
	return 0;
}
