/* micro-suite.h - the parts of gbench-BACKEND: each registers its benchmarks. */
#ifndef BENCHMARKS_MICRO_SUITE_H
#define BENCHMARKS_MICRO_SUITE_H

void micro_suite_alloc(void);	/* allocation by size, kind and thread count; large objects; realloc */
void micro_suite_collect(void); /* marking by shape and order, sweeping, stopping, finalizers and links */

#endif
