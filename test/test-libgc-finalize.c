/* libgc-finalize - finalizers of the four kinds, on demand, replaced and removed; disappearing and long links; toggle
 * references.
 *
 * TEST-FLAGS: link=libgc torture=yes timeout=120 */
#include "libgc-check.h"

struct node {
	struct node *next;
	size_t id;
	struct node *other;
};

/* The ids of what was finalized, in order, of the objects that the present test made. Objects of an earlier one that
 * a stale word kept may still come. */
static size_t order[4 * N], ran;
static size_t test;

static void record(void *object, void *data)
{
	struct node *node = object;

	CHECK((size_t)data <= test);
	if ((size_t)data != test)
		return;
	CHECK(GC_base(object) == object);
	CHECK(ran < 4 * N);
	order[ran++] = node->id;
}

static void begin(void)
{
	test++;
	ran = 0;
}

/* Pairs a -> b, both with a finalizer: b's must not run before a's. */
static void make_ordered(void)
{
	for (size_t i = 0; i < N; i++) {
		struct node *b = GC_NEW(struct node), *a = GC_NEW(struct node);

		b->id = 2 * i + 1;
		a->id = 2 * i;
		a->next = b;
		GC_REGISTER_FINALIZER(b, record, (void *)test, NULL, NULL);
		GC_REGISTER_FINALIZER(a, record, (void *)test, NULL, NULL);
	}
}

/* Nearly all of the pairs' finalizers ran, each once, and in each pair that of a first. */
static void check_pairs_in_order(void)
{
	static size_t when[2 * N];

	CHECK_MOST(ran, 2 * N);
	memset(when, 0, sizeof(when));
	for (size_t i = 0; i < ran; i++) {
		CHECK_EQ(when[order[i]], 0);
		when[order[i]] = i + 1;
	}
	for (size_t i = 0; i < N; i++)
		if (when[2 * i + 1])
			CHECK(when[2 * i] && when[2 * i] < when[2 * i + 1]);
}

static void test_ordered(void)
{
	begin();
	apart(make_ordered);
	settle();
	check_pairs_in_order();
}

static void make_cycles(void)
{
	for (size_t i = 0; i < N; i++) {
		struct node *a = GC_NEW(struct node), *b = GC_NEW(struct node);
		struct node *self = GC_NEW(struct node), *self_ignored = GC_NEW(struct node);

		a->next = b;
		b->next = a;
		a->id = 1;
		b->id = 2;
		GC_REGISTER_FINALIZER(a, record, (void *)test, NULL, NULL);
		self->next = self;
		self->id = 3;
		GC_REGISTER_FINALIZER(self, record, (void *)test, NULL, NULL);
		self_ignored->next = self_ignored;
		self_ignored->id = 4;
		GC_REGISTER_FINALIZER_IGNORE_SELF(self_ignored, record, (void *)test, NULL, NULL);
	}
}

static void test_cycles(void)
{
	begin();
	apart(make_cycles);
	settle();
	CHECK_MOST(ran, N);
	for (size_t i = 0; i < ran; i++)
		CHECK_EQ(order[i], 4);
}

static void make_unordered(void)
{
	for (size_t i = 0; i < N; i++) {
		struct node *a = GC_NEW(struct node), *b = GC_NEW(struct node);

		a->next = b;
		b->next = a;
		a->id = 2 * i;
		b->id = 2 * i + 1;
		GC_REGISTER_FINALIZER_NO_ORDER(a, record, (void *)test, NULL, NULL);
		GC_REGISTER_FINALIZER_NO_ORDER(b, record, (void *)test, NULL, NULL);
	}
}

static void test_unordered(void)
{
	begin();
	apart(make_unordered);
	collect();
	GC_invoke_finalizers();
	CHECK_MOST(ran, 2 * N);
}

static void make_unreachable(void)
{
	for (size_t i = 0; i < N; i++) {
		struct node *a = GC_NEW(struct node), *b = GC_NEW(struct node);

		a->next = b;
		a->id = 2 * i;
		b->id = 2 * i + 1;
		GC_REGISTER_FINALIZER_NO_ORDER(a, record, (void *)test, NULL, NULL);
		GC_REGISTER_FINALIZER_UNREACHABLE(b, record, (void *)test, NULL, NULL);
	}
}

static void test_unreachable(void)
{
	begin();
	apart(make_unreachable);
	settle();
	check_pairs_in_order();
}

static void never(void *object, void *data)
{
	(void)object;
	(void)data;
	CHECK(!"a finalizer that was removed or replaced ran");
}

