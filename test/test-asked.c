/* test-asked.c - a program that asks for collections as regularly as they are due has no others beside these: but is not
 * waited for when it stops asking, nor where it asks too seldom.
 *
 * TEST-FLAGS: timeout=60 tsan=no
 */
#include "check.h"

static uint64_t collections(void)
{
	struct gcdune_stats stats;

	gcdune_stats_get(&stats, sizeof stats);
	return stats.collections;
}

static void NOINLINE garbage(size_t mib)
{
	for (size_t i = 0; i < mib << 20; i += 64)
		KEEP_ALIVE(gcdune_alloc(64));
}

/* How many collections there are in COUNT times so much garbage, each with one that is asked for. */
static uint64_t asking(unsigned count, size_t mib)
{
	uint64_t before = collections();

	for (unsigned i = 0; i < count; i++) {
		garbage(mib);
		gcdune_collect();
	}
	return collections() - before;
}

int main(void)
{
	enum { TIMES = 20, OFTEN = 5, SELDOM = 40 /* MiB */ };

	/* No collection is begun early then, to be over in time. */
	setenv("GCDUNE_MODE", "stw", 1);
	unsetenv("GCDUNE_TORTURE");
	unsetenv("GCDUNE_HEAP_INITIAL");
	garbage(1);
	asking(3, OFTEN); /* nothing is known yet */
	uint64_t often = asking(TIMES, OFTEN);

	CHECKF(often == TIMES, "%llu collections, %d were asked for", (unsigned long long)often, TIMES);

	uint64_t before = collections();

	garbage(SELDOM);
	CHECKF(collections() - before >= 3, "%llu collections in %d MiB", (unsigned long long)(collections() - before), SELDOM);

	asking(2, SELDOM);
	uint64_t seldom = asking(4, SELDOM);

	CHECKF(seldom >= 4 + 4 * 3, "%llu collections in 4 times %d MiB", (unsigned long long)seldom, SELDOM);

	/* Once it was not as expected, it takes two that are, to be relied on again. */
	asking(3, OFTEN);
	CHECK_EQ(asking(TIMES, OFTEN), TIMES);
	return 0;
}
