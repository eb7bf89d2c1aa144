/* Stops that are given up while helpers mark ephemerons whose keys are not marked yet: when all is over each ephemeron still has
 * the value of its key, and no helper kept one of a collection that was abandoned, to put it on a list of a later one.
 *
 * TEST-FLAGS: timeout=120 tsan=no env:GCDUNE_MODE=auto env:GCDUNE_PAUSE_GOAL=300 env:GCDUNE_GROWTH=1000 env:GCDUNE_VERIFY=2
 * TEST-FLAGS: env:GCDUNE_MARKERS=8
 */
#include "churn.h"

enum { GROUPS = 64, CHANGING = 8, LENGTH = 250, ROUNDS = 16000 };

struct cell {
	struct cell *next;
	struct target *key;
};

/* A marker finds all the ephemerons at once, and their keys one after the other. */
struct group {
	struct cell *keys;
	gcdune_ephemeron *ephemerons[LENGTH];
};

ROOT struct group **groups;
static uint64_t next_id = 1, firsts[GROUPS];

static NOINLINE void make(size_t i)
{
	struct group *group = groups[i] = gcdune_alloc(sizeof(*group));

	firsts[i] = next_id;
	for (size_t n = 0; n < LENGTH; n++, next_id++) {
		struct cell *cell = gcdune_alloc(sizeof(*cell));

		cell->key = target_new(next_id);
		group->ephemerons[n] = gcdune_ephemeron_new(cell->key, target_new(next_id + 1));
		cell->next = group->keys;
		group->keys = cell;
	}
}

static NOINLINE void check(size_t i)
{
	const struct group *group = groups[i];
	size_t n = LENGTH;

	for (const struct cell *cell = group->keys; cell; cell = cell->next) {
		n--;
		TARGET_CHECK(cell->key, firsts[i] + n);
		CHECK(gcdune_ephemeron_key(group->ephemerons[n]) == cell->key);
		const struct target *value = gcdune_ephemeron_value(group->ephemerons[n]);

		TARGET_CHECK(value, firsts[i] + n + 1);
	}
	CHECK_EQ(n, 0);
}

int main(void)
{
	CHECK_EQ(gcdune_init(), 0);
	groups = gcdune_alloc(GROUPS * sizeof(*groups));
	churn(GROUPS, CHANGING, ROUNDS, make, check);
	return 0;
}
