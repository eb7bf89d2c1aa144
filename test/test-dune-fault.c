/* test-dune-fault.c - page faults that the program handles itself: write faults on a protected range, faults that it
 * passes on, nested ones, with all registers and vector state kept, in several threads, with signals arriving; that
 * none of it takes an exit; registering and removing.
 *
 * TEST-FLAGS: link=dune asan=no tsan=no short=yes timeout=120 */
#include "dune-check.h"

#include <setjmp.h>
#include <sys/time.h>

enum { N = 512 };
static char *base, *other;
static volatile uint64_t handled, passed_on, nested;

static int open_page(const struct dune_fault *fault, void *argument)
{
	char buffer[4096];

	CHECK(argument == &handled);
	CHECK(fault->error & DUNE_FAULT_WRITE && fault->error & DUNE_FAULT_PRESENT);
	CHECK(fault->address >= (uintptr_t)base && fault->address < (uintptr_t)base + N * PAGE);
	memset(buffer, (int)fault->address, sizeof(buffer)); /* vector registers, and the stack */
	__asm__ volatile("" : : "r"(buffer) : "memory");
	__atomic_fetch_add(&handled, 1, __ATOMIC_RELAXED);
	return dune_protect((void *)fault->address, 1, DUNE_READ | DUNE_WRITE);
}

/* Faults in the first range while it handles the second; and in memory that nobody has touched. */
static int nest(const struct dune_fault *fault, void *argument)
{
	static char untouched[1 << 22];
	size_t i = (fault->address - (uintptr_t)other) / PAGE;

	base[i * PAGE] = 5;
	untouched[i * 8192]++;
	__atomic_fetch_add(&nested, 1, __ATOMIC_RELAXED);
	return dune_protect((void *)fault->address, 1, DUNE_READ | DUNE_WRITE);
}

static int pass_on(const struct dune_fault *fault, void *argument)
{
	passed_on++;
	return 1;
}

static sigjmp_buf back;
static volatile uintptr_t fault_address;

static void on_segv(int sig, siginfo_t *info, void *context)
{
	fault_address = (uintptr_t)info->si_addr;
	siglongjmp(back, 1);
}

static volatile int signals;
static void on_signal(int sig)
{
	signals++;
}

/* Registers around a store that faults, set to known values and compared. rax is the address. */
__attribute__((used)) uint64_t regs_in[15], regs_out[15], flags_out;
__attribute__((used)) unsigned char vectors_in[256], vectors_out[256];
void store_with_registers(void);
__asm__("	.text\n"
	"	.globl store_with_registers\n"
	"store_with_registers:\n"
	"push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
	"movdqu vectors_in+0(%rip), %xmm0\n"
	"movdqu vectors_in+16(%rip), %xmm1\n"
	"movdqu vectors_in+32(%rip), %xmm2\n"
	"movdqu vectors_in+48(%rip), %xmm3\n"
	"movdqu vectors_in+64(%rip), %xmm4\n"
	"movdqu vectors_in+80(%rip), %xmm5\n"
	"movdqu vectors_in+96(%rip), %xmm6\n"
	"movdqu vectors_in+112(%rip), %xmm7\n"
	"movdqu vectors_in+128(%rip), %xmm8\n"
	"movdqu vectors_in+144(%rip), %xmm9\n"
	"movdqu vectors_in+160(%rip), %xmm10\n"
	"movdqu vectors_in+176(%rip), %xmm11\n"
	"movdqu vectors_in+192(%rip), %xmm12\n"
	"movdqu vectors_in+208(%rip), %xmm13\n"
	"movdqu vectors_in+224(%rip), %xmm14\n"
	"movdqu vectors_in+240(%rip), %xmm15\n"
	"mov regs_in+0(%rip), %rax\n"
	"mov regs_in+8(%rip), %rbx\n"
	"mov regs_in+16(%rip), %rcx\n"
	"mov regs_in+24(%rip), %rdx\n"
	"mov regs_in+32(%rip), %rsi\n"
	"mov regs_in+40(%rip), %rdi\n"
	"mov regs_in+48(%rip), %rbp\n"
	"mov regs_in+56(%rip), %r8\n"
	"mov regs_in+64(%rip), %r9\n"
	"mov regs_in+72(%rip), %r10\n"
	"mov regs_in+80(%rip), %r11\n"
	"mov regs_in+88(%rip), %r12\n"
	"mov regs_in+96(%rip), %r13\n"
	"mov regs_in+104(%rip), %r14\n"
	"mov regs_in+112(%rip), %r15\n"
	"cmp %rax, %rax; stc; movb $1, (%rax)\n"
	"pushfq; popq flags_out(%rip)\n"
	"mov %rax, regs_out+0(%rip)\n"
	"mov %rbx, regs_out+8(%rip)\n"
	"mov %rcx, regs_out+16(%rip)\n"
	"mov %rdx, regs_out+24(%rip)\n"
	"mov %rsi, regs_out+32(%rip)\n"
	"mov %rdi, regs_out+40(%rip)\n"
	"mov %rbp, regs_out+48(%rip)\n"
	"mov %r8, regs_out+56(%rip)\n"
	"mov %r9, regs_out+64(%rip)\n"
	"mov %r10, regs_out+72(%rip)\n"
	"mov %r11, regs_out+80(%rip)\n"
	"mov %r12, regs_out+88(%rip)\n"
	"mov %r13, regs_out+96(%rip)\n"
	"mov %r14, regs_out+104(%rip)\n"
	"mov %r15, regs_out+112(%rip)\n"
	"movdqu %xmm0, vectors_out+0(%rip)\n"
	"movdqu %xmm1, vectors_out+16(%rip)\n"
	"movdqu %xmm2, vectors_out+32(%rip)\n"
	"movdqu %xmm3, vectors_out+48(%rip)\n"
	"movdqu %xmm4, vectors_out+64(%rip)\n"
	"movdqu %xmm5, vectors_out+80(%rip)\n"
	"movdqu %xmm6, vectors_out+96(%rip)\n"
	"movdqu %xmm7, vectors_out+112(%rip)\n"
	"movdqu %xmm8, vectors_out+128(%rip)\n"
	"movdqu %xmm9, vectors_out+144(%rip)\n"
	"movdqu %xmm10, vectors_out+160(%rip)\n"
	"movdqu %xmm11, vectors_out+176(%rip)\n"
	"movdqu %xmm12, vectors_out+192(%rip)\n"
	"movdqu %xmm13, vectors_out+208(%rip)\n"
	"movdqu %xmm14, vectors_out+224(%rip)\n"
	"movdqu %xmm15, vectors_out+240(%rip)\n"
	"pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx; ret\n");

