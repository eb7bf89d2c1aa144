/* load.c - when the library is loaded, before main: enters Dune mode if GCDUNE_DIRTY asks for it. Not in the command gcdune,
 * which is linked with the library's other objects. */
#include <stdlib.h>

#include "library.h"

static __attribute__((constructor)) void load(void)
{
	gcdune_dune_begin(getenv("GCDUNE_DIRTY"));
	gcdune_dune_loaded = true;
}
