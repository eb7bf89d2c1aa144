/* Many disappearing links on pages that are tracked for writes while the heap is marked: the pause makes these take writes at
 * one go (gcdune_remark_open_links), and what the program writes there later is found all the same, in that cycle and the next.
 *
 * TEST-FLAGS: timeout=120 tsan=no env:GCDUNE_MODE=concurrent env:GCDUNE_STRETCH=300 env:GCDUNE_VERIFY=2
 */
#include "check.h"

enum { HOLDERS = 4000, ROUNDS = 30 };

struct holder {
	void *link; /* hidden; to a target that nothing else holds, but every other one's is held as well */
	struct target *held, *own;
	uint64_t own_number, linked_number;
};

ROOT struct holder **holders;
static uint64_t numbers;

static void NOINLINE renew(struct holder *h, size_t i)
{
	struct target *target = target_new(++numbers);

	gcdune_link_remove(&h->link, GCDUNE_LINK_SHORT); /* if it is still there */
	h->linked_number = numbers;
	h->held = i % 2 ? target : NULL;
	h->link = GCDUNE_HIDE(target);
	CHECK_EQ(gcdune_link_add(&h->link, target, GCDUNE_LINK_SHORT), 0);
}

/* Nobody else holds it, so it is lost if the write is. */
static void NOINLINE write_own(struct holder *h)
{
	h->own = target_new(++numbers);
	h->own_number = numbers;
}

static void NOINLINE check_all(size_t *gone)
{
	for (size_t i = 0; i < HOLDERS; i++) {
		struct holder *h = holders[i];

		if (h->own)
			TARGET_CHECK(h->own, h->own_number);
		if (i % 2) {
			CHECK(GCDUNE_REVEAL(h->link) == h->held);
			TARGET_CHECK(h->held, h->linked_number);
		} else if (!h->link) {
			++*gone;
		}
	}
}

int main(void)
{
	size_t gone = 0;

	holders = gcdune_alloc(HOLDERS * sizeof *holders);
	CHECK(holders != NULL);
	for (size_t i = 0; i < HOLDERS; i++) {
		holders[i] = gcdune_alloc(sizeof **holders);
		CHECK(holders[i] != NULL);
	}
	for (size_t round = 0; round < ROUNDS; round++) {
		uint64_t cycle = stats_now().collections;

		for (size_t i = 0; i < HOLDERS; i++)
			renew(holders[i], i);
		for (size_t n = 0; stats_now().collections < cycle + 2; n++) {
			write_own(holders[mix(n) % HOLDERS]);
			if (n % HOLDERS == 0)
				check_all(&gone);
		}
		check_all(&gone);
	}
	CHECKF(gone > HOLDERS / 2, "%zu links were found cleared in all", gone);
	return 0;
}
