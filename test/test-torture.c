/* GCDUNE_TORTURE=N collects at every Nth allocation, in every thread, of every kind, and also where the fast path is
 * inlined; 0 turns it off.
 *
 * TEST-FLAGS: timeout=60 static=yes tsan=no
 */
#include "check.h"
#include "gcdune-inline.h"

static void *allocates(void *arg)
{
	struct target *list[8] = { 0 };

	for (uint64_t i = 0; i < 1000; i++) {
		list[i % 8] = target_new(i);
		if (i >= 8)
			TARGET_CHECK(list[(i + 1) % 8], i - 7);
	}
	return NULL;
}

static uint64_t collections(void)
{
	return stats_now().collections;
}

#define EXPECT_ABOUT(count, what)                                                                                   \
	do {                                                                                                        \
		uint64_t expected = interval ? (count) / interval : 0, before = collections(), got;                 \
		what;                                                                                               \
		got = collections() - before;                                                                       \
		CHECKF(got + expected / 10 + 1 >= expected && got <= expected * 11 / 10 + 3,                        \
		       "torture %u: %llu collections, expected about %llu: %s", interval, (unsigned long long)got,  \
		       (unsigned long long)expected, #what);                                                        \
	} while (0)

static int child(unsigned interval)
{
	pthread_t threads[2];

	EXPECT_ABOUT(1000, allocates(NULL));
	EXPECT_ABOUT(1000, for (int i = 0; i < 1000; i++) KEEP_ALIVE(gcdune_alloc_leaf(100)));
	EXPECT_ABOUT(1000, for (int i = 0; i < 1000; i++) KEEP_ALIVE(gcdune_alloc_inline(32)));
	EXPECT_ABOUT(1000, for (int i = 0; i < 1000; i++) KEEP_ALIVE(gcdune_alloc_kind(50, GCDUNE_KIND_SCANNED)));
	EXPECT_ABOUT(100, for (int i = 0; i < 100; i++) KEEP_ALIVE(gcdune_alloc(100000)));
	EXPECT_ABOUT(1000, for (int i = 0; i < 1000; i++) KEEP_ALIVE(gcdune_alloc_typed(32, 0)));
	EXPECT_ABOUT(2000, {
		for (int i = 0; i < 2; i++)
			threads[i] = thread_start(allocates, NULL);
		for (int i = 0; i < 2; i++)
			pthread_join(threads[i], NULL);
	});
	return 0;
}

int main(int argc, char **argv)
{
	static const char *const intervals[] = { "10", "1", "100", "0" };

	if (argc > 1)
		return child((unsigned)atoi(argv[1]));
	for (size_t i = 0; i < sizeof(intervals) / sizeof(*intervals); i++) {
		char setting[64], output[4096];
		/* Room enough that no collection is due for want of it. */
		const char *const env[] = { setting, "GCDUNE_HEAP_INITIAL=256M", NULL };
		int status;

		snprintf(setting, sizeof(setting), "GCDUNE_TORTURE=%s", intervals[i]);
		status = child_exec(intervals[i], env, output, sizeof(output));
		CHECKF(status == 0 && !output[0], "%s: status %d, \"%s\"", setting, status, output);
	}
	return 0;
}
