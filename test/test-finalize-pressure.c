/* Finalizers and links take memory beside the heap, which counts towards the next collection: small objects that have one bring
 * collections that the same objects without do not; and what is taken away again does not count. With the program stopped: how
 * much is made while a collection runs beside it depends on the machine. Under thread sanitizer there are 50 MB of roots, its own, for
 * which as much more may be allocated.
 *
 * TEST-FLAGS: timeout=60 tsan=no env:GCDUNE_MODE=stw
 */
#include "check.h"

enum { OBJECTS = 100000, SIZE = 16 };

static _Atomic unsigned finalized;

static void count(void *object, void *data)
{
	finalized++;
}

static uint64_t collections(void)
{
	struct gcdune_stats stats;

	gcdune_stats_get(&stats, sizeof stats);
	return stats.collections;
}

static void *links[OBJECTS]; /* hidden */

/* Objects that nobody keeps. How many collections they brought. */
static uint64_t plain(void)
{
	uint64_t before = collections();

	for (int i = 0; i < OBJECTS; i++)
		KEEP_ALIVE(gcdune_alloc(SIZE));
	return collections() - before;
}

static uint64_t with_finalizers(void)
{
	uint64_t before = collections();

	for (int i = 0; i < OBJECTS; i++)
		CHECK_EQ(gcdune_finalizer_set(gcdune_alloc(SIZE), count, NULL, GCDUNE_FINALIZE_ORDERED, NULL, NULL), 0);
	return collections() - before;
}

static uint64_t with_links(void)
{
	uint64_t before = collections();

	for (int i = 0; i < OBJECTS; i++) {
		void *object = gcdune_alloc(SIZE);

		links[i] = GCDUNE_HIDE(object);
		CHECK_EQ(gcdune_link_add(&links[i], object, GCDUNE_LINK_SHORT), 0);
	}
	return collections() - before;
}

static uint64_t taken_away(void)
{
	uint64_t before = collections();
	void *object = gcdune_alloc(SIZE);

	for (int i = 0; i < OBJECTS; i++) {
		CHECK_EQ(gcdune_finalizer_set(object, count, NULL, GCDUNE_FINALIZE_ORDERED, NULL, NULL), 0);
		CHECK_EQ(gcdune_finalizer_set(object, NULL, NULL, GCDUNE_FINALIZE_ORDERED, NULL, NULL), 0);
		links[0] = GCDUNE_HIDE(object);
		CHECK_EQ(gcdune_link_add(&links[0], object, GCDUNE_LINK_SHORT), 0);
		CHECK_EQ(gcdune_link_remove(&links[0], GCDUNE_LINK_SHORT), 0);
	}
	KEEP_ALIVE(object);
	return collections() - before;
}

int main(void)
{
	uint64_t none = plain(), finalizers = with_finalizers(), weak = with_links();

	gcdune_collect();
	uint64_t away = taken_away();

	printf("%d objects: %d collections; with finalizers %d, with links %d; set and taken away %d\n", OBJECTS, (int)none,
	       (int)finalizers, (int)weak, (int)away);
	CHECK(finalizers >= none + 3);
	CHECK(weak >= none + 2);
	CHECK(away <= 1);
	CHECK(finalized > 0);
	return 0;
}
