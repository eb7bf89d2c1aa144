/* gccpp.c - libgccpp.so.1: the global operators new and delete of C++ on the collector. What new makes is a root and lives
 * until delete, as C++ has it; it may point to collected objects.
 *
 * In C, by the names that C++'s binary interface gives them, so that building the tree needs no C++ compiler. */
#include <stddef.h>

#include "gc/gc.h"

#define EXPORT __attribute__((visibility("default")))

/* libstdc++'s function that throws std::bad_alloc. */
extern _Noreturn void throw_bad_alloc(void) __asm__("_ZSt17__throw_bad_allocv");

extern EXPORT void GC_throw_bad_alloc(void) __asm__("_Z18GC_throw_bad_allocv");
void GC_throw_bad_alloc(void)
{
	throw_bad_alloc();
}

#ifndef GCCPP_ONLY_THROW

static void *make(size_t size)
{
	void *object = GC_MALLOC_UNCOLLECTABLE(size);

	if (!object)
		throw_bad_alloc();
	return object;
}

#define OPERATOR(type, name, symbol, parameters)                  \
	extern EXPORT type name parameters __asm__(symbol); \
	type name parameters

OPERATOR(void *, op_new, "_Znwm", (size_t size))
{
	return make(size);
}

OPERATOR(void *, op_new_array, "_Znam", (size_t size))
{
	return make(size);
}

OPERATOR(void, op_delete, "_ZdlPv", (void *object))
{
	GC_FREE(object);
}

OPERATOR(void, op_delete_array, "_ZdaPv", (void *object))
{
	GC_FREE(object);
}

OPERATOR(void, op_delete_sized, "_ZdlPvm", (void *object, size_t size))
{
	(void)size;
	GC_FREE(object);
}

OPERATOR(void, op_delete_array_sized, "_ZdaPvm", (void *object, size_t size))
{
	(void)size;
	GC_FREE(object);
}

#endif
