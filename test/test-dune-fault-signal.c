/* test-dune-fault-signal.c - a signal whose handler has an alternate stack comes while a fault handler runs, and its handler
 * faults too: both faults are handled, all goes on where it was, and dune_fault_stack still tells where the program was
 * interrupted.
 *
 * TEST-FLAGS: link=dune asan=no tsan=no timeout=60 */
#include "dune-check.h"

#include <sys/syscall.h>

static volatile char *base;
static volatile int faults, signals;
static volatile uintptr_t program_stack, seen;

static int open_page(const struct dune_fault *fault, void *argument)
{
	volatile uint64_t kept[64];

	(void)argument;
	for (int i = 0; i < 64; i++)
		kept[i] = fault->address + (uint64_t)i;
	faults++;
	if (fault->address < (uintptr_t)base + 64 * PAGE) /* the program's own, not the signal handler's */
		syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR1);
	for (int i = 0; i < 64; i++)
		CHECK(kept[i] == fault->address + (uint64_t)i);
	return dune_protect((void *)fault->address, 1, DUNE_READ | DUNE_WRITE);
}

static void on_signal(int sig)
{
	const void *end, *interrupted = NULL;

	(void)sig;
	if (dune_fault_stack(__builtin_frame_address(0), &end, &interrupted))
		seen = (uintptr_t)interrupted;
	base[(64 + signals) * PAGE] = 7;
	signals++;
}

int main(void)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK };
	stack_t stack = { .ss_size = 1 << 16 };
	char here;

	enter_or_skip();
	base = map_pages(128);
	stack.ss_sp = map_pages(16);
	CHECK_EQ(sigaltstack(&stack, NULL), 0);
	CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
	CHECK_EQ(dune_dirty_track((char *)base, 128 * PAGE), 0);
	CHECK_EQ(dune_fault_handler((char *)base, 128 * PAGE, open_page, NULL), 0);
	CHECK_EQ(dune_protect((char *)base, 128 * PAGE, DUNE_READ), 0);
	program_stack = (uintptr_t)&here;
	for (int i = 0; i < 64; i++) {
		seen = 0;
		base[i * PAGE] = (char)i;
		CHECK_EQ(base[i * PAGE], (char)i);
		CHECK_EQ(base[(64 + i) * PAGE], 7);
		CHECK(seen - program_stack < PAGE || program_stack - seen < PAGE);
	}
	CHECK_EQ(faults, 128);
	CHECK_EQ(signals, 64);
	/* Elsewhere the alternate stack is used as ever. */
	dune_protect((char *)base + 64 * PAGE, PAGE, DUNE_READ);
	signals = seen = 0;
	CHECK_EQ(raise(SIGUSR1), 0);
	CHECK(signals == 1 && !seen);
	return 0;
}
