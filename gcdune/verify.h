/* verify.h - GCDUNE_VERIFY=1 (verify.c). */
#ifndef GCDUNE_VERIFY_H
#define GCDUNE_VERIFY_H

#include <stddef.h>
#include <stdint.h>

/* Walks the heap after marking, before colours change, and aborts with a line that names the broken invariant. World
 * stopped. */
void gcdune_verify_marked(void);
/* The same after sweep lists were made. */
void gcdune_verify_swept(void);

/* A minor cycle begins, of a heap of so many BLOCKS; it has scanned what is old on these pages. Only if GCDUNE_VERIFY. */
void gcdune_verify_minor_begin(uint32_t blocks);
void gcdune_verify_looked_at(uintptr_t begin, size_t pages);

#endif
