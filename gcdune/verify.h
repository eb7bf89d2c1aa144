/* verify.h - GCDUNE_VERIFY=1 (verify.c). */
#ifndef GCDUNE_VERIFY_H
#define GCDUNE_VERIFY_H

/* Walks the heap after marking, before colours change, and aborts with a line that names the broken invariant. World
 * stopped. */
void gcdune_verify_marked(void);
/* The same after sweep lists were made. */
void gcdune_verify_swept(void);

#endif
