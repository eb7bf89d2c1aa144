/* check.c - GC_same_obj and the other checks of pointer arithmetic, for programs that are made to call them.
 *
 * A check that fails calls a procedure that the program may replace; the default one ends the program. */
#include "libgc.h"

#include <stdio.h>

static void not_same(void *p, void *q)
{
	char message[100];

	snprintf(message, sizeof(message), "%p and %p are not in the same object", p, q);
	libgc_fatal(message);
}

static void not_visible(void *p)
{
	char message[100];

	snprintf(message, sizeof(message), "%p is not scanned for pointers", p);
	libgc_fatal(message);
}

static void not_valid(void *p)
{
	char message[100];

	snprintf(message, sizeof(message), "%p points into the heap but to no object", p);
	libgc_fatal(message);
}

void (*GC_same_obj_print_proc)(void *p, void *q) = not_same;
void (*GC_is_visible_print_proc)(void *p) = not_visible;
void (*GC_is_valid_displacement_print_proc)(void *p) = not_valid;

/* One past the end of Q's object is still in it; what is outside the heap is not judged. */
void *GC_same_obj(void *p, void *q)
{
	char *base = gcdune_base(q);

	if (!gcdune_contains(p) && !gcdune_contains(q))
		return p;
	if (!base && !gcdune_base(p))
		return p;
	if (!base || (char *)p < base || (char *)p > base + gcdune_size(base))
		GC_same_obj_print_proc(p, q);
	return p;
}

void *GC_pre_incr(void **p, ptrdiff_t how_much)
{
	char *old = *p;

	return *p = GC_same_obj(old + how_much, old);
}

void *GC_post_incr(void **p, ptrdiff_t how_much)
{
	char *old = *p;

	*p = GC_same_obj(old + how_much, old);
	return old;
}

/* Outside the heap everything passes: what is a root there may change at any time. In the heap every object does, as in
 * Boehm's library with threads; programs have got used to it. */
void *GC_is_visible(void *p)
{
	libgc_init();
	if ((uintptr_t)p % sizeof(void *) || (gcdune_contains(p) && !gcdune_base(p)))
		GC_is_visible_print_proc(p);
	return p;
}

/* Whether an offset is registered is for the collector alone to know; that there is an object can be said. */
void *GC_is_valid_displacement(void *p)
{
	libgc_init();
	if (gcdune_contains(p) && !gcdune_base(p))
		GC_is_valid_displacement_print_proc(p);
	return p;
}
