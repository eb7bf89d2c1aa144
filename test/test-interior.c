/* Which addresses keep an object by default: of any byte of it, from roots and from the heap; and, from roots
 * only, of the place right behind it, where its own slot ends and the next begins. A root that is the start of a
 * slot must still keep that slot's own object.
 *
 * TEST-FLAGS: timeout=60 torture=yes
 */
#include "check.h"

#define COUNT 20000

ROOT char *roots[COUNT];
ROOT char **in_heap;
static size_t count;

static void check(char *const *pointers, size_t size, size_t offset)
{
	for (size_t i = 0; i < count; i++) {
		char *p = pointers[i] - offset;

		CHECKF(gcdune_base(p) == p, "object %zu of %zu bytes was lost, pointer to offset %zu", i, size, offset);
		for (size_t k = 0; k < size; k++)
			CHECKF(p[k] == (char)(i * 2 + 1), "byte %zu of object %zu of %zu bytes changed", k, i, size);
	}
}

static void one_offset(char **pointers, size_t size, size_t offset)
{
	for (size_t i = 0; i < count; i++) {
		char *p = i % 2 ? gcdune_alloc_leaf(size) : gcdune_alloc(size);

		CHECK(p != NULL);
		pointers[i] = p + offset;
		memset(p, (int)(i * 2 + 1), size);
	}
	wipe_and_collect();
	check(pointers, size, offset);
	/* What was wrongly freed is used again now. */
	for (size_t i = 0; i < 2000; i++)
		memset(gcdune_alloc_leaf(size), 0xaa, size);
	check(pointers, size, offset);
}

static void any_byte(size_t size)
{
	size_t step = size < 100 ? 7 : size / 5 + 1;

	count = rounds(1000, 200);
	in_heap = gcdune_alloc(count * sizeof(char *));
	for (size_t offset = 0; offset < size; offset += step) {
		one_offset(roots, size, offset);
		memset(roots, 0, sizeof(roots));
		one_offset(in_heap, size, offset);
	}
	one_offset(in_heap, size, size - 1);
	in_heap = NULL;
}

/* Slots are packed here, so the end of one is the start of the next; the last of a block is among so many. */
static void one_past_the_end(size_t size)
{
	count = rounds(COUNT, 2000);
	if (size >= 4096)
		count = 200;
	one_offset(roots, size, size);
	memset(roots, 0, sizeof(roots));
}

/* Each second object is dropped: the pointer to a slot's start, in the roots, keeps that slot. */
static void slot_starts(void)
{
	count = rounds(COUNT, 2000);
	one_offset(roots, 32, 0);
	for (size_t i = 0; i < count / 2; i++)
		roots[i] = roots[2 * i];
	memset(&roots[count / 2], 0, (COUNT - count / 2) * sizeof(*roots));
	wipe_and_collect();
	for (size_t i = 0; i < 2000; i++)
		memset(gcdune_alloc_leaf(32), 0xaa, 32);
	for (size_t i = 0; i < count / 2; i++)
		for (size_t k = 0; k < 32; k++)
			CHECKF(roots[i][k] == (char)(2 * i * 2 + 1), "object %zu changed", 2 * i);
	memset(roots, 0, sizeof(roots));
}

/* A stack's word right behind the object counts like any root. */
static NOINLINE void on_the_stack(void)
{
	char *volatile ends[500];

	for (size_t i = 0; i < 500; i++) {
		char *p = gcdune_alloc(48);

		memset(p, 0x51, 48);
		ends[i] = p + 48;
	}
	wipe_and_collect();
	for (size_t i = 0; i < 500; i++)
		CHECK(gcdune_base(ends[i] - 48) == ends[i] - 48);
}

int main(void)
{
	any_byte(16);
	any_byte(48);
	any_byte(100);
	any_byte(1000);
	any_byte(30000);
	one_past_the_end(16);
	one_past_the_end(32);
	one_past_the_end(48);
	one_past_the_end(80);
	one_past_the_end(112);
	one_past_the_end(1024);
	one_past_the_end(65536);
	one_past_the_end(131072);
	slot_starts();
	on_the_stack();
	return 0;
}
