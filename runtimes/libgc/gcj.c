/* gcj.c - objects that begin with a pointer to a table of their type, the second word of which is a mark descriptor
 * (gc_gcj.h). They are a kind whose descriptor says "look there"; kinds.c does. */
#include "libgc.h"

#include <stdlib.h>

#include "thread.h"
#include "gc/gc_gcj.h"

int GC_gcj_kind;
int GC_gcj_debug_kind;

void GC_init_gcj_malloc(int index, void *proc)
{
	libgc_init();
	gcdune_cycle_lock();
	if (!GC_gcj_kind) {
		libgc_proc_set((unsigned)index, (GC_mark_proc)proc);
		/* With GC_IGNORE_GCJ_INFO every word counts. */
		GC_gcj_kind = getenv("GC_IGNORE_GCJ_INFO") ? GC_I_NORMAL : libgc_kind_swap(
			(int)libgc_kind_make((GC_word)(-(GC_signed_word)sizeof(GC_word) - GC_INDIR_PER_OBJ_BIAS) | GC_DS_PER_OBJECT,
					     false));
		/* The environment 1 tells the procedure that there is a header in front. */
		GC_gcj_debug_kind = getenv("GC_IGNORE_GCJ_INFO") ? GC_I_NORMAL : libgc_kind_swap((int)libgc_kind_make(GC_MAKE_PROC(index, 1), false));
	}
	gcdune_cycle_unlock();
}

void *GC_gcj_malloc(size_t size, void *type)
{
	void **object = gcdune_alloc_kind(size < sizeof(type) ? sizeof(type) : size,
					  (gcdune_kind)libgc_kind_swap(GC_gcj_kind));

	if (object)
		*object = type;
	return object;
}

void *GC_gcj_malloc_ignore_off_page(size_t size, void *type)
{
	return GC_gcj_malloc(size, type);
}

void *GC_debug_gcj_malloc(size_t size, void *type, const char *file, int line)
{
	void **object = GC_debug_generic_or_special_malloc(size < sizeof(type) ? sizeof(type) : size, GC_gcj_debug_kind,
							   file, line);

	if (object)
		*object = type;
	return object;
}
