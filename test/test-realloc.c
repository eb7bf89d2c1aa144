/* gcdune_realloc: contents, zero for what is new, kind and layout kept, NULL and 0, shrinking, random sequences
 * against a shadow copy, failure that leaves the object as it was.
 *
 * TEST-FLAGS: timeout=120 torture=yes tsan=no
 */
#include "check.h"

#define COUNT 200

static struct {
	unsigned char *p, *copy;	/* copy is malloc's */
	size_t size;
	gcdune_kind kind;
} objects[COUNT];

static size_t random_size(uint64_t *random)
{
	uint64_t r = random_next(random);

	switch (r % 16) {
	case 0:
		return 1 + (r >> 8) % 400000;
	case 1: case 2: case 3:
		return 1 + (r >> 8) % 40000;
	default:
		return 1 + (r >> 8) % 600;
	}
}

static void random_sequences(void)
{
	uint64_t random = 3;

	for (size_t step = 0; step < rounds(60000, 3000); step++) {
		size_t i = random_next(&random) % COUNT, old = objects[i].size, size = random_size(&random);
		bool leaf = objects[i].kind == GCDUNE_KIND_LEAF || objects[i].kind == GCDUNE_KIND_PINNED_LEAF;
		unsigned char *p;

		if (!objects[i].p) {
			objects[i].kind = random_next(&random) % 4;
			leaf = objects[i].kind == GCDUNE_KIND_LEAF || objects[i].kind == GCDUNE_KIND_PINNED_LEAF;
			p = gcdune_alloc_kind(size, objects[i].kind);
		} else {
			p = gcdune_realloc(objects[i].p, size);
		}
		CHECKF(p != NULL, "no memory for %zu bytes", size);
		CHECK(gcdune_base(p) == p && gcdune_size(p) >= size);
		CHECK_EQ(gcdune_kind_of(p), objects[i].kind);
		CHECKF(!old || memcmp(p, objects[i].copy, old < size ? old : size) == 0,
		       "realloc from %zu to %zu bytes changed the contents", old, size);
		for (size_t k = old; k < size && !leaf; k++)
			CHECKF(p[k] == 0, "byte %zu is not zero after realloc from %zu to %zu", k, old, size);
		objects[i].p = p;
		objects[i].size = size;
		objects[i].copy = realloc(objects[i].copy, size);
		/* The low bit set in each byte: never the address of an object. */
		for (size_t k = 0; k < size; k++)
			p[k] = (unsigned char)(mix(step + k) | 1);
		memcpy(objects[i].copy, p, size);
	}
	for (size_t i = 0; i < COUNT; i++) {
		CHECK(memcmp(objects[i].p, objects[i].copy, objects[i].size) == 0);
		gcdune_free(objects[i].p);
		free(objects[i].copy);
		objects[i].p = NULL;
	}
}

static void edges(void)
{
	char *p = gcdune_realloc(NULL, 100);

	CHECK(p != NULL && gcdune_kind_of(p) == GCDUNE_KIND_SCANNED);
	for (size_t i = 0; i < 100; i++)
		CHECK(p[i] == 0);
	CHECK(gcdune_realloc(p, 0) == NULL);
	CHECK(gcdune_base(p) == NULL);
	/* The same size, and any that fits, stays in place. */
	p = gcdune_alloc(100);
	CHECK(gcdune_realloc(p, 100) == p);
	CHECK(gcdune_realloc(p, gcdune_size(p)) == p);
}

/* Growing an element at a time must be near linear in what it allocates, and the contents arrive. */
static void append(void)
{
	ROOT uint32_t *vector;
	size_t n = rounds(2000000, 60000);

	for (size_t i = 0, room = 0; i < n; i++) {
		if (i == room) {
			room = room ? room * 2 : 4;
			vector = gcdune_realloc(vector, room * sizeof(*vector));
			CHECK(vector != NULL);
		}
		vector[i] = (uint32_t)mix(i);
	}
	for (size_t i = 0; i < n; i++)
		CHECK(vector[i] == (uint32_t)mix(i));
	vector = NULL;
}

/* A typed object that has grown is still scanned by its layout. */
#define TYPED 1000
ROOT void ***typed;
static struct watch hidden;

static void make_typed(void *arg)
{
	uint64_t bitmap = 1;
	gcdune_layout layout = gcdune_layout_make(&bitmap, 2);

	(void)arg;
	typed = gcdune_alloc(TYPED * sizeof(void *));
	for (size_t i = 0; i < TYPED; i++) {
		void **object = gcdune_alloc_typed(16, layout);

		typed[i] = object;
		object[0] = target_new(i);
		object = gcdune_realloc(object, 160);
		typed[i] = object;
		CHECK_EQ(gcdune_kind_of(object), GCDUNE_KIND_TYPED);
		object[1] = target_new(i);
		object[15] = target_new(i);
		watch_add(&hidden, object[1]);
		watch_add(&hidden, object[15]);
	}
}

static void typed_objects(void)
{
	make_in_thread(make_typed, NULL);
	wipe_and_collect();
	CHECK_DEAD(watch_live(&hidden), hidden.count);
	for (size_t i = 0; i < TYPED; i++)
		TARGET_CHECK(typed[i][0], i);
	typed = NULL;
}

static void *no_memory(size_t size)
{
	(void)size;
	return NULL;
}

static void failure(void)
{
	ROOT char *p;
	volatile size_t impossible = (size_t)1 << 46;

	gcdune_oom_set(no_memory);
	p = gcdune_alloc(1000);
	memset(p, 0x3d, 1000);
	CHECK(gcdune_realloc(p, impossible) == NULL);
	CHECK(gcdune_base(p) == p);
	for (size_t i = 0; i < 1000; i++)
		CHECK(p[i] == 0x3d);
}

int main(void)
{
	edges();
	random_sequences();
	append();
	typed_objects();
	failure();
	return 0;
}
