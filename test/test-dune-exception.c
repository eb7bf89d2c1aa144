/* test-dune-exception.c - exceptions other than page faults that the program handles itself: each vector, what the handler
 * is told, what it may change (registers, vector state), passing on to a signal, nesting, leaving by siglongjmp,
 * removing; with all registers kept; in threads, with signals arriving all the time; that none of it takes an exit.
 * Without a handler, or in a child after exec, nothing is different from a plain process.
 *
 * TEST-FLAGS: link=dune asan=no tsan=no short=yes timeout=120 */
#include "dune-check.h"

#include <setjmp.h>
#include <sys/time.h>
#include <ucontext.h>

static volatile uint64_t calls, last_vector, last_error;
static volatile int pass_it;

#define FCW(xsave) (*(uint16_t *)(xsave))
#define MXCSR(xsave) (*(uint32_t *)((char *)(xsave) + 24))

static int on_exception(const struct dune_exception *e, void *argument)
{
	char buffer[512];

	CHECK(argument == &calls);
	memset(buffer, (int)e->vector, sizeof(buffer)); /* vector registers, and the stack */
	__asm__ volatile("" : : "r"(buffer) : "memory");
	__atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED);
	last_vector = e->vector;
	last_error = e->error;
	if (pass_it)
		return 1;
	/* By an address that the instruction left in rcx, where it cannot go on. */
	if (e->vector != 3 && e->vector != 4 && e->vector != 1)
		e->registers->rip = e->registers->rcx;
	if (e->vector == 17 || e->vector == 1)
		e->registers->rflags &= ~0x40100UL; /* AC, TF */
	if (e->vector == 19)
		MXCSR(e->xsave) = 0x1f80;
	if (e->vector == 16)
		FCW(e->xsave) = 0x37f, ((uint16_t *)e->xsave)[1] = 0;
	return 0;
}

static sigjmp_buf back;
static volatile int caught, caught_code, caught_trap;
static volatile uintptr_t caught_rip, caught_rbx;

