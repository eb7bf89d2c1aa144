/* Disappearing links: short ones cleared before finalizers are queued, long ones when the object is really gone;
 * added twice, removed, moved; inside objects that die before their target, whose memory must not be written to
 * later; and by the hundred thousand.
 *
 * TEST-FLAGS: timeout=60 torture=yes
 */
#include "check.h"

#define COUNT 1000

static void *shorts[COUNT], *longs[COUNT];	/* hidden */
ROOT struct target *strong[COUNT];

static void add(void **link, void *target, enum gcdune_link_kind kind, int expected)
{
	*link = GCDUNE_HIDE(target);
	CHECK_EQ(gcdune_link_add(link, target, kind), expected);
}

static void make(void *arg)
{
	for (uint64_t i = 0; i < COUNT; i++) {
		struct target *t = target_new(i);

		strong[i] = t;
		add(&shorts[i], t, GCDUNE_LINK_SHORT, 0);
		add(&longs[i], t, GCDUNE_LINK_LONG, 0);
	}
}

static size_t set_links(void *const *links)
{
	size_t n = 0;

	for (size_t i = 0; i < COUNT; i++)
		n += links[i] != NULL;
	return n;
}

static void forget(void)
{
	for (size_t i = 0; i < COUNT; i++) {
		gcdune_link_remove(&shorts[i], GCDUNE_LINK_SHORT);
		gcdune_link_remove(&longs[i], GCDUNE_LINK_LONG);
		shorts[i] = longs[i] = strong[i] = NULL;
	}
}

static void cleared(void)
{
	in_thread(make, NULL);
	wipe_and_collect();
	for (size_t i = 0; i < COUNT; i++) {
		CHECK(GCDUNE_REVEAL(shorts[i]) == strong[i]);
		CHECK(GCDUNE_REVEAL(longs[i]) == strong[i]);
	}
	memset(strong, 0, sizeof(strong));
	wipe_and_collect();
	CHECK_DEAD(set_links(shorts), COUNT);
	CHECK_DEAD(set_links(longs), COUNT);
	forget();
}

/* With a finalizer: short ones are cleared before it is called, long ones stay as long as it keeps the object. */
static unsigned finalized;

static void finalizer(void *object, void *data)
{
	struct target *t = object;

	CHECKF(shorts[t->id] == NULL, "a short link was there when the finalizer ran");
	CHECKF(longs[t->id] && GCDUNE_REVEAL(longs[t->id]) == t, "a long link was cleared while the object lived");
	finalized++;
	strong[t->id] = t;
}

static void make_finalized(void *arg)
{
	/* No collection before the finalizer is set. */
	gcdune_disable();
	make(NULL);
	for (size_t i = 0; i < COUNT; i++)
		CHECK_EQ(gcdune_finalizer_set(strong[i], finalizer, NULL, GCDUNE_FINALIZE_UNORDERED, NULL, NULL), 0);
	memset(strong, 0, sizeof(strong));
	CHECK_EQ(gcdune_enable(), 0);
}

static void with_finalizers(void)
{
	in_thread(make_finalized, NULL);
	wipe_and_collect();
	wipe_and_collect();
	CHECK(finalized >= COUNT - COUNT / 20);
	/* The finalizer resurrected it. */
	for (size_t i = 0; i < COUNT; i++)
		if (strong[i])
			CHECK(longs[i] && GCDUNE_REVEAL(longs[i]) == strong[i]);
	memset(strong, 0, sizeof(strong));
	wipe_and_collect();
	wipe_and_collect();
	CHECK_DEAD(set_links(longs), COUNT);
	forget();
}

