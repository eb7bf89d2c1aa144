/* test-dune-signal.c - signals in Dune mode: the frame that handlers see, masks, alternate stacks, nesting,
 * real-time queues and their order, SA_RESTART and EINTR, sigsuspend, sigtimedwait, signalfd, siglongjmp out of
 * handlers, timers, signals caused by instructions (address, code), those that end the process, SIGSTOP; vector
 * state across a handler; many signals between two processes and between threads without one lost.
 *
 * TEST-FLAGS: link=dune asan=no tsan=no short=yes timeout=300 */
#include "dune-check.h"

#include <fenv.h>
#include <sched.h>
#include <setjmp.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>

static volatile int hits, order[64], values[64];
static volatile siginfo_t last;
static volatile uintptr_t handler_sp, frame_rip, frame_rsp;
static sigjmp_buf back;
static char altstack[128 << 10];

static void count(int sig)
{
	order[hits % 64] = sig;
	hits++;
}

static void details(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	memcpy((void *)&last, info, sizeof(last));
	handler_sp = (uintptr_t)__builtin_frame_address(0);
	frame_rip = (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
	frame_rsp = (uintptr_t)uc->uc_mcontext.gregs[REG_RSP];
	values[hits % 64] = info->si_value.sival_int;
	order[hits % 64] = sig;
	hits++;
}

static void jump(int sig, siginfo_t *info, void *context)
{
	details(sig, info, context);
	siglongjmp(back, 1);
}

static void handle(int sig, void (*fn)(int, siginfo_t *, void *), int flags)
{
	struct sigaction action = { .sa_sigaction = fn, .sa_flags = flags | SA_SIGINFO };

	CHECK(!sigaction(sig, &action, NULL));
}

static void basics(void)
{
	sigset_t mask, pending, old;
	stack_t stack = { .ss_sp = altstack, .ss_size = sizeof(altstack) }, now;

	/* Masks and pending signals. */
	handle(SIGUSR1, details, 0);
	handle(SIGUSR2, details, 0);
	hits = 0;
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	CHECK(!sigprocmask(SIG_BLOCK, &mask, &old));
	CHECK(!sigismember(&old, SIGUSR1));
	kill(getpid(), SIGUSR1);
	kill(getpid(), SIGUSR2);
	CHECK_EQ(hits, 1);
	CHECK_EQ(order[0], SIGUSR2);
	CHECK(last.si_code == SI_USER && last.si_pid == getpid());
	CHECK(!sigpending(&pending) && sigismember(&pending, SIGUSR1) && !sigismember(&pending, SIGUSR2));
	CHECK(!sigprocmask(SIG_UNBLOCK, &mask, NULL));
	CHECK_EQ(hits, 2);
	CHECK_EQ(order[1], SIGUSR1);
	sigprocmask(0, NULL, &old);
	for (int sig = 1; sig < 64; sig++)
		CHECK(sig == 32 || sig == 33 || !sigismember(&old, sig));

	/* The alternate stack. */
	CHECK(!sigaltstack(&stack, NULL));
	handle(SIGUSR1, details, SA_ONSTACK);
	raise(SIGUSR1);
	CHECK(handler_sp > (uintptr_t)altstack && handler_sp < (uintptr_t)altstack + sizeof(altstack));
	raise(SIGUSR2);
	CHECK(!(handler_sp > (uintptr_t)altstack && handler_sp < (uintptr_t)altstack + sizeof(altstack)));
	CHECK(!sigaltstack(NULL, &now) && now.ss_sp == altstack && now.ss_flags == 0);

	/* SA_RESETHAND, SA_NODEFER. */
	handle(SIGUSR2, details, SA_RESETHAND);
	raise(SIGUSR2);
	{
		struct sigaction was;

		CHECK(!sigaction(SIGUSR2, NULL, &was) && was.sa_handler == SIG_DFL);
	}
	signal(SIGUSR2, SIG_IGN);
	raise(SIGUSR2);
	CHECK(sigaction(SIGKILL, &(struct sigaction){ .sa_handler = count }, NULL) == -1 && errno == EINVAL);
	CHECK(sigaction(65, NULL, NULL) == -1);
}

static void nested_inner(int sig)
{
	order[hits++] = sig;
}
static void nested_outer(int sig)
{
	order[hits++] = sig;
	raise(SIGUSR2);
	order[hits++] = -sig;
}

static void nesting(void)
{
	struct sigaction outer = { .sa_handler = nested_outer }, inner = { .sa_handler = nested_inner };

	sigaction(SIGUSR1, &outer, NULL);
	sigaction(SIGUSR2, &inner, NULL);
	hits = 0;
	raise(SIGUSR1);
	CHECK(hits == 3 && order[0] == SIGUSR1 && order[1] == SIGUSR2 && order[2] == -SIGUSR1);
	/* Blocked during the handler: after it. */
	sigaddset(&outer.sa_mask, SIGUSR2);
	sigaction(SIGUSR1, &outer, NULL);
	hits = 0;
	raise(SIGUSR1);
	CHECK(hits == 3 && order[0] == SIGUSR1 && order[1] == -SIGUSR1 && order[2] == SIGUSR2);
}

/* Real-time signals: all of them, in order, lowest number first. */
static void queues(void)
{
	sigset_t mask;
	siginfo_t info;
	struct timespec none = { 0, 0 };

	handle(SIGRTMIN + 2, details, 0);
	handle(SIGRTMIN + 5, details, 0);
	sigemptyset(&mask);
	sigaddset(&mask, SIGRTMIN + 2);
	sigaddset(&mask, SIGRTMIN + 5);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	hits = 0;
	for (int i = 0; i < 10; i++) {
		CHECK(!sigqueue(getpid(), SIGRTMIN + 5, (union sigval){ .sival_int = i }));
		CHECK(!sigqueue(getpid(), SIGRTMIN + 2, (union sigval){ .sival_int = 100 + i }));
	}
	CHECK_EQ(hits, 0);
	/* Two by sigtimedwait. */
	CHECK_EQ(sigtimedwait(&mask, &info, &none), SIGRTMIN + 2);
	CHECK_EQ(info.si_value.sival_int, 100);
	sigprocmask(SIG_UNBLOCK, &mask, NULL);
	CHECK_EQ(hits, 19);
	/* Each was delivered before the ones behind it ran; handlers of different signals nest, so compare per
	 * signal. */
	for (int i = 0, low = 101, high = 0; i < 19; i++)
		CHECK_EQ(values[i], order[i] == SIGRTMIN + 2 ? low++ : high++);
}

static void restarting(void)
{
	/* Again and again: the first one may come before the call that it is to interrupt. */
	struct itimerval soon = { { 0, 20000 }, { 0, 20000 } }, never = { { 0, 0 }, { 0, 0 } };
	struct timespec t = { 30, 0 }, left;
	sigset_t mask, none;
	char byte;
	int fds[2];
	pid_t pid;

	CHECK(!pipe(fds));
	handle(SIGALRM, details, 0);
	hits = 0;
	setitimer(ITIMER_REAL, &soon, NULL);
	CHECK(read(fds[0], &byte, 1) == -1 && errno == EINTR && hits >= 1);
	setitimer(ITIMER_REAL, &never, NULL);
	/* With SA_RESTART it waits on, until the child writes. */
	handle(SIGALRM, details, SA_RESTART);
	pid = fork();
	if (!pid) {
		usleep(100000);
		_exit(write(fds[1], "x", 1) != 1);
	}
	setitimer(ITIMER_REAL, &soon, NULL);
	CHECK(read(fds[0], &byte, 1) == 1 && byte == 'x');
	setitimer(ITIMER_REAL, &never, NULL);
	CHECK(waitpid(pid, NULL, 0) == pid);
	/* nanosleep is interrupted all the same, and says what is left. */
	setitimer(ITIMER_REAL, &soon, NULL);
	CHECK(nanosleep(&t, &left) == -1 && errno == EINTR && left.tv_sec < 30);
	setitimer(ITIMER_REAL, &never, NULL);
	/* sigsuspend: both signals that were pending run before it returns, and the mask is back then. */
	sigemptyset(&none);
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	sigaddset(&mask, SIGUSR2);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	handle(SIGUSR1, details, 0);
	handle(SIGUSR2, details, 0);
	raise(SIGUSR1);
	raise(SIGUSR2);
	hits = 0;
	CHECK(sigsuspend(&none) == -1 && errno == EINTR);
	CHECK_EQ(hits, 2);
	sigprocmask(0, NULL, &none);
	CHECK(sigismember(&none, SIGUSR1) && sigismember(&none, SIGUSR2));
	sigprocmask(SIG_UNBLOCK, &mask, NULL);
	/* signalfd. */
	{
		struct signalfd_siginfo got;
		int fd;

		sigprocmask(SIG_BLOCK, &mask, NULL);
		fd = signalfd(-1, &mask, 0);
		raise(SIGUSR2);
		CHECK(read(fd, &got, sizeof(got)) == sizeof(got) && got.ssi_signo == SIGUSR2);
		close(fd);
		sigprocmask(SIG_UNBLOCK, &mask, NULL);
	}
	close(fds[0]), close(fds[1]);
}

/* Whether SIGFPE came. QEMU's software emulation knows no floating-point exceptions; main tries before it enters. */
static bool divides_by_zero;
static bool divide(void)
{
	volatile bool came = true;

	handle(SIGFPE, jump, SA_NODEFER);
	if (!sigsetjmp(back, 1)) {
		volatile double one = 1, nothing = 0;

		feenableexcept(FE_DIVBYZERO);
		one = one / nothing;
		came = false;
	}
	fedisableexcept(FE_DIVBYZERO);
	feclearexcept(FE_ALL_EXCEPT);
	return came;
}

/* What instructions cause. */
static void synchronous(void)
{
	char *page = mmap(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	volatile int zero = 0;
	char path[] = "/tmp/dune-signal-XXXXXX";
	int fd = mkstemp(path);
	volatile char *file;

	unlink(path);
	for (int sig = 1; sig < 16; sig++)
		if (sig == SIGSEGV || sig == SIGBUS || sig == SIGILL || sig == SIGFPE || sig == SIGTRAP)
			handle(sig, jump, SA_NODEFER);
	if (!sigsetjmp(back, 1)) {
		*(volatile char *)(page + 5) = 1;
		CHECK(!"reached");
	}
	CHECK(last.si_signo == SIGSEGV && last.si_code == SEGV_ACCERR && last.si_addr == page + 5);
	munmap(page, 2 * PAGE);
	if (!sigsetjmp(back, 1)) {
		*(volatile char *)(page + 6) = 1;
		CHECK(!"reached");
	}
	CHECK(last.si_signo == SIGSEGV && last.si_code == SEGV_MAPERR && last.si_addr == page + 6);
	if (!sigsetjmp(back, 1)) {
		((void (*)(void))16)();
		CHECK(!"reached");
	}
	CHECK(last.si_signo == SIGSEGV && last.si_addr == (void *)16 && frame_rip == 16);
	if (!sigsetjmp(back, 1)) {
		*(volatile char *)0x8000000000000000UL = 1; /* not canonical: no address */
		CHECK(!"reached");
	}
	CHECK(last.si_signo == SIGSEGV && last.si_code == SI_KERNEL);
	if (!sigsetjmp(back, 1)) {
		__asm__ volatile("cltd; idivl %0"
				 :
				 : "r"(zero), "a"(1)
				 : "edx"); /* a compiler knows better than to divide */
		CHECK(!"reached");
	}
	CHECK(last.si_signo == SIGFPE && last.si_code == FPE_INTDIV && last.si_addr == (void *)frame_rip);
	if (!sigsetjmp(back, 1)) {
		__asm__ volatile("ud2");
		CHECK(!"reached");
	}
	CHECK(last.si_signo == SIGILL && last.si_code == ILL_ILLOPN && last.si_addr == (void *)frame_rip);
	if (!sigsetjmp(back, 1)) {
		__asm__ volatile("int3");
		CHECK(!"reached");
	}
	CHECK(last.si_signo == SIGTRAP);
	if (!sigsetjmp(back, 1)) {
		__asm__ volatile("hlt");
		CHECK(!"reached");
	}
	CHECK(last.si_signo == SIGSEGV && last.si_code == SI_KERNEL);
	if (divides_by_zero)
		CHECK(divide() && last.si_signo == SIGFPE && last.si_code == FPE_FLTDIV);
	/* A file that became shorter. */
	CHECK(!ftruncate(fd, 2 * (off_t)PAGE));
	file = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	file[PAGE] = 1;
	CHECK(!ftruncate(fd, 10));
	if (!sigsetjmp(back, 1)) {
		file[PAGE] = 1;
		CHECK(!"reached");
	}
	CHECK(last.si_signo == SIGBUS && last.si_code == BUS_ADRERR);
	CHECK(last.si_addr == (void *)(file + PAGE));
	munmap((void *)file, 2 * PAGE);
	close(fd);
	for (int sig = 1; sig < 16; sig++)
		if (sig == SIGSEGV || sig == SIGBUS || sig == SIGILL || sig == SIGFPE || sig == SIGTRAP)
			signal(sig, SIG_DFL);
}

/* A stack that overflows, caught on the alternate stack. */
static int deeper(int n)
{
	volatile char room[4096];

	room[0] = (char)n;
	return n > 100000000 ? 0 : deeper(n + 1) + room[0];
}

static void *overflow(void *argument)
{
	stack_t stack = { .ss_sp = altstack, .ss_size = sizeof(altstack) };

	sigaltstack(&stack, NULL);
	handle(SIGSEGV, jump, SA_ONSTACK);
	if (!sigsetjmp(back, 1)) {
		deeper(0);
		CHECK(!"reached");
	}
	signal(SIGSEGV, SIG_DFL);
	return NULL;
}

static void endings(void)
{
	const int sigs[] = { SIGTERM, SIGABRT, SIGSEGV, SIGUSR1, SIGRTMIN + 1, SIGPIPE };
	int status;
	pid_t pid;

	for (size_t i = 0; i < sizeof(sigs) / sizeof(*sigs); i++) {
		pid = fork();
		if (!pid) {
			signal(sigs[i], SIG_DFL);
			if (sigs[i] == SIGPIPE) {
				int fds[2];

				CHECK(!pipe(fds));
				close(fds[0]);
				CHECK(write(fds[1], "x", 1) < 0);
			} else {
				raise(sigs[i]);
			}
			_exit(0);
		}
		CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == sigs[i]);
	}
	pid = fork();
	if (!pid) {
		dup2(open("/dev/null", O_WRONLY), 2);
		deeper(0); /* the stack ends, with no handler */
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	/* Stopped and continued. */
	pid = fork();
	if (!pid) {
		raise(SIGSTOP);
		_exit(4);
	}
	CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	kill(pid, SIGCONT);
	CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 4);
}

static void clobber(int sig)
{
	unsigned char junk[256];

	memset(junk, sig, sizeof(junk));
	for (int i = 0; i < 16; i++)
		__asm__ volatile("pxor %%xmm0, %%xmm0; pxor %%xmm7, %%xmm7; pxor %%xmm15, %%xmm15\n"
				 "fldz; fstp %%st(0)"
				 : : "r"(junk) : "xmm0", "xmm7", "xmm15", "memory");
	hits++;
}

/* Vector registers over asynchronous signals. */
static void vectors(void)
{
	double x = 1.25, sum = 0;
	long n = 0;

	signal(SIGALRM, clobber);
	hits = 0;
	ticks_begin(2000);
	while (hits < 30) {
		for (int i = 0; i < 1000; i++)
			sum += x, n++;
		CHECK(sum == (double)n * 1.25);
	}
	ticks_end();
}

/* A child sends real-time signals as fast as it can; each arrives. */
static volatile int received, sum_received;
static void receive(int sig, siginfo_t *info, void *context)
{
	received++;
	sum_received += info->si_value.sival_int;
}

static void flood(int number)
{
	pid_t pid, parent = getpid();
	int expected = 0, status;

	handle(SIGRTMIN + 3, receive, SA_RESTART);
	received = sum_received = 0;
	pid = fork();
	if (!pid) {
		for (int i = 0; i < number; i++)
			while (sigqueue(parent, SIGRTMIN + 3, (union sigval){ .sival_int = i }) < 0)
				sched_yield();
		_exit(0);
	}
	for (int i = 0; i < number; i++)
		expected += i;
	while (received < number) /* in system calls and out of them */
		if (received % 3)
			getppid();
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK_EQ(received, number);
	CHECK_EQ(sum_received, expected);
}

static __thread volatile int mine;
static volatile int done;
static void on_thread(int sig)
{
	mine++;
}
static void *target(void *argument)
{
	char byte;
	int *fds = argument;

	while (!done)
		if (read(fds[0], &byte, 1) == 1)
			break;
	return (void *)(size_t)mine;
}

static void to_threads(int number)
{
	pthread_t threads[4];
	size_t total = 0;
	int fds[2];
	void *result;

	CHECK(!pipe(fds));
	signal(SIGUSR1, on_thread);
	done = 0;
	for (int i = 0; i < 4; i++)
		CHECK(!pthread_create(&threads[i], NULL, target, fds));
	for (int i = 0; i < number; i++)
		pthread_kill(threads[i % 4], SIGUSR1);
	done = 1;
	CHECK_EQ(write(fds[1], "abcd", 4), 4);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], &result);
		total += (size_t)result;
	}
	CHECK(total > 0 && total <= (size_t)number);
	close(fds[0]), close(fds[1]);
}

int main(void)
{
	pthread_t thread;

	divides_by_zero = divide();
	enter_or_skip();
	for (int round = 0; round < (repetitions(200) + 9) / 10; round++) {
		basics();
		nesting();
		queues();
		restarting();
		synchronous();
		CHECK(!pthread_create(&thread, NULL, overflow, NULL));
		CHECK(!pthread_join(thread, NULL));
		endings();
		vectors();
		flood(200);
		to_threads(200);
	}
	return 0;
}
