/* Kinds whose pointers a callback reports: only what it reports is kept (its pointers are stored complemented, so
 * that nobody else can follow them), with its argument, for small and large objects, through gcdune_mark and
 * gcdune_mark_range; and the limit on the number of kinds.
 *
 * TEST-FLAGS: timeout=60 torture=yes
 */
#include "check.h"

#define COUNT 2000

struct coded {
	uint64_t tag;
	uintptr_t kept;		/* complemented */
	void *ignored;		/* plain, but not reported */
	size_t nrange;
	void *range[];		/* reported as a range */
};

#define TAG 0xc0dedull

static int arg_seen;
static unsigned calls;
ROOT struct coded *roots[COUNT];
static struct watch ignored;

/* Runs with the world stopped: no checks that print or lock, only what it may do. */
static void mark_coded(void *object, size_t size, void *arg, struct gcdune_marker *marker)
{
	struct coded *c = object;

	__atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED);
	if (arg != &arg_seen || size < sizeof(*c))
		__atomic_store_n(&arg_seen, 1, __ATOMIC_RELAXED);
	/* It may see an object whose contents are all zero still. */
	if (c->tag != TAG)
		return;
	if (c->kept)
		gcdune_mark(marker, (void *)~c->kept);
	if (c->nrange)
		gcdune_mark_range(marker, c->range, c->range + c->nrange);
}

static void make(void *arg)
{
	int kind = *(int *)arg;

	for (size_t i = 0; i < COUNT; i++) {
		/* Every 50th is a large object. */
		size_t n = i % 50 ? i % 7 : 5000;
		struct coded *c = gcdune_alloc_kind(sizeof(*c) + n * sizeof(void *), (gcdune_kind)kind);

		CHECK(c != NULL);
		CHECK(c->tag == 0 && c->kept == 0 && c->nrange == 0);
		CHECK_EQ(gcdune_kind_of(c), kind);
		roots[i] = c;
		c->nrange = n;
		c->tag = TAG;
		c->kept = ~(uintptr_t)target_new(i);
		if (n) {
			c->range[0] = target_new(i + COUNT);
			c->range[n - 1] = target_new(i + 2 * COUNT);
		}
		c->ignored = target_new(i);
		watch_add(&ignored, c->ignored);
	}
}

static void callbacks(int kind)
{
	unsigned before = calls;

	make_in_thread(make, &kind);
	wipe_and_collect();
	CHECK_EQ(arg_seen, 0);
	CHECKF(calls - before >= COUNT, "the callback ran %u times for %d objects", calls - before, COUNT);
	CHECK_DEAD(watch_live(&ignored), ignored.count);
	watch_reset(&ignored);
	for (size_t i = 0; i < COUNT; i++) {
		struct coded *c = roots[i];

		CHECK_EQ(c->tag, TAG);
		TARGET_CHECK((struct target *)~c->kept, i);
		if (c->nrange == 1) {
			TARGET_CHECK(c->range[0], i + 2 * COUNT);
		} else if (c->nrange) {
			TARGET_CHECK(c->range[0], i + COUNT);
			TARGET_CHECK(c->range[c->nrange - 1], i + 2 * COUNT);
		}
	}
}

/* A reported word that is no heap address, or lies outside every object, is harmless. */
static void mark_nonsense(void *object, size_t size, void *arg, struct gcdune_marker *marker)
{
	(void)arg;
	gcdune_mark(marker, NULL);
	gcdune_mark(marker, (void *)-1);
	gcdune_mark(marker, &calls);
	gcdune_mark(marker, (char *)object + size);
	gcdune_mark(marker, (char *)object + ((uintptr_t)1 << 30));
	gcdune_mark_range(marker, object, object);
}

static void nonsense(void)
{
	int kind = gcdune_kind_new(mark_nonsense, NULL);
	ROOT void *kept[100];

	CHECK(kind > 0);
	for (size_t i = 0; i < 100; i++) {
		kept[i] = gcdune_alloc_kind(8 << (i % 14), (gcdune_kind)kind);
		CHECK(kept[i] != NULL);
	}
	gcdune_collect();
	for (size_t i = 0; i < 100; i++)
		CHECK(gcdune_base(kept[i]) == kept[i]);
}

static void limit(int made)
{
	int kind, last = 0;

	while ((kind = gcdune_kind_new(mark_coded, &arg_seen)) >= 0) {
		CHECK(kind > last && kind >= GCDUNE_KIND_FIRST_USER && kind < GCDUNE_KIND_MAX);
		last = kind;
		CHECK(++made <= GCDUNE_KIND_MAX);
	}
	CHECK_EQ(kind, -ENOSPC);
	CHECK_EQ(made, GCDUNE_KIND_MAX - GCDUNE_KIND_FIRST_USER);
	memset(roots, 0, sizeof(roots));
	callbacks(last);
}

int main(void)
{
	int kind = gcdune_kind_new(mark_coded, &arg_seen);

	CHECK(kind >= GCDUNE_KIND_FIRST_USER);
	callbacks(kind);
	nonsense();
	limit(2);
	return 0;
}
