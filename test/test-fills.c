/* Old blocks with much room are filled by a thread while a cycle marks; those that are likely to be are not armed for that
 * (remark-arm.c), and hold old objects all the same. The thread swaps the only pointers to numbered objects between holders that
 * lie in such blocks, and allocates between them, with each cycle as much as with the last.
 *
 * TEST-FLAGS: timeout=120 tsan=no env:GCDUNE_MODE=concurrent env:GCDUNE_STRETCH=300 env:GCDUNE_VERIFY=3
 */
#include "swaps.h"

enum { SWAPS = 16, FILLS = 4 };

ROOT struct holder *made; /* in this round */
static unsigned filled;

static NOINLINE void fill(size_t i)
{
	struct holder *new = gcdune_alloc(sizeof(*new));

	CHECK(new);
	new->held = holders[i]->held;
	new->next = made;
	made = new;
}

static void swap_and_fill(uint64_t n)
{
	for (unsigned k = 0; k < SWAPS; k++)
		swap(mix(2 * (n * SWAPS + k)) % HOLDERS, mix(2 * (n * SWAPS + k) + 1) % HOLDERS);
	for (unsigned k = 0; k < FILLS && filled < HOLDERS / 2; k++, filled++)
		fill(mix(n + k) % HOLDERS);
}

int main(void)
{
	CHECK(gcdune_init() == 0);
	make(true);
	gcdune_collect();
	for (int round = 0; round < ROUNDS; round++) {
		made = NULL;
		filled = 0;
		collect_while(swap_and_fill);
	}
	return 0;
}
