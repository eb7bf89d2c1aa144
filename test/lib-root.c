/* lib-root.c - a library with data that holds pointers, which test-dlopen.c and the soak load and unload. */
#include <stddef.h>

#define COUNT 1000

void lib_root_set(size_t index, void *object);
void *lib_root_get(size_t index);

static void *in_bss[COUNT];
static void *in_data[COUNT] = { &in_bss[1] };

/* Odd ones in .data, even ones in .bss. */
void lib_root_set(size_t index, void *object)
{
	*(index % 2 ? &in_data[index / 2] : &in_bss[index / 2]) = object;
}

void *lib_root_get(size_t index)
{
	return index % 2 ? in_data[index / 2] : in_bss[index / 2];
}
