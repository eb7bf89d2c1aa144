/* Data of libraries that are loaded and unloaded while the program runs: roots as long as they are there, no
 * longer when they are gone, also when other threads collect at that moment.
 *
 * TEST-FLAGS: timeout=120 torture=yes tsan=no
 */
#include <dlfcn.h>

#include "check.h"

#define COUNT 1000

struct lib {
	void *handle;
	void (*set)(size_t, void *);
	void *(*get)(size_t);
};

static struct lib lib_load(void)
{
	struct lib lib = { .handle = dlopen(lib_path("root"), RTLD_NOW) };

	CHECKF(lib.handle != NULL, "%s", dlerror());
	lib.set = (void (*)(size_t, void *))dlsym(lib.handle, "lib_root_set");
	lib.get = (void *(*)(size_t))dlsym(lib.handle, "lib_root_get");
	CHECK(lib.set && lib.get);
	return lib;
}

static struct lib lib;
static struct watch objects;

static void fill(void *arg)
{
	for (size_t i = 0; i < COUNT; i++) {
		void *p = target_new(i);

		lib.set(i, p);
		watch_add(&objects, p);
	}
}

static void load_and_unload(void)
{
	for (size_t round = 0; round < rounds(50, 4); round++) {
		lib = lib_load();
		make_in_thread(fill, NULL);
		wipe_and_collect();
		for (size_t i = 0; i < COUNT; i++)
			TARGET_CHECK(lib.get(i), i);
		CHECK_EQ(dlclose(lib.handle), 0);
		memset(&lib, 0, sizeof(lib));
		wipe_and_collect();
		CHECK_DEAD(watch_live(&objects), COUNT);
		watch_reset(&objects);
	}
}

/* One thread loads and unloads, another does nothing but collect, a third allocates. */
static volatile int stop;	/* not bool: gcc 12 with -fsanitize=bool reads a volatile one only once */

static void *collector(void *arg)
{
	while (!stop)
		gcdune_collect();
	return NULL;
}

static void *allocator(void *arg)
{
	void **list = NULL;

	for (size_t i = 1; !stop; i++) {
		void **p = gcdune_alloc(32);

		p[0] = i % 1000 ? list : NULL;
		p[1] = (void *)(i * 2 + 1);
		if (list)
			CHECK(list[1] == (void *)(i * 2 - 1));
		list = p;
	}
	return NULL;
}

static void while_collecting(void)
{
	pthread_t threads[2] = { thread_start(collector, NULL), thread_start(allocator, NULL) };
	uint64_t end = now_ns() + rounds(3000, 1000) * 1000000u;
	size_t n = 0;

	for (; n < 3 || (now_ns() < end && n < 2000); n++) {
		struct lib l = lib_load();

		for (size_t i = 0; i < 20; i++)
			l.set(i, target_new(i));
		if (n % 3 == 0)
			gcdune_collect();
		for (size_t i = 0; i < 20; i++)
			TARGET_CHECK(l.get(i), i);
		CHECK_EQ(dlclose(l.handle), 0);
	}
	stop = true;
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}

int main(void)
{
	load_and_unload();
	while_collecting();
	return 0;
}
