/* gc_gcj.h: objects are marked by the descriptor in their type: a bitmap, a length, or the program's mark procedure; those of
 * the debugging function by the procedure with environment 1.
 *
 * TEST-FLAGS: link=libgc torture=yes
 */
#include "libgc-check.h"

#include <gc/gc_gcj.h>

struct type {
	const char *name;
	GC_word descr;
};

struct object {
	struct type *type;
	void *strong, *hidden; /* the second is no pointer, as the type has it */
};

static int calls[2];

static struct GC_ms_entry *mark(GC_word *address, struct GC_ms_entry *top, struct GC_ms_entry *limit, GC_word env)
{
	struct object *object = (struct object *)(env ? (char *)address + GC_get_debug_header_size() : (char *)address);

	calls[env]++;
	/* An object not yet filled, or on a free list. */
	if (!object->type || object->type->name == NULL)
		return top;
	return GC_MARK_AND_PUSH(object->strong, top, limit, &object->strong);
}

static struct type with_bitmap, with_length, with_proc;
static struct object **objects;
static int dead[2];

static void on_death(void *object, void *data)
{
	(void)object;
	dead[(long)data]++;
}

static void fill(struct object *object)
{
	CHECK(object->strong == NULL && object->hidden == NULL);
	object->strong = GC_MALLOC(16);
	object->hidden = GC_MALLOC(16);
	GC_REGISTER_FINALIZER(object->strong, on_death, (void *)0, NULL, NULL);
	GC_REGISTER_FINALIZER(object->hidden, on_death, (void *)1, NULL, NULL);
}

static struct type *type_now;

static void make(void)
{
	for (int i = 0; i < N; i++) {
		objects[i] = i % 2 ? GC_GCJ_MALLOC(sizeof(struct object), type_now)
				   : GC_GCJ_MALLOC_IGNORE_OFF_PAGE(sizeof(struct object), type_now);
		CHECK(objects[i]->type == type_now);
		fill(objects[i]);
	}
}

static void make_debug(void)
{
	for (int i = 0; i < N; i++) {
		objects[i] = GC_debug_gcj_malloc(sizeof(struct object), &with_proc, __FILE__, __LINE__);
		fill(objects[i]);
	}
}

static void expect_one_dead(void)
{
	settle();
	CHECK_FEW(dead[0], N); /* one may be left over from before */
	CHECK_MOST(dead[1], N);
	memset(objects, 0, N * sizeof(*objects));
	settle();
	CHECK(dead[0] >= N * 95 / 100);
	memset(dead, 0, sizeof(dead));
}

int main(void)
{
	GC_INIT();
	GC_init_gcj_malloc(GC_GCJ_RESERVED_MARK_PROC_INDEX, (void *)mark);
	objects = GC_MALLOC(N * sizeof(*objects));
	with_bitmap = (struct type){ "bitmap", (GC_word)1 << 62 | GC_DS_BITMAP };
	with_length = (struct type){ "length", 16 };
	with_proc = (struct type){ "proc", GC_MAKE_PROC(GC_GCJ_RESERVED_MARK_PROC_INDEX, 0) };
	type_now = &with_bitmap;
	apart(make);
	expect_one_dead();
	type_now = &with_length;
	apart(make);
	expect_one_dead();
	type_now = &with_proc;
	apart(make);
	CHECK_EQ(GC_get_kind_and_size(objects[0], NULL), GC_gcj_kind);
	expect_one_dead();
	CHECK(calls[0] > 0);
	CHECK_EQ(calls[1], 0);
	apart(make_debug);
	expect_one_dead();
	CHECK(calls[1] > 0);
	return 0;
}