static void test_replace(void)
{
	struct node *node = GC_NEW(struct node);
	GC_finalization_proc fn = never;
	void *data = &data;
	int outside = 0;

	GC_REGISTER_FINALIZER(node, never, (void *)0x77, &fn, &data);
	CHECK(fn == NULL && data == NULL);
	GC_REGISTER_FINALIZER_NO_ORDER(node, record, (void *)0x51, &fn, &data);
	CHECK(fn == never && data == (void *)0x77);
	GC_REGISTER_FINALIZER(node, NULL, NULL, &fn, &data);
	CHECK(fn == record && data == (void *)0x51);
	GC_REGISTER_FINALIZER(node, NULL, NULL, &fn, &data);
	CHECK(fn == NULL && data == NULL);
	fn = never;
	data = &data;
	GC_REGISTER_FINALIZER(&outside, never, NULL, &fn, &data);
	CHECK(fn == NULL && data == NULL);
	GC_reachable_here(node);
}

static int notified;

static void notify(void)
{
	notified++;
}

static void test_on_demand(void)
{
	GC_set_finalize_on_demand(1);
	GC_set_finalizer_notifier(notify);
	CHECK(GC_get_finalize_on_demand() == 1 && GC_get_finalizer_notifier() == notify);
	begin();
	apart(make_unordered);
	collect();
	CHECK_EQ(ran, 0);
	CHECK(notified > 0);
	CHECK(GC_should_invoke_finalizers());
	CHECK(GC_invoke_finalizers() >= (int)ran);
	CHECK_MOST(ran, 2 * N);
	CHECK(!GC_should_invoke_finalizers());
	CHECK_EQ(GC_invoke_finalizers(), 0);
	GC_set_finalizer_notifier(NULL);
	GC_set_finalize_on_demand(0);
}

/* Links in static data and hidden; in leaf objects; to objects with a finalizer. */
static GC_hidden_pointer short_links[N], long_links[N];
static void *revived[N];
static size_t nrevived, short_was_clear;

static void revive(void *object, void *data)
{
	size_t i = (size_t)data;

	short_was_clear += short_links[i] == 0;
	CHECK(long_links[i] == GC_HIDE_POINTER(object));
	revived[nrevived++] = object;
}

static void make_linked(void)
{
	for (size_t i = 0; i < N; i++) {
		struct node *node = GC_NEW(struct node);

		short_links[i] = long_links[i] = GC_HIDE_POINTER(node);
		CHECK_EQ(GC_GENERAL_REGISTER_DISAPPEARING_LINK((void **)&short_links[i], node), GC_SUCCESS);
		CHECK_EQ(GC_REGISTER_LONG_LINK((void **)&long_links[i], node), GC_SUCCESS);
		GC_REGISTER_FINALIZER_NO_ORDER(node, revive, (void *)i, NULL, NULL);
	}
}

static size_t count_clear(const GC_hidden_pointer *links)
{
	size_t clear = 0;

	for (size_t i = 0; i < N; i++)
		clear += links[i] == 0;
	return clear;
}

static void test_links(void)
{
	apart(make_linked);
	collect();
	GC_invoke_finalizers();
	CHECK_MOST(nrevived, N);
	CHECK_EQ(short_was_clear, nrevived);
	CHECK_EQ(count_clear(short_links), nrevived);
	CHECK_EQ(count_clear(long_links), 0);
	memset(revived, 0, sizeof(revived));
	settle();
	CHECK_MOST(count_clear(long_links), N);
}

static void test_link_codes(void)
{
	struct node *node = GC_NEW(struct node), *second = GC_NEW(struct node);
	GC_hidden_pointer *box = GC_MALLOC_ATOMIC(4 * sizeof(*box));
	void **a = (void **)&box[0], **b = (void **)&box[1], **c = (void **)&box[2];

	memset(box, 0, 4 * sizeof(*box));
	CHECK_EQ(GC_general_register_disappearing_link(a, node), GC_SUCCESS);
	CHECK_EQ(GC_general_register_disappearing_link(a, second), GC_DUPLICATE);
	CHECK_EQ(GC_move_disappearing_link(a, a), GC_SUCCESS);
	CHECK_EQ(GC_move_disappearing_link(a, b), GC_SUCCESS);
	CHECK_EQ(GC_move_disappearing_link(a, b), GC_NOT_FOUND);
	CHECK_EQ(GC_unregister_disappearing_link(a), 0);
	CHECK_EQ(GC_general_register_disappearing_link(c, node), GC_SUCCESS);
	CHECK_EQ(GC_move_disappearing_link(c, b), GC_DUPLICATE);
	CHECK_EQ(GC_unregister_long_link(b), 0);
	CHECK_EQ(GC_unregister_disappearing_link(b), 1);
	CHECK_EQ(GC_unregister_disappearing_link(b), 0);
	CHECK_EQ(GC_unregister_disappearing_link(c), 1);
	CHECK_EQ(GC_register_long_link(a, node), GC_SUCCESS);
	CHECK_EQ(GC_register_long_link(a, node), GC_DUPLICATE);
	CHECK_EQ(GC_move_long_link(a, c), GC_SUCCESS);
	CHECK_EQ(GC_move_long_link(a, c), GC_NOT_FOUND);
	CHECK_EQ(GC_unregister_long_link(c), 1);

	/* A link inside the object that it watches; and in one that dies, which takes it along. */
	node->next = second;
	CHECK_EQ(GC_register_disappearing_link((void **)&node->other), GC_SUCCESS);
	CHECK_EQ(GC_unregister_disappearing_link((void **)&node->other), 1);
	GC_reachable_here(node);
	GC_reachable_here(second);
	GC_reachable_here(box);
}

