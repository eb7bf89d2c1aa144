/* Finalizers: called once each, with the object whole and its data; replaced, removed, dropped with a freed
 * object; may allocate, collect, resurrect and set another; not for what is no object; and never for what is still
 * reachable.
 *
 * TEST-FLAGS: timeout=60 torture=yes short=yes
 */
#include "check.h"

#define COUNT 1000

static unsigned called[COUNT];
ROOT struct target *resurrected[COUNT];
static unsigned depth, deepest;

static void count_call(void *object, void *data)
{
	struct target *t = object, *d = data;

	TARGET_CHECK(t, t->id);
	TARGET_CHECK(d, t->id + COUNT);
	called[t->id]++;
}

/* Something may have held an object for a while, as a word on a stack does. Its call comes later. */
static bool late[COUNT];

static void expect_calls(unsigned times)
{
	size_t as_expected = 0;

	for (size_t i = 0; i < COUNT; i++) {
		CHECKF(called[i] <= times + late[i], "finalizer %zu was called %u times, expected %u", i, called[i], times);
		as_expected += called[i] == times;
		late[i] = called[i] < times + late[i];
	}
	CHECKF(as_expected >= COUNT - COUNT / 20, "%zu of %d finalizers were called", as_expected, COUNT);
	memset(called, 0, sizeof(called));
}

static void set(struct target *t, gcdune_finalizer fn, uint64_t data_id)
{
	CHECK_EQ(gcdune_finalizer_set(t, fn, target_new(data_id), GCDUNE_FINALIZE_UNORDERED, NULL, NULL), 0);
}

static void make(void *arg)
{
	for (uint64_t i = 0; i < COUNT; i++)
		set(target_new(i), count_call, i + COUNT);
}

static void once(void)
{
	uint64_t run = stats_now().finalizers_run;

	in_thread(make, NULL);
	wipe_and_collect();
	wipe_and_collect();
	CHECK(stats_now().finalizers_run >= run + COUNT - COUNT / 20);
	/* Once only. */
	for (int i = 0; i < 3; i++)
		wipe_and_collect();
	expect_calls(1);
}

ROOT struct target *reachable[COUNT];

static void make_reachable(void *arg)
{
	for (uint64_t i = 0; i < COUNT; i++) {
		reachable[i] = target_new(i);
		set(reachable[i], count_call, i + COUNT);
	}
}

static void not_while_reachable(void)
{
	in_thread(make_reachable, NULL);
	for (int i = 0; i < 3; i++)
		wipe_and_collect();
	for (size_t i = 0; i < COUNT; i++)
		CHECK_EQ(called[i], 0);
	memset(reachable, 0, sizeof(reachable));
	wipe_and_collect();
	wipe_and_collect();
	expect_calls(1);
}

static void never(void *object, void *data)
{
	CHECKF(false, "a finalizer that was replaced or removed ran");
}

static void make_changed(void *arg)
{
	for (uint64_t i = 0; i < COUNT; i++) {
		struct target *t = target_new(i), *old = target_new(5);
		gcdune_finalizer old_fn = count_call;
		void *old_data = t;

		CHECK_EQ(gcdune_finalizer_set(t, never, old, GCDUNE_FINALIZE_ORDERED, &old_fn, &old_data), 0);
		CHECK(old_fn == NULL && old_data == NULL);
		CHECK_EQ(gcdune_finalizer_set(t, count_call, target_new(i + COUNT), GCDUNE_FINALIZE_UNORDERED, &old_fn,
					      &old_data), 0);
		CHECK(old_fn == never && old_data == old);
		/* Every third is removed, and must not run. */
		if (i % 3 == 0) {
			CHECK_EQ(gcdune_finalizer_set(t, NULL, NULL, GCDUNE_FINALIZE_UNORDERED, &old_fn, &old_data), 0);
			CHECK(old_fn == count_call);
			TARGET_CHECK(old_data, i + COUNT);
			called[i] = 1;
		}
		/* Every seventh is freed. */
		if (i % 7 == 0) {
			gcdune_free(t);
			called[i] = 1;
		}
	}
}

static void changed(void)
{
	in_thread(make_changed, NULL);
	wipe_and_collect();
	wipe_and_collect();
	expect_calls(1);
}

/* The finalizer makes its object reachable again and sets itself anew, three times in all. */
static void resurrect(void *object, void *data)
{
	struct target *t = object;

	count_call(object, data);
	resurrected[t->id] = t;
}

