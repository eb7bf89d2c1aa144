/* What lives, scattered over a heap that was larger: blocks that it lies in stay in use however often is collected, so the program
 * may fill the holes between first. What the heap held beyond that has been forgotten by then, which takes seconds.
 *
 * TEST-FLAGS: timeout=120 env:GCDUNE_MODE=concurrent
 */
#include "check.h"

#include <unistd.h>

enum { SIZE = 64, ALL = 32 << 20, EACH = 7, MADE = 192 << 20, SECONDS = 8 };

static void **kept; /* one of EACH, each with the address of the one before */

static void scatter(void)
{
	for (int i = 0; i < ALL / SIZE; i++) {
		void **object = gcdune_alloc(SIZE);

		CHECK(object);
		object[0] = kept;
		object[1] = (void *)(uintptr_t)i;
		if (i % EACH == 0)
			kept = object;
		else
			object[0] = NULL;
	}
}

static void check_kept(void)
{
	int i = (ALL / SIZE - 1) / EACH * EACH;

	for (void **object = kept; object; object = object[0], i -= EACH)
		CHECK_EQ((uintptr_t)object[1], (uintptr_t)i);
	CHECK_EQ(i, -EACH);
}

static void stats(struct gcdune_stats *s)
{
	gcdune_stats_get(s, sizeof *s);
}

int main(void)
{
	struct gcdune_stats before, after;

	gcdune_disable(); /* so that all of it is held at once */
	scatter();
	CHECK_EQ(gcdune_enable(), 0);
	gcdune_collect();
	sleep(SECONDS);
	gcdune_collect();
	gcdune_collect();
	stats(&before);
	for (int i = 0; i < MADE / SIZE; i++)
		KEEP_ALIVE(gcdune_alloc(SIZE));
	stats(&after);
	check_kept();
	unsigned long long n = after.collections - before.collections,
			   made = (after.bytes_allocated - before.bytes_allocated) / (n ? n : 1);

	printf("%.1f MiB live in %.1f; %llu collections, one for each %.1f MiB\n", (double)before.bytes_live / (1 << 20),
	       (double)before.bytes_heap / (1 << 20), n, (double)made / (1 << 20));
	CHECK(n > 0);
	/* By its share that would be three quarters of what lives, and what is made while a cycle runs. */
	CHECK(made > before.bytes_live / 4 * 7);
	return 0;
}
