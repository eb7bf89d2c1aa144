/* test-dune-enter.c - entering and leaving Dune mode: probing, the process's identity and state in it, its clock, its
 * vector registers and mask across it; entering twice, with threads, and again after leaving; statistics.
 *
 * The monitor runs on the program's threads without using their TLS, which a sanitizer's code would do: no test of Dune
 * mode can run under one.
 *
 * TEST-FLAGS: link=dune asan=no tsan=no short=yes */
#include "dune-check.h"

#include <cpuid.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/syscall.h>

static void *wait_for_it(void *argument)
{
	pthread_barrier_t *barrier = argument;

	pthread_barrier_wait(barrier);
	pthread_barrier_wait(barrier);
	return NULL;
}

static double add_up(void)
{
	volatile double x = 0;

	for (int i = 1; i < 1000; i++)
		x += 1.0 / i;
	return x;
}

/* What a program asks of the processor before it uses vector registers: SSE3 SSSE3 SSE4.1 SSE4.2 XSAVE OSXSAVE AVX. */
#define VECTORS (1u << 0 | 1u << 9 | 3u << 19 | 7u << 26)
static struct processor {
	unsigned family, vectors, states;
} processor(void)
{
	struct processor p;
	unsigned b, d;

	__cpuid(1, p.family, b, p.vectors, d);
	p.vectors &= VECTORS;
	__asm__ volatile("xgetbv" : "=a"(p.states), "=d"(d) : "c"(0));
	p.states &= ~(3u << 17); /* AMX is not in the guest */
	return p;
}

static void clears_vectors(int sig)
{
	__asm__ volatile("vzeroall" : : : "memory");
}

/* A signal's handler between: the upper halves of vector registers are in the frame, and come back. */
__attribute__((noinline)) static bool vectors_survive(void)
{
	uint64_t in[4] = { 1, 2, 3, 0x123456789abcdefUL }, out[4] = { 0 };
	long number = SYS_kill;

	signal(SIGUSR2, clears_vectors);
	__asm__ volatile("vmovdqu %2, %%ymm15\n"
			 "syscall\n"
			 "vmovdqu %%ymm15, %1"
			 : "+a"(number), "=m"(out)
			 : "m"(in), "D"((long)getpid()), "S"((long)SIGUSR2)
			 : "rcx", "r11", "memory", "xmm15");
	return !number && !memcmp(in, out, sizeof(in));
}

int main(void)
{
	struct processor native = processor(), inside;
	struct dune_probe probe;
	struct dune_statistics s;
	struct timespec a, b;
	pthread_barrier_t barrier;
	pthread_t thread;
	sigset_t mask, old;
	pid_t pid = getpid(), tid = gettid();
	double sum = add_up();
	int descriptors[2], lowest = open("/dev/null", O_RDONLY);

	close(lowest);
	if (dune_probe(&probe)) {
		CHECK(probe.reason[0]);
		printf("SKIP: no Dune mode here: %s\n", probe.reason);
		return 77;
	}
	CHECK(probe.available && !probe.reason[0] && probe.max_threads >= 4);
	CHECK(!dune_is_active());
	CHECK_EQ(dune_leave(), -ENOTSUP);
	CHECK_EQ(dune_dirty_take(&probe, 8, NULL), -ENOTSUP);
	CHECK_EQ(dune_statistics(&s), -ENOTSUP);

	pthread_barrier_init(&barrier, NULL, 2);
	CHECK(!pthread_create(&thread, NULL, wait_for_it, &barrier));
	pthread_barrier_wait(&barrier);
	CHECK_EQ(dune_enter(), -EBUSY);
	CHECK(strstr(dune_error(), "thread"));
	pthread_barrier_wait(&barrier);
	pthread_join(thread, NULL);

	for (int round = 0; round < 3; round++) {
		sigemptyset(&mask);
		sigaddset(&mask, SIGUSR1);
		sigprocmask(SIG_SETMASK, &mask, NULL);
		CHECK(!pipe(descriptors));
		clock_gettime(CLOCK_MONOTONIC, &a);
		CHECK_EQ(dune_enter(), 0);
		CHECK(dune_is_active());
		CHECK_EQ(dune_enter(), -EALREADY);
		CHECK_EQ(syscall(SYS_getpid), pid);
		CHECK_EQ(syscall(SYS_gettid), tid);
		CHECK(add_up() == sum);
		inside = processor();
		CHECK_EQ(inside.family, native.family);
		CHECK_EQ(inside.vectors, native.vectors);
		CHECK_EQ(inside.states, native.states);
		CHECK(!(native.states & 4) || vectors_survive());
		sigprocmask(0, NULL, &old);
		CHECK(sigismember(&old, SIGUSR1) == 1 && sigismember(&old, SIGUSR2) == 0);
		CHECK_EQ(write(descriptors[1], "abc", 3), 3);
		/* The vDSO's clock, and the kernel's: neither goes back. */
		for (int i = 0; i < 1000; i++) {
			clock_gettime(CLOCK_MONOTONIC, &b);
			CHECK(b.tv_sec > a.tv_sec || (b.tv_sec == a.tv_sec && b.tv_nsec >= a.tv_nsec));
			if (i % 2)
				syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &a);
			else
				a = b;
			CHECK(a.tv_sec > b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec >= b.tv_nsec));
		}
		CHECK(sched_getcpu() >= 0 && sched_getcpu() < 4096);
		CHECK_EQ(dune_statistics(&s), 0);
		CHECK(s.exits > 0 && s.system_calls >= 4 && s.exits >= s.system_calls);
		/* errno of libc, and calls that fail. */
		errno = 0;
		CHECK(close(-1) == -1 && errno == EBADF);
		CHECK_EQ(syscall(100000), -1);
		CHECK_EQ(errno, ENOSYS);
		CHECK_EQ(dune_leave(), 0);
		CHECK(!dune_is_active());
		CHECK_EQ(syscall(SYS_getpid), pid);
		CHECK(add_up() == sum);
		sigprocmask(0, NULL, &old);
		CHECK(sigismember(&old, SIGUSR1) == 1 && sigismember(&old, SIGUSR2) == 0);
		close(descriptors[0]);
		close(descriptors[1]);
	}
	/* Nothing is left open or mapped. */
	CHECK_EQ(open("/dev/null", O_RDONLY), lowest);
	return 0;
}
