/* New blocks are armed by the marker that finds something alive in them first, while others may be reading objects there
 * already. A thread swaps the only pointers to numbered objects between holders all over such blocks, rarely enough that
 * most pages are written no second time; what a marker missed is reported by the verify mode, or found by its number.
 * Holders and what they hold are made anew for each cycle, so that all of their blocks are new.
 *
 * TEST-FLAGS: timeout=120 tsan=no env:GCDUNE_MODE=concurrent env:GCDUNE_MARKERS=4 env:GCDUNE_STRETCH=300 env:GCDUNE_VERIFY=1
 */
#define HOLDERS 60000
#include "swaps.h"

/* So that holders are come by all over their blocks. */
static NOINLINE void shuffle(void)
{
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

static void swap_two(uint64_t n)
{
	swap(mix(2 * n) % HOLDERS, mix(2 * n + 1) % HOLDERS);
}

int main(void)
{
	CHECK(gcdune_init() == 0);
	for (int round = 0; round < ROUNDS; round++) {
		make(false);
		shuffle();
		collect_while(swap_two);
	}
	return 0;
}
