/* gather.h - what the two sources of Dune mode share (gather.c): written pages are taken from the page tables for the whole
 * heap at once, then every processor flushes once, and then markers find here which pages they were. */
#ifndef GCDUNE_DIRTY_GATHER_H
#define GCDUNE_DIRTY_GATHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A function of libdune: reads, and makes clean or not. */
typedef long gcdune_harvest_fn(const void *start, size_t length, uint64_t *bitmap);

/* Takes what was written in a range of the heap. The pages' contents may be read after gcdune_gather_settle. By the thread
 * that runs the cycle, while no marker looks. */
int gcdune_gather(gcdune_harvest_fn *take, uintptr_t begin, uintptr_t end);
/* A source's track: large entries become small ones, for a page is 4 KiB here, and what is clean now is settled next. */
int gcdune_gather_track(gcdune_harvest_fn *take, uintptr_t begin, uintptr_t end);
void gcdune_gather_settle(void);
/* The sources' take. */
int gcdune_gather_take(gcdune_harvest_fn *take, gcdune_harvest_fn *peek, uintptr_t begin, size_t pages, uint64_t *bits,
		       bool rearm);
/* The sources' open. */
int gcdune_gather_open(void);
/* A cycle begins: what is taken has not been gathered. What is left of earlier gathers is still reported. */
void gcdune_gather_begin(void);
/* The source closes, or the child of a fork starts. */
void gcdune_gather_forget(void);

#endif
