/* libgc-oom - running into a maximum heap size: the function that is called and what its result becomes, NULL by default,
 * and that everything works again when there is room.
 *
 * TEST-FLAGS: link=libgc asan=no tsan=no timeout=120 */
#include "libgc-check.h"

#define LIMIT ((size_t)32 << 20)

static size_t asked, called;
static char *instead;

static void *oom(size_t size)
{
	asked = size;
	called++;
	return instead;
}

struct cell {
	struct cell *next;
	char room[4000];
};

static struct cell *volatile list;

/* More than half of the limit must be usable. */
static void fill(void)
{
	size_t count = 0;

	for (;;) {
		struct cell *cell = GC_NEW(struct cell);

		if (!cell || (char *)cell == instead)
			break;
		cell->next = list;
		list = cell;
		count++;
		CHECK(count * sizeof(*cell) < 2 * LIMIT);
	}
	CHECK(count * sizeof(struct cell) > LIMIT / 2);
}

/* Cut, so that a stale word keeps one cell and not all behind it. */
static void drop(void)
{
	while (list) {
		struct cell *next = list->next;

		list->next = NULL;
		list = next;
	}
	collect(); /* Boehm's library does not always try that before it gives up */
}

int main(void)
{
	GC_set_max_heap_size(LIMIT);
	GC_INIT();
	GC_set_warn_proc(GC_ignore_warn_proc);

	fill();
	CHECK(list);
	drop();
	for (int i = 0; i < 10000; i++)
		CHECK(GC_MALLOC(1000) != NULL);

	/* Of its own; more than there is, whatever may be free. */
	instead = NULL;
	GC_set_oom_fn(oom);
	CHECK(GC_get_oom_fn() == oom);
	CHECK(GC_MALLOC(2 * LIMIT) == NULL);
	CHECK_EQ(called, 1);
	CHECK(asked >= 2 * LIMIT);
	instead = GC_MALLOC(100);
	CHECK(GC_MALLOC_ATOMIC(3 * LIMIT) == instead);
	CHECK_EQ(called, 2);
	CHECK(GC_MALLOC(SIZE_MAX / 2) == instead);
	CHECK(GC_REALLOC(GC_MALLOC(1000), SIZE_MAX / 4) == instead);
	called = 0;
	fill();
	CHECK(called >= 1);
	drop();
	called = 0;
	for (int i = 0; i < 100000; i++)
		CHECK((char *)GC_MALLOC(1000) != instead);
	CHECK_EQ(called, 0);
	return 0;
}