static void add_remove_move(void)
{
	ROOT void *a, *b, *c;
	struct target *t = target_new(1), *u = target_new(2);
	int local;

	add(&a, t, GCDUNE_LINK_SHORT, 0);
	add(&a, u, GCDUNE_LINK_SHORT, -EEXIST);
	/* The same place may be of both kinds. */
	CHECK_EQ(gcdune_link_add(&a, u, GCDUNE_LINK_LONG), 0);
	CHECK_EQ(gcdune_link_remove(&a, GCDUNE_LINK_LONG), 0);
	CHECK_EQ(gcdune_link_remove(&a, GCDUNE_LINK_LONG), -ENOENT);
	CHECK_EQ(gcdune_link_remove(&b, GCDUNE_LINK_SHORT), -ENOENT);
	CHECK_EQ(gcdune_link_add(&b, &local, GCDUNE_LINK_SHORT), -EINVAL);
	CHECK_EQ(gcdune_link_add(&b, (char *)t + 8, GCDUNE_LINK_SHORT), -EINVAL);
	b = a;
	CHECK_EQ(gcdune_link_move(&a, &b, GCDUNE_LINK_SHORT), 0);
	CHECK_EQ(gcdune_link_move(&a, &b, GCDUNE_LINK_SHORT), -ENOENT);
	CHECK_EQ(gcdune_link_remove(&a, GCDUNE_LINK_SHORT), -ENOENT);
	add(&c, t, GCDUNE_LINK_SHORT, 0);
	CHECK_EQ(gcdune_link_move(&c, &b, GCDUNE_LINK_SHORT), -EEXIST);
	CHECK_EQ(gcdune_link_remove(&b, GCDUNE_LINK_SHORT), 0);
	CHECK_EQ(gcdune_link_remove(&c, GCDUNE_LINK_SHORT), 0);
	TARGET_CHECK(t, 1);
	TARGET_CHECK(u, 2);
}

/* Removed and moved links: the old place is not written to, the new one is cleared. */
static void make_moved(void *arg)
{
	make(NULL);
	for (size_t i = 0; i < COUNT; i++) {
		CHECK_EQ(gcdune_link_remove(&shorts[i], GCDUNE_LINK_SHORT), 0);
		shorts[i] = longs[i];
		CHECK_EQ(gcdune_link_move(&longs[i], &shorts[i], GCDUNE_LINK_LONG), 0);
		longs[i] = (void *)1;
	}
}

static void moved(void)
{
	in_thread(make_moved, NULL);
	memset(strong, 0, sizeof(strong));
	wipe_and_collect();
	CHECK_DEAD(set_links(shorts), COUNT);
	CHECK_EQ(set_links(longs), COUNT);
	forget();
}

/* Links in leaf objects that die before the target: other objects take their place. */
ROOT void **keepers[COUNT * 20];

static void make_in_objects(void *arg)
{
	for (uint64_t i = 0; i < COUNT; i++) {
		void **place = gcdune_alloc_leaf(32);

		strong[i] = target_new(i);
		add(&place[1], strong[i], GCDUNE_LINK_SHORT, 0);
	}
}

static void in_dying_objects(void)
{
	in_thread(make_in_objects, NULL);
	wipe_and_collect();
	for (size_t i = 0; i < COUNT * 20; i++) {
		keepers[i] = gcdune_alloc_leaf(32);
		keepers[i][1] = (void *)(i * 2 + 1);
	}
	memset(strong, 0, sizeof(strong));
	wipe_and_collect();
	for (size_t i = 0; i < COUNT * 20; i++)
		CHECKF(keepers[i][1] == (void *)(i * 2 + 1),
		       "a link in a dead object was cleared in the object that took its place");
	memset(keepers, 0, sizeof(keepers));
}

/* A table of weak references as programs have them: a big leaf object full of links. */
ROOT void **table;

static void make_table(void *arg)
{
	size_t n = *(size_t *)arg;

	table = gcdune_alloc_leaf(n * sizeof(*table));
	memset(table, 0, n * sizeof(*table));
	for (size_t i = 0; i < n; i++) {
		struct target *t = target_new(i);

		add(&table[i], t, GCDUNE_LINK_SHORT, 0);
		if (i % (n / COUNT) == 0)
			strong[i / (n / COUNT)] = t;
	}
}

static void many(void)
{
	size_t n = rounds(200000, 3000), left = 0;

	in_thread(make_table, &n);
	wipe_and_collect();
	for (size_t i = 0; i < n; i++) {
		left += table[i] != NULL;
		if (i % (n / COUNT) == 0) {
			TARGET_CHECK(strong[i / (n / COUNT)], i);
			CHECK(table[i] && GCDUNE_REVEAL(table[i]) == strong[i / (n / COUNT)]);
		}
	}
	CHECK_DEAD(left - COUNT, n - COUNT);
	table = NULL;
	memset(strong, 0, sizeof(strong));
	wipe_and_collect();
}

int main(void)
{
	cleared();
	with_finalizers();
	add_remove_move();
	moved();
	in_dying_objects();
	many();
	return 0;
}
