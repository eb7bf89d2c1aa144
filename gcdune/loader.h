/* loader.h - the dynamic linker's lock across fork (loader.c). */
#ifndef GCDUNE_LOADER_H
#define GCDUNE_LOADER_H

/* Before fork, with heap.cycle and no other lock of ours. */
void gcdune_loader_lock(void);
/* After it, in the parent and in the child. */
void gcdune_loader_unlock(void);
void gcdune_loader_after_fork(void);

#endif
