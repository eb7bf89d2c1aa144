/* gcdune_stats_get: counters count, never go back, agree with what the program did; a shorter structure is not
 * overrun. gcdune_stats_write: writes a file, or says why not. (That the file is JSON: test-stats-json.sh.)
 *
 * TEST-FLAGS: timeout=60 torture=yes
 */
#include "check.h"

ROOT struct target **live;

static void make(void *arg)
{
	live = gcdune_alloc(100000 * sizeof(*live));
	for (size_t i = 0; i < 100000; i++)
		live[i] = target_new(i);
}

static void not_back(const struct gcdune_stats *a, const struct gcdune_stats *b)
{
	CHECK(b->collections >= a->collections);
	CHECK(b->bytes_allocated >= a->bytes_allocated);
	CHECK(b->bytes_heap_peak >= a->bytes_heap_peak);
	CHECK(b->bytes_released >= a->bytes_released);
	CHECK(b->pause_total_ns >= a->pause_total_ns);
	CHECK(b->pause_max_ns >= a->pause_max_ns);
	CHECK(b->mark_ns >= a->mark_ns);
	CHECK(b->mark_bytes >= a->mark_bytes);
	CHECK(b->finalizers_run >= a->finalizers_run);
}

static void consistent(const struct gcdune_stats *s)
{
	CHECK(s->bytes_heap_peak >= s->bytes_heap);
	CHECK(s->bytes_free <= s->bytes_heap);
	CHECK(s->pause_max_ns >= s->pause_last_ns);
	CHECK(s->pause_total_ns >= s->pause_max_ns);
	CHECK(s->bytes_since <= s->bytes_allocated);
	CHECK(s->threads >= 1);
}

static void finalizer(void *object, void *data)
{
}

static void make_finalizable(void *arg)
{
	for (uint64_t i = 0; i < 100; i++)
		gcdune_finalizer_set(target_new(i), finalizer, NULL, GCDUNE_FINALIZE_UNORDERED, NULL, NULL);
}

int main(void)
{
	struct gcdune_stats a = stats_now(), b;
	unsigned char partial[sizeof(struct gcdune_stats) + 64];

	consistent(&a);
	if (tortured())
		gcdune_disable();
	in_thread(make, NULL);
	b = stats_now();
	if (tortured())
		gcdune_enable();
	not_back(&a, &b);
	consistent(&b);
	CHECKF(b.bytes_allocated - a.bytes_allocated >= 100000 * 24, "%llu bytes counted for 2.4 MB",
	       (unsigned long long)(b.bytes_allocated - a.bytes_allocated));
	CHECKF(b.bytes_allocated - a.bytes_allocated <= 100000 * 24 + (1 << 20), "%llu bytes counted for 2.4 MB",
	       (unsigned long long)(b.bytes_allocated - a.bytes_allocated));
	/* One may be under way. */
	wipe_and_collect();
	b = stats_now();
	for (int i = 0; i < 5; i++) {
		wipe_and_collect();
		a = b;
		b = stats_now();
		not_back(&a, &b);
		consistent(&b);
		CHECK_EQ(b.collections, a.collections + 1);
		CHECK(b.pause_total_ns > a.pause_total_ns);
		CHECK(b.pause_total_ns - a.pause_total_ns >= b.pause_last_ns);
		CHECK(b.objects_marked >= 100001 && b.objects_marked <= 103000);
		CHECK(b.bytes_live >= 100000 * 24 && b.bytes_live <= 100000 * 24 + (1 << 20));
		CHECK(b.mark_bytes - a.mark_bytes == b.bytes_live);
		CHECK(b.markers >= 1);
		CHECK(b.bytes_since <= 1 << 20);
	}
	live = NULL;
	wipe_and_collect();
	b = stats_now();
	CHECKF(b.bytes_live <= 200000, "%llu bytes are live", (unsigned long long)b.bytes_live);
	in_thread(make_finalizable, NULL);
	a = b;
	wipe_and_collect();
	wipe_and_collect();
	b = stats_now();
	CHECKF(b.finalizers_run - a.finalizers_run >= 95 && b.finalizers_run - a.finalizers_run <= 100,
	       "%llu finalizers were counted", (unsigned long long)(b.finalizers_run - a.finalizers_run));

	/* A program compiled with an older, shorter structure; one with a newer, longer one. */
	memset(partial, 0x77, sizeof(partial));
	gcdune_stats_get((struct gcdune_stats *)partial, 24);
	CHECK(((struct gcdune_stats *)partial)->collections == b.collections);
	for (size_t i = 24; i < sizeof(partial); i++)
		CHECKF(partial[i] == 0x77, "byte %zu behind a structure of 24 bytes was written", i);
	gcdune_stats_get((struct gcdune_stats *)partial, sizeof(partial));
	for (size_t i = sizeof(struct gcdune_stats); i < sizeof(partial); i++)
		CHECK(partial[i] == 0);

	CHECK(gcdune_stats_write("/nonexistent/file") < 0);
	return 0;
}
