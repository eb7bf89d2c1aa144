/* The roots callback gives several ranges. A pointer one past the end of an object counts in each of them, also after one
 * so long that what it leads to was marked before it was read to its end: ECL keeps its stacks so, and Maxima on it
 * failed with GCDUNE_VERIFY=1.
 *
 * TEST-FLAGS: torture=yes
 */
#include "check.h"

#include <sys/mman.h>

enum { ENDS = 100, SIZE = 128, EACH = 1000 };

/* In memory that is not scanned. */
static struct shared {
	void *many[ENDS * EACH], *ends[ENDS], *links[ENDS];
} *shared;

/* When marking catches up with reading depends on lengths. */
static void roots(struct gcdune_marker *marker)
{
	for (size_t i = 0; i < ENDS; i++) {
		gcdune_mark_range(marker, shared->many + i * EACH, shared->many + i * EACH + EACH - i * 8);
		gcdune_mark_range(marker, shared->ends + i, shared->ends + i + 1);
	}
}

static void fill(void *arg)
{
	(void)arg;
	for (size_t i = 0; i < ENDS; i++) {
		char *object = gcdune_alloc(SIZE);

		CHECK(object != NULL);
		shared->links[i] = GCDUNE_HIDE(object);
		CHECK_EQ(gcdune_link_add(&shared->links[i], object, GCDUNE_LINK_SHORT), 0);
		shared->ends[i] = object + SIZE;
		CHECK(gcdune_alloc(SIZE) != NULL); /* between them: the next one's start would not do */
	}
	for (size_t i = 0; i < rounds(ENDS * EACH, 20000); i++)
		shared->many[i] = gcdune_alloc(48);
}

static size_t live(void)
{
	size_t count = 0;

	for (size_t i = 0; i < ENDS; i++)
		count += shared->links[i] != NULL;
	return count;
}

int main(void)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(shared != MAP_FAILED);
	CHECK_EQ(gcdune_init(), 0);
	gcdune_roots_callback_set(roots);
	make_in_thread(fill, NULL);
	for (int i = 0; i < 3; i++) {
		wipe_and_collect();
		CHECK_EQ(live(), ENDS);
	}
	memset(shared->ends, 0, sizeof(shared->ends));
	wipe_and_collect();
	wipe_and_collect();
	CHECK(live() < ENDS / 4);
	return 0;
}
