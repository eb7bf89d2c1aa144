/* renumber - marks are numbers that start again after some collections (heap.h): an object that died in any of
 * them must never look live again, however long its slot stays unused. */
#include "check.h"

#define COUNT 512
#define DROPS 300
#define COLLECTIONS 760	/* three times round */

static void *volatile keep[COUNT];
static uintptr_t hidden[COUNT];

/* 24 bytes: objects that fill their slot also live by pointers to their neighbour. */
static NOINLINE void fill(void)
{
	for (size_t i = 0; i < COUNT; i++) {
		void *object = gcdune_alloc(24);

		keep[i] = object;
		hidden[i] = ~(uintptr_t)object;
	}
}

int main(void)
{
	CHECK_EQ(gcdune_init(), 0);
	fill();
	for (size_t n = 1; n < COLLECTIONS; n++) {
		/* A third of the neighbours stay, so that no block is freed whole. */
		if (n < DROPS && n % 3)
			keep[n] = NULL;
		wipe_and_collect();
		for (size_t i = 1; i < DROPS; i++) {
			bool live = gcdune_base((void *)~hidden[i]) != NULL;

			if (i % 3 == 0)
				CHECK(live);
			else if (n > i + 4)	/* a stale word may keep it a little longer */
				CHECKF(!live, "the object dropped before collection %zu is live after collection %zu", i, n);
		}
	}
	return 0;
}
