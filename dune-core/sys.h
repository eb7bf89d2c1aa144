/* sys.h - system calls of the monitor's own: straight to the kernel, with negative errno values. The monitor runs on
 * threads whose TLS, errno and locks of libc are the program's, so it uses nothing of libc that touches those. */
#ifndef DUNE_SYS_H
#define DUNE_SYS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

static inline long sys6(long number, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

static inline long sys3(long number, long a, long b, long c)
{
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return result;
}

static inline long sys_array(long number, const long a[6])
{
	return sys6(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

#define SYS0(name) sys3(SYS_##name, 0, 0, 0)
#define SYS1(name, a) sys3(SYS_##name, (long)(a), 0, 0)
#define SYS2(name, a, b) sys3(SYS_##name, (long)(a), (long)(b), 0)
#define SYS3(name, a, b, c) sys3(SYS_##name, (long)(a), (long)(b), (long)(c))
#define SYS4(name, a, b, c, d) sys6(SYS_##name, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define SYS5(name, a, b, c, d, e) sys6(SYS_##name, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)
#define SYS6(name, a, b, c, d, e, f) sys6(SYS_##name, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

/* The kernel's struct sigaction; its mask is one word. */
struct sys_sigaction {
	uintptr_t handler;
	uint64_t flags;
	uintptr_t restorer;
	uint64_t mask;
};
#define SYS_SA_RESTORER 0x04000000
#define SIGSET_BYTES 8

static inline long sys_sigaction(int sig, const struct sys_sigaction *act, struct sys_sigaction *old)
{
	return SYS4(rt_sigaction, sig, act, old, SIGSET_BYTES);
}

static inline long sys_sigmask(int how, const uint64_t *set, uint64_t *old)
{
	return SYS4(rt_sigprocmask, how, set, old, SIGSET_BYTES);
}

#endif
