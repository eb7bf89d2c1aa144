/* libgc-debug - programs compiled with GC_DEBUG: allocation, realloc, free, strings, finalizers, links.
 *
 * TEST-FLAGS: link=libgc torture=yes timeout=120 */
#define GC_DEBUG
#include "libgc-check.h"

static size_t ran;

static void count(void *object, void *data)
{
	CHECK(*(size_t *)object == 42);
	CHECK(data == (void *)0x33);
	ran++;
}

static GC_hidden_pointer links[N];

static void make(void)
{
	for (size_t i = 0; i < N; i++) {
		size_t *object = GC_MALLOC(24);

		*object = 42;
		links[i] = GC_HIDE_POINTER(object);
		GC_REGISTER_FINALIZER_NO_ORDER(object, count, (void *)0x33, NULL, NULL);
		CHECK_EQ(GC_GENERAL_REGISTER_DISAPPEARING_LINK((void **)&links[i], object), GC_SUCCESS);
	}
}

static void unused(void *object, void *data)
{
	(void)object;
	(void)data;
}

static void test_finalizer(void)
{
	GC_finalization_proc fn = unused;
	void *object = GC_MALLOC(8), *data = &data;

	GC_REGISTER_FINALIZER(object, unused, (void *)0x44, &fn, &data);
	CHECK(fn == NULL && data == NULL);
	GC_REGISTER_FINALIZER(object, NULL, NULL, &fn, &data);
	CHECK(fn == unused && data == (void *)0x44);
	GC_REGISTER_FINALIZER(object, NULL, NULL, &fn, &data);
	CHECK(fn == NULL && data == NULL);
	GC_reachable_here(object);
}

static void test_objects(void)
{
	for (size_t size = 1; size < 5000; size += 1 + size / 7) {
		char *p = GC_MALLOC(size), *a = GC_MALLOC_ATOMIC(size), *u = GC_MALLOC_UNCOLLECTABLE(size);

		CHECK((uintptr_t)p % 8 == 0);
		for (size_t i = 0; i < size; i++)
			CHECK(!p[i]);
		CHECK(GC_base(p) == p - GC_get_debug_header_size());
		CHECK(GC_USR_PTR_FROM_BASE(GC_base(p)) == p);
		memset(p, 1, size);
		memset(a, 2, size);
		memset(u, 3, size);
		p = GC_REALLOC(p, 2 * size);
		CHECK(p[0] == 1 && p[size - 1] == 1);
		a = GC_REALLOC(a, size / 2 + 1);
		CHECK(a[0] == 2 && a[size / 2] == 2);
		GC_FREE(p);
		GC_FREE(a);
		GC_FREE(u);
	}
	GC_FREE(NULL);
	CHECK(strcmp(GC_STRDUP("abc"), "abc") == 0);
	CHECK(strcmp(GC_STRNDUP("abc", 2), "ab") == 0);
}

int main(void)
{
	size_t clear = 0;

	GC_INIT();
	test_objects();
	test_finalizer();
	apart(make);
	settle();
	CHECK_MOST(ran, N);
	for (size_t i = 0; i < N; i++)
		clear += links[i] == 0;
	CHECK_MOST(clear, N);
	return 0;
}
