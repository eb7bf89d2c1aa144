/* The holes that a collection leaves among live objects are given out, all of them, empty, and nothing else is: single slots,
 * pieces that end where 64 slots do, or a slot before or behind that, pieces of several times 64, at the beginning and at the end
 * of a block, of sizes from a slot of 16 bytes to two to a block.
 *
 * TEST-FLAGS: timeout=120 torture=yes short=yes
 */
#include "check.h"

struct cell {
	uint64_t id;
	uint64_t rest[];
};

/* Which of the objects stay; N counts them as they were made. */
static bool every_other(size_t n) { return n % 2; }
static bool one_in_64(size_t n) { return n % 64 == 0; }
static bool last_of_64(size_t n) { return n % 64 == 63; }
static bool sixty_three(size_t n) { return n % 126 < 63; }
static bool sixty_four(size_t n) { return n % 128 < 64; }
static bool sixty_five(size_t n) { return n % 130 < 65; }
static bool one_in_200(size_t n) { return n % 200 == 100; }
static bool at_random(size_t n) { return mix(n) % 5 < 2; }
static bool pieces(size_t n) { return mix(n / 10) % 2; }

static const struct {
	const char *name;
	bool (*stays)(size_t n);
} patterns[] = {
	{ "every other", every_other }, { "one in 64", one_in_64 },   { "the last of 64", last_of_64 },
	{ "63 and 63", sixty_three },	{ "64 and 64", sixty_four },  { "65 and 65", sixty_five },
	{ "one in 200", one_in_200 },	{ "at random", at_random },   { "pieces", pieces },
};

enum { MOST = 20000 };

/* In the heap: a root that is an object's address keeps the one before it too, which may end there. */
ROOT struct cell **kept;

static NOINLINE void make(size_t size, size_t count, bool (*stays)(size_t n), struct watch *dead)
{
	for (size_t n = 0; n < count; n++) {
		struct cell *cell = gcdune_alloc(size);

		CHECK(cell != NULL);
		cell->id = n;
		for (size_t k = 0; k < (size - sizeof *cell) / 8; k++)
			cell->rest[k] = mix(n + k) | 1;
		if (stays(n))
			kept[n] = cell;
		else
			watch_add(dead, cell);
	}
}

static int compare(const void *a, const void *b)
{
	uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;

	return (x > y) - (x < y);
}

static NOINLINE void holes(size_t size, size_t count, unsigned p)
{
	struct watch dead = { 0 };
	uintptr_t *mine;
	size_t n, again = 0;

	kept = gcdune_alloc(count * sizeof *kept);
	CHECK(kept != NULL);
	gcdune_disable();
	make(size, count, patterns[p].stays, &dead);
	CHECK_EQ(gcdune_enable(), 0);
	wipe_and_collect();
	qsort(dead.hidden, dead.count, sizeof *dead.hidden, compare);
	n = dead.count / 10 * 9;
	gcdune_disable();
	mine = malloc((n + 1) * sizeof *mine);
	if (!mine)
		abort();
	/* None of these is kept. */
	for (size_t i = 0; i < n; i++) {
		uint64_t *words = gcdune_alloc(size);
		uintptr_t hidden = ~(uintptr_t)words;

		CHECK(words != NULL);
		for (size_t k = 0; k < size / 8; k++)
			CHECKF(!words[k], "%s, size %zu: word %zu of a new object is not zero", patterns[p].name, size, k);
		memset(words, 0xff, size);
		mine[i] = hidden;
		again += bsearch(&hidden, dead.hidden, dead.count, sizeof hidden, compare) != NULL;
	}
	CHECK_EQ(gcdune_enable(), 0);
	for (size_t i = 0; i < count; i++) {
		if (!kept[i])
			continue;
		CHECKF(kept[i]->id == i, "%s, size %zu: object %zu was given out again", patterns[p].name, size, i);
		for (size_t k = 0; k < (size - sizeof(struct cell)) / 8; k++)
			CHECKF(kept[i]->rest[k] == (mix(i + k) | 1), "%s, size %zu: word %zu of object %zu changed",
			       patterns[p].name, size, k, i);
	}
	/* A collection that torture makes in between has them once more. */
	if (!tortured()) {
		qsort(mine, n, sizeof *mine, compare);
		for (size_t i = 1; i < n; i++)
			CHECKF(mine[i] != mine[i - 1], "%s, size %zu: a slot was given out twice", patterns[p].name, size);
		CHECKF(again >= n / 10 * 9, "%s, size %zu: only %zu of %zu objects are where others had died", patterns[p].name,
		       size, again, n);
	}
	kept = NULL;
	free(mine);
	free(dead.hidden);
}

int main(void)
{
	static const size_t sizes[] = { 16, 32, 48, 208, 1024, 5000, 21840, 32768 };

	for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
		for (unsigned p = 0; p < sizeof patterns / sizeof *patterns; p++) {
			size_t count = sizes[s] > 1024 ? 1000 : rounds(MOST, 2000);

			gcdune_collect_and_release();
			holes(sizes[s], count, p);
		}
	return 0;
}
