/* libgc-events - the callbacks around a collection and their order; counters; switching collection off; settings.
 *
 * TEST-FLAGS: link=libgc timeout=120 */
#include "libgc-check.h"

static int events[64], nevents, starts;

static void on_event(GC_EventType event)
{
	if (nevents < 64)
		events[nevents++] = (int)event;
}

static void on_start(void)
{
	starts++;
}

static void test_events(void)
{
	static const int expected[] = {
		GC_EVENT_START,	     GC_EVENT_PRE_STOP_WORLD,  GC_EVENT_POST_STOP_WORLD,  GC_EVENT_MARK_START,
		GC_EVENT_MARK_END,   GC_EVENT_PRE_START_WORLD, GC_EVENT_POST_START_WORLD, GC_EVENT_RECLAIM_START,
		GC_EVENT_RECLAIM_END, GC_EVENT_END,
	};
	GC_word before = GC_get_gc_no();

	GC_set_on_collection_event(on_event);
	CHECK(GC_get_on_collection_event() == on_event);
	GC_set_start_callback(on_start);
	CHECK(GC_get_start_callback() == on_start);
	GC_gcollect();
	GC_set_on_collection_event(NULL);
	CHECK_EQ(nevents, 10);
	for (int i = 0; i < 10; i++)
		CHECK_EQ(events[i], expected[i]);
	CHECK_EQ(starts, 1);
	CHECK_EQ(GC_get_gc_no(), before + 1);
	GC_set_start_callback(NULL);
	GC_gcollect();
	CHECK_EQ(starts, 1);
	CHECK_EQ(nevents, 10);
}

static int yes(void)
{
	return 1;
}

static int no(void)
{
	return 0;
}

static void test_disable(void)
{
	GC_word before = GC_get_gc_no();

	CHECK(!GC_is_disabled());
	GC_disable();
	GC_disable();
	CHECK(GC_is_disabled());
	GC_gcollect();
	for (int i = 0; i < 100000; i++)
		GC_reachable_here(GC_MALLOC(100));
	CHECK_EQ(GC_try_to_collect(no), 0);
	GC_enable();
	CHECK(GC_is_disabled());
	GC_gcollect();
	CHECK_EQ(GC_get_gc_no(), before);
	GC_enable();
	CHECK(!GC_is_disabled());
	CHECK_EQ(GC_try_to_collect(yes), 0);
	CHECK_EQ(GC_get_gc_no(), before);
	CHECK_EQ(GC_try_to_collect(no), 1);
	CHECK(GC_get_gc_no() > before);
	before = GC_get_gc_no();
	GC_gcollect_and_unmap();
	CHECK(GC_get_gc_no() > before);
}

static GC_word resized;

static void on_resize(GC_word size)
{
	resized = size;
}

static void *volatile large;

static void test_counters(void)
{
	GC_word heap, free_bytes, unmapped, since, total, later;
	struct GC_prof_stats_s stats;

	GC_get_heap_usage_safe(&heap, &free_bytes, &unmapped, &since, &total);
	CHECK(heap > 0 && free_bytes <= heap && total >= since);
	GC_get_heap_usage_safe(NULL, NULL, NULL, NULL, NULL);
	GC_set_on_heap_resize(on_resize);
	CHECK(GC_get_on_heap_resize() == on_resize);
	large = GC_MALLOC_ATOMIC(100 << 20);
	collect(); /* at the latest */
	CHECK(resized >= 100 << 20);
	GC_set_on_heap_resize(NULL);
	CHECK(GC_get_heap_size() >= 100 << 20);
	CHECK(GC_get_memory_use() >= 100 << 20);
	GC_get_heap_usage_safe(NULL, NULL, NULL, NULL, &later);
	CHECK(later >= total + (100 << 20));
	CHECK(GC_get_total_bytes() >= later);
	CHECK(GC_get_obtained_from_os_bytes() >= 100 << 20);
	large = NULL;
	memset(&stats, 0, sizeof(stats));
	CHECK_EQ(GC_get_prof_stats(&stats, sizeof(stats)), sizeof(stats));
	CHECK(stats.heapsize_full >= 100 << 20);
	CHECK_EQ(stats.gc_no, GC_get_gc_no());
	CHECK_EQ(GC_get_prof_stats(&stats, 8), 8);
	collect();
	CHECK(GC_get_memory_use() < 100 << 20);
	CHECK(GC_get_bytes_since_gc() < 1 << 20);
}

static void test_settings(void)
{
	CHECK_EQ(GC_get_free_space_divisor(), 3);
	GC_set_free_space_divisor(5);
	CHECK_EQ(GC_get_free_space_divisor(), 5);
	CHECK_EQ(GC_get_max_retries(), 0);
	CHECK_EQ(GC_get_time_limit(), GC_TIME_UNLIMITED);
	CHECK_EQ(GC_get_full_freq(), 19);
	CHECK_EQ(GC_get_rate(), 10);
	CHECK_EQ(GC_get_min_bytes_allocd(), 1);
	CHECK_EQ(GC_get_allocd_bytes_per_finalizer(), 10000);
	CHECK_EQ(GC_get_finalize_on_demand(), 0);
	CHECK_EQ(GC_get_java_finalization(), 1);
	CHECK_EQ(GC_get_dont_expand(), 0);
	CHECK_EQ(GC_get_no_dls(), 0);
	CHECK(GC_get_suspend_signal() > 0);
	CHECK(GC_get_oom_fn() != NULL && GC_get_warn_proc() != NULL && GC_get_abort_func() != NULL);
	while (GC_collect_a_little())
		;
	CHECK_EQ(GC_expand_hp(1 << 20), 1);
	CHECK(GC_is_init_called());
}

static void test_checks(void)
{
	char *object = GC_MALLOC(64);
	void *p = object;

	CHECK(GC_same_obj(object + 10, object) == object + 10);
	CHECK(GC_pre_incr(&p, 16) == object + 16 && p == object + 16);
	CHECK(GC_post_incr(&p, 16) == object + 16 && p == object + 32);
	CHECK(GC_is_visible(object + 8) == object + 8);
	CHECK(GC_is_valid_displacement(object) == object);
}

int main(void)
{
	GC_INIT();
	test_events();
	test_disable();
	test_counters();
	test_checks();
	test_settings();
	return 0;
}
