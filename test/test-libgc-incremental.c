/* libgc-incremental - GC_enable_incremental and what belongs to it: the mode is on, or there is none (then the calls do no
 * harm); a time limit is kept; a collection that is begun ends by GC_collect_a_little alone, and nothing is lost.
 *
 * TEST-FLAGS: link=libgc asan=no tsan=no timeout=120 torture=yes */
#include "libgc-check.h"

struct node {
	struct node *next;
	long value;
};

static struct node *volatile list;

static void grow(long from, long to)
{
	for (long i = from; i < to; i++) {
		struct node *node = GC_MALLOC(sizeof *node);

		CHECK(node);
		node->next = list;
		node->value = i;
		list = node;
	}
}

static void check(long count)
{
	for (struct node *node = list; node; node = node->next)
		CHECK_EQ(node->value, --count);
	CHECK_EQ(count, 0);
}

int main(void)
{
	struct GC_timeval_s limit = {7, 500000};
	GC_word before;
	long n = 0;

	GC_INIT();
	CHECK(GC_collect_a_little() == 0 || GC_is_incremental_mode() == 0);
	GC_enable_incremental();
	if (!GC_is_incremental_mode()) {
		GC_start_incremental_collection();
		for (int i = 0; i < 1000 && GC_collect_a_little(); i++)
			;
		return 0;
	}
	GC_set_time_limit_tv(limit);
	CHECK_EQ(GC_get_time_limit(), 7);
	CHECK_EQ(GC_get_time_limit_tv().tv_nsec, 500000);
	for (int round = 0; round < 10; round++) {
		grow(n, n + 20000);
		n += 20000;
		while (GC_collect_a_little())
			; /* one under way, that began too early */
		before = GC_get_gc_no();
		GC_start_incremental_collection();
		while (GC_collect_a_little())
			if (n % 3 == 0) {
				grow(n, n + 1);
				n++;
			}
		CHECK(GC_get_gc_no() > before);
		check(n);
	}
	GC_set_time_limit(GC_TIME_UNLIMITED);
	CHECK_EQ(GC_get_time_limit(), GC_TIME_UNLIMITED);
	/* Disabled: nothing is begun. */
	while (GC_collect_a_little())
		;
	GC_disable();
	before = GC_get_gc_no();
	GC_start_incremental_collection();
	for (int i = 0; i < 100 && GC_collect_a_little(); i++)
		;
	CHECK_EQ(GC_get_gc_no(), before);
	GC_enable();
	check(n);
	return 0;
}
