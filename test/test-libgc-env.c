/* libgc-env - the environment variables of Boehm's library. The program starts itself again with each.
 *
 * TEST-FLAGS: link=libgc asan=no tsan=no timeout=120 */
#include "libgc-child.h"

static void *volatile keep;

static void limited(void)
{
	GC_set_warn_proc(GC_ignore_warn_proc);
	CHECK(GC_MALLOC_ATOMIC(100 << 20) == NULL);
	CHECK(GC_MALLOC_ATOMIC(1 << 20) != NULL);
}

static void not_collecting(void)
{
	GC_word before = GC_get_gc_no();

	CHECK(GC_is_disabled());
	GC_gcollect();
	for (int i = 0; i < 300000; i++)
		keep = GC_MALLOC(64);
	CHECK_EQ(GC_get_gc_no(), before);
}

static void refused(void)
{
	GC_enable_incremental();
	CHECK_EQ(GC_is_incremental_mode(), 0);
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		GC_INIT();
		if (strcmp(argv[1], "limited") == 0)
			limited();
		else if (strcmp(argv[1], "not-collecting") == 0)
			not_collecting();
		else if (strcmp(argv[1], "large") == 0)
			CHECK(GC_get_heap_size() >= 48 << 20);
		else if (strcmp(argv[1], "divisor") == 0)
			CHECK_EQ(GC_get_free_space_divisor(), 9);
		else if (strcmp(argv[1], "incremental") == 0)
			CHECK_EQ(GC_is_incremental_mode(), 1);
		else if (strcmp(argv[1], "never-incremental") == 0)
			refused();
		else if (strcmp(argv[1], "address-map") == 0)
			GC_gcollect();
		else if (strcmp(argv[1], "limit") == 0)
			CHECK_EQ(GC_get_time_limit(), 25);
		else
			CHECK(!"a known mode");
		return 0;
	}
	child_prints("limited", "GC_MAXIMUM_HEAP_SIZE", "30000000");
	child_prints("limited", "GC_MAXIMUM_HEAP_SIZE", "30M");
	child_prints("limited", "GC_MAXIMUM_HEAP_SIZE", "30000k");
	child_prints("not-collecting", "GC_DONT_GC", "1");
	child_prints("large", "GC_INITIAL_HEAP_SIZE", "48M");
	if (getenv("GCDUNE_MODE") == NULL)
		child_prints("incremental", "GC_ENABLE_INCREMENTAL", "1");
	child_prints("never-incremental", "GC_DISABLE_INCREMENTAL", "1");
	child_prints("limit", "GC_PAUSE_TIME_TARGET", "25");
	CHECK(strstr(child_prints("address-map", "GC_PRINT_ADDRESS_MAP", "1"), "[stack]"));
	child_prints("divisor", "GC_FREE_SPACE_DIVISOR", "9");
	return 0;
}