static void registers(char *page)
{
	for (int i = 0; i < 15; i++)
		regs_in[i] = 0x1111111111111111UL * (unsigned)(i + 1);
	for (int i = 0; i < 256; i++)
		vectors_in[i] = (unsigned char)(i * 7);
	regs_in[0] = (uint64_t)page;
	store_with_registers();
	CHECK_EQ(flags_out & 0x41, 0x41); /* ZF, CF */
	for (int i = 0; i < 15; i++)
		CHECK_EQ(regs_out[i], regs_in[i]);
	CHECK(!memcmp(vectors_in, vectors_out, sizeof(vectors_in)));
}

static void protect_all(char *at)
{
	CHECK_EQ(dune_protect(at, N * PAGE, DUNE_READ), 0);
}

static void *write_all(void *argument)
{
	size_t me = (size_t)argument;

	for (int round = 0; round < 20; round++)
		for (size_t i = me; i < N; i += 4) {
			base[i * PAGE + 5] = (char)round;
			CHECK_EQ(base[i * PAGE + 5], (char)round);
			dune_protect(base + i * PAGE, 1, DUNE_READ);
		}
	return NULL;
}

/* A range gets its handler, and is made read-only, while a thread faults in it because nothing is in the tables yet: the
 * monitor, which has that fault in hands, leaves it to the handler. Where the interrupted stack is can be found out in it. */
static volatile uint64_t late;
static uintptr_t stack; /* of the thread */

static int open_late(const struct dune_fault *fault, void *argument)
{
	const void *here = __builtin_frame_address(0), *end, *interrupted;
	struct dune_entry entry;

	CHECK_EQ(dune_fault_stack(here, &end, &interrupted), 1);
	CHECK((uintptr_t)end - (uintptr_t)here < 0x10000);
	CHECK((uintptr_t)interrupted - (stack - 4096) < 8192);
	__atomic_fetch_add(&late, 1, __ATOMIC_RELAXED);
	if (dune_lookup((void *)fault->address, &entry) || !entry.rights)
		return dune_dirty_track((void *)fault->address, 1);
	return entry.rights & DUNE_WRITE ? 0 : dune_protect((void *)fault->address, 1, DUNE_READ | DUNE_WRITE);
}

static void *touch(void *argument)
{
	volatile char *at = argument;

	stack = (uintptr_t)__builtin_frame_address(0);
	for (int i = 0; i < 64; i++)
		at[i * 2048 * 1024L] = 1;
	return NULL;
}

static void registers_late(void)
{
	size_t length = 64 * 2048 * 1024UL;
	const void *end, *interrupted;

	CHECK_EQ(dune_fault_stack(__builtin_frame_address(0), &end, &interrupted), 0);
	for (int round = 0; round < repetitions(20); round++) {
		char *at = map_pages(length / PAGE);
		pthread_t thread;

		CHECK(!pthread_create(&thread, NULL, touch, at));
		usleep((useconds_t)round % 10 * 200);
		CHECK_EQ(dune_fault_handler(at, length, open_late, NULL), 0);
		for (size_t i = 0; i < 64; i++) {
			dune_dirty_track(at + i * 2048 * 1024UL, PAGE);
			CHECK(dune_protect_take(at + i * 2048 * 1024UL, PAGE, NULL) >= 0);
		}
		CHECK(dune_flush_all() >= 0);
		pthread_join(thread, NULL);
		CHECK_EQ(dune_fault_handler(at, length, NULL, NULL), 0);
		for (int i = 0; i < 64; i++)
			CHECK_EQ(at[i * 2048 * 1024L], 1);
		munmap(at, length);
	}
	CHECK(late > 0);
}

