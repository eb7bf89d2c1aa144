/* gcdune_roots_add, _remove and _exclude against a shadow model, in memory that the collector does not know; and the
 * callback that reports roots of its own.
 *
 * TEST-FLAGS: timeout=120 torture=yes
 */
#include <sys/mman.h>

#include "check.h"

#define WORDS 4096

static void **words;		/* malloc's */
static bool rooted[WORDS];	/* the model */
static struct watch unrooted;

/* The rooted ones first: a root that is the start of a slot keeps the slot before it as well. */
static void fill(void *arg)
{
	for (size_t i = 0; i < WORDS; i++)
		if (rooted[i])
			words[i] = target_new(i);
	for (size_t i = 0; i < WORDS; i++)
		if (!rooted[i]) {
			words[i] = target_new(i);
			watch_add(&unrooted, words[i]);
		}
}

static void check_model(void)
{
	make_in_thread(fill, NULL);
	wipe_and_collect();
	if (unrooted.count > 200)
		CHECK_DEAD(watch_live(&unrooted), unrooted.count);
	for (size_t i = 0; i < WORDS; i++)
		if (rooted[i])
			TARGET_CHECK(words[i], i);
	watch_reset(&unrooted);
}

static void random_ranges(void)
{
	uint64_t random = 17;

	for (size_t round = 0; round < rounds(30, 3); round++) {
		for (size_t step = 0; step < 40; step++) {
			size_t begin = random_next(&random) % WORDS, length = random_next(&random) % 300;
			size_t end = begin + length < WORDS ? begin + length : WORDS;
			bool add = random_next(&random) % 2;

			if (add)
				CHECK_EQ(gcdune_roots_add(&words[begin], &words[end]), 0);
			else
				CHECK_EQ(gcdune_roots_remove(&words[begin], &words[end]), 0);
			for (size_t i = begin; i < end; i++)
				rooted[i] = add;
		}
		check_model();
	}
	CHECK_EQ(gcdune_roots_remove(words, words + WORDS), 0);
	memset(rooted, 0, sizeof(rooted));
	check_model();
}

/* One range for each word: no limit on their number. */
static void many_ranges(void)
{
	for (size_t i = 0; i < WORDS; i += 2) {
		CHECK_EQ(gcdune_roots_add(&words[i], &words[i + 1]), 0);
		rooted[i] = true;
	}
	check_model();
	CHECK_EQ(gcdune_roots_remove(&words[100], &words[WORDS - 101]), 0);
	for (size_t i = 100; i < WORDS - 101; i++)
		rooted[i] = false;
	check_model();
	CHECK_EQ(gcdune_roots_remove(words, words + WORDS), 0);
	memset(rooted, 0, sizeof(rooted));
}

static void edges(void)
{
	char *bytes = (char *)words;

	CHECK_EQ(gcdune_roots_add(&words[10], &words[9]), -EINVAL);
	CHECK_EQ(gcdune_roots_remove(&words[10], &words[9]), -EINVAL);
	CHECK_EQ(gcdune_roots_add(&words[10], &words[10]), 0);
	/* Bounds that are not words': whole words inside count, nothing outside is read. */
	CHECK_EQ(gcdune_roots_add(bytes + 8 * 20 + 3, bytes + 8 * 30 + 5), 0);
	for (size_t i = 21; i < 30; i++)
		rooted[i] = true;
	check_model();
	CHECK_EQ(gcdune_roots_remove(words, words + WORDS), 0);
	memset(rooted, 0, sizeof(rooted));
}

/* The memory of a removed root may go away. */
static void unmapped(void)
{
	for (int i = 0; i < 20; i++) {
		void **p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		CHECK(p != MAP_FAILED);
		CHECK_EQ(gcdune_roots_add(p, p + 8192), 0);
		p[8191] = target_new(1);
		wipe_and_collect();
		TARGET_CHECK(p[8191], 1);
		CHECK_EQ(gcdune_roots_remove(p, p + 8192), 0);
		munmap(p, 65536);
		gcdune_collect();
	}
}

/* ---- Excluding part of a data segment ---- */

#define EXCLUDED 1000
ROOT void *segment[3 * EXCLUDED];

static void fill_segment(void *arg)
{
	for (size_t i = 0; i < 3 * EXCLUDED; i++) {
		segment[i] = target_new(i);
		if (i / EXCLUDED == 1)
			watch_add(&unrooted, segment[i]);
	}
}

static void excluded(void)
{
	CHECK_EQ(gcdune_roots_exclude(&segment[EXCLUDED], &segment[2 * EXCLUDED]), 0);
	make_in_thread(fill_segment, NULL);
	wipe_and_collect();
	CHECK_DEAD(watch_live(&unrooted), EXCLUDED);
	watch_reset(&unrooted);
	for (size_t i = 0; i < EXCLUDED; i++) {
		TARGET_CHECK(segment[i], i);
		TARGET_CHECK(segment[2 * EXCLUDED + i], 2 * EXCLUDED + i);
	}
	memset(segment, 0, sizeof(segment));
}

/* ---- The callback ---- */

static unsigned callback_calls;

static void callback(struct gcdune_marker *marker)
{
	callback_calls++;
	for (size_t i = 0; i < WORDS / 2; i++)
		gcdune_mark(marker, words[i]);
	gcdune_mark_range(marker, &words[WORDS / 2], &words[WORDS / 2 + 100]);
}

static void callback_roots(void)
{
	unsigned calls;

	CHECK(gcdune_roots_callback_set(callback) == NULL);
	for (size_t i = 0; i < WORDS / 2 + 100; i++)
		rooted[i] = true;
	check_model();
	CHECK(callback_calls > 0);
	CHECK(gcdune_roots_callback_set(NULL) == callback);
	calls = callback_calls;
	memset(rooted, 0, sizeof(rooted));
	check_model();
	CHECK_EQ(callback_calls, calls);
}

int main(void)
{
	words = calloc(WORDS, sizeof(*words));
	random_ranges();
	many_ranges();
	edges();
	unmapped();
	excluded();
	callback_roots();
	return 0;
}
