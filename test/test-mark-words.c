/* A pointer is found whichever word of an object of whatever size it is in, among words that are none, and in whichever word
 * of static data; and none is found in leaf objects. Once with the markers' loop that this processor gets, and once with the
 * one for any (mark-burst.h).
 *
 * TEST-FLAGS: timeout=120 static=yes short=yes torture=yes
 */
#include "check.h"

enum { MOST_WORDS = 80, APART = 3, PARENTS = MOST_WORDS * (MOST_WORDS + 1) / 2 };

ROOT void **parents[PARENTS * APART], *leaves[PARENTS];
static struct watch lost;

/* Small numbers, large ones, and what differs from a pointer in bits that no address has. */
static void *noise(size_t n, const void *like)
{
	switch (n % 4) {
	case 0:
		return NULL;
	case 1:
		return (void *)(n & 0xffff);
	case 2:
		return (void *)~(uintptr_t)n;
	default:
		return (void *)((uintptr_t)like ^ (uintptr_t)1 << 50);
	}
}

static void make(void *unused)
{
	size_t n = 0;

	(void)unused;
	for (size_t words = 1; words <= MOST_WORDS; words++) {
		for (size_t at = 0; at < words; at++, n++) {
			void **parent = gcdune_alloc(words * sizeof(void *));

			CHECK(parent != NULL);
			parents[n * APART] = parent;
			for (size_t i = 0; i < words; i++)
				parent[i] = noise(n * MOST_WORDS + i, parent);
			parent[at] = target_new(n);
			parents[n * APART + 1] = noise(n, parent);
			parents[n * APART + 2] = noise(n + 1, parent);

			void **leaf = gcdune_alloc_leaf(words * sizeof(void *));

			CHECK(leaf != NULL);
			leaves[n] = leaf;
			memset(leaf, 0, words * sizeof(void *));
			leaf[at] = target_new(n);
			watch_add(&lost, leaf[at]);
		}
	}
	CHECK_EQ(n, PARENTS);
}

static void NOINLINE check(void)
{
	size_t n = 0;

	for (size_t words = 1; words <= MOST_WORDS; words++)
		for (size_t at = 0; at < words; at++, n++)
			TARGET_CHECK(parents[n * APART][at], n);
}

static int one_pass(void)
{
	make_in_thread(make, NULL);
	for (size_t i = 0; i < rounds(3, 1); i++) {
		wipe_and_collect();
		if (!tortured())
			CHECK_DEAD(watch_live(&lost), lost.count);
		check();
	}
	return 0;
}

int main(int argc, char **argv)
{
	(void)argv;
	const char *const plain[] = {"GCDUNE_WIDE=0", NULL};
	char output[4096];
	int status;

	if (argc > 1)
		return one_pass();
	status = child_exec("plain", plain, output, sizeof output);
	CHECKF(status == 0, "with GCDUNE_WIDE=0: status %d: %s", status, output);
	return one_pass();
}
