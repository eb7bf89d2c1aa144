/* alloc-parts.h - what alloc-run.c does for alloc.c. No one else includes it. */
#ifndef GCDUNE_ALLOC_PARTS_H
#define GCDUNE_ALLOC_PARTS_H

#include "alloc.h"

/* One object, in a critical section. NULL: no memory. */
void *gcdune_run_take(struct gcdune_thread *thread, unsigned kind, unsigned cls);
/* The slot that was last freed to RUN, of which there is one; the same. The caller has accounted for it. */
void *gcdune_run_take_freed(struct gcdune_run *run, unsigned kind, unsigned cls);

#endif
