/* roots-parts.h - what roots.c, roots-thread.c and roots-track.c share. No one else includes it. */
#ifndef GCDUNE_ROOTS_PARTS_H
#define GCDUNE_ROOTS_PARTS_H

#include "roots.h"

#include "gcdune.h"

/* Libraries that have thread-local storage; as of the last gcdune_roots_prepare. */
struct gcdune_roots_module {
	size_t id, size;
};
struct gcdune_roots_modules {
	struct gcdune_roots_module *items;
	size_t count, capacity;
};
extern struct gcdune_roots_modules gcdune_roots_modules __attribute__((visibility("hidden")));
/* The program's own, called in each stop. */
extern gcdune_roots_fn gcdune_roots_callback __attribute__((visibility("hidden")));
/* Bytes of roots read so far. */
extern size_t gcdune_roots_count __attribute__((visibility("hidden")));

/* Calls VISIT for each range of words that are roots wherever threads are, without what is excluded. World stopped. */
void gcdune_roots_each_range(void (*visit)(uintptr_t begin, uintptr_t end));
/* Marks from [begin, end) except for excluded parts, and counts it. */
void gcdune_roots_mark_range(uintptr_t begin, uintptr_t end);
/* Marks from what may have changed in [begin, end), if writes to it are tracked; else from all of it. World stopped. */
void gcdune_roots_read_again(uintptr_t begin, uintptr_t end);

#endif
