/* kinds.c - GC_new_kind, GC_new_proc, and marking by Boehm's descriptors.
 *
 * A kind of a program's own is a gcdune kind with a callback, whose argument holds the descriptor. A mark procedure gets
 * the marker in place of the top of a mark stack, hands it back through GC_mark_and_push, and returns it. The
 * limit it gets is an address that no top can exceed: gcdune never runs out of room while marking.
 *
 * Kinds and procedures are only ever added, and a number is given out after what it stands for is complete, so marking
 * reads them without a lock. */
#include "libgc.h"

#include <stdatomic.h>
#include <stdlib.h>

#define LIBGC_FREE_LISTS 129 /* as many as Boehm's blocks have sizes, in granules, and one for 0 */

struct libgc_kind {
	GC_word descr;
	GC_word add_size;
};

static GC_mark_proc libgc_procs[GC_MAX_MARK_PROCS] = { [LIBGC_PROC_TYPED] = libgc_typed_proc };
static atomic_uint libgc_nprocs = GC_RESERVED_MARK_PROCS;

struct GC_ms_entry *GC_mark_and_push(void *object, struct GC_ms_entry *top, struct GC_ms_entry *limit, void **src)
{
	(void)limit;
	(void)src;
	gcdune_mark((struct gcdune_marker *)top, object);
	return top;
}

static void call_proc(GC_word *object, GC_word descr, struct gcdune_marker *marker)
{
	GC_word env = descr >> (GC_DS_TAG_BITS + GC_LOG_MAX_MARK_PROCS);
	GC_mark_proc proc = libgc_procs[(descr >> GC_DS_TAG_BITS) & (GC_MAX_MARK_PROCS - 1)];

	if (!proc)
		libgc_fatal("a mark descriptor names a mark procedure that does not exist");
	proc(object, (struct GC_ms_entry *)marker, (struct GC_ms_entry *)UINTPTR_MAX, env);
}

/* The descriptor that the object, or its type, holds; 0 (scan nothing) while there is none. */
static GC_word object_descr(const void *object, GC_word descr)
{
	GC_signed_word offset = (GC_signed_word)(descr & ~(GC_word)GC_DS_TAGS);
	const char *type;

	if (offset >= 0)
		return *(const GC_word *)((const char *)object + offset);
	type = *(const char *const *)object;
	return type ? *(const GC_word *)(type - offset - GC_INDIR_PER_OBJ_BIAS) : 0;
}

void libgc_mark_by_descr(void *object, size_t size, GC_word descr, struct gcdune_marker *marker)
{
	GC_word *word = object;

	if ((descr & GC_DS_TAGS) == GC_DS_PER_OBJECT)
		descr = object_descr(object, descr);
	switch (descr & GC_DS_TAGS) {
	case GC_DS_LENGTH:
		gcdune_mark_range(marker, object, (char *)object + (descr < size ? descr : size));
		break;
	case GC_DS_BITMAP:
		for (descr &= ~(GC_word)GC_DS_TAGS; descr; descr <<= 1, word++)
			if ((GC_signed_word)descr < 0)
				gcdune_mark(marker, (void *)*word);
		break;
	case GC_DS_PROC:
		call_proc(word, descr, marker);
		break;
	default:
		libgc_fatal("a mark descriptor in an object refers to a further one");
	}
}

static void mark_kind(void *object, size_t size, void *arg, struct gcdune_marker *marker)
{
	const struct libgc_kind *kind = arg;

	libgc_mark_by_descr(object, size, kind->add_size ? kind->descr + size : kind->descr, marker);
}

unsigned libgc_kind_make(GC_word descr, bool add_size)
{
	struct libgc_kind *kind = malloc(sizeof(*kind));
	int number;

	if (!kind)
		libgc_fatal("out of memory for a kind of objects");
	*kind = (struct libgc_kind){ descr, add_size };
	number = gcdune_kind_new(mark_kind, kind);
	if (number < 0)
		libgc_fatal("too many kinds of objects");
	/* A procedure of the program's, or a descriptor found in memory of its own, must not see it change. */
	if ((descr & GC_DS_TAGS) == GC_DS_LENGTH || (descr & GC_DS_TAGS) == GC_DS_BITMAP)
		gcdune_kind_concurrent((unsigned)number);
	return (unsigned)number;
}

/* gcdune zeroes what it scans, whether the program asks for it or not. */
unsigned GC_new_kind(void **free_list, GC_word descr, int add_size, int clear)
{
	(void)free_list;
	(void)clear;
	libgc_init();
	return libgc_kind_make(descr, add_size);
}

unsigned GC_new_kind_inner(void **free_list, GC_word descr, int add_size, int clear)
{
	return GC_new_kind(free_list, descr, add_size, clear);
}

void libgc_proc_set(unsigned index, GC_mark_proc proc)
{
	if (index >= GC_MAX_MARK_PROCS)
		libgc_fatal("a mark procedure's number is too large");
	libgc_procs[index] = proc;
}

unsigned GC_new_proc(GC_mark_proc proc)
{
	unsigned index = atomic_fetch_add(&libgc_nprocs, 1);

	libgc_init();
	if (index >= GC_MAX_MARK_PROCS)
		libgc_fatal("too many mark procedures");
	libgc_procs[index] = proc;
	return index;
}

unsigned GC_new_proc_inner(GC_mark_proc proc)
{
	return GC_new_proc(proc);
}

/* Programs hand the array to GC_new_kind and may look into it, where they find every list empty. */
void **GC_new_free_list(void)
{
	void **lists = calloc(LIBGC_FREE_LISTS, sizeof(void *));

	if (!lists)
		libgc_fatal("out of memory for free lists");
	return lists;
}

void **GC_new_free_list_inner(void)
{
	return GC_new_free_list();
}

void *GC_generic_malloc(size_t size, int kind)
{
	return gcdune_alloc_kind(size, (gcdune_kind)libgc_kind_swap(kind));
}

void *GC_generic_malloc_ignore_off_page(size_t size, int kind)
{
	return GC_generic_malloc(size, kind);
}

void *GC_generic_malloc_uncollectable(size_t size, int kind)
{
	return GC_generic_malloc(size, kind);
}

void *GC_generic_or_special_malloc(size_t size, int kind)
{
	return GC_generic_malloc(size, kind);
}

void *GC_malloc_kind(size_t size, int kind)
{
	return GC_generic_malloc(size, kind);
}

void *GC_malloc_kind_global(size_t size, int kind)
{
	return GC_generic_malloc(size, kind);
}

void GC_generic_malloc_many(size_t size, int kind, void **result)
{
	*result = gcdune_alloc_many(size, (gcdune_kind)libgc_kind_swap(kind));
}

int GC_get_kind_and_size(const void *p, size_t *psize)
{
	int kind = gcdune_kind_of(p);

	if (psize)
		*psize = gcdune_size(p);
	return kind < 0 ? kind : libgc_kind_swap(kind);
}
