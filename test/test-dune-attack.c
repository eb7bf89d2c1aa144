/* test-dune-attack.c - isolation, tried: privileged instructions from ring 3 fault as they do natively; then
 * children that spoil what ring 3 can reach: page-table entries that point at guest-physical memory without a slot,
 * at random, at the page tables, at the exit page; wild contents of the top-level table; jumps into the nucleus; its
 * code, descriptor tables and stack overwritten; the monitor's memory read and written; made-up hypercalls. Each
 * child may die, with a message or a signal, or go on; the parent, its memory and a bystander process notice
 * nothing, and no child hangs.
 *
 * TEST-FLAGS: link=dune asan=no tsan=no timeout=240 */
#include "dune-check.h"

#include <setjmp.h>
#include <sys/syscall.h>

#include "../dune-core/layout.h"

static sigjmp_buf back;
static volatile int caught;

static void on_signal(int sig)
{
	caught = sig;
	siglongjmp(back, 1);
}

#define EXPECT(signal, instructions...)                                            \
	do {                                                                       \
		caught = 0;                                                        \
		if (!sigsetjmp(back, 1)) {                                         \
			__asm__ volatile(instructions : : : "rax", "rcx", "rdx", "memory"); \
		}                                                                  \
		if (caught != signal) {                                            \
			dprintf(2, "%s: signal %d, expected %d\n", #instructions, caught, signal); \
			_exit(1);                                                  \
		}                                                                  \
	} while (0)

static void privileged(void)
{
	signal(SIGSEGV, on_signal);
	signal(SIGILL, on_signal);
	EXPECT(SIGSEGV, "mov %%cr0, %%rax");
	EXPECT(SIGSEGV, "mov %%cr3, %%rax");
	EXPECT(SIGSEGV, "mov %%rax, %%cr3");
	EXPECT(SIGSEGV, "mov %%rax, %%cr4");
	EXPECT(SIGSEGV, "hlt");
	EXPECT(SIGSEGV, "cli");
	EXPECT(SIGSEGV, "wbinvd");
	EXPECT(SIGSEGV, "invlpg (%%rsp)");
	EXPECT(SIGSEGV, "lgdt (%%rsp)");
	EXPECT(SIGSEGV, "lidt (%%rsp)");
	EXPECT(SIGSEGV, "ltr %%ax");
	EXPECT(SIGSEGV, "mov $0xc0000082, %%ecx; rdmsr");
	EXPECT(SIGSEGV, "mov $0xc0000082, %%ecx; wrmsr");
	EXPECT(SIGSEGV, "mov $0x80, %%dx; out %%al, %%dx");
	EXPECT(SIGSEGV, "mov $0x80, %%dx; in %%dx, %%al");
	EXPECT(SIGSEGV, "xor %%ecx, %%ecx; xsetbv");
	EXPECT(SIGSEGV, "clts");
	signal(SIGSEGV, SIG_DFL);
	signal(SIGILL, SIG_DFL);
}

/* The area of this thread's vCPU: the nucleus's address is in LSTAR, which ring 3 cannot read; but its page tables
 * say which executable page lies where areas do in guest-physical memory. */
static char *area;
static uint64_t *root;
static int look(const struct dune_entry *e, void *argument)
{
	if (!area && e->rights == (DUNE_READ | DUNE_EXEC) && !(e->address & (AREA_SIZE - 1)) &&
	    e->physical - (4UL << 30) < 1100 * (uint64_t)AREA_SIZE)
		area = (char *)e->address;
	return 0;
}

static void find(void)
{
	dune_walk(NULL, 0x7ffffffff000UL, look, NULL);
	CHECK(area);
	/* Tables follow the areas; the first one is the root. */
	root = (uint64_t *)(area + 1100 * (size_t)AREA_SIZE);
}

static char *victim;
static volatile char *volatile bad = (char *)1;
static uint64_t *entry_of(void *address)
{
	uint64_t table = (uint64_t)root, gpa_of_root = 0;
	struct dune_entry e;

	CHECK(!dune_lookup(root, &e));
	gpa_of_root = e.physical;
	for (int shift = 39; shift > 12; shift -= 9) {
		uint64_t entry = ((uint64_t *)table)[(uint64_t)address >> shift & 511];

		table = (uint64_t)root + ((entry & 0x000ffffffffff000UL) - gpa_of_root);
	}
	return &((uint64_t *)table)[(uint64_t)address >> 12 & 511];
}

static void point_at(uint64_t gpa)
{
	*entry_of(victim) = gpa | 0x67;
	dune_flush_local();
}

static void no_slot_read(void) { point_at(0xb0000000); *(volatile char *)victim; }
static void no_slot_write(void) { point_at(0xb0000000); *(volatile char *)victim = 1; }
static void far_away(void) { point_at(0x7ffff0000000); *(volatile char *)victim = 1; }
static void at_apic(void) { point_at(0xfee00000); *(volatile int *)(victim + 0x300) = 1; }
static void at_exit_page(void)
{
	point_at(0xd0000000);
	for (int i = 0; i < 4096; i += 8)
		victim[i] = 1;
}
static void reserved_bits(void)
{
	*entry_of(victim) = 0x000ff00000000067UL;
	dune_flush_local();
	*(volatile char *)victim = 1;
}
static void execute_nothing(void)
{
	point_at(0xb0000000);
	*entry_of(victim) &= ~(1UL << 63);
	((void (*)(void))victim)();
}
static void wild_root(void)
{
	uint64_t seed = 5;

	for (int i = 0; i < 512; i++)
		root[i] = random_next(&seed);
	dune_flush_local();
	getppid();
}
static void empty_root(void) { memset(root, 0, 4096); dune_flush_local(); getppid(); }
static void root_at_itself(void)
{
	struct dune_entry e;

	CHECK(!dune_lookup(root, &e));
	for (int i = 0; i < 256; i++)
		root[i] = e.physical | 0x67;
	dune_flush_local();
	getppid();
}
static void wild_tables(void)
{
	uint64_t seed = 7;

	for (int i = 0; i < 4096; i++)
		root[512 + random_next(&seed) % 2048] = random_next(&seed);
	dune_flush_local();
	for (int i = 0; i < 100; i++)
		getppid();
}
static void into_nucleus(size_t offset) { ((void (*)(void))(area + offset))(); }
static void jump_syscall(void) { into_nucleus(0); }
static size_t offset_of(const char *code, size_t length)
{
	for (size_t i = 0; i < 1024; i++)
		if (!memcmp(area + i, code, length))
			return i;
	CHECK(!"found");
	return 0;
}
static void jump_sysret(void) { into_nucleus(offset_of("\x48\x0f\x07", 3)); }
static void jump_cr3(void) { into_nucleus(offset_of("\x0f\x20\xd8", 3)); }
static void jump_all(void)
{
	for (volatile size_t i = 0; i < 900; i += getenv("DUNE_SMALL") ? 13 : 3) {
		pid_t pid = vfork();

		if (!pid) {
			into_nucleus(i);
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
}
static void store_exits(void)
{
	for (int i = 0; i < 4096; i++)
		area[AREA_EXIT + i] = 1;
}
static void spoil_idt(void) { memset(area + AREA_DATA + DATA_IDT, 0xff, 512); *bad = 1; }
static void spoil_gdt(void) { memset(area + AREA_DATA + DATA_GDT, 0, 128); getppid(); *bad = 1; }
static void spoil_tss(void) { memset(area + AREA_DATA + DATA_TSS, 0x41, 104); *bad = 1; }
static void spoil_code(void)
{
	*entry_of(area) |= 2;
	dune_flush_local();
	memset(area, 0xf4, 4096);
	getppid();
}
static void take_ring0(void)
{
	/* ring 0 is the program's to take: code of ours as the page-fault handler. */
	static const unsigned char code[] = { 0x0f, 0x20, 0xc0, 0x0f, 0x32, 0x0f, 0x30, 0xf4, 0xeb, 0xfd };

	*entry_of(area) |= 2;
	dune_flush_local();
	memset(area, 0x90, 4096 - sizeof(code));
	memcpy(area + 4096 - sizeof(code), code, sizeof(code));
	*bad = 1;
}
/* In software emulation a fault costs a millisecond. */
static unsigned long step(void) { return getenv("DUNE_SMALL") ? 1 << 20 : 1 << 14; }
static void monitor_read(void)
{
	/* Its stacks follow somewhere: all that is mapped and that we have no entry for. */
	char line[256];
	FILE *maps = fopen("/proc/self/maps", "r");
	int sum = 0;

	while (fgets(line, sizeof(line), maps)) {
		unsigned long start, end;
		char rights[5];

		if (sscanf(line, "%lx-%lx %4s", &start, &end, rights) == 3 && rights[1] == 'w' &&
		    end - start > (64 << 20))
			for (unsigned long at = start; at < end; at += step())
				sum += *(volatile char *)at;
	}
	exit(sum & 1);
}
static void monitor_write(void)
{
	char line[256];
	FILE *maps = fopen("/proc/self/maps", "r");

	while (fgets(line, sizeof(line), maps)) {
		unsigned long start, end;
		char rights[5];

		if (sscanf(line, "%lx-%lx %4s", &start, &end, rights) == 3 && rights[1] == 'w' &&
		    end - start > (64 << 20))
			for (unsigned long at = end - 8; at > start; at -= step())
				*(volatile long *)at = 0x4141414141414141;
	}
}
static void hypercalls(void)
{
	uint64_t seed = 3;

	for (int i = 0; i < 300; i++)
		syscall(HYPERCALL_BASE + (long)(random_next(&seed) % 16 == 2 ? 3 : random_next(&seed) % 2 + 3),
			random_next(&seed), random_next(&seed), random_next(&seed));
	getppid();
}
static const struct {
	const char *name;
	void (*fn)(void);
} attacks[] = {
#define A(x) { #x, x }
	A(no_slot_read),    A(no_slot_write), A(far_away),   A(at_apic),	A(at_exit_page),  A(reserved_bits),
	A(execute_nothing), A(wild_root),     A(empty_root), A(root_at_itself), A(wild_tables),	  A(jump_syscall),
	A(jump_sysret),	    A(jump_cr3),      A(jump_all),   A(store_exits),	A(spoil_idt),	  A(spoil_gdt),
	A(spoil_tss),	    A(spoil_code),    A(take_ring0), A(monitor_read),	A(monitor_write), A(hypercalls),
};

int main(void)
{
	size_t size = 4 << 20;
	char *mine;
	pid_t bystander;
	int fds[2], status;
	uint64_t sum = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	enter_or_skip();
	privileged();
	find();
	victim = map_pages(4);
	memset(victim, 1, 4 * PAGE);
	mine = map_pages(size / PAGE);
	for (size_t i = 0; i < size; i++)
		mine[i] = (char)(i * 31);
	/* Somebody else, who computes and answers. */
	CHECK(!pipe(fds));
	bystander = fork();
	if (!bystander) {
		char *p = map_pages(256);

		close(fds[1]);
		for (int i = 0; i < 256; i++)
			p[i * PAGE] = (char)i;
		while (read(fds[0], &status, 1) == 1)
			for (int i = 0; i < 256; i++)
				CHECK_EQ(p[i * PAGE], (char)i);
		_exit(33);
	}
	close(fds[0]);
	for (size_t i = 0; i < sizeof(attacks) / sizeof(*attacks); i++) {
		pid_t pid = fork();
		int tries;

		if (!pid) {
			/* A child that neither dies nor goes on. */
			alarm(strcmp(attacks[i].name, "root_at_itself") ? 120 : 20);
			attacks[i].fn();
			_exit(0);
		}
		for (tries = 0; tries < 150000 && waitpid(pid, &status, WNOHANG) == 0; tries++)
			usleep(1000);
		if (tries == 150000) {
			dprintf(2, "%s hangs and cannot be killed\n", attacks[i].name);
			return 1;
		}
		printf("%-16s %s %d\n", attacks[i].name, WIFSIGNALED(status) ? "signal" : "exit status",
		       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		/* A root that maps itself makes some software KVMs fault for ever; what counts is that it can be killed. */
		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM && strcmp(attacks[i].name, "root_at_itself")) {
			dprintf(2, "%s neither died nor went on\n", attacks[i].name);
			return 1;
		}
		CHECK_EQ(write(fds[1], "x", 1), 1);
		for (size_t j = 0; j < size; j++)
			sum += mine[j] != (char)(j * 31);
		CHECK_EQ(sum, 0);
	}
	close(fds[1]);
	CHECK(waitpid(bystander, &status, 0) == bystander && status == 33 << 8);
	return 0;
}
