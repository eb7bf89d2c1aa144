/* gcdune_interior_set(false): a pointer in the heap keeps an object only at offset 0 or one given to
 * gcdune_displacement_add; from a root any offset does.
 *
 * TEST-FLAGS: timeout=60 torture=yes
 */
#include "check.h"

#define COUNT 1000
#define SIZE 96

ROOT char **holder;
ROOT char *roots[COUNT];
static struct watch objects;

struct job {
	char **place;	/* NULL: a new holder in the heap */
	size_t offset;
};

static void make(void *arg)
{
	struct job *job = arg;

	if (!job->place)
		job->place = holder = gcdune_alloc(COUNT * sizeof(char *));
	for (size_t i = 0; i < COUNT; i++) {
		char *p = gcdune_alloc(SIZE);

		memset(p, (int)(i | 1), SIZE);
		watch_add(&objects, p);
		job->place[i] = p + job->offset;
	}
}

static void heap(size_t offset, bool keeps)
{
	struct job job = { NULL, offset };

	make_in_thread(make, &job);
	wipe_and_collect();
	if (keeps)
		CHECKF(watch_live(&objects) == COUNT, "pointers to offset %zu: %zu of %d objects are left", offset,
		       watch_live(&objects), COUNT);
	else
		CHECK_DEAD(watch_live(&objects), COUNT);
	watch_reset(&objects);
	holder = NULL;
}

static void root(size_t offset)
{
	struct job job = { roots, offset };

	make_in_thread(make, &job);
	wipe_and_collect();
	CHECKF(watch_live(&objects) == COUNT, "roots with offset %zu: %zu of %d objects are left", offset,
	       watch_live(&objects), COUNT);
	memset(roots, 0, sizeof(roots));
	watch_reset(&objects);
}

int main(void)
{
	gcdune_interior_set(false);
	heap(0, true);
	heap(1, false);
	heap(8, false);
	heap(40, false);
	root(0);
	root(1);
	root(8);
	root(SIZE - 1);
	CHECK_EQ(gcdune_displacement_add(8), 0);
	CHECK_EQ(gcdune_displacement_add(3), 0);
	CHECK_EQ(gcdune_displacement_add(8), 0);
	heap(0, true);
	heap(8, true);
	heap(3, true);
	heap(40, false);
	root(40);
	return 0;
}
