/* gc.c - malloc on gcdune's heap: modes `collect' and `leak'.
 *
 * collect: objects live as long as something points to them, and free is only a hint: nothing is done, as a pointer that is
 * still used may be about; what is not pointed to goes in the next collection.
 * leak: free frees at once; nothing else does, so that what leaked is there to be reported at the end. The last 8 bytes
 * of an object's memory hold the size that was asked for (40 bits) and the stack of the call (24).
 *
 * gcdune itself calls functions of libc that allocate, when it starts, attaches a thread or makes markers. These get memory
 * from heap.c, as their thread is `inside' then. That memory is scanned as all of the process's is. */
#include "malloc.h"

#include <pthread.h>
#include <string.h>

#include "backtrace.h"
#include "gcdune.h"
#include "heap.h"
#include "mark.h"
#include "options.h"
#include "thread.h"

static __thread unsigned inside __attribute__((tls_model("initial-exec")));

void gc_inside_begin(void)
{
	inside++;
}

void gc_inside_end(void)
{
	inside--;
}

#define TRAILER ((size_t)8)
#define SIZE_BITS 40

static uint64_t *trailer(const void *object, size_t usable)
{
	return (uint64_t *)(void *)((char *)(uintptr_t)object + usable - TRAILER);
}

uint32_t gc_stack(const void *object, size_t size, size_t *asked)
{
	uint64_t word = *trailer(object, size);

	*asked = (size_t)(word & (((uint64_t)1 << SIZE_BITS) - 1));
	return (uint32_t)(word >> SIZE_BITS);
}

static bool attach(void)
{
	inside++;
	if (!gcdune_thread_self)
		gcdune_thread_attach();
	inside--;
	return gcdune_thread_self != NULL;
}

void *gc_alloc(size_t size, size_t alignment, const void *caller)
{
	if (inside || gcdune_thread_attaching || (!gcdune_thread_self && !attach()))
		return alignment > 16 ? heap_aligned(size, alignment) : heap_alloc(size);
	if (size > PTRDIFF_MAX - 65536)
		return NULL;
	size_t whole = malloc_mode == MALLOC_LEAK ? size + TRAILER : size;

	if (alignment <= 16 && malloc_mode == MALLOC_COLLECT)
		return gcdune_alloc(whole);
	void *object = alignment <= 16 ? gcdune_alloc(whole) : gcdune_alloc_aligned(whole, alignment, GCDUNE_KIND_SCANNED);

	if (object && malloc_mode == MALLOC_LEAK) {
		inside++;
		uint64_t stack = gcdune_backtrace_take(caller);

		inside--;
		*trailer(object, gcdune_size(object)) = stack << SIZE_BITS | (size & (((uint64_t)1 << SIZE_BITS) - 1));
	}
	return object;
}

size_t gc_size(const void *object)
{
	size_t usable = gcdune_size(object), asked;

	if (malloc_mode != MALLOC_LEAK || !usable)
		return usable;
	gc_stack(object, usable, &asked);
	return asked;
}

void gc_free(void *object)
{
	if (malloc_mode != MALLOC_LEAK)
		return;
	/* libc frees some memory of a thread's after it has left the collector. */
	bool late = !gcdune_thread_self;

	if (late && !attach())
		return;
	gcdune_free(object);
	if (late) {
		inside++;
		gcdune_thread_detach();
		inside--;
	}
}

/* In mode collect the old object stays, since someone may still use it. */
void *gc_realloc(void *object, size_t size, const void *caller)
{
	size_t old = gc_size(object);

	if (malloc_mode == MALLOC_COLLECT && size <= old && (size > old / 2 || old <= 64))
		return object;
	void *moved = gc_alloc(size, 16, caller);

	if (!moved)
		return NULL;
	memcpy(moved, object, old < size ? old : size);
	gc_free(object);
	return moved;
}

/* No memory that the kernel lent stays with us for want of a collection. */
void gc_start(void)
{
	inside++;
	/* Roots are everywhere, and read with the world stopped: marking beside the program would find nothing to do.
	 * (GCDUNE_MODE wins.) */
	gcdune_option_set("mode", "stw");
	if (gcdune_init() == 0) {
		gcdune_roots_segments_set(false);
		gcdune_roots_callback_set(malloc_roots);
		if (malloc_mode == MALLOC_LEAK)
			gcdune_disable();
	}
	inside--;
}
