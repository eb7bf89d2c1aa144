/* Pinned objects live without any reference, and what a scanned one holds lives with it, until gcdune_free; pinned
 * leaves keep nothing but themselves.
 *
 * TEST-FLAGS: timeout=60 torture=yes
 */
#include "check.h"

#define COUNT 1000

struct pinned {
	uint64_t id;
	struct target *target;
};

static struct watch pins, targets;

static void make(void *arg)
{
	gcdune_kind kind = *(gcdune_kind *)arg;

	for (size_t i = 0; i < COUNT; i++) {
		size_t size = i % 20 ? sizeof(struct pinned) + i : 50000;
		struct pinned *p = gcdune_alloc_kind(size, kind);

		CHECK(p != NULL);
		CHECK_EQ(gcdune_kind_of(p), kind);
		p->id = i;
		p->target = NULL;
		watch_add(&pins, p);
		p->target = target_new(i);
		watch_add(&targets, p->target);
	}
}

static NOINLINE void check_pins(bool with_targets)
{
	for (size_t i = 0; i < COUNT; i++) {
		struct pinned *p = (void *)~pins.hidden[i];

		CHECKF(gcdune_base(p) == p, "pinned object %zu was lost", i);
		CHECK_EQ(p->id, i);
		CHECK(~(uintptr_t)p->target == targets.hidden[i]);
		if (with_targets)
			TARGET_CHECK(p->target, i);
	}
}

static void free_pins(void *arg)
{
	(void)arg;
	for (size_t i = 0; i < COUNT; i++)
		gcdune_free((void *)~pins.hidden[i]);
}

static void live_until_freed(gcdune_kind kind)
{
	make_in_thread(make, &kind);
	for (int i = 0; i < 3; i++)
		wipe_and_collect();
	check_pins(kind == GCDUNE_KIND_PINNED);
	if (kind == GCDUNE_KIND_PINNED_LEAF) {
		wipe_and_collect();
		CHECK_DEAD(watch_live(&targets), targets.count);
	}
	in_thread(free_pins, NULL);
	wipe_and_collect();
	CHECK_EQ(watch_live(&pins), 0);
	CHECK_DEAD(watch_live(&targets), targets.count);
	watch_reset(&pins);
	watch_reset(&targets);
}

/* Growing a pinned object leaves it pinned, wherever it comes to lie. */
static void make_grown(void *arg)
{
	gcdune_kind kind = *(gcdune_kind *)arg;

	for (size_t i = 0; i < COUNT; i++) {
		struct pinned *p = gcdune_alloc_kind(sizeof(*p), kind);

		p->id = i;
		p->target = target_new(i);
		watch_add(&targets, p->target);
		p = gcdune_realloc(p, 100 + i * 3);
		CHECK(p != NULL);
		CHECK_EQ(gcdune_kind_of(p), kind);
		watch_add(&pins, p);
	}
}

static void realloc_keeps_kind(gcdune_kind kind)
{
	make_in_thread(make_grown, &kind);
	wipe_and_collect();
	check_pins(kind == GCDUNE_KIND_PINNED);
	in_thread(free_pins, NULL);
	watch_reset(&pins);
	watch_reset(&targets);
}

int main(void)
{
	live_until_freed(GCDUNE_KIND_PINNED);
	live_until_freed(GCDUNE_KIND_PINNED_LEAF);
	realloc_keeps_kind(GCDUNE_KIND_PINNED);
	realloc_keeps_kind(GCDUNE_KIND_PINNED_LEAF);
	return 0;
}
