/* backtrace.h - stacks of calls, remembered and printed (backtrace.c). For leak reports and the debugging allocators of
 * runtimes/. */
#ifndef GCDUNE_BACKTRACE_H
#define GCDUNE_BACKTRACE_H

#include <stddef.h>
#include <stdint.h>

enum { GCDUNE_BACKTRACE_MAX = 16 };

/* The stack of calls from where CALLER (a __builtin_return_address) is on, as a number that stands for it; equal stacks get
 * the same one. 0: none could be had. Takes a lock of its own for a moment; not in a stopped world. */
uint32_t gcdune_backtrace_take(const void *caller);

/* The frames (return addresses) of a number; how many. */
size_t gcdune_backtrace_frames(uint32_t stack, uintptr_t frames[GCDUNE_BACKTRACE_MAX]);

/* Prints them to FD, innermost first, a line each: "    #0 function at file:line (object)". Names come from elfutils'
 * libdw if it can be loaded, else from the dynamic linker. Calls malloc and dlopen; no lock of gcdune's may be held. */
void gcdune_backtrace_print(int fd, uint32_t stack);

/* Around fork. */
void gcdune_backtrace_lock(void);
void gcdune_backtrace_unlock(void);

#endif
