/* Typed objects: exactly the words whose bit is set are followed. Bitmaps shorter and longer than the object, of one
 * word and of many (which a descriptor cannot hold inline), arrays small and large, products that overflow.
 *
 * TEST-FLAGS: timeout=60 torture=yes
 */
#include "check.h"

#define MAX_WORDS 4096

ROOT void **holder; /* the object under test, or an array of several */
static struct watch unmarked;

static bool bit(const uint64_t *bitmap, size_t nwords, size_t i)
{
	return i < nwords && (bitmap[i / 64] >> (i % 64) & 1);
}

struct job {
	const uint64_t *bitmap;
	size_t nwords, words, copies;
	gcdune_layout layout;
};

/* COPIES objects, each of whose words is the only pointer to an object of its own. */
static void fill(void *arg)
{
	struct job *job = arg;
	uint64_t id = 0;

	holder = gcdune_alloc(job->copies * sizeof(void *));
	for (size_t c = 0; c < job->copies; c++) {
		void **object = gcdune_alloc_typed(job->words * 8, job->layout);

		CHECK(object != NULL);
		CHECK_EQ(gcdune_kind_of(object), GCDUNE_KIND_TYPED);
		for (size_t i = 0; i < job->words; i++)
			CHECK(object[i] == NULL);
		holder[c] = object;
		for (size_t i = 0; i < job->words; i++, id++) {
			/* Words without a bit get theirs hidden first: under torture the target dies at once. */
			object[i] = target_new(id);
			if (!bit(job->bitmap, job->nwords, i))
				watch_add(&unmarked, object[i]);
		}
	}
}

static void check_layout(const uint64_t *bitmap, size_t nwords, size_t words)
{
	struct job job = { bitmap, nwords, words, (1999 + words) / words, gcdune_layout_make(bitmap, nwords) };
	uint64_t id = 0;

	CHECK(job.layout != 0);
	CHECKF(gcdune_layout_make(bitmap, nwords) == job.layout, "equal layouts of %zu words differ", nwords);
	make_in_thread(fill, &job);
	wipe_and_collect();
	CHECK_DEAD(watch_live(&unmarked), unmarked.count);
	watch_reset(&unmarked);
	for (size_t c = 0; c < job.copies; c++) {
		void **object = holder[c];

		for (size_t i = 0; i < words; i++, id++)
			if (bit(bitmap, nwords, i))
				TARGET_CHECK(object[i], id);
	}
	holder = NULL;
}

static void layouts(void)
{
	static uint64_t many[MAX_WORDS / 64], sparse[MAX_WORDS / 64], none[2];
	const uint64_t first = 1, second = 2, alternate = 0x5555555555555555u, last = 1ull << 63, all = ~0ull;
	uint64_t random = 7;

	for (size_t i = 0; i < MAX_WORDS / 64; i++)
		many[i] = random_next(&random);
	sparse[0] = 1;
	sparse[(MAX_WORDS - 1) / 64] = 1ull << 63;

	check_layout(&first, 1, 2);
	check_layout(&second, 2, 4);
	check_layout(&first, 64, 4);
	check_layout(&alternate, 4, 4);
	check_layout(&alternate, 64, 10);	/* longer than the object */
	check_layout(&alternate, 8, 40);	/* shorter */
	check_layout(&last, 64, 64);
	check_layout(&last, 64, 80);
	for (size_t n = 1; n <= 64; n += 3)
		check_layout(&all, n, 70);
	for (size_t n = 50; n <= 200; n += 7)
		check_layout(many, n, n + 3);
	check_layout(many, MAX_WORDS, MAX_WORDS);
	check_layout(many, MAX_WORDS, 100);
	check_layout(many, 1000, MAX_WORDS);
	check_layout(sparse, MAX_WORDS, MAX_WORDS);
	check_layout(none, 100, 20);		/* no pointers at all */
	check_layout(none, 0, 20);
	CHECK(gcdune_layout_make(&first, 1) != gcdune_layout_make(&second, 2));
	CHECK(gcdune_layout_make(many, 300) != gcdune_layout_make(many, 301) || !bit(many, 301, 300));
}

/* Layout 0 is "every word". */
static void layout_zero(void)
{
	size_t n = 500;

	holder = gcdune_alloc_typed(n * 8, 0);
	CHECK(holder != NULL);
	for (size_t i = 0; i < n; i++)
		holder[i] = target_new(i);
	wipe_and_collect();
	for (size_t i = 0; i < n; i++)
		TARGET_CHECK(holder[i], i);
}

struct element {
	void *hidden, *followed, *also_hidden;
};

ROOT struct element *array;

static void fill_array(void *arg)
{
	size_t count = *(size_t *)arg;
	uint64_t bitmap = 2;

	array = gcdune_alloc_typed_array(count, sizeof(*array), gcdune_layout_make(&bitmap, 3));
	CHECK(array != NULL);
	CHECK(gcdune_size(array) >= count * sizeof(*array));
	for (size_t i = 0; i < count; i++) {
		CHECK(!array[i].hidden && !array[i].followed && !array[i].also_hidden);
		array[i].followed = target_new(i);
		array[i].hidden = target_new(i);
		array[i].also_hidden = target_new(i);
		watch_add(&unmarked, array[i].hidden);
		watch_add(&unmarked, array[i].also_hidden);
	}
}

static void arrays(size_t count)
{
	make_in_thread(fill_array, &count);
	wipe_and_collect();
	CHECK_DEAD(watch_live(&unmarked), unmarked.count > 100 ? unmarked.count : 1000);
	watch_reset(&unmarked);
	for (size_t i = 0; i < count; i++)
		TARGET_CHECK(array[i].followed, i);
	array = NULL;
}

int main(void)
{
	volatile size_t huge = SIZE_MAX / 8, half = SIZE_MAX / 2 + 1;
	uint64_t bitmap = 1;

	layouts();
	layout_zero();
	arrays(1);
	arrays(3);
	arrays(300);
	arrays(rounds(200000, 4000));
	CHECK(gcdune_alloc_typed_array(huge, 16, gcdune_layout_make(&bitmap, 2)) == NULL);
	CHECK(gcdune_alloc_typed_array(2, half & ~(size_t)7, gcdune_layout_make(&bitmap, 2)) == NULL);
	return 0;
}
