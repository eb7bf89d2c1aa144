/* debug.c - allocation that remembers where it was called and notices writes past the end.
 *
 * A debugged object is a header, the program's bytes, and 8 to 15 guard bytes; the program has a pointer behind the
 * header. Header and tail hold values made from the address, so a stray write or a copied header shows. They are looked
 * at when the program hands the object back (GC_debug_free, GC_debug_realloc), and in each collection. */
#include "libgc.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "backtrace.h"
#include "gcdune-inline.h"
#include "walk.h"

struct header {
	const char *file;
	size_t size;
	uint32_t line;
	uint32_t kind : 8;
	uint32_t stack : 24; /* of the allocation, a number of backtrace.c's */
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

static atomic_bool used; /* there are such objects */

static void *debug_alloc_from(const void *caller, size_t size, unsigned kind, const char *file, int line)
{
	static bool displaced;
	struct header *header;

	if (size > SIZE_MAX / 2)
		return GC_oom_fn(size);
	if (!displaced) {
		displaced = true;
		GC_register_displacement(sizeof(*header));
	}
	if (!used) {
		libgc_init();
		used = true;
		libgc_dead_watch();
	}
	uint32_t stack = gcdune_backtrace_take(caller);

	header = gcdune_alloc_kind(sizeof(*header) + size + tail_length(size), kind);
	if (!header)
		return NULL;
	/* A collection may come at any point here: an object is looked at only while its guard is right, so a stale one of
	 * a former object goes first and the new one comes last. */
	header->guard = 0;
	__asm__ volatile("" : : : "memory");
	memset((char *)(header + 1) + size, TAIL_BYTE, tail_length(size));
	header->file = file;
	header->size = size;
	header->line = (uint32_t)line;
	header->kind = (uint8_t)kind;
	header->stack = stack & 0xffffff;
	__asm__ volatile("" : : : "memory");
	header->guard = guard_of(header);
	return header + 1;
}

/* The stack is remembered from this function's caller on. */
#define debug_alloc(...) debug_alloc_from(__builtin_return_address(0), __VA_ARGS__)

static void report(const char *what, const void *object, const struct header *header)
{
	if (header)
		GC_err_printf("%s: %p, %zu bytes, from %s:%u\n", what, object, header->size,
			      header->file ? header->file : "?", header->line);
	else
		GC_err_printf("%s: %p\n", what, object);
	if (header)
		gcdune_backtrace_print(2, header->stack);
}

/* ---- Looking at all of them, in a collection ---- */

enum { FOUND_MAX = 64 };

/* What a collection found; printed after it. The addresses are hidden, so that being here keeps nothing alive. */
static uintptr_t found[FOUND_MAX];
static atomic_uint found_used;
static uintptr_t found_freed[FOUND_MAX];
static atomic_uint found_freed_used;

bool libgc_delay_free;

/* A freed object whose memory is kept until a collection: its guard says so, and all its bytes are FREED_BYTE. */
#define FREED_BYTE 0xef

static uint64_t freed_guard_of(const struct header *header)
{
	return guard_of(header) ^ 0xffff;
}

static bool tail_is_whole(const struct header *header)
{
	const unsigned char *tail = (const unsigned char *)(header + 1) + header->size;

	for (size_t i = 0; i < tail_length(header->size); i++)
		if (tail[i] != TAIL_BYTE)
			return false;
	return true;
}

static bool fits(const struct header *header, size_t size)
{
	return size >= sizeof(*header) && header->size <= size - sizeof(*header) &&
	       tail_length(header->size) <= size - sizeof(*header) - header->size;
}

bool libgc_debug_is_freed(const void *object, size_t size)
{
	const struct header *header = object;

	return size >= sizeof(*header) && header->guard == freed_guard_of(header);
}

static void note(uintptr_t *place, atomic_uint *count, const struct header *header)
{
	if (*count < FOUND_MAX)
		place[(*count)++] = ~(uintptr_t)header;
}

static bool freed_is_untouched(const struct header *header)
{
	const unsigned char *bytes = (const unsigned char *)(header + 1);

	for (size_t i = 0; i < header->size; i++)
		if (bytes[i] != FREED_BYTE)
			return false;
	return true;
}

static void check_one(void *object, size_t size, unsigned kind, void *arg)
{
	struct header *header = object;

	(void)kind;
	(void)arg;
	if (size < sizeof(*header))
		return;
	if (header->guard == guard_of(header) && fits(header, size) && !tail_is_whole(header))
		note(found, &found_used, header);
	else if (header->guard == freed_guard_of(header) && fits(header, size) && !freed_is_untouched(header))
		note(found_freed, &found_freed_used, header);
}

static void keep_found(const uintptr_t *place, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		gcdune_walk_push((void *)~place[i]);
}

/* The dead are looked at too: they will not be seen again. */
void libgc_debug_check_heap(void)
{
	if (!used)
		return;
	gcdune_walk_marked(true, check_one, NULL);
	gcdune_walk_marked(false, check_one, NULL);
	/* Until they have been reported. */
	keep_found(found, found_used);
	keep_found(found_freed, found_freed_used);
	gcdune_walk_drain();
}

/* Each is reported once: its tail is made whole again. */
void libgc_debug_report(void)
{
	struct header *header;
	unsigned n = atomic_exchange(&found_used, 0);

	for (unsigned i = 0; i < n; i++) {
		header = (struct header *)~found[i];
		report("overwritten past its end", header + 1, header);
		memset((char *)(header + 1) + header->size, TAIL_BYTE, tail_length(header->size));
	}
	n = atomic_exchange(&found_freed_used, 0);
	for (unsigned i = 0; i < n; i++) {
		header = (struct header *)~found_freed[i];
		report("written to after it was freed", header + 1, header);
		memset(header + 1, FREED_BYTE, header->size);
	}
}

bool libgc_debug_report_leak(const void *object, const char *what)
{
	const struct header *header = object;

	if (gcdune_size(object) < sizeof(*header) || header->guard != guard_of(header) || !fits(header, gcdune_size(object)))
		return false;
	GC_err_printf("%p (%s:%u, sz= %zu, %s)\n", (const void *)(header + 1), header->file ? header->file : "?", header->line,
		      header->size, what);
	gcdune_backtrace_print(2, header->stack);
	return true;
}

/* ---- What the program gives back ---- */

/* The header of a debugged object, NULL after a complaint about what is not one. */
static struct header *header_of(void *object, const char *caller)
{
	struct header *header = (struct header *)object - 1;

	if (gcdune_base(object) != header || gcdune_size(header) < sizeof(*header)) {
		dprintf(2, "%s: not an object with debugging information, or freed before: %p\n", caller, object);
		return NULL;
	}
	if (header->guard == freed_guard_of(header)) {
		report("freed twice", object, header);
		return NULL;
	}
	if (header->guard != guard_of(header)) {
		report("overwritten before its start", object, NULL);
		return NULL;
	}
	if (!tail_is_whole(header))
		report("overwritten past its end", object, header);
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
	if (header && GC_find_leak && libgc_delay_free) {
		memset(object, FREED_BYTE, header->size);
		header->guard = freed_guard_of(header);
	} else if (header) {
		GC_free(header);
	} else if (gcdune_base(object) == object) {
		GC_free(object);
	}
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
