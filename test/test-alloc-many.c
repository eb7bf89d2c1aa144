/* gcdune_alloc_many: a chain of distinct objects of the size and kind asked for, zero but for the link, live
 * through the chain only; two threads never get the same object.
 *
 * TEST-FLAGS: timeout=60 torture=yes tsan=no
 */
#include "check.h"

static size_t chain_check(void **chain, size_t size, gcdune_kind kind)
{
	size_t n = 0;

	for (void **p = chain; p; p = *p, n++) {
		CHECKF(n <= 4096, "a chain of %zu-byte objects does not end", size);
		CHECK(gcdune_base(p) == p);
		CHECK(gcdune_size(p) >= size);
		CHECK_EQ(gcdune_kind_of(p), kind);
		if (kind != GCDUNE_KIND_LEAF)
			for (size_t i = 8; i < size; i++)
				CHECKF(((char *)p)[i] == 0, "byte %zu of %zu on a chain is not zero", i, size);
	}
	return n;
}

static void sizes(gcdune_kind kind)
{
	for (size_t size = 0; size <= 20000; size += size < 300 ? 1 : 331) {
		ROOT void **chain;
		size_t n;

		chain = gcdune_alloc_many(size, kind);
		CHECKF(chain != NULL, "no chain of %zu-byte objects", size);
		n = chain_check(chain, size, kind);
		CHECKF(n * size <= 8192 || n == 1, "%zu objects of %zu bytes at once", n, size);
		/* Dirties them, so that the zeroing of their successors is tested. */
		for (void **p = chain, **next; p; p = next) {
			next = *p;
			memset(p, 0xff, size < 8 ? 8 : size);
		}
	}
}

ROOT void **kept;
static struct watch rest;

static void make_chains(void *arg)
{
	(void)arg;
	kept = gcdune_alloc(1000 * sizeof(void *));
	for (size_t i = 0; i < 1000; i++) {
		void **chain = gcdune_alloc_many(32, GCDUNE_KIND_SCANNED);

		kept[i] = chain;
		CHECK(chain_check(chain, 32, GCDUNE_KIND_SCANNED) >= 1);
		for (void **p = *chain; p; p = *p)
			watch_add(&rest, p);
		/* The chain is cut for the odd ones: what hung on it is garbage. */
		if (i % 2)
			*chain = NULL;
	}
}

static void live_through_chain(void)
{
	size_t dead = 0, cut = 0, at = 0;

	make_in_thread(make_chains, NULL);
	wipe_and_collect();
	for (size_t i = 0; i < 1000; i++)
		chain_check(kept[i], 32, GCDUNE_KIND_SCANNED);
	for (size_t i = 0; i < rest.count; i++)
		dead += gcdune_base((void *)~rest.hidden[i]) == NULL;
	for (size_t i = 0; i < 1000; i += 2)
		for (void **p = *(void **)kept[i]; p; p = *p)
			at++;
	cut = rest.count - at;
	CHECKF(tortured() || (dead >= cut - cut / 20 && dead <= cut), "%zu objects are dead, expected about %zu", dead, cut);
	kept = NULL;
	watch_reset(&rest);
}

/* Each thread stamps what it gets; a stamp of another thread's means that both got it. */
static void *stamp(void *arg)
{
	uintptr_t me = (uintptr_t)arg;
	void **all = NULL;

	for (size_t i = 0; i < rounds(20000, 500); i++) {
		void **chain = gcdune_alloc_many(48, GCDUNE_KIND_SCANNED);
		void **last = chain;

		CHECK(chain != NULL);
		for (void **p = chain; p; last = p, p = *p)
			p[1] = (void *)(2 * me + 1);
		*last = all;
		all = chain;
		if (i % 100 == 99) {
			for (void **p = all; p; p = *p)
				CHECKF(p[1] == (void *)(2 * me + 1), "thread %zu got an object of another's", me);
			all = NULL;
		}
	}
	return NULL;
}

int main(void)
{
	pthread_t threads[3];

	sizes(GCDUNE_KIND_SCANNED);
	sizes(GCDUNE_KIND_LEAF);
	live_through_chain();
	for (uintptr_t i = 0; i < 3; i++)
		threads[i] = thread_start(stamp, (void *)i);
	for (size_t i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
