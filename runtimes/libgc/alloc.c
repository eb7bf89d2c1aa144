/* alloc.c - Boehm's allocation functions: each is one call of gcdune's.
 *
 * GC_malloc and GC_malloc_atomic are what programs spend their time in, so the fast path is compiled into them; it finds
 * by itself that the collector has not started yet. The "ignore off page" variants promise something that the collector
 * has no use for, and are the plain ones. */
#include "libgc.h"

#include <errno.h>
#include <string.h>

#include "alloc.h"
#include "gcdune-inline.h"

void *GC_malloc(size_t size)
{
	return gcdune_alloc_inline(size);
}

void *GC_malloc_atomic(size_t size)
{
	return gcdune_alloc_leaf_inline(size);
}

void *GC_malloc_uncollectable(size_t size)
{
	return gcdune_alloc_kind(size, GCDUNE_KIND_PINNED);
}

void *GC_malloc_atomic_uncollectable(size_t size)
{
	return gcdune_alloc_kind(size, GCDUNE_KIND_PINNED_LEAF);
}

void *GC_malloc_ignore_off_page(size_t size)
{
	return gcdune_alloc(size);
}

void *GC_malloc_atomic_ignore_off_page(size_t size)
{
	return gcdune_alloc_leaf(size);
}

void *GC_malloc_stubborn(size_t size)
{
	return gcdune_alloc(size);
}

/* SIZE bytes of BYTES and a zero, or NULL with errno as strdup sets it. */
static char *copy_string(const char *bytes, size_t size)
{
	char *copy = gcdune_alloc_leaf(size + 1);

	if (!copy) {
		errno = ENOMEM;
		return NULL;
	}
	memcpy(copy, bytes, size);
	copy[size] = '\0';
	return copy;
}

char *GC_strdup(const char *string)
{
	return string ? copy_string(string, strlen(string)) : NULL;
}

char *GC_strndup(const char *string, size_t max)
{
	return copy_string(string, strnlen(string, max));
}

void *GC_memalign(size_t alignment, size_t size)
{
	return gcdune_alloc_aligned(size, alignment, GCDUNE_KIND_SCANNED);
}

int GC_posix_memalign(void **result, size_t alignment, size_t size)
{
	void *object;

	if (alignment < sizeof(void *) || (alignment & (alignment - 1)))
		return EINVAL;
	object = gcdune_alloc_aligned(size, alignment, GCDUNE_KIND_SCANNED);
	if (!object)
		return ENOMEM;
	*result = object;
	return 0;
}

void *GC_realloc(void *object, size_t size)
{
	return gcdune_realloc(object, size);
}

void GC_free(void *object)
{
	libgc_stats_freed(gcdune_free_telling(object));
}

void *GC_malloc_many(size_t size)
{
	return gcdune_alloc_many(size, GCDUNE_KIND_SCANNED);
}

void *GC_base(void *p)
{
	return gcdune_base(p);
}

int GC_is_heap_ptr(const void *p)
{
	return gcdune_contains(p);
}

size_t GC_size(const void *object)
{
	return gcdune_size(object);
}

/* Nothing to tell: the dirty source finds out which pages were written. */
void GC_change_stubborn(const void *object)
{
	(void)object;
}

void GC_end_stubborn_change(const void *object)
{
	(void)object;
}

void GC_ptr_store_and_dirty(void *place, const void *value)
{
	*(void **)place = (void *)(uintptr_t)value;
}

/* The stores must survive although nobody reads them. */
void *GC_clear_stack(void *arg)
{
	volatile char dead[1024];

	for (size_t i = 0; i < sizeof(dead); i++)
		dead[i] = 0;
	return arg;
}

void GC_noop1(GC_word value)
{
	__asm__ __volatile__("" : : "r"(value));
}
