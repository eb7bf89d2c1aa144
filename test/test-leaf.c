/* Leaf objects: kept like others, small and large, but what they contain keeps nothing.
 *
 * TEST-FLAGS: timeout=60 torture=yes
 */
#include "check.h"

#define COUNT 1000

ROOT void *scanned_roots[COUNT];
static struct watch targets;

/* Each leaf object holds the only pointers to new targets. */
static void make_leaves(void *arg)
{
	size_t size = *(size_t *)arg;

	for (size_t i = 0; i < COUNT; i++) {
		void **leaf = gcdune_alloc_leaf(size);

		CHECK(leaf != NULL);
		memset(leaf, 0x5b, size);
		/* In the root before the target is made: under torture that collects. */
		scanned_roots[i] = leaf;
		leaf[0] = target_new(i);
		leaf[size / 8 - 1] = leaf[0];
		watch_add(&targets, leaf[0]);
	}
}

static void contents_keep_nothing(size_t size)
{
	make_in_thread(make_leaves, &size);
	wipe_and_collect();
	CHECK_DEAD(watch_live(&targets), targets.count);
	watch_reset(&targets);
	for (size_t i = 0; i < COUNT; i++) {
		unsigned char *leaf = scanned_roots[i];

		CHECK(gcdune_base(leaf) == leaf);
		CHECK_EQ(gcdune_kind_of(leaf + size - 1), GCDUNE_KIND_LEAF);
		for (size_t at = 8; at < size - 8; at++)
			CHECKF(leaf[at] == 0x5b, "byte %zu of a leaf object changed to %02x", at, leaf[at]);
	}
}

struct holder {
	struct holder *next;
	uint32_t *leaf;
};

/* Leaves reached only through scanned objects. */
static void kept_through_objects(void)
{
	ROOT struct holder *list;
	size_t n = rounds(100000, 3000);

	for (size_t i = 0; i < n; i++) {
		struct holder *h = gcdune_alloc(sizeof(*h));
		size_t words = 1 + i % 60;

		CHECK(h != NULL);
		h->next = list;
		list = h;
		h->leaf = gcdune_alloc_leaf(words * 4);
		CHECK(h->leaf != NULL);
		for (size_t k = 0; k < words; k++)
			h->leaf[k] = (uint32_t)mix(i * 64 + k);
		if (i % 20000 == 0)
			gcdune_collect();
	}
	gcdune_collect();
	for (struct holder *h = list; h; h = h->next) {
		n--;
		for (size_t k = 0; k < 1 + n % 60; k++)
			CHECKF(h->leaf[k] == (uint32_t)mix(n * 64 + k), "word %zu of leaf %zu changed", k, n);
	}
	CHECK_EQ(n, 0);
	list = NULL;
}

int main(void)
{
	contents_keep_nothing(16);
	contents_keep_nothing(64);
	contents_keep_nothing(1000);
	contents_keep_nothing(40000);
	kept_through_objects();
	return 0;
}
