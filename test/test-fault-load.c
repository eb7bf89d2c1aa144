/* A workload that touches each part of the collector which asks the kernel for memory: small, large and aligned
 * objects, threads, links, finalizers, ephemerons, roots, growth, release, verification. A test by itself, and
 * what test-fault.sh runs with calls failing under it. It stands refusals: where one is possible it ends with a
 * message and status 3.
 *
 * TEST-FLAGS: timeout=60 torture=yes tsan=no
 */
#include "check.h"

struct node {
	struct node *next;
	uint64_t check;
};

__attribute__((noreturn)) static void refused(const char *what)
{
	printf("refused: %s\n", what);
	fflush(stdout);
	_exit(3);
}

static void *got(void *p, const char *what)
{
	if (!p)
		refused(what);
	return p;
}

static void done(int result, const char *what)
{
	if (result == -ENOMEM)
		refused(what);
	CHECKF(result == 0, "%s: %d", what, result);
}

static void *quiet(size_t size)
{
	return NULL;
}

ROOT struct node *kept;
ROOT void *large[10];
static void *links[200];
static unsigned finalized;

static uint64_t list(size_t n, size_t size)
{
	uint64_t sum = 0, expected = 0;

	for (size_t i = 0; i < n; i++) {
		struct node *p = got(gcdune_alloc(size), "gcdune_alloc");

		CHECK(p->next == NULL && p->check == 0);
		p->next = i % 1000 ? kept : NULL;
		p->check = mix(i % 1000);
		kept = p;
		expected = (i % 1000 ? expected : 0) + p->check;
	}
	for (struct node *p = kept; p; p = p->next)
		sum += p->check;
	CHECK_EQ(sum, expected);
	return sum;
}

static void *thread(void *arg)
{
	struct node *mine = NULL;

	for (size_t i = 0; i < 20000; i++) {
		struct node *p = got(gcdune_alloc(32 + i % 50 * 16), "gcdune_alloc in a thread");

		p->next = i % 200 ? mine : NULL;
		p->check = mix(i % 200);
		CHECK(!p->next || p->next->check == mix(i % 200 - 1));
		mine = p;
	}
	return NULL;
}

static void finalizer(void *object, void *data)
{
	__atomic_fetch_add(&finalized, 1, __ATOMIC_RELAXED);
}

static void weak(void)
{
	for (size_t i = 0; i < 200; i++) {
		struct node *p = got(gcdune_alloc(sizeof(*p)), "gcdune_alloc");

		links[i] = GCDUNE_HIDE(p);
		done(gcdune_link_add(&links[i], p, i % 2), "gcdune_link_add");
		done(gcdune_finalizer_set(p, finalizer, NULL, i % 4, NULL, NULL), "gcdune_finalizer_set");
		KEEP_ALIVE(got(gcdune_ephemeron_new(p, kept), "gcdune_ephemeron_new"));
	}
}

int main(void)
{
	uint64_t sum = 0;
	void *outside[64] = { 0 };
	pthread_t threads[3];
	uint64_t bitmap[4] = { 1, 2, 3, 4 };

	if (gcdune_init() != 0)
		refused("gcdune_init");
	gcdune_oom_set(quiet);
	sum += list(rounds(50000, 2000), 32);
	for (size_t i = 0; i < 10; i++) {
		large[i] = got(gcdune_alloc_leaf(300000 << (i % 4)), "large object");
		memset(large[i], (int)i + 1, 300000 << (i % 4));
	}
	KEEP_ALIVE(got(gcdune_alloc_aligned(5000, 1 << 20, GCDUNE_KIND_SCANNED), "aligned object"));
	KEEP_ALIVE(got(gcdune_alloc_typed(500, gcdune_layout_make(bitmap, 250)), "typed object"));
	for (size_t i = 0; i < 3; i++)
		if (pthread_create(&threads[i], NULL, thread, NULL) != 0)
			refused("pthread_create");
	weak();
	done(gcdune_roots_add(outside, outside + 64), "gcdune_roots_add");
	for (size_t i = 0; i < 64; i++)
		outside[i] = got(gcdune_alloc(1000), "gcdune_alloc");
	gcdune_collect();
	for (size_t i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	sum += list(rounds(200000, 2000), 200);
	for (size_t i = 0; i < 10; i++) {
		large[i] = got(gcdune_realloc(large[i], 300000 << (i % 4 + 1)), "gcdune_realloc");
		for (size_t k = 0; k < 300000u << (i % 4); k++)
			CHECKF(((char *)large[i])[k] == (char)(i + 1), "byte %zu of large object %zu changed", k, i);
	}
	memset(large, 0, sizeof(large));
	gcdune_collect_and_release();
	sum += list(rounds(50000, 2000), 100);
	for (size_t i = 0; i < 64; i++)
		CHECK(gcdune_base(outside[i]) == outside[i]);
	done(gcdune_roots_remove(outside, outside + 64), "gcdune_roots_remove");
	printf("done %llx\n", (unsigned long long)sum);
	return 0;
}
