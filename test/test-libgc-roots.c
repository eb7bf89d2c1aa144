/* libgc-roots - ranges that are roots, or no longer; ranges of static data that are none; roots that a procedure of the
 * program pushes; displacements.
 *
 * TEST-FLAGS: link=libgc torture=yes timeout=120 */
#include "libgc-check.h"

static GC_hidden_pointer links[N];
static void **place; /* N words that malloc gave */
static void *excluded[N];

static void fill(void **where)
{
	for (size_t i = 0; i < N; i++) {
		where[i] = GC_MALLOC_ATOMIC(32);
		GC_unregister_disappearing_link((void **)&links[i]);
		links[i] = GC_HIDE_POINTER(where[i]);
		CHECK_EQ(GC_general_register_disappearing_link((void **)&links[i], where[i]), GC_SUCCESS);
	}
}

static void fill_place(void)
{
	GC_disable();
	fill(place);
	GC_enable();
}

static void fill_excluded(void)
{
	GC_disable();
	fill(excluded);
	GC_enable();
}

static size_t count_clear(size_t from, size_t to)
{
	size_t clear = 0;

	while (from < to)
		clear += links[from++] == 0;
	return clear;
}

static void test_ranges(void)
{
	place = malloc(N * sizeof(*place));
	GC_add_roots(place, place + N);
	apart(fill_place);
	settle();
	CHECK_EQ(count_clear(0, N), 0);
	/* Only what lies in the range wholly is removed. */
	GC_remove_roots(place + 8, place + N);
	settle();
	CHECK_EQ(count_clear(0, N), 0);
	GC_remove_roots(place - 1, place + N + 1);
	settle();
	CHECK_MOST(count_clear(0, N), N);

	GC_add_roots(place, place + N / 2);
	GC_add_roots(place + N / 2, place + N);
	apart(fill_place);
	settle();
	CHECK_EQ(count_clear(0, N), 0);
	GC_remove_roots(place, place + N);
	free(place);
}

static void test_excluded(void)
{
	apart(fill_excluded);
	settle();
	CHECK_EQ(count_clear(0, N), 0);
	GC_exclude_static_roots(excluded, excluded + N / 2);
	settle();
	CHECK_MOST(count_clear(0, N / 2), N / 2);
	CHECK_EQ(count_clear(N / 2, N), 0);
}

static GC_push_other_roots_proc former;
static int pushed, push_all;

static void push(void)
{
	pushed++;
	if (push_all == 1)
		GC_push_all(place, place + N);
	else if (push_all == 2)
		GC_push_all_eager(place, place + N);
	else if (push_all == 3)
		GC_push_conditional(place, place + N, 1);
	former();
}

static void test_push(void)
{
	place = malloc(N * sizeof(*place));
	former = GC_get_push_other_roots();
	CHECK(former);
	GC_set_push_other_roots(push);
	CHECK(GC_get_push_other_roots() == push);
	for (push_all = 1; push_all <= 3; push_all++) {
		apart(fill_place);
		settle();
		CHECK(pushed > 0);
		CHECK_EQ(count_clear(0, N), 0);
	}
	push_all = 0;
	settle();
	CHECK_MOST(count_clear(0, N), N);
	GC_set_push_other_roots(former);
	free(place);
}

/* With interior pointers off, heap words count at the start of an object and at registered displacements. */
static void ***holder;

static void fill_displaced(void)
{
	GC_disable();
	for (size_t i = 0; i < N; i++) {
		char *object = GC_MALLOC_ATOMIC(64);
		size_t offset = i % 4 == 0 ? 0 : i % 4 == 1 ? 3 : i % 4 == 2 ? 24 : 7;

		GC_unregister_disappearing_link((void **)&links[i]);
		links[i] = GC_HIDE_POINTER(object);
		CHECK_EQ(GC_general_register_disappearing_link((void **)&links[i], object), GC_SUCCESS);
		holder[i] = GC_MALLOC(16);
		holder[i][1] = object + offset;
	}
	GC_enable();
}

static void test_displacements(void)
{
	size_t clear[4] = { 0 };

	holder = GC_MALLOC(N * sizeof(*holder));
	apart(fill_displaced);
	settle();
	for (size_t i = 0; i < N; i++)
		clear[i % 4] += links[i] == 0;
	CHECK_EQ(clear[0], 0);
	CHECK_EQ(clear[1], 0);
	CHECK_MOST(clear[2], N / 4);
	CHECK_MOST(clear[3], N / 4);
}

int main(void)
{
	GC_set_all_interior_pointers(0);
	GC_INIT();
	GC_REGISTER_DISPLACEMENT(3);
	CHECK_EQ(GC_get_all_interior_pointers(), 0);
	test_ranges();
	test_excluded();
	test_push();
	test_displacements();
	return 0;
}