static struct node *targets[N];

static void make_links_that_die(void)
{
	for (size_t i = 0; i < N; i++) {
		GC_hidden_pointer *box = GC_MALLOC_ATOMIC(16);

		targets[i] = GC_NEW(struct node);
		box[0] = GC_HIDE_POINTER(targets[i]);
		box[1] = 0;
		CHECK_EQ(GC_general_register_disappearing_link((void **)box, targets[i]), GC_SUCCESS);
	}
}

/* If a dead box's link were still known, clearing it would write into whatever is there now. */
static void test_links_that_die(void)
{
	static size_t *filler[N];

	apart(make_links_that_die);
	settle();
	for (size_t i = 0; i < N; i++) {
		filler[i] = GC_MALLOC_ATOMIC(16);
		filler[i][0] = filler[i][1] = ~i;
	}
	memset(targets, 0, sizeof(targets));
	settle();
	for (size_t i = 0; i < N; i++)
		CHECK(filler[i][0] == ~i && filler[i][1] == ~i);
}

static int strong;

static GC_ToggleRefStatus toggle(void *object)
{
	CHECK(((struct node *)object)->id == 99);
	return strong ? GC_TOGGLE_REF_STRONG : GC_TOGGLE_REF_WEAK;
}

static void make_toggled(void)
{
	for (size_t i = 0; i < N; i++) {
		struct node *node = GC_NEW(struct node);

		node->id = 99;
		CHECK_EQ(GC_toggleref_add(node, 1), GC_SUCCESS);
		GC_unregister_long_link((void **)&long_links[i]);
		long_links[i] = GC_HIDE_POINTER(node);
		CHECK_EQ(GC_register_long_link((void **)&long_links[i], node), GC_SUCCESS);
	}
}

static void test_toggle(void)
{
	CHECK(GC_get_toggleref_func() == NULL);
	CHECK_EQ(GC_toggleref_add(GC_NEW(struct node), 1), GC_SUCCESS);
	GC_set_toggleref_func(toggle);
	CHECK(GC_get_toggleref_func() == toggle);
	strong = 1;
	apart(make_toggled);
	settle();
	CHECK_EQ(count_clear(long_links), 0);
	strong = 0;
	settle();
	CHECK_MOST(count_clear(long_links), N);
}

/* A finalizer for a tagged pointer gets it back. */
static int tagged_seen;

static void on_tagged(void *object, void *data)
{
	CHECK_EQ((uintptr_t)object & 15, 1);
	CHECK(!strcmp(data, "tagged"));
	CHECK_EQ(*(int *)((char *)object - 1), 77);
	tagged_seen++;
}

static void make_tagged(void)
{
	for (int i = 0; i < N; i++) {
		int *object = GC_MALLOC(16);
		GC_finalization_proc old;
		void *old_data;

		*object = 77;
		GC_register_finalizer_no_order((char *)object + 1, on_tagged, GC_STRDUP("tagged"), &old, &old_data);
		CHECK(old == NULL && old_data == NULL);
		if (i % 2) {
			GC_register_finalizer_no_order((char *)object + 1, NULL, NULL, &old, &old_data);
			CHECK(old == on_tagged && !strcmp(old_data, "tagged"));
		}
	}
}

static void test_tagged(void)
{
	GC_REGISTER_DISPLACEMENT(1);
	apart(make_tagged);
	settle();
	CHECK_MOST(tagged_seen, N / 2);
}

int main(void)
{
	GC_set_warn_proc(GC_ignore_warn_proc); /* Boehm's library warns of each cycle */
	GC_set_java_finalization(1);
	GC_INIT();
	test_tagged();
	test_ordered();
	test_cycles();
	test_unordered();
	test_unreachable();
	test_replace();
	test_on_demand();
	test_links();
	test_link_codes();
	test_links_that_die();
	test_toggle();
	return 0;
}
