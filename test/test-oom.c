/* Running out of memory under a heap limit: the handler is called with the size, what it returns is what the
 * allocation returns, the heap never exceeds the limit, and after freeing all goes on. Also by GCDUNE_HEAP_LIMIT,
 * with the default handler's one message, from several threads, and with mostly garbage, which must not count as
 * running out.
 *
 * TEST-FLAGS: timeout=120 torture=no asan=no tsan=no static=yes
 */
#include "check.h"

#define MIB ((size_t)1 << 20)
#define LIMIT (48 * MIB)

struct node {
	struct node *next;
	uint64_t id, check;
	char filler[];
};

ROOT struct node *list;
static unsigned handler_calls;
static size_t handler_size;

static void *handler(size_t size)
{
	__atomic_fetch_add(&handler_calls, 1, __ATOMIC_RELAXED);
	handler_size = size;
	return NULL;
}

/* Fills the heap with objects of SIZE bytes until there is no more; returns how many. */
static size_t fill(size_t size)
{
	size_t n = 0;

	for (;; n++) {
		struct node *node = gcdune_alloc(size);

		CHECKF(n * size <= LIMIT, "%zu objects of %zu bytes in a heap of %zu", n, size, LIMIT);
		if (!node)
			return n;
		node->next = list;
		node->id = n;
		node->check = mix(n);
		list = node;
	}
}

static void check_list(size_t n)
{
	for (struct node *p = list; p; p = p->next) {
		n--;
		CHECK(p->id == n && p->check == mix(n));
	}
	CHECK_EQ(n, 0);
}

static void run_out(size_t size)
{
	unsigned before = handler_calls;
	size_t n = fill(size);

	CHECKF(n * size >= LIMIT * 6 / 10, "only %zu objects of %zu bytes fit in %zu MiB", n, size, LIMIT / MIB);
	CHECK_EQ(handler_calls, before + 1);
	CHECKF(handler_size >= size && handler_size <= size + 4096, "the handler was told %zu for %zu bytes",
	       handler_size, size);
	CHECKF(stats_now().bytes_heap <= LIMIT, "the heap has %llu bytes, its limit is %zu",
	       (unsigned long long)stats_now().bytes_heap, LIMIT);
	check_list(n);
	/* Again, and again, it says no and does no harm. */
	for (int i = 0; i < 20; i++)
		KEEP_ALIVE(gcdune_alloc(size));
	CHECK(handler_calls > before + 1);
	check_list(n);
	/* All goes on when there is memory again; as much as before. */
	list = NULL;
	wipe_and_collect();
	size_t again = fill(size);
	CHECKF(again >= n - n / 10, "%zu objects of %zu bytes fitted, then %zu", n, size, again);
	check_list(again);
	list = NULL;
	wipe_and_collect();
}

static char reserve_memory[4096];

static void *handler_with_memory(size_t size)
{
	handler_calls++;
	return reserve_memory;
}

/* A handler may free, and allocate. */
static void *handler_that_frees(size_t size)
{
	void *p;

	if (handler_calls++ > 0)
		return NULL;
	list = NULL;
	wipe_and_collect();
	p = gcdune_alloc(size);
	CHECK(p != NULL);
	return p;
}

static void handlers(void)
{
	size_t n;

	CHECK(gcdune_oom_set(handler_with_memory) == handler);
	handler_calls = 0;
	for (n = 0; n * 1000 < 2 * LIMIT; n++) {
		struct node *node = gcdune_alloc(1000);

		/* The declaration tells the compiler that what is allocated is new; what a handler returns may not be. */
		__asm__ volatile("" : "+r"(node));
		if (node == (void *)reserve_memory)
			break;
		CHECK(node != NULL);
		node->next = list;
		list = node;
	}
	CHECKF(n * 1000 < 2 * LIMIT && handler_calls == 1, "%zu objects, %u calls", n, handler_calls);
	CHECK(gcdune_oom_set(handler_that_frees) == handler_with_memory);
	handler_calls = 0;
	for (n = 0; handler_calls == 0; n++) {
		struct node *node = gcdune_alloc(1000);

		CHECK(node != NULL);
		node->next = list;
		list = node;
		CHECK(n * 1000 < 2 * LIMIT);
	}
	list = NULL;
	CHECK(gcdune_oom_set(handler) == handler_that_frees);
}

