/* New blocks are armed by the marker that finds something alive in them first, while others may be reading objects there
 * already. A thread swaps the only pointers to numbered objects between holders all over such blocks, rarely enough that
 * most pages are written no second time; what a marker missed is reported by the verify mode, or found by its number.
 * Holders and what they hold are made anew for each cycle, so that all of their blocks are new.
 *
 * TEST-FLAGS: timeout=120 tsan=no env:GCDUNE_MODE=concurrent env:GCDUNE_MARKERS=4 env:GCDUNE_STRETCH=300 env:GCDUNE_VERIFY=1
 */
#include "check.h"

struct held {
	uint64_t id, check;
};

struct holder {
	struct held *held;
	uint64_t filler[15];
};

enum { HOLDERS = 60000, ROUNDS = 40 };

ROOT struct holder **holders;
static uint64_t ids[HOLDERS];
static uint64_t next_id = 1;

static NOINLINE void make(void)
{
	holders = gcdune_alloc(HOLDERS * sizeof(*holders));
	/* Held objects lie apart, where nothing is swapped. */
	for (size_t i = 0; i < HOLDERS; i++) {
		struct held *held = gcdune_alloc(sizeof(*held));

		CHECK(held && (holders[i] = gcdune_alloc(sizeof(struct holder))));
		held->id = ids[i] = next_id++;
		held->check = mix(held->id);
		holders[i]->held = held;
	}
	for (size_t i = HOLDERS - 1; i > 0; i--) {
		size_t j = mix(i + next_id) % (i + 1);
		struct holder *other = holders[i];
		uint64_t id = ids[i];

		holders[i] = holders[j];
		holders[j] = other;
		ids[i] = ids[j];
		ids[j] = id;
	}
}

static NOINLINE void swap(size_t i, size_t j)
{
	struct held *held = holders[i]->held;
	uint64_t id = ids[i];

	holders[i]->held = holders[j]->held;
	holders[j]->held = held;
	ids[i] = ids[j];
	ids[j] = id;
}

static _Atomic bool over;

static void *collect(void *arg)
{
	gcdune_collect();
	over = true;
	return arg;
}

int main(void)
{
	uint64_t n = 0;

	CHECK(gcdune_init() == 0);
	for (int round = 0; round < ROUNDS; round++) {
		pthread_t thread;

		make();
		over = false;
		CHECK(pthread_create(&thread, NULL, collect, NULL) == 0);
		while (!over) {
			swap(mix(n) % HOLDERS, mix(n + 1) % HOLDERS);
			n += 2;
			for (volatile int pause = 0; pause < 2000; pause++)
				;
		}
		pthread_join(thread, NULL);
		for (size_t i = 0; i < HOLDERS; i++) {
			const struct held *held = holders[i]->held;

			CHECKF(gcdune_base(held) == held && held->id == ids[i] && held->check == mix(held->id),
			       "object %llu was lost", (unsigned long long)ids[i]);
		}
	}
	printf("%llu swaps\n", (unsigned long long)n / 2);
	return 0;
}