static void on_signal(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	caught = sig;
	caught_code = info->si_code;
	caught_trap = (int)uc->uc_mcontext.gregs[REG_TRAPNO];
	caught_rip = (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
	caught_rbx = (uintptr_t)uc->uc_mcontext.gregs[REG_RBX];
	siglongjmp(back, 1);
}

/* Each causes its exception once and goes on behind it, with rcx = where that is. The registers that are set before it
 * must be as they were. */
#define CAUSE(name, before, instruction, after)                                                       \
	static void __attribute__((noinline)) name(void)                                              \
	{                                                                                             \
		uint64_t rbx = 0x1122334455667788UL, r15 = 0x99aabbccddeeff00UL, xmm = 0;             \
		double one = 1.5;                                                                     \
		__asm__ volatile("movsd %3, %%xmm5\n"                                                 \
				 "lea 7f(%%rip), %%rcx\n" before "\n"                                 \
				 "6: " instruction "\n"                                               \
				 "7: " after "\n"                                                     \
				 "movq %%xmm5, %2\n"                                                  \
				 : "+b"(rbx), "+r"(r15), "=r"(xmm)                                    \
				 : "m"(one)                                                           \
				 : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "memory", "cc", "xmm5");   \
		CHECK_EQ(rbx, 0x1122334455667788UL);                                                  \
		CHECK_EQ(r15, 0x99aabbccddeeff00UL);                                                  \
		CHECK_EQ(xmm, 0x3ff8000000000000UL);                                                  \
	}

CAUSE(divide, "xor %%edx, %%edx; mov $5, %%eax; xor %%esi, %%esi", "div %%esi", "")
CAUSE(breakpoint, "", "int3", "")
CAUSE(undefined, "", "ud2", "")
CAUSE(protection, "", "hlt", "")
CAUSE(wild, "mov $1, %%rax; rol $63, %%rax", "mov (%%rax), %%rdx", "")
CAUSE(stack, "mov %%rsp, %%r8; mov $1, %%rax; rol $63, %%rax; mov %%rax, %%rsp",
      "mov (%%rsp), %%rdx", "mov %%r8, %%rsp")
CAUSE(alignment, "lea -64(%%rsp), %%rsi; and $-16, %%rsi; pushfq; orl $0x40000, (%%rsp); popfq", "mov 1(%%rsi), %%edx", "")
CAUSE(simd,
      "stmxcsr -8(%%rsp); andl $~0x200, -8(%%rsp); ldmxcsr -8(%%rsp); xorps %%xmm0, %%xmm0; movapd %%xmm5, %%xmm1",
      "divsd %%xmm0, %%xmm1", "")
CAUSE(x87, "fninit; fnstcw -8(%%rsp); andw $~4, -8(%%rsp); fldcw -8(%%rsp); fld1; fldz; fdivrp", "fwait", "fninit")
CAUSE(step, "pushfq; orl $0x100, (%%rsp)", "popfq; nop", "")

static const struct {
	const char *name;
	void (*cause)(void);
	unsigned vector;
	int sig;
} all[] = {
	{ "divide", divide, 0, SIGFPE },     { "step", step, 1, SIGTRAP },	  { "breakpoint", breakpoint, 3, SIGTRAP },
	{ "undefined", undefined, 6, SIGILL }, { "protection", protection, 13, SIGSEGV },
	{ "wild", wild, 13, SIGSEGV },	     { "stack", stack, 12, SIGBUS },	  { "x87", x87, 16, SIGFPE },
	{ "alignment", alignment, 17, SIGBUS }, { "simd", simd, 19, SIGFPE },
};
enum { N = sizeof(all) / sizeof(*all) };

static void handlers(bool on)
{
	for (size_t i = 0; i < N; i++)
		CHECK_EQ(dune_exception_handler(all[i].vector, on ? on_exception : NULL, (void *)&calls), 0);
}

/* What this processor raises: emulated ones leave out some checks. */
static bool raises[N];

/* As a signal, with its registers. */
static void as_signals(const char *when)
{
	static char alternate[65536];
	stack_t ss = { .ss_sp = alternate, .ss_size = sizeof(alternate) };
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK };

	sigaltstack(&ss, NULL);
	sigaction(SIGSEGV, &action, NULL);
	for (size_t i = 0; i < N; i++) {
		if (when && !raises[i])
			continue;
		sigaction(all[i].sig, &action, NULL);
		caught = 0;
		if (!sigsetjmp(back, 1))
			all[i].cause();
		/* The handler's way out leaves the alignment check on. */
		__asm__ volatile("pushfq; andl $~0x40100, (%%rsp); popfq; fninit; ldmxcsr %0"
				 : : "m"((uint32_t){ 0x1f80 }) : "cc", "memory");
		if (!when)
			raises[i] = caught == all[i].sig && caught_trap == (int)all[i].vector;
		else if (caught != all[i].sig || caught_trap != (int)all[i].vector || caught_rbx != 0x1122334455667788UL) {
			dprintf(2, "%s, %s: signal %d, trap %d, rbx %lx\n", when, all[i].name, caught, caught_trap,
				caught_rbx);
			_exit(1);
		}
		if (all[i].sig != SIGSEGV)
			signal(all[i].sig, SIG_DFL);
	}
	signal(SIGSEGV, SIG_DFL);
	ss.ss_flags = SS_DISABLE;
	sigaltstack(&ss, NULL);
}

static void each(void)
{
	for (size_t i = 0; i < N; i++) {
		if (!raises[i])
			continue;
		calls = 0;
		last_error = 77;
		all[i].cause();
		if (calls != 1 || last_vector != all[i].vector || last_error) {
			dprintf(2, "%s: %lu calls, vector %lu, error %lu\n", all[i].name, calls, last_vector, last_error);
			_exit(1);
		}
	}
}

