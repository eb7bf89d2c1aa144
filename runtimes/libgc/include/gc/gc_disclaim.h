/* gc_disclaim.h - procedures that see objects of a kind before these are reclaimed. */
#ifndef GC_DISCLAIM_H
#define GC_DISCLAIM_H

#include "gc.h"

#ifdef __cplusplus
extern "C" {
#endif

/* PROC is called with each object of KIND that a collection has found unreachable, in the thread that collected, after
 * the collection. If it returns 0 the object is reclaimed at once, else not this time. With MARK_FROM_ALL what the object
 * points to is still there; long chains of such objects then take a collection for each link. Without, it is also still
 * there, but may have been seen by its own procedure before. GC_free does not call PROC, nor does leak-finding mode. */
typedef int(GC_CALLBACK *GC_disclaim_proc)(void *object);
GC_API void GC_CALL GC_register_disclaim_proc(int kind, GC_disclaim_proc proc, int mark_from_all) GC_ATTR_NONNULL(2);

/* An object of SIZE bytes, for which closure->proc(object, closure->cd) is called when it is unreachable; that must not
 * make it reachable again. A cheaper finalizer: no table. CLOSURE is kept alive. The object does not begin at GC_base(it),
 * which is a word before. GC_init_finalized_malloc comes first. */
struct GC_finalizer_closure {
	GC_finalization_proc proc;
	void *cd;
};
GC_API void GC_CALL GC_init_finalized_malloc(void);
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL
	GC_finalized_malloc(size_t size, const struct GC_finalizer_closure *closure) GC_ATTR_NONNULL(2);

#ifdef __cplusplus
}
#endif
#endif
