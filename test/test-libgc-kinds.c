/* libgc-kinds - typed objects by bitmaps short and long, arrays of them; kinds with each sort of mark descriptor; mark
 * procedures.
 *
 * Each test links hidden words to targets that are stored in words that count, and in words that do not.
 *
 * TEST-FLAGS: link=libgc torture=yes timeout=120 */
#include "libgc-check.h"

static GC_hidden_pointer kept[N], lost[N];
static void **holders;

static void *target(GC_hidden_pointer *link)
{
	void *object = GC_MALLOC(32);

	GC_unregister_disappearing_link((void **)link);
	*link = GC_HIDE_POINTER(object);
	CHECK_EQ(GC_general_register_disappearing_link((void **)link, object), GC_SUCCESS);
	return object;
}

static size_t count_clear(const GC_hidden_pointer *links)
{
	size_t clear = 0;

	for (size_t i = 0; i < N; i++)
		clear += links[i] == 0;
	return clear;
}

/* holders[i] was made by MAKE with a word that keeps and one that does not. */
static void check_holders(void (*make)(void))
{
	holders = GC_MALLOC(N * sizeof(*holders));
	apart(make);
	settle();
	CHECK_EQ(count_clear(kept), 0);
	CHECK_MOST(count_clear(lost), N);
	memset(holders, 0, N * sizeof(*holders));
	settle();
	CHECK_MOST(count_clear(kept), N);
}

static void make_bitmap(size_t words, size_t yes, size_t no)
{
	GC_word bitmap[8] = { 0 };
	GC_descr d;

	GC_set_bit(bitmap, yes);
	d = GC_make_descriptor(bitmap, words);
	for (size_t i = 0; i < N; i++) {
		void **object = GC_MALLOC_EXPLICITLY_TYPED(words * sizeof(void *), d);

		CHECK(object && !object[yes] && !object[no]);
		holders[i] = object;
		object[yes] = target(&kept[i]);
		object[no] = target(&lost[i]);
	}
}

static void make_small_bitmap(void)
{
	make_bitmap(4, 2, 1);
}

static void make_one_bit(void)
{
	make_bitmap(2, 0, 1);
}

static void make_large_bitmap(void)
{
	make_bitmap(200, 131, 17);
}

static void make_array(void)
{
	GC_word bitmap[1] = { 0 };
	GC_descr d;

	GC_set_bit(bitmap, 1);
	d = GC_make_descriptor(bitmap, 3);
	for (size_t i = 0; i < N; i++) {
		void **object = GC_CALLOC_EXPLICITLY_TYPED(50, 3 * sizeof(void *), d);
		size_t element = i % 50;

		CHECK(object && !object[3 * element + 1]);
		holders[i] = object;
		object[3 * element + 1] = target(&kept[i]);
		object[3 * element + 2] = target(&lost[i]);
	}
}

static unsigned prefix_kind, bitmap_kind, proc_kind, own_kind, typed_kind, plain_kind;

static void make_of_kind(unsigned kind, size_t yes, size_t no, GC_word first)
{
	for (size_t i = 0; i < N; i++) {
		GC_word *object = GC_generic_malloc(48, (int)kind);
		size_t size;

		CHECK(object);
		CHECK_EQ(GC_get_kind_and_size(object, &size), kind);
		CHECK(size >= 48);
		if (first)
			object[0] = first;
		holders[i] = object;
		object[yes] = (GC_word)target(&kept[i]);
		object[no] = (GC_word)target(&lost[i]);
	}
}

static void make_prefix(void)
{
	make_of_kind(prefix_kind, 2, 4, 0);
}

static void make_bitmap_kind(void)
{
	make_of_kind(bitmap_kind, 3, 1, 0);
}

static struct GC_ms_entry *mark(GC_word *object, struct GC_ms_entry *top, struct GC_ms_entry *limit, GC_word env)
{
	if (env != 77)
		abort();
	if (object[0] != 0x600d)
		return top; /* on a free list, or not filled yet */
	return GC_MARK_AND_PUSH((void *)object[4], top, limit, (void **)&object[4]);
}

static void make_proc(void)
{
	make_of_kind(proc_kind, 4, 3, 0x600d);
}

/* The object's first word is its descriptor. */
static void make_own(void)
{
	make_of_kind(own_kind, 3, 4, 4 * sizeof(void *) | GC_DS_LENGTH);
}

/* The object's first word points to a type, whose second word is the descriptor. */
static GC_word type[2] = { 0, 0 };

static void make_type(void)
{
	type[1] = 3 * sizeof(void *) | GC_DS_LENGTH;
	make_of_kind(typed_kind, 2, 4, (GC_word)type);
}

static void test_plain_kind(void)
{
	void **object = GC_generic_malloc(4096, (int)plain_kind);

	for (size_t i = 0; i < 512; i++)
		object[i] = GC_MALLOC(16 + i), *(size_t *)object[i] = i;
	collect();
	for (size_t i = 0; i < 512; i++)
		CHECK(*(size_t *)object[i] == i);
}

static void *chain;

static void test_many(void)
{
	size_t count = 0;

	GC_generic_malloc_many(48, (int)proc_kind, &chain);
	CHECK(chain);
	for (char *p = chain; p; p = *(void **)p, count++) {
		CHECK_EQ(GC_get_kind_and_size(p, NULL), proc_kind);
		for (size_t i = 8; i < 48; i++)
			CHECK(!p[i]);
	}
	CHECK(count >= 1);
	chain = NULL;
}

static void test_first_kinds(void)
{
	CHECK_EQ(GC_get_kind_and_size(GC_MALLOC(10), NULL), 1);
	CHECK_EQ(GC_get_kind_and_size(GC_MALLOC_ATOMIC(10), NULL), 0);
	CHECK_EQ(GC_get_kind_and_size(GC_MALLOC_UNCOLLECTABLE(10), NULL), 2);
	CHECK_EQ(GC_get_kind_and_size(GC_MALLOC_ATOMIC_UNCOLLECTABLE(10), NULL), 3);
	CHECK_EQ(GC_get_kind_and_size(GC_malloc_kind(10, GC_I_PTRFREE), NULL), 0);
	CHECK_EQ(GC_get_kind_and_size(GC_malloc_kind(10, GC_I_NORMAL), NULL), 1);
}

int main(void)
{
	GC_INIT();
	GC_word proc = GC_new_proc(mark);

	prefix_kind = GC_new_kind(GC_new_free_list(), 3 * sizeof(void *) | GC_DS_LENGTH, 0, 1);
	bitmap_kind = GC_new_kind(GC_new_free_list(), (GC_word)1 << 60 | GC_DS_BITMAP, 0, 1);
	proc_kind = GC_new_kind(GC_new_free_list(), GC_MAKE_PROC(proc, 77), 0, 1);
	own_kind = GC_new_kind(GC_new_free_list(), 0 | GC_DS_PER_OBJECT, 0, 1);
	typed_kind = GC_new_kind(GC_new_free_list(), (GC_word)-(8 + GC_INDIR_PER_OBJ_BIAS) | GC_DS_PER_OBJECT, 0, 1);
	plain_kind = GC_new_kind(GC_new_free_list(), GC_DS_LENGTH, 1, 1);

	check_holders(make_one_bit);
	check_holders(make_small_bitmap);
	check_holders(make_large_bitmap);
	check_holders(make_array);
	check_holders(make_prefix);
	check_holders(make_bitmap_kind);
	check_holders(make_proc);
	check_holders(make_own);
	check_holders(make_type);
	test_plain_kind();
	test_many();
	test_first_kinds();
	return 0;
}
