/* Ephemerons: the value lives as long as the key is reachable from elsewhere, though the value reaches the key;
 * both clear together; long chains in a bad order are marked in one go and take time in proportion to their
 * length.
 *
 * TEST-FLAGS: timeout=120 torture=yes alone=yes tsan=no
 */
#include "check.h"

#define COUNT 1000

ROOT struct target *keys[COUNT];
ROOT gcdune_ephemeron **ephemerons;
static struct watch values;

/* With ARG, each value reaches its own key. */
static void make(void *arg)
{
	bool back = arg != NULL;

	ephemerons = gcdune_alloc(COUNT * sizeof(*ephemerons));
	for (uint64_t i = 0; i < COUNT; i++) {
		struct target *key = target_new(i);
		struct target **value;

		keys[i] = key;
		value = gcdune_alloc(2 * sizeof(*value));
		value[0] = target_new(i + COUNT);
		value[1] = back ? key : NULL;
		watch_add(&values, value);
		ephemerons[i] = gcdune_ephemeron_new(key, value);
		CHECK(ephemerons[i] != NULL);
		CHECK(gcdune_ephemeron_key(ephemerons[i]) == key);
		CHECK(gcdune_ephemeron_value(ephemerons[i]) == value);
		CHECK_EQ(gcdune_kind_of(ephemerons[i]), GCDUNE_KIND_EPHEMERON);
	}
}

static void NOINLINE check_values(size_t step)
{
	for (size_t i = 0; i < COUNT; i += step) {
		struct target **value = gcdune_ephemeron_value(ephemerons[i]);

		CHECK(gcdune_ephemeron_key(ephemerons[i]) == keys[i]);
		TARGET_CHECK(keys[i], i);
		TARGET_CHECK(value[0], i + COUNT);
	}
}

static size_t NOINLINE not_cleared(void)
{
	size_t n = 0;

	for (size_t i = 0; i < COUNT; i++) {
		CHECK(!gcdune_ephemeron_key(ephemerons[i]) == !gcdune_ephemeron_value(ephemerons[i]));
		n += gcdune_ephemeron_key(ephemerons[i]) != NULL;
	}
	return n;
}

static void live_and_die(bool back)
{
	make_in_thread(make, back ? keys : NULL);
	wipe_and_collect();
	check_values(1);
	/* Half the keys go. */
	for (size_t i = 1; i < COUNT; i += 2)
		keys[i] = NULL;
	wipe_and_collect();
	check_values(2);
	CHECK_DEAD(not_cleared() - COUNT / 2, COUNT / 2);
	CHECK_DEAD(watch_live(&values) - COUNT / 2, COUNT / 2);
	memset(keys, 0, sizeof(keys));
	wipe_and_collect();
	CHECK_DEAD(not_cleared(), COUNT);
	CHECK_DEAD(watch_live(&values), COUNT);
	watch_reset(&values);
	/* The ephemerons go like any object. */
	for (size_t i = 0; i < COUNT; i++)
		watch_add(&values, ephemerons[i]);
	ephemerons = NULL;
	wipe_and_collect();
	CHECK_DEAD(watch_live(&values), COUNT);
	watch_reset(&values);
}

static void NOINLINE set_values(void)
{
	for (size_t i = 0; i < COUNT; i++) {
		gcdune_ephemeron_value_set(ephemerons[i], NULL);
		CHECK(gcdune_ephemeron_value(ephemerons[i]) == NULL);
		CHECK(gcdune_ephemeron_key(ephemerons[i]) == keys[i]);
	}
}

static void set_new(void *arg)
{
	for (size_t i = 0; i < COUNT; i++)
		gcdune_ephemeron_value_set(ephemerons[i], target_new(i + 5));
}

static void change_values(void)
{
	make_in_thread(make, NULL);
	set_values();
	wipe_and_collect();
	CHECK_DEAD(watch_live(&values), COUNT);
	watch_reset(&values);
	in_thread(set_new, NULL);
	wipe_and_collect();
	for (size_t i = 0; i < COUNT; i++)
		TARGET_CHECK(gcdune_ephemeron_value(ephemerons[i]), i + 5);
	memset(keys, 0, sizeof(keys));
	ephemerons = NULL;
}

/* ephemerons[i]: key i -> key i - 1, and they are found from 0 up, while only the last key has another referent: each
 * pass over the list would find one more. */
ROOT struct target *last_key;

static void make_chain(void *arg)
{
	size_t n = *(size_t *)arg;
	struct target *previous = target_new(0);

	ephemerons = gcdune_alloc(n * sizeof(*ephemerons));
	for (uint64_t i = 1; i < n; i++) {
		struct target *key = target_new(i);

		last_key = key;
		ephemerons[i] = gcdune_ephemeron_new(key, previous);
		CHECK(ephemerons[i] != NULL);
		previous = key;
	}
}

static uint64_t chain(size_t n)
{
	uint64_t best = UINT64_MAX;
	struct target *t;

	in_thread(make_chain, &n);
	for (int i = 0; i < 5; i++) {
		uint64_t begin;

		wipe_stack();
		begin = now_ns();
		gcdune_collect();
		begin = now_ns() - begin;
		best = begin < best ? begin : best;
	}
	t = last_key;
	for (uint64_t i = n - 1; i > 0; i--) {
		TARGET_CHECK(t, i);
		CHECK(gcdune_ephemeron_key(ephemerons[i]) == t);
		t = gcdune_ephemeron_value(ephemerons[i]);
	}
	TARGET_CHECK(t, 0);
	last_key = NULL;
	ephemerons = NULL;
	wipe_and_collect();
	return best;
}

/* Short chains clear in one collection, from end to end: 100 of them, for a stale word may keep what lies below it. */
static void make_short_chains(void *arg)
{
	ephemerons = gcdune_alloc(COUNT * sizeof(*ephemerons));
	for (size_t i = 0; i < COUNT; i++) {
		static __thread struct target *key;
		struct target *value = i % 10 ? key : NULL;

		key = target_new(i);
		ephemerons[i] = gcdune_ephemeron_new(key, value);
		watch_add(&values, key);
	}
}

static void short_chains(void)
{
	make_in_thread(make_short_chains, NULL);
	wipe_and_collect();
	CHECK_DEAD(watch_live(&values), COUNT);
	CHECK_DEAD(not_cleared(), COUNT);
	watch_reset(&values);
	ephemerons = NULL;
}

static void wrong(void)
{
	int local;

	errno = 0;
	CHECK(gcdune_ephemeron_new(&local, NULL) == NULL);
	CHECK_EQ(errno, EINVAL);
	errno = 0;
	CHECK(gcdune_ephemeron_new(NULL, NULL) == NULL);
	CHECK_EQ(errno, EINVAL);
}

int main(void)
{
	live_and_die(false);
	live_and_die(true);
	change_values();
	short_chains();
	wrong();
	if (tortured()) {
		chain(500);
	} else {
		uint64_t small = chain(25000), large = chain(400000);

		/* 16 times as long: 16 times the time if linear, 50 with caches too small for it, 256 if quadratic. */
		CHECKF(large < small * 130, "a chain of 25000 took %llu us, one of 400000 %llu us",
		       (unsigned long long)small / 1000, (unsigned long long)large / 1000);
	}
	return 0;
}
