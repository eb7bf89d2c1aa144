/* gcdune_locked_call: no collection begins while FN runs, in whichever thread; one that another thread wants happens
 * afterwards; weak links can be read and made strong inside.
 *
 * TEST-FLAGS: timeout=60 torture=yes tsan=no
 */
#include "check.h"

#define COUNT 1000

static void *links[COUNT];		/* hidden */
ROOT struct target *strong[COUNT];
static volatile int stop;	/* not bool: gcc 12 with -fsanitize=bool reads a volatile one only once */

static void *no_collection(void *arg)
{
	uint64_t before = stats_now().collections;

	sleep_ms(30);
	CHECKF(stats_now().collections == before, "a collection ended inside gcdune_locked_call");
	return arg;
}

static void *collector(void *arg)
{
	uint64_t n = 0;

	while (!stop) {
		gcdune_collect();
		n++;
	}
	return (void *)(uintptr_t)n;
}

/* A link is either cleared, or its object is whole and stays so once it was read here. */
static void *read_links(void *arg)
{
	for (size_t i = 0; i < COUNT; i++)
		strong[i] = links[i] ? GCDUNE_REVEAL(links[i]) : NULL;
	return NULL;
}

static void NOINLINE make_links(void)
{
	for (size_t i = 0; i < COUNT; i++) {
		struct target *t = target_new(i);
		void *hidden = GCDUNE_HIDE(t);
		int result;

		links[i] = hidden;
		result = gcdune_link_add(&links[i], t, GCDUNE_LINK_SHORT);
		CHECKF(result == 0 || result == -EEXIST, "gcdune_link_add: %d", result);
	}
}

int main(void)
{
	pthread_t thread = thread_start(collector, NULL);
	size_t whole = 0;
	void *n;

	for (int i = 0; i < 10; i++)
		CHECK(gcdune_locked_call(no_collection, links) == links);
	for (size_t round = 0; round < rounds(50, 5); round++) {
		make_links();
		gcdune_locked_call(read_links, NULL);
		for (size_t i = 0; i < COUNT; i++) {
			if (strong[i]) {
				TARGET_CHECK(strong[i], i);
				whole++;
			}
		}
		memset(strong, 0, sizeof(strong));
	}
	stop = true;
	pthread_join(thread, &n);
	CHECKF(n != NULL, "the other thread never collected");
	CHECKF(whole > 0, "every link was cleared before it could be read");
	return 0;
}
