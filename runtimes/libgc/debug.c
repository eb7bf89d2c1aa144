/* debug.c - allocation that remembers where it was called and notices writes past the end.
 *
 * A debugged object is a header, the program's bytes, and 8 to 15 guard bytes; the program has a pointer behind the
 * header. Header and tail hold values made from the address, so a stray write or a copied header shows. They are looked
 * at when the program hands the object back: by GC_debug_free and GC_debug_realloc. */
#include "libgc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gcdune-inline.h"

struct header {
	const char *file;
	size_t size;
	uint32_t line;
	uint32_t kind;
	uint64_t guard;
};
_Static_assert(sizeof(struct header) == 32, "part of the binary interface: compiled into mark procedures");

const size_t GC_debug_header_size = sizeof(struct header);

#define TAIL_MAX 15
#define TAIL_BYTE 0xa5

struct closure {
	GC_finalization_proc fn;
	void *data;
};

size_t GC_get_debug_header_size(void)
{
	return sizeof(struct header);
}

static uint64_t guard_of(const struct header *header)
{
	return ~(uintptr_t)header ^ 0x6763640000000000;
}

static size_t tail_length(size_t size)
{
	return TAIL_MAX - (size + 7) % 8;
}

static void *debug_alloc(size_t size, unsigned kind, const char *file, int line)
{
	static bool displaced;
	struct header *header;

	if (size > SIZE_MAX / 2)
		return GC_oom_fn(size);
	if (!displaced) {
		displaced = true;
		GC_register_displacement(sizeof(*header));
	}
	header = gcdune_alloc_kind(sizeof(*header) + size + tail_length(size), kind);
	if (!header)
		return NULL;
	*header = (struct header){ file, size, (uint32_t)line, kind, guard_of(header) };
	memset((char *)(header + 1) + size, TAIL_BYTE, tail_length(size));
	return header + 1;
}

static void report(const char *what, const void *object, const struct header *header)
{
	if (header)
		dprintf(2, "%s: %p, %zu bytes, from %s:%u\n", what, object, header->size, header->file ? header->file : "?",
			header->line);
	else
		dprintf(2, "%s: %p\n", what, object);
}

/* The header of a debugged object, NULL after a complaint about what is not one. */
static struct header *header_of(void *object, const char *caller)
{
	struct header *header = (struct header *)object - 1;
	const unsigned char *tail;

	if (gcdune_base(object) != header || gcdune_size(header) < sizeof(*header)) {
		dprintf(2, "%s: not an object with debugging information, or freed before: %p\n", caller, object);
		return NULL;
	}
	if (header->guard != guard_of(header)) {
		report("overwritten before its start", object, NULL);
		return NULL;
	}
	tail = (unsigned char *)object + header->size;
	for (size_t i = 0; i < tail_length(header->size); i++) {
		if (tail[i] != TAIL_BYTE) {
			report("overwritten past its end", object, header);
			break;
		}
	}
	return header;
}

void *GC_debug_malloc(size_t size, const char *file, int line)
{
	return debug_alloc(size, GCDUNE_KIND_SCANNED, file, line);
}

void *GC_debug_malloc_ignore_off_page(size_t size, const char *file, int line)
{
	return debug_alloc(size, GCDUNE_KIND_SCANNED, file, line);
}

void *GC_debug_malloc_stubborn(size_t size, const char *file, int line)
{
	return debug_alloc(size, GCDUNE_KIND_SCANNED, file, line);
}

void *GC_debug_malloc_atomic(size_t size, const char *file, int line)
{
	return debug_alloc(size, GCDUNE_KIND_LEAF, file, line);
}

void *GC_debug_malloc_atomic_ignore_off_page(size_t size, const char *file, int line)
{
	return debug_alloc(size, GCDUNE_KIND_LEAF, file, line);
}

void *GC_debug_malloc_uncollectable(size_t size, const char *file, int line)
{
	return debug_alloc(size, GCDUNE_KIND_PINNED, file, line);
}

void *GC_debug_malloc_atomic_uncollectable(size_t size, const char *file, int line)
{
	return debug_alloc(size, GCDUNE_KIND_PINNED_LEAF, file, line);
}

void *GC_debug_generic_or_special_malloc(size_t size, int kind, const char *file, int line)
{
	return debug_alloc(size, (unsigned)libgc_kind_swap(kind), file, line);
}

static char *copy_string(const char *bytes, size_t size, const char *file, int line)
{
	char *copy = debug_alloc(size + 1, GCDUNE_KIND_LEAF, file, line);

	if (!copy) {
		errno = ENOMEM;
		return NULL;
	}
	memcpy(copy, bytes, size);
	copy[size] = '\0';
	return copy;
}

