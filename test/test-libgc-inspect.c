/* Looking into the heap: enumeration of objects, mark bits, the size map, segments as roots and the filter of segments,
 * exclusions, freed bytes, dumps.
 *
 * TEST-FLAGS: link=libgc
 */
#include "libgc-check.h"

#include <sys/mman.h>
#include <fcntl.h>

static void **objects;
static int found, found_bytes;
static void *one_object;

static void count(void *object, size_t bytes, void *data)
{
	CHECK(data == &found);
	if (object == one_object)
		found_bytes = (int)bytes;
	if (bytes >= 200 && bytes <= 224 && *(long *)object == 4711)
		found++;
}

static void *enumerate(void *arg)
{
	GC_enumerate_reachable_objects_inner(count, arg);
	return NULL;
}

static void make(void)
{
	for (int i = 0; i < N; i++) {
		long *object = GC_MALLOC(200);

		*object = 4711;
		if (i % 2)
			objects[i / 2] = object;
	}
}

static void test_enumeration(void)
{
	objects = GC_MALLOC(N / 2 * sizeof(void *));
	apart(make);
	collect();
	one_object = objects[0];
	GC_call_with_alloc_lock(enumerate, &found);
	CHECK(found >= N / 2);
	CHECK_FEW(found - N / 2, N / 2);
	CHECK(found_bytes >= 200);
}

static void *mark_bits(void *object)
{
	CHECK_EQ(GC_is_marked(object), 1);
	GC_clear_mark_bit(object);
	CHECK_EQ(GC_is_marked(object), 0);
	GC_set_mark_bit(object);
	CHECK_EQ(GC_is_marked(object), 1);
	return NULL;
}

static void test_marks(void)
{
	collect();
	GC_call_with_alloc_lock(mark_bits, objects[0]);
	collect();
	CHECK_EQ(*(long *)objects[0], 4711);
}

static void test_size_map(void)
{
	for (int size = 1; size <= 2048; size++) {
		size_t bytes = GC_get_size_map_at(size);

		/* Boehm's table is filled as sizes are used. */
		if (bytes) {
			CHECK(bytes >= (size_t)size);
			CHECK(bytes <= (size_t)size * 2 + 32);
		}
	}
	CHECK_EQ(GC_get_size_map_at(1 << 20), SIZE_MAX);
	CHECK_EQ(GC_get_size_map_at(-1), SIZE_MAX);
}

static void *in_data = &in_data;
static int asked, asked_main;

static int has_roots(const char *name, void *begin, size_t size)
{
	CHECK(name != NULL && size > 0);
	asked++;
	if ((char *)&in_data >= (char *)begin && (char *)&in_data < (char *)begin + size)
		asked_main++;
	return 1;
}

static void test_segments(void)
{
	int local;

	collect();
	CHECK_EQ(GC_is_tmp_root(&in_data), 1);
	CHECK_EQ(GC_is_tmp_root(&local), 0);
	GC_register_has_static_roots_callback(has_roots);
	collect();
	CHECK(asked > 0);
	CHECK(asked_main > 0);
	GC_register_has_static_roots_callback(NULL);
	asked = 0;
	collect();
	CHECK_EQ(asked, 0);
}

static void test_freed(void)
{
	size_t before;
	void *object = GC_MALLOC(1000);

	collect();
	before = GC_get_expl_freed_bytes_since_gc();
	CHECK(before < 1000);
	GC_FREE(object);
	CHECK(GC_get_expl_freed_bytes_since_gc() >= before + 1000);
	collect();
	CHECK(GC_get_expl_freed_bytes_since_gc() < 1000);
}

static void nothing(void *object, void *data)
{
	(void)object;
	(void)data;
}

/* What they print is their own affair; that something comes is not. */
static void test_dumps(void)
{
	int file = memfd_create("dumps", 0), out = dup(1);
	static void *link;
	void *object = GC_MALLOC(16);

	GC_REGISTER_FINALIZER(object, nothing, NULL, NULL, NULL);
	link = object;
	GC_general_register_disappearing_link(&link, object);
	GC_FREE(GC_MALLOC(32));
	fflush(stdout);
	dup2(file, 1);
	GC_dump();
	GC_dump_regions();
	GC_dump_finalization();
	GC_print_free_list(1, 3);
	fflush(stdout);
	dup2(out, 1);
	CHECK(lseek(file, 0, SEEK_END) > 100);
	CHECK(object != NULL && link == object);
}

int main(void)
{
	GC_INIT();
	test_enumeration();
	test_marks();
	test_size_map();
	test_segments();
	test_freed();
	test_dumps();
	CHECK_EQ(GC_get_find_leak(), 0);
	return 0;
}
