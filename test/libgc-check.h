/* libgc-check.h - what the tests of Boehm's interface share. They use gc.h only and must pass on any library that has it
 * (test-libgc-both.sh runs them on the system's too), so they ask for what the interface promises: what is reachable
 * is there; of many objects that are not, at least 95 % are found dead, as stale words may keep some. */
#ifndef LIBGC_CHECK_H
#define LIBGC_CHECK_H

#ifndef GC_THREADS
#define GC_THREADS
#endif
#include <gc/gc.h>
#include <gc/gc_inline.h>
#include <gc/gc_mark.h>
#include <gc/gc_typed.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stdint.h>
#include <unistd.h>

#include "expect.h"

#define CHECK_MOST(number, all) CHECK((number) <= (all) && (number) * 100 >= (all) * 95)
#define CHECK_FEW(number, all) CHECK((number) * 100 <= (all) * 5)

/* Overwrites what earlier calls left on the stack. */
UNUSED static __attribute__((noinline)) void wipe_stack(void)
{
	volatile char junk[64 * 1024];

	for (size_t i = 0; i < sizeof(junk); i++)
		junk[i] = 0;
	__asm__ volatile("" : : "r"(junk) : "memory");
}

UNUSED static __attribute__((noinline)) void collect(void)
{
	wipe_stack();
	GC_gcollect();
}

/* Collects, and runs finalizers, until nothing more is likely to come. */
UNUSED static void settle(void)
{
	for (int i = 0; i < 4; i++) {
		collect();
		GC_invoke_finalizers();
	}
}

/* Calls what may not be inlined, and leaves no trace of it: so deep in the stack that all its frames lie in what wipe_stack overwrites,
 * and none in the frame of that function itself, where compilers leave gaps (gcc's address sanitizer does). */
UNUSED static __attribute__((noinline)) void apart(void (*fn)(void))
{
	volatile char deeper[4096];
	void (*volatile hidden)(void) = fn;

	__asm__ volatile("" : : "r"(deeper) : "memory");
	hidden();
	wipe_stack();
}

#define N 4000

#endif
