/* gc_tiny_fl.h - the shape of the free lists that programs keep for themselves (gc_inline.h).
 *
 * A program has an array of GC_TINY_FREELISTS list heads; list i holds objects of i granules, list 0 one-granule
 * objects for requests of no bytes. Compiled into programs: these numbers never change. */
#ifndef GC_TINY_FL_H
#define GC_TINY_FL_H

#define GC_GRANULE_BYTES 16
#define GC_GRANULE_WORDS 2
#define GC_WORDS_TO_GRANULES(n) ((n) >> 1)

#ifndef GC_TINY_FREELISTS
#define GC_TINY_FREELISTS 25
#endif

#define GC_RAW_BYTES_FROM_INDEX(i) ((i) * GC_GRANULE_BYTES)

#endif
