/* gc_config_macros.h - what gc.h needs to know about the compiler, and about the program that includes it.
 *
 * Only gc.h includes this file. The one platform is Linux on x86-64 with gcc or clang, so there is little to decide.
 * The program chooses threads by defining GC_THREADS before gc.h. GC_BUILD is defined when libgc itself is compiled. */
#ifndef GC_CONFIG_MACROS_H
#define GC_CONFIG_MACROS_H

#include <stddef.h>

#define GC_GNUC_PREREQ(major, minor) ((__GNUC__ << 16) + __GNUC_MINOR__ >= ((major) << 16) + (minor))

/* Older programs name the platform instead. */
#if (defined(LINUX_THREADS) || defined(GC_LINUX_THREADS)) && !defined(GC_THREADS)
#define GC_THREADS
#endif
#ifdef GC_THREADS
#ifndef GC_LINUX_THREADS
#define GC_LINUX_THREADS
#endif
#undef GC_PTHREADS
#define GC_PTHREADS
#if !defined(_REENTRANT)
#define _REENTRANT 1
#endif
#define GC_HAVE_PTHREAD_EXIT
#define GC_PTHREAD_EXIT_ATTRIBUTE __attribute__((__noreturn__))
#endif

#ifndef GC_API
#ifdef GC_BUILD
#define GC_API extern __attribute__((__visibility__("default")))
#else
#define GC_API extern
#endif
#endif

#ifndef GC_CALL
#define GC_CALL
#endif
#ifndef GC_CALLBACK
#define GC_CALLBACK GC_CALL
#endif

/* A program whose out-of-memory function returns a pointer to an object in use says so: the compiler must then not
 * take results of allocation for unaliased. */
#ifndef GC_ATTR_MALLOC
#ifdef GC_OOM_FUNC_RETURNS_ALIAS
#define GC_ATTR_MALLOC
#else
#define GC_ATTR_MALLOC __attribute__((__malloc__))
#endif
#endif
#ifndef GC_ATTR_ALLOC_SIZE
#define GC_ATTR_ALLOC_SIZE(argnum) __attribute__((__alloc_size__(argnum)))
#endif
#ifndef GC_ATTR_CALLOC_SIZE
#define GC_ATTR_CALLOC_SIZE(n, s) __attribute__((__alloc_size__(n, s)))
#endif
#ifndef GC_ATTR_NONNULL
#define GC_ATTR_NONNULL(argnum) __attribute__((__nonnull__(argnum)))
#endif
#ifndef GC_ATTR_CONST
#define GC_ATTR_CONST __attribute__((__const__))
#endif
#ifndef GC_ATTR_DEPRECATED
#ifdef GC_BUILD
#define GC_ATTR_DEPRECATED
#else
#define GC_ATTR_DEPRECATED __attribute__((__deprecated__))
#endif
#endif

#ifdef __cplusplus
#ifndef GC_ATTR_EXPLICIT
#define GC_ATTR_EXPLICIT explicit
#endif
#ifndef GC_NOEXCEPT
#if __cplusplus >= 201103L
#define GC_NOEXCEPT noexcept
#else
#define GC_NOEXCEPT throw()
#endif
#endif
#endif

/* Debugging allocations carry the place of the call; return addresses are not passed by the caller. */
#define GC_HAVE_BUILTIN_BACKTRACE
#define GC_CAN_SAVE_CALL_STACKS

#endif
