/* gcdune-inline.h: the inlined allocation gives what the function gives - size, alignment, zeroed memory, kind -
 * for constant and variable sizes, mixed with the function, in several threads, in one that is not attached yet,
 * and across fork; no object is given twice.
 *
 * TEST-FLAGS: timeout=60 torture=yes static=yes short=yes tsan=no
 */
#include <threads.h>

#include "check.h"
#include "gcdune-inline.h"

static void check_new(unsigned char *p, size_t size, bool leaf)
{
	CHECK(p != NULL);
	CHECK((uintptr_t)p % 16 == 0);
	CHECK(gcdune_base(p) == p);
	CHECK(size == 0 || gcdune_base(p + size - 1) == p);
	CHECKF(gcdune_size(p) >= size && gcdune_size(p) > 0, "size %zu for %zu bytes", gcdune_size(p), size);
	CHECK_EQ(gcdune_kind_of(p), leaf ? GCDUNE_KIND_LEAF : GCDUNE_KIND_SCANNED);
	for (size_t i = 0; i < size && !leaf; i++)
		CHECKF(p[i] == 0, "byte %zu of a new object of %zu bytes is %02x", i, size, p[i]);
	memset(p, 0x5d, size);
}

static void sizes(void)
{
	/* Twice: the second time over dirty memory. */
	for (int round = 0; round < 2; round++) {
		for (size_t size = 0; size <= 3000; size++) {
			check_new(gcdune_alloc_inline(size), size, false);
			check_new(gcdune_alloc_leaf_inline(size), size, true);
			CHECK(gcdune_size(gcdune_alloc_inline(size)) == gcdune_size(gcdune_alloc(size)));
		}
		gcdune_collect();
	}
	check_new(gcdune_alloc_inline(100000), 100000, false);
	check_new(gcdune_alloc_inline(0), 0, false);
	check_new(gcdune_alloc_inline(1), 1, false);
	check_new(gcdune_alloc_inline(16), 16, false);
	check_new(gcdune_alloc_inline(32), 32, false);
	check_new(gcdune_alloc_inline(100), 100, false);
	check_new(gcdune_alloc_inline(1024), 1024, false);
	check_new(gcdune_alloc_inline(1025), 1025, false);
	check_new(gcdune_alloc_leaf_inline(48), 48, true);
}

struct node {
	struct node *next;
	uint64_t check;
};

static void *lists(void *arg)
{
	struct node *kept[4] = { 0 };

	for (uint64_t i = 0; i < rounds(1000000, 10000); i++) {
		struct node *n = i % 3 ? gcdune_alloc_inline(sizeof(*n)) : gcdune_alloc(sizeof(*n));
		unsigned slot = i / 1000 % 4;
		uint64_t length = i % 1000;

		CHECK(n->next == NULL && n->check == 0);
		if (length == 0) {
			uint64_t at = 1000;

			for (struct node *p = kept[slot]; p; p = p->next)
				CHECK(p->check == mix((uintptr_t)arg + --at));
			CHECK(kept[slot] == NULL || at == 0);
			kept[slot] = NULL;
		}
		n->next = kept[slot];
		n->check = mix((uintptr_t)arg + length);
		kept[slot] = n;
	}
	return NULL;
}

static int unattached(void *arg)
{
	check_new(gcdune_alloc_inline(32), 32, false);
	CHECK(gcdune_thread_is_attached());
	lists(arg);
	return 0;
}

int main(void)
{
	pthread_t threads[3];
	thrd_t thread;
	pid_t pid = 0;

	/* The very first call of the program into the collector. */
	check_new(gcdune_alloc_inline(40), 40, false);
	sizes();
	for (uintptr_t i = 0; i < 3; i++)
		threads[i] = thread_start(lists, (void *)(i * 5000));
	CHECK_EQ(thrd_create(&thread, unattached, (void *)20000), thrd_success);
#ifndef __SANITIZE_ADDRESS__ /* its allocator has a lock that the child would find held by a thread that is no more */
	pid = fork();
	if (pid == 0) {
		sizes();
		lists(NULL);
		_exit(0);
	}
#endif
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	thrd_join(thread, NULL);
	if (pid)
		CHECK_EQ(child_wait(pid), 0);
	return 0;
}
