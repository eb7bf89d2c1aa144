/* walk.h - looking at every object of the heap, and at those that are about to die (walk.c). */
#ifndef GCDUNE_WALK_H
#define GCDUNE_WALK_H

#include <stddef.h>

/* FN must not call anything that takes a lock of gcdune's, and with the world stopped keeps the rules of mark callbacks. */
typedef void (*gcdune_walk_fn)(void *object, size_t size, unsigned kind, void *arg);

/* Every allocated object; heap.cycle. While other threads run, one that they allocate meanwhile may be left out, or be
 * seen before it is filled. */
void gcdune_walk(gcdune_walk_fn fn, void *arg);

/* Called in each collection when marking, finalizers and links are done: what is still white is about to die. World
 * stopped. NULL: nobody wants to know. In there: */
extern void (*gcdune_walk_hook)(void) __attribute__((visibility("hidden")));
/* every object that is about to die (MARKED false) or that lives (true); */
void gcdune_walk_marked(int marked, gcdune_walk_fn fn, void *arg);
/* pushes what an object that is about to die points to, and not itself, unless it points to itself and that counts; */
void gcdune_walk_push_children(void *object, int ignore_self);
/* pushes the object itself, which keeps it and what it points to for this time; */
void gcdune_walk_push(void *object);
/* marks what was pushed. */
void gcdune_walk_drain(void);

#endif
