/* malloc.c - libgcdune-malloc.so's functions in the place of libc's, and the choice of a mode by GCDUNE_MALLOC: free (the
 * default), collect or leak. They may be called before anything is initialized: until the constructor has run, the mode is
 * `free', whose allocator needs no start. */
#include "malloc.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "gcdune.h"
#include "heap.h"
#include "pages.h"
#include "intercept.h"

#define EXPORT __attribute__((visibility("default")))
#define CALLER __builtin_return_address(0)

enum malloc_mode malloc_mode;

static inline void *checked(void *object)
{
	if (__builtin_expect(!object, 0))
		errno = ENOMEM;
	return object;
}

EXPORT void *malloc(size_t size)
{
	if (__builtin_expect(malloc_mode == MALLOC_FREE, 1))
		return heap_alloc(size);
	return checked(gc_alloc(size, 16, CALLER));
}

EXPORT void free(void *object)
{
	if (__builtin_expect(pages_contain(object), 1))
		heap_free(object);
	else if (!object)
		return;
	else if (malloc_mode != MALLOC_FREE)
		gc_free(object);
	else
		gcdune_panic("free(%p): not the address of an object of malloc's", object);
}

static void *zeroed(size_t size, const void *caller)
{
	if (malloc_mode == MALLOC_FREE)
		return heap_zalloc(size);
	void *object = gc_alloc(size, 16, caller);

	/* gcdune's objects are zero already. */
	return object && pages_contain(object) ? memset(object, 0, size) : object;
}

EXPORT void *calloc(size_t count, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(count, size, &total)) {
		errno = ENOMEM;
		return NULL;
	}
	return checked(zeroed(total, CALLER));
}

static void *resized(void *object, size_t size, const void *caller)
{
	if (!object)
		return malloc_mode == MALLOC_FREE ? heap_alloc(size) : gc_alloc(size, 16, caller);
	if (pages_contain(object))
		return heap_realloc(object, size);
	return gc_realloc(object, size, caller);
}

EXPORT void *realloc(void *object, size_t size)
{
	/* As libc has it: nothing is left of an object that is resized to nothing. */
	if (object && !size) {
		free(object);
		return NULL;
	}
	return checked(resized(object, size, CALLER));
}

EXPORT void *reallocarray(void *object, size_t count, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(count, size, &total)) {
		errno = ENOMEM;
		return NULL;
	}
	if (object && !total) {
		free(object);
		return NULL;
	}
	return checked(resized(object, total, CALLER));
}

static void *aligned(size_t size, size_t alignment, const void *caller)
{
	return malloc_mode == MALLOC_FREE ? heap_aligned(size, alignment) : gc_alloc(size, alignment, caller);
}

static bool is_power_of_two(size_t n)
{
	return n && !(n & (n - 1));
}

EXPORT int posix_memalign(void **result, size_t alignment, size_t size)
{
	if (alignment % sizeof(void *) || !is_power_of_two(alignment))
		return EINVAL;
	int saved = errno;
	void *object = aligned(size, alignment, CALLER);

	errno = saved;
	if (!object)
		return ENOMEM;
	*result = object;
	return 0;
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
	if (!is_power_of_two(alignment)) {
		errno = EINVAL;
		return NULL;
	}
	return checked(aligned(size, alignment, CALLER));
}

/* An alignment that is none is rounded up, as in libc. */
EXPORT void *memalign(size_t alignment, size_t size)
{
	size_t power = 16;

	while (power < alignment && power < (size_t)1 << 62)
		power *= 2;
	return checked(aligned(size, power, CALLER));
}

EXPORT void *valloc(size_t size)
{
	return checked(aligned(size, 4096, CALLER));
}

EXPORT void *pvalloc(size_t size)
{
	if (size > SIZE_MAX - 4095) {
		errno = ENOMEM;
		return NULL;
	}
	return checked(aligned((size + 4095) & ~(size_t)4095, 4096, CALLER));
}

EXPORT size_t malloc_usable_size(void *object)
{
	if (!object)
		return 0;
	return pages_contain(object) ? heap_size(object) : gc_size(object);
}

EXPORT int malloc_trim(size_t pad)
{
	(void)pad;
	heap_trim();
	if (malloc_mode == MALLOC_COLLECT)
		gcdune_collect_and_release();
	return 1;
}

/* Before the other constructors of this library, which may start the collector. */
__attribute__((constructor(101))) static void choose(void)
{
	const char *mode = getenv("GCDUNE_MALLOC");

	if (!mode || !*mode || !strcmp(mode, "free") || !strcmp(mode, "1"))
		malloc_mode = MALLOC_FREE;
	else if (!strcmp(mode, "collect"))
		malloc_mode = MALLOC_COLLECT;
	else if (!strcmp(mode, "leak"))
		malloc_mode = MALLOC_LEAK;
	else
		gcdune_warn("GCDUNE_MALLOC=%s is ignored: it wants free, collect or leak", mode);
#ifndef __SANITIZE_THREAD__
	gcdune_intercept_off = malloc_mode == MALLOC_FREE;
#endif
}

__attribute__((constructor)) static void start(void)
{
	if (malloc_mode != MALLOC_FREE)
		gc_start();
}

__attribute__((destructor)) static void finish(void)
{
	if (malloc_mode == MALLOC_LEAK)
		leak_report();
}
