/* data.c - the exported variables that programs read and write directly.
 *
 * Their types, sizes and first values are part of the binary interface: a program that was linked against Boehm's library
 * has copies of them in its own data, and this library must use those. So they are never hidden, and reached through
 * the global offset table only. Variables with a function behind them are defined next to it. */
#include "libgc.h"

GC_word GC_gc_no;
int GC_parallel;

GC_oom_func GC_oom_fn; /* hooks.c gives it its first value when the library is loaded */
GC_on_heap_resize_proc GC_on_heap_resize;
GC_finalizer_notifier_proc GC_finalizer_notifier;

int GC_all_interior_pointers = 1;
int GC_finalize_on_demand;
int GC_java_finalization = 1;
int GC_dont_gc;
int GC_find_leak;
int GC_dont_expand;
int GC_use_entire_heap;
int GC_full_freq = 19;
GC_word GC_non_gc_bytes;
int GC_no_dls;
GC_word GC_free_space_divisor = 3;
GC_word GC_max_retries;
char *GC_stackbottom;
int GC_dont_precollect;
unsigned long GC_time_limit = GC_TIME_UNLIMITED;

/* An empty range until the heap exists, so that nothing looks like an object. */
void *GC_least_plausible_heap_addr = (void *)UINTPTR_MAX;
void *GC_greatest_plausible_heap_addr;

/* Of Boehm's implementation, in no header: its state, and where its free lists begin. Nothing here is behind them; they
 * exist so that whatever names them can be loaded, and reads an empty heap and empty lists. */
#define LIBGC_DATA extern __attribute__((visibility("default")))
LIBGC_DATA struct libgc_arrays {
	char zero[0x2c9f0];
} GC_arrays;
struct libgc_arrays GC_arrays;

static void *no_free_list[129];
LIBGC_DATA void **GC_objfreelist_ptr, **GC_aobjfreelist_ptr, **GC_uobjfreelist_ptr, **GC_auobjfreelist_ptr;
void **GC_objfreelist_ptr = no_free_list;
void **GC_aobjfreelist_ptr = no_free_list;
void **GC_uobjfreelist_ptr = no_free_list;
void **GC_auobjfreelist_ptr = no_free_list;
