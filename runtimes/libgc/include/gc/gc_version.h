/* gc_version.h - the release of Boehm's interface that these headers and libgc.so.1 answer to. */
#ifndef GC_VERSION_H
#define GC_VERSION_H

#define GC_TMP_VERSION_MAJOR 8
#define GC_TMP_VERSION_MINOR 2
#define GC_TMP_VERSION_MICRO 2

#define GC_VERSION_MAJOR GC_TMP_VERSION_MAJOR
#define GC_VERSION_MINOR GC_TMP_VERSION_MINOR
#define GC_VERSION_MICRO GC_TMP_VERSION_MICRO

#endif