/* Nearly all is garbage, in every size; the limit is met without a failure. */
static void garbage_is_no_reason(void)
{
	uint64_t random = 9;
	ROOT void *some[64];
	unsigned before = handler_calls;

	for (size_t i = 0; i < 300000; i++) {
		size_t size = 16 + random_next(&random) % (i % 100 ? 2000 : 200000);
		void *p = i % 2 ? gcdune_alloc(size) : gcdune_alloc_leaf(size);

		CHECKF(p != NULL, "no memory for %zu bytes, but most of the heap is garbage", size);
		some[i % 64] = p;
	}
	CHECK_EQ(handler_calls, before);
	memset(some, 0, sizeof(some));
}

static void *thread(void *arg)
{
	void **mine = NULL;
	size_t n = 0;

	for (int failures = 0; failures < 20;) {
		void **p = gcdune_alloc(64 + n % 7 * 100);

		if (p) {
			p[0] = mine;
			p[1] = (void *)(n++ * 2 + 1);
			mine = p;
			continue;
		}
		failures++;
		for (size_t i = n; mine; mine = *mine)
			CHECK(mine[1] == (void *)(--i * 2 + 1));
		n = 0;
	}
	return NULL;
}

static void threads_run_out(void)
{
	pthread_t threads[3];

	for (int i = 0; i < 3; i++)
		threads[i] = thread_start(thread, NULL);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	wipe_and_collect();
	fill(100);
	list = NULL;
}

static void by_environment(void)
{
	static const char *const env[] = { "GCDUNE_HEAP_LIMIT=32M", NULL };
	char output[4096];
	int status = child_exec("child", env, output, sizeof(output));

	CHECKF(status == 0, "with GCDUNE_HEAP_LIMIT: status %d, \"%s\"", status, output);
	/* The default handler says it once, though many allocations fail. */
	CHECKF(count_lines(output) == 1 && strstr(output, "gcdune") && strstr(output, "memory"),
	       "expected one line on running out of memory, got \"%s\"", output);
}

static int child(void)
{
	size_t n = 0;

	CHECK_EQ(stats_now().heap_limit, 32 * MIB);
	for (int failures = 0; failures < 10;) {
		void **p = gcdune_alloc(500);

		if (!p) {
			failures++;
			continue;
		}
		*p = list;
		list = (struct node *)p;
		CHECK(++n * 500 <= 32 * MIB);
	}
	CHECK(n * 500 >= 18 * MIB);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return child();
	by_environment();
	CHECK(gcdune_oom_set(handler) == NULL);
	gcdune_heap_limit_set(LIMIT);
	CHECK_EQ(stats_now().heap_limit, LIMIT);
	run_out(32);
	run_out(1000);
	run_out(5000);
	run_out(300000);
	CHECK(gcdune_alloc((volatile size_t){ LIMIT * 2 }) == NULL);
	CHECK(gcdune_alloc((volatile size_t){ SIZE_MAX / 2 }) == NULL);
	CHECK(gcdune_alloc_leaf((volatile size_t){ SIZE_MAX - 8 }) == NULL);
	handlers();
	garbage_is_no_reason();
	threads_run_out();
	/* Without the limit there is more. */
	gcdune_heap_limit_set(0);
	CHECK_EQ(stats_now().heap_limit, 0);
	for (size_t i = 0; i < 2 * LIMIT / 4096; i++) {
		void **p = gcdune_alloc(4096);

		CHECK(p != NULL);
		*p = list;
		list = (struct node *)p;
	}
	return 0;
}
