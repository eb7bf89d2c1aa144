/* test-dune-syscall.c - a handler for system calls in the program: it sees each call with its arguments, emulates
 * some and passes others on, fork and signals among them; registers, flags and vector state are kept; no exit for
 * what it emulates; its own calls do not come to it; threads, signals while calls are on their way.
 *
 * TEST-FLAGS: link=dune asan=no tsan=no short=yes timeout=120 */
#include "dune-check.h"

#include <sys/syscall.h>
#include <sys/time.h>

static volatile long seen, forks, last_number, last_arguments[6];
static volatile int depth;

static int handler(struct dune_syscall *call, void *argument)
{
	char buffer[512];

	CHECK(argument == &seen);
	CHECK_EQ(depth, 0);
	__atomic_fetch_add(&seen, 1, __ATOMIC_RELAXED);
	memset(buffer, 1, sizeof(buffer));
	__asm__ volatile("pxor %%xmm0, %%xmm0; pxor %%xmm5, %%xmm5" : : "r"(buffer) : "xmm0", "xmm5", "memory");
	if (call->number == 100001) {
		last_number = call->number;
		memcpy((void *)last_arguments, call->arguments, sizeof(last_arguments));
		call->result = 4242;
		return 0;
	}
	if (call->number == SYS_getpriority) {
		call->result = -EXDEV;
		return 0;
	}
	if (call->number == SYS_clone || call->number == SYS_fork || call->number == SYS_vfork)
		forks++;
	return 1;
}

/* Counts its own calls: they must not come back to it. */
static int nested(struct dune_syscall *call, void *argument)
{
	depth++;
	CHECK_EQ(depth, 1);
	for (int i = 0; i < 3; i++)
		CHECK(syscall(SYS_getppid) > 0);
	depth--;
	call->result = 5;
	return call->number != SYS_getppid;
}

static int emulate(struct dune_syscall *call, void *argument)
{
	call->result = call->arguments[0] + 1;
	return call->number != 100002;
}

static volatile int hits;
static void on_signal(int sig)
{
	hits++;
	syscall(100002, hits);
}

static void *calls(void *argument)
{
	for (long i = 0; i < 3000; i++)
		CHECK_EQ(syscall(100002, i), i + 1);
	return NULL;
}

int main(void)
{
	struct dune_statistics before, after;
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	pthread_t threads[4];
	double x = 1.5;
	int status;
	pid_t pid;

	enter_or_skip();
	CHECK_EQ(dune_syscall_handler(handler, (void *)&seen), 0);
	CHECK_EQ(syscall(100001, 1, 2, 3, 4, 5, 6), 4242);
	for (int i = 0; i < 6; i++)
		CHECK_EQ(last_arguments[i], i + 1);
	CHECK(syscall(SYS_getpriority, 0, 0) == -1 && errno == EXDEV);
	CHECK_EQ(syscall(SYS_getpid), getpid());
	/* Registers and flags: all that a system call keeps. */
	for (int i = 0; i < 100; i++) {
		register uint64_t r10 __asm__("r10") = 4, r8 __asm__("r8") = 5, r9 __asm__("r9") = 6,
				      r12 __asm__("r12") = 7, r15 __asm__("r15") = 8;
		uint64_t rax = i % 2 ? 100001 : SYS_getpid, rdi = 1, rsi = 2, rdx = 3, rbx = 9, flags;
		double y = x;

		__asm__ volatile("std; cld; stc; syscall; pushfq; pop %[flags]"
				 : "+a"(rax), "+D"(rdi), "+S"(rsi), "+d"(rdx), "+b"(rbx), "+r"(r10), "+r"(r8), "+r"(r9),
				   "+r"(r12), "+r"(r15), "+x"(y), [flags] "=m"(flags)
				 :
				 : "rcx", "r11", "memory", "cc");
		CHECK_EQ(rax, i % 2 ? 4242 : getpid());
		CHECK(rdi == 1 && rsi == 2 && rdx == 3 && r10 == 4 && r8 == 5 && r9 == 6 && r12 == 7 && r15 == 8 &&
		      rbx == 9);
		CHECK(y == 1.5 && flags & 1);
	}
	/* Children: the call that makes them is passed on; they keep the handler. */
	pid = fork();
	if (!pid)
		_exit(syscall(100001) == 4242 ? 3 : 4);
	CHECK(waitpid(pid, &status, 0) == pid && status == 3 << 8);
	CHECK_EQ(system("exit 6"), 6 << 8);
	CHECK(forks >= 2);

	CHECK_EQ(dune_syscall_handler(nested, NULL), 0);
	for (int i = 0; i < 10; i++)
		CHECK_EQ(syscall(SYS_getppid), 5);

	CHECK_EQ(dune_syscall_handler(emulate, NULL), 0);
	syscall(100002);
	dune_statistics(&before);
	for (long i = 0; i < 500; i++)
		CHECK_EQ(syscall(100002, i), i + 1);
	dune_statistics(&after);
	CHECK(after.exits - before.exits < 200);
	/* Signals at any point of it, and threads. */
	sigaction(SIGALRM, &action, NULL);
	ticks_begin(300);
	for (int round = 0; round < repetitions(3) || hits < 300; round++) {
		for (int i = 0; i < 4; i++)
			CHECK(!pthread_create(&threads[i], NULL, calls, NULL));
		calls(NULL);
		for (int i = 0; i < 4; i++)
			pthread_join(threads[i], NULL);
	}
	ticks_end();
	CHECK(hits >= 300);
	CHECK_EQ(dune_syscall_handler(NULL, NULL), 0);
	CHECK(syscall(100002, 1) == -1 && errno == ENOSYS);
	return 0;
}
