/* loader.h - the dynamic linker's lock (loader.c). */
#ifndef GCDUNE_LOADER_H
#define GCDUNE_LOADER_H

#include <stdbool.h>

/* Before fork and stops from outside; see gcdune_cycle_lock_with_loader. Recursive. */
void gcdune_loader_lock(void);
/* After it, in the parent and in the child. */
void gcdune_loader_unlock(void);
/* The calling thread is in a callback of dl_iterate_phdr, or forks. A system call. */
bool gcdune_loader_held_here(void);
void gcdune_loader_after_fork(void);

#endif