int main(void)
{
	struct sigaction action = { .sa_sigaction = on_segv, .sa_flags = SA_SIGINFO };
	struct dune_statistics before, after;
	struct dune_entry entry;
	pthread_t threads[4];
	volatile char *nothing;

	enter_or_skip();
	base = map_pages(N);
	other = map_pages(N);
	nothing = mmap(NULL, 4 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	dune_dirty_track(base, N * PAGE);
	dune_dirty_track(other, N * PAGE);
	CHECK_EQ(dune_fault_handler(base, N * PAGE, open_page, (void *)&handled), 0);
	CHECK_EQ(dune_fault_handler(base + PAGE, PAGE, open_page, NULL), -EEXIST);
	CHECK_EQ(dune_fault_handler(other, 0, open_page, NULL), -EINVAL);

	protect_all(base);
	for (int i = 0; i < N; i++)
		CHECK_EQ(base[i * PAGE], 0); /* reading is allowed */
	CHECK_EQ(handled, 0);
	dune_dirty_take(base, N * PAGE, NULL);
	base[0] = 1; /* brings in what the handler needs */
	dune_statistics(&before);
	for (int i = 1; i < N; i++)
		base[i * PAGE] = (char)i;
	dune_statistics(&after);
	CHECK_EQ(handled, N);
	CHECK_EQ(after.upcalls - before.upcalls, N - 1);
	/* The host's own interruptions aside: no exit for a fault, nor for the change of a protection in it. */
	CHECK(after.exits - before.exits < N / 4);
	CHECK_EQ(dune_dirty_take(base, N * PAGE, NULL), N);
	for (int i = 1; i < N; i++)
		CHECK_EQ(base[i * PAGE], (char)i);

	for (int i = 0; i < 8; i++) {
		dune_protect(base + i * PAGE, PAGE, DUNE_READ);
		registers(base + i * PAGE);
	}

	/* Nested. */
	CHECK_EQ(dune_fault_handler(other, N * PAGE, nest, NULL), 0);
	protect_all(base);
	protect_all(other);
	handled = 0;
	for (int i = 0; i < N; i++)
		other[i * PAGE] = 1;
	CHECK_EQ(handled, N);
	CHECK_EQ(nested, N);
	CHECK_EQ(base[3 * PAGE], 5);

	/* A handler that leaves it to the monitor: a segmentation fault, with its address. */
	CHECK_EQ(dune_fault_handler((void *)nothing, 4 * PAGE, pass_on, NULL), 0);
	sigaction(SIGSEGV, &action, NULL);
	for (int i = 0; i < 3; i++) {
		if (!sigsetjmp(back, 1)) {
			nothing[PAGE + 7] = 1;
			CHECK(!"reached");
		}
		CHECK_EQ(fault_address, (uintptr_t)nothing + PAGE + 7);
		CHECK_EQ(passed_on, i + 1);
	}
	/* Out of a handler's range the monitor has it at once. */
	CHECK_EQ(dune_fault_handler((void *)nothing, 4 * PAGE, NULL, NULL), 0);
	CHECK_EQ(dune_fault_handler((void *)nothing, 4 * PAGE, NULL, NULL), -ENOENT);
	if (!sigsetjmp(back, 1)) {
		nothing[0] = 1;
		CHECK(!"reached");
	}
	CHECK_EQ(passed_on, 3);
	/* The kernel writes in spite of the protection, and that is marked. */
	protect_all(base);
	dune_dirty_take(base, N * PAGE, NULL);
	handled = 0;
	nothing = base + 9 * PAGE;
	{
		int fds[2];

		CHECK(!pipe(fds) && write(fds[1], "xyz", 3) == 3);
		CHECK_EQ(read(fds[0], base + 9 * PAGE, 3), 3);
		CHECK_EQ(dune_lookup(base + 9 * PAGE, &entry), 0);
		CHECK(entry.dirty && entry.owned && entry.rights == DUNE_READ);
		CHECK_EQ(base[9 * PAGE], 'x');
	}
	CHECK_EQ(handled, 0);

	/* Threads, with a signal every millisecond, or so. */
	action = (struct sigaction){ .sa_handler = on_signal, .sa_flags = SA_RESTART };
	sigaction(SIGALRM, &action, NULL);
	ticks_begin(1000);
	for (int round = 0; round < (getenv("DUNE_SMALL") ? 1 : repetitions(3)); round++) {
		for (size_t i = 0; i < 4; i++)
			CHECK(!pthread_create(&threads[i], NULL, write_all, (void *)i));
		for (int i = 0; i < 4; i++)
			pthread_join(threads[i], NULL);
	}
	ticks_end();
	CHECK(handled >= 4 * 20);

	registers_late();

	/* mprotect ends what the program did to its entries. */
	protect_all(base);
	handled = 0;
	CHECK(!mprotect(base, N * PAGE, PROT_READ | PROT_WRITE));
	base[0] = 1;
	CHECK_EQ(handled, 0);
	return 0;
}
