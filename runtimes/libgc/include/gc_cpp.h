/* gc_cpp.h - for programs that include it without its directory. */
#include <gc/gc_cpp.h>
