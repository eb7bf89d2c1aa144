/* Pages of roots in which there was no pointer at the last look are not read again until they are written to: the only
 * reference to an object is stored to such pages, by the program and by read(2), in a range of its own and in one that another
 * range overlaps, which comes and goes.
 *
 * TEST-FLAGS: timeout=120 env:GCDUNE_MODE=concurrent
 */
#include "check.h"

#include <sys/mman.h>

enum { PAGES = 96, WORDS = 512, ROUNDS = 60, EACH = 8 };

static void **pages; /* roots */
static int pipes[2];

static size_t first, count = PAGES * WORDS; /* where references are stored */

static NOINLINE void **place(uint64_t random)
{
	return &pages[first + random % count];
}

/* Stores the only reference; the stack has no trace of it when that has returned. */
static NOINLINE void store(uint64_t number, void **to)
{
	struct target *target = target_new(number);

	if (number % 3) {
		*to = target;
	} else {
		CHECK_EQ(write(pipes[1], &target, sizeof target), sizeof target);
		CHECK_EQ(read(pipes[0], to, sizeof target), sizeof target);
	}
}

static void store_all(void *arg)
{
	uint64_t random = *(uint64_t *)arg;

	for (uint64_t i = 0; i < EACH; i++)
		store(i, place(mix(random + i)));
}

static NOINLINE void check_all(uint64_t random)
{
	for (uint64_t i = 0; i < EACH; i++) {
		void **at = place(mix(random + i));

		TARGET_CHECK(*at, i);
		*at = NULL;
	}
}

int main(void)
{
	CHECK_EQ(gcdune_init(), 0);
	CHECK_EQ(pipe(pipes), 0);
	pages = mmap(NULL, PAGES * WORDS * sizeof(void *), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(pages != MAP_FAILED);
	memset(pages, 1, PAGES * WORDS * sizeof(void *));
	CHECK_EQ(gcdune_roots_add(pages, pages + PAGES * WORDS), 0);
	for (uint64_t round = 0; round < ROUNDS; round++) {
		bool overlap = round % 2;

		first = overlap ? mix(round) % 40 * WORDS : 0;
		count = overlap ? 40 * WORDS : PAGES * WORDS;
		if (overlap)
			CHECK_EQ(gcdune_roots_add(pages + first, pages + first + count), 0);
		for (uint64_t i = 0; i < round / 2 % 4; i++)
			gcdune_collect(); /* what is to be known of the pages is known now */
		in_thread(store_all, &round);
		if (overlap) {
			gcdune_collect(); /* only one of the ranges may hear of it */
			/* What lies in a range that is removed leaves the others too. One of the two comes back. */
			CHECK_EQ(gcdune_roots_remove(pages, pages + PAGES * WORDS), 0);
			if (round / 8 % 2)
				CHECK_EQ(gcdune_roots_add(pages, pages + PAGES * WORDS), 0);
			else
				CHECK_EQ(gcdune_roots_add(pages + first, pages + first + count), 0);
		}
		gcdune_collect();
		gcdune_collect();
		for (int i = 0; i < 3000; i++)
			memset(gcdune_alloc(sizeof(struct target)), 0xff, sizeof(struct target));
		check_all(round);
		if (overlap) {
			CHECK_EQ(gcdune_roots_remove(pages, pages + PAGES * WORDS), 0);
			CHECK_EQ(gcdune_roots_add(pages, pages + PAGES * WORDS), 0);
		}
	}
	return 0;
}
