/* gc.h - for programs that say #include <gc.h>. */
#include "gc/gc.h"
