/* Finalizers and links take memory beside the heap, which counts towards the next collection: of small objects that have one far
 * fewer bring a collection than of the same objects without; and what is taken away again does not count. Where there are many
 * whose objects live on, more may come before the next, for each collection looks at all of them. With the program
 * stopped: how much is made while a collection runs beside it depends on the machine.
 *
 * TEST-FLAGS: timeout=60 env:GCDUNE_MODE=stw
 */
#include "check.h"

#include <sys/mman.h>

enum { LINKS = 1 << 22, SIZE = 16, PIECE = 64, HELD = 60000 };

static void **links; /* hidden; not roots */
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

static void plain(int i)
{
	KEEP_ALIVE(gcdune_alloc(SIZE));
}

static void with_finalizer(int i)
{
	CHECK_EQ(gcdune_finalizer_set(gcdune_alloc(SIZE), count, NULL, GCDUNE_FINALIZE_ORDERED, NULL, NULL), 0);
}

static void with_link(int i)
{
	void *object = gcdune_alloc(SIZE);

	CHECK(i < LINKS);
	links[i] = GCDUNE_HIDE(object);
	CHECK_EQ(gcdune_link_add(&links[i], object, GCDUNE_LINK_SHORT), 0);
}

/* How many objects that nobody keeps bring a collection. */
static int until_collected(void (*make)(int))
{
	gcdune_collect();
	uint64_t before = collections();
	int n = 0;

	while (collections() == before)
		for (int i = 0; i < PIECE; i++)
			make(n++);
	return n;
}

ROOT void **held; /* objects with finalizers, each with the address of the next */

static void hold_many(void)
{
	for (int i = 0; i < HELD; i++) {
		void **object = gcdune_alloc(SIZE);

		*object = held;
		held = object;
		CHECK_EQ(gcdune_finalizer_set(object, count, NULL, GCDUNE_FINALIZE_ORDERED, NULL, NULL), 0);
	}
}

/* Collections while this is done ROUNDS times. */
static uint64_t taken_away(int rounds)
{
	void *object = gcdune_alloc(SIZE);

	gcdune_collect();
	uint64_t before = collections();

	for (int i = 0; i < rounds; i++) {
		CHECK_EQ(gcdune_finalizer_set(object, count, NULL, GCDUNE_FINALIZE_ORDERED, NULL, NULL), 0);
		CHECK_EQ(gcdune_finalizer_set(object, NULL, NULL, GCDUNE_FINALIZE_ORDERED, NULL, NULL), 0);
		links[0] = GCDUNE_HIDE(object);
		CHECK_EQ(gcdune_link_add(&links[0], object, GCDUNE_LINK_SHORT), 0);
		CHECK_EQ(gcdune_link_remove(&links[0], GCDUNE_LINK_SHORT), 0);
	}
	/* Whether one is due is looked at as objects are allocated, so many that some slow path is taken. */
	for (int i = 0; i < 1000; i++)
		plain(i);
	KEEP_ALIVE(object);
	return collections() - before;
}

int main(void)
{
	links = mmap(NULL, LINKS * sizeof *links, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CHECK(links != MAP_FAILED);
	int without = until_collected(plain), finalizers = until_collected(with_finalizer), weak = until_collected(with_link);
	uint64_t away = taken_away(4 * finalizers);
	hold_many();
	int beside_many = until_collected(with_finalizer);

	printf("objects until a collection: %d; with finalizers %d, with links %d; set and taken away %d times: %d collections\n",
	       without, finalizers, weak, 4 * finalizers, (int)away);
	printf("with finalizers, while %d others have one: %d\n", HELD, beside_many);
	CHECK(finalizers < without / 4);
	CHECK(beside_many > 2 * finalizers);
	CHECK(weak < without / 3);
	CHECK_EQ(away, 0);
	CHECK(finalized > 0);
	return 0;
}
