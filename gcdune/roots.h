/* roots.h - where marking begins (roots.c). */
#ifndef GCDUNE_ROOTS_H
#define GCDUNE_ROOTS_H

#include <stddef.h>
#include <stdint.h>

/* Notes the data segments and thread-local storage of everything loaded, then calls STOP while no library can come or
 * go. */
void gcdune_roots_prepare(void (*stop)(void));
/* Pushes every root onto the main marker. World stopped. */
void gcdune_roots_mark(void);
/* Bytes of roots scanned by the last gcdune_roots_mark. */
size_t gcdune_roots_bytes(void);

#endif
