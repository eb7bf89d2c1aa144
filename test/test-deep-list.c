/* Depth: a list of ten million nodes, a tree that is all left children, a list through the last word of large
 * arrays: marked without recursion (the threads here have small stacks), nothing lost.
 *
 * TEST-FLAGS: timeout=180 torture=no tsan=no
 */
#include "check.h"

struct node {
	struct node *next;
	uint64_t check;
};

ROOT struct node *list;

static void check_list(size_t n)
{
	for (struct node *p = list; p; p = p->next)
		CHECKF(p->check == mix(--n), "node %zu changed", n);
	CHECK_EQ(n, 0);
}

static void long_list(size_t n)
{
	list = NULL;
	for (size_t i = 0; i < n; i++) {
		struct node *p = gcdune_alloc(sizeof(*p));

		CHECK(p != NULL);
		p->next = list;
		p->check = mix(i);
		list = p;
	}
	for (int i = 0; i < 2; i++)
		gcdune_collect();
	CHECKF(stats_now().objects_marked >= n, "%llu objects marked, the list has %zu",
	       (unsigned long long)stats_now().objects_marked, n);
	check_list(n);
}

/* Built from the tail on, by appending: the other direction in memory. */
static void appended_list(size_t n)
{
	struct node *last = NULL;

	list = NULL;
	for (size_t i = 0; i < n; i++) {
		struct node *p = gcdune_alloc(sizeof(*p));

		p->check = mix(n - 1 - i);
		if (last)
			last->next = p;
		else
			list = p;
		last = p;
	}
	gcdune_collect();
	check_list(n);
}

/* Each array's last word leads to the next array. */
static void through_arrays(size_t n, size_t words)
{
	ROOT void **first;
	void **a = NULL;

	for (size_t i = 0; i < n; i++) {
		void **b = gcdune_alloc(words * 8);

		b[words - 1] = a;
		b[words / 2] = target_new(i);
		a = b;
	}
	first = a;
	a = NULL;
	wipe_and_collect();
	a = first;
	for (size_t i = n; a; a = a[words - 1])
		TARGET_CHECK(a[words / 2], --i);
	first = NULL;
}

static void *with_small_stack(void *arg)
{
	size_t n = 10000000;

	long_list(n);
	list = NULL;
	appended_list(n / 5);
	list = NULL;
	through_arrays(2000, 9000);
	through_arrays(100000, 3);
	return NULL;
}

int main(void)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 256 * 1024);
	CHECK_EQ(pthread_create(&thread, &attr, with_small_stack, NULL), 0);
	pthread_join(thread, NULL);
	return 0;
}