char *GC_debug_strdup(const char *string, const char *file, int line)
{
	return string ? copy_string(string, strlen(string), file, line) : NULL;
}

char *GC_debug_strndup(const char *string, size_t max, const char *file, int line)
{
	return copy_string(string, strnlen(string, max), file, line);
}

void GC_debug_free(void *object)
{
	struct header *header;

	if (!object)
		return;
	header = header_of(object, "GC_debug_free");
	if (header)
		gcdune_free(header);
	else if (gcdune_base(object) == object)
		gcdune_free(object);
}

void *GC_debug_realloc(void *object, size_t size, const char *file, int line)
{
	struct header *header;
	void *moved;

	if (!object)
		return GC_debug_malloc(size, file, line);
	if (!size) {
		GC_debug_free(object);
		return NULL;
	}
	header = header_of(object, "GC_debug_realloc");
	if (!header)
		return gcdune_base(object) == object ? gcdune_realloc(object, size) : NULL;
	moved = debug_alloc(size, header->kind, file, line);
	if (!moved)
		return NULL;
	memcpy(moved, object, size < header->size ? size : header->size);
	gcdune_free(header);
	return moved;
}

void *GC_debug_malloc_replacement(size_t size)
{
	return GC_debug_malloc(size, NULL, 0);
}

void *GC_debug_realloc_replacement(void *object, size_t size)
{
	return GC_debug_realloc(object, size, NULL, 0);
}

/* The program's finalizer wants its own pointer, not the header's. */
static void finalize(void *header, void *data)
{
	const struct closure *closure = data;

	closure->fn((struct header *)header + 1, closure->data);
}

static void set_finalizer(void *object, GC_finalization_proc fn, void *data, enum gcdune_finalize_order order,
			  GC_finalization_proc *old_fn, void **old_data)
{
	void *base = gcdune_base(object);
	GC_finalization_proc former = NULL;
	struct closure *closure = NULL;
	void *former_data = NULL;
	int error;

	if (base && (struct header *)object - 1 == base) {
		if (fn) {
			closure = gcdune_alloc(sizeof(*closure));
			if (!closure)
				return;
			*closure = (struct closure){ fn, data };
		}
		error = gcdune_finalizer_set(base, fn ? finalize : NULL, closure, order, &former, &former_data);
		if (error == -ENOMEM) {
			GC_oom_fn(0);
			return;
		}
		if (former == finalize) {
			closure = former_data;
			former = closure->fn;
			former_data = closure->data;
		}
	} else if (base) {
		dprintf(2, "GC_debug_register_finalizer: not an object with debugging information: %p\n", object);
	}
	if (old_fn)
		*old_fn = former;
	if (old_data)
		*old_data = former_data;
}

void GC_debug_register_finalizer(void *object, GC_finalization_proc fn, void *data, GC_finalization_proc *old_fn,
				 void **old_data)
{
	set_finalizer(object, fn, data, GCDUNE_FINALIZE_ORDERED, old_fn, old_data);
}

void GC_debug_register_finalizer_ignore_self(void *object, GC_finalization_proc fn, void *data,
					     GC_finalization_proc *old_fn, void **old_data)
{
	set_finalizer(object, fn, data, GCDUNE_FINALIZE_IGNORE_SELF, old_fn, old_data);
}

void GC_debug_register_finalizer_no_order(void *object, GC_finalization_proc fn, void *data, GC_finalization_proc *old_fn,
					  void **old_data)
{
	set_finalizer(object, fn, data, GCDUNE_FINALIZE_UNORDERED, old_fn, old_data);
}

void GC_debug_register_finalizer_unreachable(void *object, GC_finalization_proc fn, void *data,
					     GC_finalization_proc *old_fn, void **old_data)
{
	set_finalizer(object, fn, data, GCDUNE_FINALIZE_UNREACHABLE, old_fn, old_data);
}

void GC_debug_change_stubborn(const void *object)
{
	(void)object;
}

void GC_debug_end_stubborn_change(const void *object)
{
	(void)object;
}

void GC_debug_ptr_store_and_dirty(void *place, const void *value)
{
	*(void **)GC_is_visible(place) = GC_is_valid_displacement((void *)(uintptr_t)value);
}

void GC_debug_register_displacement(size_t offset)
{
	GC_register_displacement(offset);
	GC_register_displacement(offset + sizeof(struct header));
}
