/* trace.h - GCDUNE_TRACE=file: what the collector did when, for programs that draw it (trace.c). All are cheap when no
 * trace was asked for. Times are of gcdune_os_now. */
#ifndef GCDUNE_TRACE_H
#define GCDUNE_TRACE_H

#include <stdint.h>

/* NAME, which lasts, took the collector from BEGIN to END. Also with the world stopped. */
void gcdune_trace_span(const char *name, uint64_t begin, uint64_t end);
/* The same for a thread of the program; not from a signal handler. */
void gcdune_trace_thread(const char *name, int tid, uint64_t begin, uint64_t end);
/* At the end, as JSON. 0 or a negative errno. */
int gcdune_trace_write(const char *path);
void gcdune_trace_after_fork(void);

#endif
