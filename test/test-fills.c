/* Old blocks with much room are filled by a thread while a cycle marks; those that are likely to be are not armed for that
 * (remark-arm.c), and hold old objects all the same. The thread swaps the only pointers to numbered objects between holders that
 * lie in such blocks, and allocates between them, with each cycle as much as with the last.
 *
 * TEST-FLAGS: timeout=120 tsan=no env:GCDUNE_MODE=concurrent env:GCDUNE_STRETCH=300 env:GCDUNE_VERIFY=3
 */
#include "check.h"

struct held {
	uint64_t id, check;
};

struct holder {
	struct held *held;
	struct holder *next;
	uint64_t filler[14];
};

enum { HOLDERS = 20000, ROUNDS = 40, SWAPS = 16, FILLS = 4 };

ROOT struct holder **holders, *made;
static uint64_t ids[HOLDERS];
static uint64_t next_id = 1;

/* Of the blocks that holders lie in a half is free. */
static NOINLINE void make(void)
{
	holders = gcdune_alloc(HOLDERS * sizeof(*holders));
	for (size_t i = 0; i < HOLDERS; i++) {
		struct held *held = gcdune_alloc(sizeof(*held));

		CHECK(held && gcdune_alloc(sizeof(struct holder)) && (holders[i] = gcdune_alloc(sizeof(struct holder))));
		held->id = ids[i] = next_id++;
		held->check = mix(held->id);
		holders[i]->held = held;
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

static NOINLINE void fill(size_t i)
{
	struct holder *new = gcdune_alloc(sizeof(*new));

	CHECK(new);
	new->held = holders[i]->held;
	new->next = made;
	made = new;
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
	make();
	gcdune_collect();
	for (int round = 0; round < ROUNDS; round++) {
		pthread_t thread;

		over = false;
		made = NULL;
		CHECK(pthread_create(&thread, NULL, collect, NULL) == 0);
		for (unsigned filled = 0; !over;) {
			for (unsigned k = 0; k < SWAPS; k++, n += 2)
				swap(mix(n) % HOLDERS, mix(n + 1) % HOLDERS);
			for (unsigned k = 0; k < FILLS && filled < HOLDERS / 2; k++, filled++)
				fill(mix(n + k) % HOLDERS);
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
