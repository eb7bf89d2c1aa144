/* churn.h - for tests of stops that are given up: numbered structures, of which a few are checked and made anew again and again
 * between much that dies, so that collections which were taken to be short find more alive than was thought. */
#ifndef CHURN_H
#define CHURN_H

#include "check.h"

/* A few, or where nearly all that is new dies no collection would be given up. */
static inline void churn(size_t count, size_t changing, int rounds, void (*make)(size_t i), void (*check)(size_t i))
{
	uint64_t random = 1;

	for (size_t i = 0; i < count; i++)
		make(i);
	for (int round = 0; round < rounds; round++) {
		for (int n = 0; n < 10000; n++)
			KEEP_ALIVE(gcdune_alloc(64));
		size_t i = (size_t)((random = mix(random + 1)) % changing);

		check(i);
		make(i);
	}
	for (size_t i = 0; i < count; i++)
		check(i);
}

#endif
