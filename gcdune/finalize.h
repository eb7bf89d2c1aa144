/* finalize.h - finalizers and disappearing links (finalize.c). */
#ifndef GCDUNE_FINALIZE_H
#define GCDUNE_FINALIZE_H

#include <stdbool.h>

/* Roots: what finalizers are given, and objects whose turn has come. World stopped. */
void gcdune_finalize_mark_roots(void);
/* After marking: clears links, queues finalizers, marks what they keep. World stopped. */
void gcdune_finalize_cycle(void);
/* After a collection, threads running: runs finalizers or tells the program, as the mode says. */
void gcdune_finalize_after_cycle(void);
/* OBJECT is freed: its finalizer goes. */
void gcdune_finalize_forget(void *object);
/* Aborts if a table names a dead object. World stopped, after marking. */
void gcdune_finalize_verify(void);
unsigned long long gcdune_finalize_count(void);

void gcdune_finalize_lock(void);
void gcdune_finalize_unlock(void);
void gcdune_finalize_after_fork(void);

#endif
