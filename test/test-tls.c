/* Thread-local storage of several threads is a root: static __thread variables, those of a library loaded later
 * (dynamic TLS), and those of the main thread; and no longer when the thread has ended.
 *
 * TEST-FLAGS: timeout=60 torture=yes tsan=no
 */
#include <dlfcn.h>

#include "check.h"

#define THREADS 6
#define COUNT 500

static __thread void *initialized[COUNT] = { (void *)1 };
static __thread void *zero[COUNT];
static __thread char odd_sized[3] MAYBE_UNUSED;

static void (*tls_set)(size_t, void *);
static void *(*tls_get)(size_t);
static pthread_barrier_t filled, collected;
static struct watch objects;
static pthread_mutex_t objects_lock = PTHREAD_MUTEX_INITIALIZER;

static void NOINLINE fill(uint64_t id)
{
	for (size_t i = 0; i < COUNT; i++) {
		initialized[i] = target_new(id + 3 * i);
		zero[i] = target_new(id + 3 * i + 1);
		tls_set(i, target_new(id + 3 * i + 2));
		pthread_mutex_lock(&objects_lock);
		watch_add(&objects, initialized[i]);
		watch_add(&objects, zero[i]);
		watch_add(&objects, tls_get(i));
		pthread_mutex_unlock(&objects_lock);
	}
}

static void NOINLINE check(uint64_t id)
{
	for (size_t i = 0; i < COUNT; i++) {
		TARGET_CHECK(initialized[i], id + 3 * i);
		TARGET_CHECK(zero[i], id + 3 * i + 1);
		TARGET_CHECK(tls_get(i), id + 3 * i + 2);
	}
}

static void *thread(void *arg)
{
	uint64_t id = (uintptr_t)arg << 32;

	fill(id);
	wipe_stack();
	pthread_barrier_wait(&filled);
	pthread_barrier_wait(&collected);
	check(id);
	return NULL;
}

static void NOINLINE round_of_threads(void)
{
	pthread_t threads[THREADS];

	for (uintptr_t i = 0; i < THREADS; i++)
		threads[i] = thread_start(thread, (void *)(i + 1));
	fill(0);
	pthread_barrier_wait(&filled);
	for (int i = 0; i < 3; i++)
		wipe_and_collect();
	pthread_barrier_wait(&collected);
	check(0);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

int main(void)
{
	void *handle;

	pthread_barrier_init(&filled, NULL, THREADS + 1);
	pthread_barrier_init(&collected, NULL, THREADS + 1);
	CHECK_EQ(gcdune_init(), 0);
	handle = dlopen(lib_path("tls"), RTLD_NOW);
	CHECKF(handle != NULL, "%s", dlerror());
	tls_set = (void (*)(size_t, void *))dlsym(handle, "lib_tls_set");
	tls_get = (void *(*)(size_t))dlsym(handle, "lib_tls_get");
	CHECK(tls_set && tls_get);

	for (size_t i = 0; i < rounds(5, 1); i++) {
		round_of_threads();
		/* The threads are gone, the main thread drops its own: all is garbage. */
		memset(initialized, 0, sizeof(initialized));
		memset(zero, 0, sizeof(zero));
		for (size_t k = 0; k < COUNT; k++)
			tls_set(k, NULL);
		wipe_and_collect();
		CHECK_DEAD(watch_live(&objects), objects.count);
		watch_reset(&objects);
	}
	return 0;
}
