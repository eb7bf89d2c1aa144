/* javaxfc.h - what virtual machines ask for: all finalizers at the end, and stopping single threads. */
#ifndef GC_JAVAXFC_H
#define GC_JAVAXFC_H

#include "gc.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Calls every finalizer there is, of reachable objects too, also those that finalizers register. For the end of a
 * program. */
GC_API void GC_CALL GC_finalize_all(void);

#ifdef GC_THREADS
/* Stops a thread (a pthread_t) that the collector knows until it is resumed; once is enough, however often it was
 * suspended. Other threads are left as they are, and asked about give 0. */
#ifndef GC_SUSPEND_THREAD_ID
#define GC_SUSPEND_THREAD_ID void *
#endif
GC_API void GC_CALL GC_suspend_thread(GC_SUSPEND_THREAD_ID);
GC_API void GC_CALL GC_resume_thread(GC_SUSPEND_THREAD_ID);
GC_API int GC_CALL GC_is_thread_suspended(GC_SUSPEND_THREAD_ID);
#endif

#ifdef __cplusplus
}
#endif
#endif
