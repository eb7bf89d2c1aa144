/* Of a size of which few objects are made, each collection gives back what has died in the block that a thread takes them from, and
 * the thread goes on at its beginning: it does not come to touch all of the block before it uses memory again.
 *
 * TEST-FLAGS: static=yes short=yes
 */
#include "check.h"

enum { SIZE = 500, AT_ONCE = 4, COLLECTIONS = 100, MOST = 16384 };

static void NOINLINE make(uintptr_t *low, uintptr_t *high)
{
	for (int i = 0; i < AT_ONCE; i++) {
		uintptr_t object = (uintptr_t)gcdune_alloc(SIZE);

		CHECK(object != 0);
		*low = object < *low ? object : *low;
		*high = object > *high ? object : *high;
	}
}

/* What is held lives on, whatever its thread reuses around it. */
static void NOINLINE keep(struct target **kept, size_t i)
{
	kept[i] = target_new(i);
	KEEP_ALIVE(target_new(i));
}

int main(void)
{
	uintptr_t low = UINTPTR_MAX, high = 0;

	CHECK_EQ(gcdune_init(), 0);
	struct target **kept = gcdune_alloc(COLLECTIONS * sizeof *kept);

	for (size_t i = 0; i < COLLECTIONS; i++) {
		make(&low, &high);
		keep(kept, i);
		wipe_and_collect();
	}
	CHECKF(high - low <= MOST, "%zu bytes were touched for %d objects at a time", (size_t)(high - low), AT_ONCE);
	for (size_t i = 0; i < COLLECTIONS; i++)
		TARGET_CHECK(kept[i], i);
	return 0;
}
