/* ephemeron.c - ephemerons as the program sees them; mark.c treats them. An ephemeron is an object of a kind of its own whose fields
 * are not scanned. A collection clears key and value together with the world stopped, so a reader sees both or none. */
#include <errno.h>

#include "alloc.h"
#include "mark.h"

gcdune_ephemeron *gcdune_ephemeron_new(void *key, void *value)
{
	if (gcdune_init())
		return NULL;
	if (!gcdune_base(key)) {
		errno = EINVAL;
		return NULL;
	}
	struct gcdune_ephemeron *ephemeron = gcdune_alloc_any(sizeof *ephemeron, 1, GCDUNE_KIND_EPHEMERON);

	if (ephemeron) {
		ephemeron->value = value;
		ephemeron->key = key;
		/* The caller's pointers hold both until here. */
		__asm__ volatile("" : : "r"(key), "r"(value) : "memory");
	}
	return ephemeron;
}

void *gcdune_ephemeron_key(gcdune_ephemeron *ephemeron)
{
	return ephemeron->key;
}

void *gcdune_ephemeron_value(gcdune_ephemeron *ephemeron)
{
	return ephemeron->value;
}

void gcdune_ephemeron_value_set(gcdune_ephemeron *ephemeron, void *value)
{
	if (ephemeron->key)
		ephemeron->value = value;
}