/* Passed on: the handler is called once, then the signal comes. */
static void passed(void)
{
	uint64_t expected = 0;

	for (size_t i = 0; i < N; i++)
		expected += raises[i];
	CHECK(expected >= 6);
	pass_it = 1;
	calls = 0;
	as_signals("passed on");
	CHECK_EQ(calls, expected);
	pass_it = 0;
}

/* ---- Nesting, and siglongjmp out of a handler -------------------------------------------------------------------- */

static sigjmp_buf out;
static int nest(const struct dune_exception *e, void *argument)
{
	long left = --*(long *)argument;

	if (left > 0)
		undefined(); /* in its own handler */
	if (left < 0)
		siglongjmp(out, 1);
	e->registers->rip = e->registers->rcx;
	return 0;
}

static void nesting(void)
{
	volatile long depth;

	CHECK_EQ(dune_exception_handler(6, nest, (void *)&depth), 0);
	for (int i = 0; i < 20; i++) {
		depth = 5;
		undefined();
		CHECK_EQ(depth, 0);
		if (!sigsetjmp(out, 1)) {
			depth = 0;
			undefined();
			CHECK(0);
		}
	}
	CHECK_EQ(dune_exception_handler(6, on_exception, (void *)&calls), 0);
}

/* ---- Threads and signals ----------------------------------------------------------------------------------------- */

static volatile int ticks;
static void on_tick(int sig)
{
	ticks++;
}

static int count_breakpoint(const struct dune_exception *e, void *argument)
{
	++*(long *)e->registers->rdi;
	return 0;
}

/* A breakpoint is passed by the time that it is told of: one that a signal meets must not get lost, nor come twice. PVM
 * itself loses some (docs/dune.md, limits). */
static bool exact;
static void *traps(void *argument)
{
	long rounds = *(long *)argument, count = 0;

	for (long i = 0; i < rounds; i++) {
		undefined();
		if (!exact)
			continue;
		__asm__ volatile("int3" : : "D"(&count) : "memory");
		CHECK_EQ(count, i + 1);
	}
	return NULL;
}

static void with_signals(void)
{
	long rounds = repetitions(2000);
	struct dune_probe probe;
	pthread_t threads[3];

	CHECK_EQ(dune_probe(&probe), 0);
	exact = !probe.software_kvm;
	CHECK_EQ(dune_exception_handler(3, count_breakpoint, NULL), 0);
	signal(SIGALRM, on_tick);
	ticks_begin(700);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, traps, &rounds), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	ticks_end();
	CHECK(ticks > 0);
	CHECK_EQ(dune_exception_handler(3, on_exception, (void *)&calls), 0);
}

static void exits(void)
{
	struct dune_statistics before, after;

	dune_statistics(&before);
	for (int i = 0; i < 500; i++)
		undefined(), divide(), breakpoint();
	dune_statistics(&after);
	CHECK(after.exits - before.exits < 500);
	CHECK_EQ(after.exceptions, before.exceptions);
	CHECK_EQ(after.upcalls - before.upcalls, 1500);
}

int main(void)
{
	pid_t pid;

	CHECK_EQ(dune_exception_handler(6, on_exception, NULL), dune_is_active() ? 0 : -ENOTSUP);
	as_signals(NULL); /* natively */
	enter_or_skip();
	as_signals("without handlers");
	CHECK_EQ(dune_exception_handler(14, on_exception, NULL), -EINVAL);
	CHECK_EQ(dune_exception_handler(2, on_exception, NULL), -EINVAL);
	CHECK_EQ(dune_exception_handler(32, on_exception, NULL), -EINVAL);
	handlers(true);
	each();
	dune_flush_local(); /* its int3 is not a breakpoint */
	exits();
	passed();
	each();
	nesting();
	with_signals();
	each();
	pid = fork();
	if (!pid) {
		each();
		_exit(0);
	}
	CHECK_EQ(wait_for(pid), 0);
	handlers(false);
	as_signals("handlers removed");
	return 0;
}
