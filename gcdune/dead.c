/* dead.c - owns what a call that allocates leaves behind in its thread: addresses in dead frames and dead registers, which
 * are taken for roots when the thread is stopped, and by which a dropped structure lives on. (linked-list of make demo held
 * 340 MiB so, and 60 without.) Called by alloc.c, at the end of each slow path, and of
 * the short one now and then.
 *
 * What returned functions left on the stack lies in the frames of those that are called next, in parts that they may not
 * write for a long time. So the dead part of the stack is cleared, now and then as far down as the thread is known to have
 * been (an idea of Boehm's collector).
 *
 * Vector registers are nobody's across a call, but what some function of ours or of libc's left in them stays as long as a
 * program computes with integers, and the frame of a signal that stops the thread has them all. */
#include "dead.h"

#include <string.h>
#include <sys/param.h>

/* Calls between two clearings of all that is dead; each stands for 2 KiB of objects or so. */
enum { DEEP_EVERY = 16 };

static size_t dead_below(struct gcdune_thread *thread, uintptr_t sp)
{
	const size_t usual = 512, most = 65536;
	uintptr_t deepest = thread->deepest;

	if (--thread->until_clear > 0)
		return usual;
	thread->until_clear = DEEP_EVERY;
	thread->deepest = 0;
	if (deepest && deepest < sp && sp < thread->stack_end && deepest > thread->stack_low)
		return 2 * usual + MIN(sp - deepest, most);
	return 2 * usual;
}

#define CLEAR(n) "pxor %%xmm" #n ", %%xmm" #n "\n\t"
#define CLEAR_HIGH(n) "vpxord %%xmm" #n ", %%xmm" #n ", %%xmm" #n "\n\t"
#define ALL(each, n) each(n##0) each(n##1) each(n##2) each(n##3) each(n##4) each(n##5) each(n##6) each(n##7) each(n##8) each(n##9)
#define REGISTERS                                                                                                         \
	"xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", \
		"xmm14", "xmm15"

static inline void clear_registers(void)
{
	if (__builtin_cpu_supports("avx"))
		__asm__ volatile("vzeroall" : : : REGISTERS);
	else
		__asm__ volatile(ALL(CLEAR, ) CLEAR(10) CLEAR(11) CLEAR(12) CLEAR(13) CLEAR(14) CLEAR(15) : : : REGISTERS);
	/* The compiler does not know of those. */
	if (__builtin_cpu_supports("avx512vl"))
		__asm__ volatile(CLEAR_HIGH(16) CLEAR_HIGH(17) CLEAR_HIGH(18) CLEAR_HIGH(19) ALL(CLEAR_HIGH, 2) CLEAR_HIGH(30)
					 CLEAR_HIGH(31)
				 :
				 :
				 : REGISTERS);
}

/* Not inlined: its frame is the dead part of the stack. */
__attribute__((noinline)) void gcdune_dead_clear(struct gcdune_thread *thread)
{
	size_t size = dead_below(thread, (uintptr_t)__builtin_frame_address(0));
	char *dead = __builtin_alloca(size);

	thread->uncleared = 0;
	memset(dead, 0, size);
	__asm__ volatile("" : : "r"(dead) : "memory");
	clear_registers();
}
