/* library.h - libdune as the collector uses it: found at run time, so that programs need it only for Dune mode (library.c). */
#ifndef GCDUNE_DIRTY_LIBRARY_H
#define GCDUNE_DIRTY_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dune.h"

/* Every function of dune.h that is used here. */
#define GCDUNE_DUNE_FUNCTIONS(F)                                                                                       \
	F(enter)                                                                                                       \
	F(error)                                                                                                       \
	F(is_active)                                                                                                   \
	F(statistics)                                                                                                  \
	F(flush_all)                                                                                                   \
	F(flush_request)                                                                                               \
	F(flush_check)                                                                                                 \
	F(flush_done)                                                                                                  \
	F(thread_exits)                                                                                                \
	F(dirty_track)                                                                                                 \
	F(dirty_take)                                                                                                  \
	F(dirty_peek)                                                                                                  \
	F(protect)                                                                                                     \
	F(protect_take)                                                                                                \
	F(protect_peek)                                                                                                \
	F(lookup)                                                                                                      \
	F(fault_handler)                                                                                               \
	F(fault_stack)

struct gcdune_dune {
#define GCDUNE_DUNE_POINTER(name) __typeof__(dune_##name) *name;
	GCDUNE_DUNE_FUNCTIONS(GCDUNE_DUNE_POINTER)
#undef GCDUNE_DUNE_POINTER
};

/* All of them or none are there. */
extern struct gcdune_dune gcdune_dune __attribute__((visibility("hidden")));

/* Whether this process is in Dune mode: entered here, by dune-run, or by a program that is linked with libdune. */
bool gcdune_dune_active(void);
/* Whether SP is on the stack of a fault handler in Dune mode: then where that ends, and where the program was interrupted. */
bool gcdune_dune_fault_stack(uintptr_t sp, uintptr_t *end, uintptr_t *interrupted);
/* Enters Dune mode, if this process is not in it. 0, or a negative errno and a reason in words. Loads libdune if there is
 * none: no lock of ours is held, and there is one thread. */
int gcdune_dune_enter(char *why, size_t size);
/* Whether NAME, a value of GCDUNE_DIRTY, asks for Dune mode. */
bool gcdune_dune_is_wanted(const char *name);
/* Enters if GCDUNE_DIRTY=NAME asks for it; says so in a line if it cannot be. When the library is loaded (load.c), and
 * when the collector starts after gcdune_option_set("dirty"). */
void gcdune_dune_begin(const char *name);
/* Set by load.c: from here on this may be done by others. */
extern bool gcdune_dune_loaded __attribute__((visibility("hidden")));

#endif