static void make_resurrecting(void *arg)
{
	for (uint64_t i = 0; i < COUNT; i++)
		set(target_new(i), resurrect, i + COUNT);
}

static void NOINLINE check_resurrected(bool again)
{
	for (size_t i = 0; i < COUNT; i++) {
		if (!resurrected[i])
			continue;
		TARGET_CHECK(resurrected[i], i);
		if (again)
			set(resurrected[i], resurrect, i + COUNT);
		resurrected[i] = NULL;
	}
}

static void set_again(void *arg)
{
	check_resurrected(*(bool *)arg);
}

static void resurrection(void)
{
	bool yes = true, no = false;

	in_thread(make_resurrecting, NULL);
	wipe_and_collect();
	wipe_and_collect();
	expect_calls(1);
	in_thread(set_again, &yes);
	wipe_and_collect();
	wipe_and_collect();
	expect_calls(1);
	/* Not set again: gone for good this time. */
	in_thread(set_again, &no);
	wipe_and_collect();
	wipe_and_collect();
	expect_calls(0);
}

/* Finalizers that collect make more objects ready; they run, but not inside the one that is running. */
static void nesting(void *object, void *data)
{
	depth++;
	if (depth > deepest)
		deepest = depth;
	count_call(object, data);
	for (size_t i = 0; i < 20; i++)
		KEEP_ALIVE(target_new(i));
	if (called[0] + called[1] < 3)
		gcdune_collect();
	CHECK_EQ(gcdune_finalizers_run(), 0);
	depth--;
}

static void make_nesting(void *arg)
{
	for (uint64_t i = 0; i < 100; i++)
		set(target_new(i), nesting, i + COUNT);
}

static void no_nesting(void)
{
	in_thread(make_nesting, NULL);
	wipe_and_collect();
	in_thread(make_nesting, NULL);
	wipe_and_collect();
	wipe_and_collect();
	CHECK_EQ(deepest, 1);
	CHECK(called[10] + called[20] + called[30] >= 4);
	memset(called, 0, sizeof(called));
}

static void wrong(void)
{
	char *p = gcdune_alloc(100);
	int local;

	CHECK_EQ(gcdune_finalizer_set(&local, never, NULL, GCDUNE_FINALIZE_UNORDERED, NULL, NULL), -EINVAL);
	CHECK_EQ(gcdune_finalizer_set(NULL, never, NULL, GCDUNE_FINALIZE_UNORDERED, NULL, NULL), -EINVAL);
	CHECK_EQ(gcdune_finalizer_set(p + 8, never, NULL, GCDUNE_FINALIZE_UNORDERED, NULL, NULL), -EINVAL);
	CHECK_EQ(gcdune_finalizer_set(p, NULL, NULL, GCDUNE_FINALIZE_UNORDERED, NULL, NULL), 0);
}

/* Its data reaches the object: it never dies. */
static void make_immortal(void *arg)
{
	for (int i = 0; i < 100; i++) {
		void **holder = gcdune_alloc(16);
		void *object = target_new(3);

		*holder = object;
		CHECK_EQ(gcdune_finalizer_set(object, never, holder, GCDUNE_FINALIZE_UNORDERED, NULL, NULL), 0);
	}
}

/* Large ones and leaves are finalized as well. */
static unsigned others;

static void count_other(void *object, void *data)
{
	CHECK_EQ(*(unsigned char *)object, 0x42);
	others++;
}

static void make_others(void *arg)
{
	for (int i = 0; i < 100; i++) {
		char *large = gcdune_alloc(40000), *leaf = gcdune_alloc_leaf(64);

		*large = *leaf = 0x42;
		CHECK_EQ(gcdune_finalizer_set(large, count_other, NULL, GCDUNE_FINALIZE_ORDERED, NULL, NULL), 0);
		CHECK_EQ(gcdune_finalizer_set(leaf, count_other, NULL, GCDUNE_FINALIZE_ORDERED, NULL, NULL), 0);
	}
}

int main(void)
{
	once();
	not_while_reachable();
	changed();
	resurrection();
	no_nesting();
	wrong();
	in_thread(make_immortal, NULL);
	in_thread(make_others, NULL);
	wipe_and_collect();
	wipe_and_collect();
	CHECKF(others >= 190 && others <= 200, "%u of 200 large and leaf objects were finalized", others);
	return 0;
}
