/* gcdune_disable and _enable nest, hold for all threads, keep even explicit and tortured collections from
 * starting, and let the heap grow instead; gcdune_heap_reserve and gcdune_growth_set change when collections come.
 *
 * TEST-FLAGS: timeout=60 torture=yes
 */
#include "check.h"

static struct watch garbage;

static void make_garbage(void *arg)
{
	for (uint64_t i = 0; i < 10000; i++)
		watch_add(&garbage, target_new(i));
	gcdune_collect();
}

static uint64_t collections_for(size_t bytes)
{
	ROOT void *list;
	uint64_t before = stats_now().collections;

	for (size_t i = 0; i < bytes / 4096; i++) {
		void **p = gcdune_alloc(4096);

		CHECK(p != NULL);
		/* A tenth of it lives. */
		if (i % 10 == 0) {
			*p = list;
			list = p;
		}
	}
	list = NULL;
	return stats_now().collections - before;
}

static void tuning(void)
{
	uint64_t few, many;

	CHECK_EQ(gcdune_growth_set(9), -EINVAL);
	CHECK_EQ(gcdune_growth_set(1001), -EINVAL);
	CHECK_EQ(gcdune_growth_set(10), 0);
	many = collections_for(300u << 20);
	CHECK_EQ(gcdune_growth_set(1000), 0);
	gcdune_collect();
	few = collections_for(300u << 20);
	CHECKF(few < many, "growth 1000 %% gave %llu collections, 10 %% gave %llu", (unsigned long long)few,
	       (unsigned long long)many);
	CHECK_EQ(gcdune_growth_set(75), 0);
	/* With room reserved for all of it, none is needed. */
	gcdune_collect();
	CHECK_EQ(gcdune_heap_reserve(600u << 20), 0);
	CHECK_EQ(collections_for(300u << 20), 0);
}

int main(void)
{
	uint64_t before;

	CHECK(!gcdune_is_disabled());
	CHECK_EQ(gcdune_enable(), -EINVAL);
	gcdune_disable();
	CHECK(gcdune_is_disabled());
	gcdune_disable();
	before = stats_now().collections;
	in_thread(make_garbage, NULL);
	CHECK_EQ(watch_live(&garbage), garbage.count);
	CHECK_EQ(gcdune_enable(), 0);
	CHECK(gcdune_is_disabled());
	in_thread(make_garbage, NULL);
	for (size_t i = 0; i < 20; i++)
		KEEP_ALIVE(gcdune_alloc(5 << 20));
	gcdune_collect_and_release();
	CHECK_EQ(watch_live(&garbage), garbage.count);
	CHECK_EQ(stats_now().collections, before);
	CHECK_EQ(gcdune_enable(), 0);
	CHECK(!gcdune_is_disabled());
	CHECK_EQ(gcdune_enable(), -EINVAL);
	wipe_and_collect();
	CHECK(stats_now().collections > before);
	CHECK_DEAD(watch_live(&garbage), garbage.count);
	if (!tortured())
		tuning();
	return 0;
}
