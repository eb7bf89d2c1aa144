/* swaps.h - numbered objects, each held by one of many holders; the only pointers to them change places while a cycle runs
 * beside the program. Who has been marked before and is not looked at again loses one, and is found out by its number, or by the
 * verify mode. Included by one test program each. */
#ifndef SWAPS_H
#define SWAPS_H

#include "check.h"

struct held {
	uint64_t id, check;
};

struct holder {
	struct held *held;
	struct holder *next;
	uint64_t filler[14];
};

#ifndef HOLDERS
#define HOLDERS 20000
#endif
enum { ROUNDS = 40 };

ROOT struct holder **holders;
static uint64_t ids[HOLDERS];
static uint64_t next_id = 1;

static NOINLINE void swap(size_t i, size_t j)
{
	struct held *held = holders[i]->held;
	uint64_t id = ids[i];

	holders[i]->held = holders[j]->held;
	holders[j]->held = held;
	ids[i] = ids[j];
	ids[j] = id;
}

/* With GAP, as much memory is left free behind each holder as it takes, once a collection has been there. */
static NOINLINE void make(bool gap)
{
	holders = gcdune_alloc(HOLDERS * sizeof(*holders));
	for (size_t i = 0; i < HOLDERS; i++) {
		struct held *held = gcdune_alloc(sizeof(*held));

		CHECK(held && (holders[i] = gcdune_alloc(sizeof(struct holder))));
		CHECK(!gap || gcdune_alloc(sizeof(struct holder)));
		held->id = ids[i] = next_id++;
		held->check = mix(held->id);
		holders[i]->held = held;
	}
}

static _Atomic bool over;

static void *collect(void *arg)
{
	gcdune_collect();
	over = true;
	return arg;
}

/* One collection; meanwhile CHANGE is called again and again, each time with a higher number. */
static void collect_while(void (*change)(uint64_t n))
{
	static uint64_t n;
	pthread_t thread;

	over = false;
	CHECK(pthread_create(&thread, NULL, collect, NULL) == 0);
	while (!over) {
		change(n++);
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

#endif
