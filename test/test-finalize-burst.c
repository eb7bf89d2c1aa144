/* Tens of thousands of finalizers and links are due at once in a small heap, whose collections stop the program throughout: such a
 * one is given up when it finds them, and the next runs beside the program. Each finalizer is called once, and finds its
 * object as it was, and the link to it cleared.
 *
 * TEST-FLAGS: timeout=120 tsan=no env:GCDUNE_MODE=auto env:GCDUNE_VERIFY=1
 */
#include "check.h"

enum { COUNT = 15000, ROUNDS = 8 };

static void *links[COUNT];
static unsigned called[COUNT];
static size_t calls;

static void finalize(void *object, void *data)
{
	const struct target *t = object;
	size_t i = (size_t)(uintptr_t)data;

	CHECKF(t->id == i && t->check == mix(i), "finalizer %zu was given the object of %llu", i, (unsigned long long)t->id);
	CHECK(links[i] == NULL);
	called[i]++;
	calls++;
}

static void make(void *unused)
{
	(void)unused;
	for (size_t i = 0; i < COUNT; i++) {
		struct target *t = target_new(i);

		links[i] = GCDUNE_HIDE(t);
		CHECK_EQ(gcdune_link_add(&links[i], t, GCDUNE_LINK_SHORT), 0);
		CHECK_EQ(gcdune_finalizer_set(t, finalize, (void *)(uintptr_t)i,
					      i % 3 ? GCDUNE_FINALIZE_ORDERED : GCDUNE_FINALIZE_UNORDERED, NULL, NULL), 0);
	}
}

/* Garbage, until the collector has been by. */
static void NOINLINE churn(uint64_t collections)
{
	uint64_t until = stats_now().collections + collections;

	while (stats_now().collections < until)
		for (int i = 0; i < 1000; i++)
			KEEP_ALIVE(gcdune_alloc(64));
}

int main(void)
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		calls = 0;
		memset(called, 0, sizeof called);
		churn(20); /* small and quick, as far as the collector knows */
		make_in_thread(make, NULL);
		for (unsigned n = 0; n < 50 && calls < COUNT; n++) {
			churn(2);
			gcdune_finalizers_run();
		}
		for (size_t i = 0; i < COUNT; i++) {
			CHECKF(called[i] <= 1, "finalizer %zu was called %u times", i, called[i]);
			if (!called[i] && links[i])
				continue; /* something looks like a pointer to it */
			CHECKF(called[i] == 1, "link %zu was cleared and its finalizer not called", i);
		}
		CHECKF(calls >= COUNT / 20 * 19, "%zu of %d finalizers were called", calls, COUNT);
		for (size_t i = 0; i < COUNT; i++) {
			void *object = links[i] ? GCDUNE_REVEAL(links[i]) : NULL;

			if (!called[i] && object) { /* not to be met in the next round */
				gcdune_finalizer_set(object, NULL, NULL, GCDUNE_FINALIZE_ORDERED, NULL, NULL);
				gcdune_link_remove(&links[i], GCDUNE_LINK_SHORT);
			}
		}
	}
	return 0;
}
