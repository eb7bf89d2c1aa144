/* gcdune_blocking_call: collections neither wait for the thread nor interrupt its system call; what its callers
 * hold is kept; gcdune_active_call inside works as ordinary code; both nest and pass values through.
 *
 * TEST-FLAGS: timeout=60 torture=yes static=yes tsan=no
 */
#include <poll.h>

#include "check.h"

#define COUNT 300

static int to_thread[2], from_thread[2];

/* poll, unlike read, fails with EINTR after any handler has run, SA_RESTART or not. */
static void *wait_in_poll(void *arg)
{
	struct pollfd p = { .fd = to_thread[0], .events = POLLIN };
	char c = 'r';

	CHECK(write(from_thread[1], &c, 1) == 1);
	CHECKF(poll(&p, 1, -1) == 1, "poll inside gcdune_blocking_call: %s", strerror(errno));
	CHECK(read(to_thread[0], &c, 1) == 1);
	return (void *)((uintptr_t)arg + 1);
}

static void NOINLINE fill(void **objects, uint64_t id)
{
	for (size_t i = 0; i < COUNT; i++)
		objects[i] = target_new(id + i);
}

static void NOINLINE check(void *const *objects, uint64_t id)
{
	for (size_t i = 0; i < COUNT; i++)
		TARGET_CHECK(objects[i], id + i);
}

/* What the outermost caller, and each layer between, holds on its stack is rooted. */
static void *layer_active(void *arg);

static void *layer_blocking(void *arg)
{
	uintptr_t depth = (uintptr_t)arg;

	if (depth == 0)
		return wait_in_poll(NULL);
	return gcdune_active_call(layer_active, (void *)depth);
}

static void *layer_active(void *arg)
{
	uintptr_t depth = (uintptr_t)arg;
	void *volatile objects[COUNT];
	void *result;

	fill((void **)(uintptr_t)objects, depth * 1000);
	gcdune_collect();
	result = gcdune_blocking_call(layer_blocking, (void *)(depth - 1));
	check((void **)(uintptr_t)objects, depth * 1000);
	fill((void **)(uintptr_t)objects, depth * 1000 + 1);
	check((void **)(uintptr_t)objects, depth * 1000 + 1);
	return (char *)result + 1;
}

/* Blocking inside blocking, without an active part between. */
static void *blocking_again(void *arg)
{
	return gcdune_blocking_call(wait_in_poll, (char *)arg + 1);
}

static void *plain(void *arg)
{
	KEEP_ALIVE(target_new(1));
	return arg;
}

static void *thread(void *arg)
{
	int value = 0;

	CHECK(gcdune_blocking_call(wait_in_poll, &value) == (char *)&value + 1);
	CHECK(gcdune_blocking_call(blocking_again, &value) == (char *)&value + 2);
	CHECK_EQ((uintptr_t)layer_active((void *)1), 2);
	CHECK_EQ((uintptr_t)layer_active((void *)5), 6);
	/* Outside of any blocking call, active_call is a plain call. */
	CHECK(gcdune_active_call(plain, &value) == &value);
	return NULL;
}

int main(void)
{
	pthread_t t;
	char c;

	CHECK(pipe(to_thread) == 0 && pipe(from_thread) == 0);
	t = thread_start(thread, NULL);
	for (int step = 0; step < 4; step++) {
		CHECK(read(from_thread[0], &c, 1) == 1);
		sleep_ms(20);
		for (size_t i = 0; i < rounds(100, 20); i++) {
			wipe_and_collect();
			KEEP_ALIVE(target_new(i));
		}
		CHECK(write(to_thread[1], "g", 1) == 1);
	}
	pthread_join(t, NULL);
	return 0;
}
