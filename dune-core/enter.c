/* enter.c - into Dune mode and out of it: probing, the self-test, taking the process's state over.
 *
 * dune_enter prepares everything, then (dune_switch) takes its own registers as those that the program has in the
 * guest, and goes to the monitor stack: from then on this thread of the host runs run(), and dune_enter returns in
 * the guest. */
#include <asm/prctl.h>
#include <linux/prctl.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "monitor.h"

struct dune dune;
static struct thread *first;

static uint64_t tsc(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

/* Runs dune_nucleus_test in ring 3 of v. It tells how SYSCALL arrives, and whose time-stamp counter is read. */
static int self_test(struct vcpu *v, bool *same_clock, char *why, size_t size)
{
	struct kvm_regs *r = &v->run->s.regs.regs;
	struct kvm_sregs s;
	uint64_t before = tsc(), inside;
	long error;

	__builtin_memset(r, 0, sizeof(*r));
	r->rip = (uintptr_t)v->area + (uintptr_t)(dune_nucleus_test - dune_nucleus);
	r->rflags = 2;
	v->run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
	do
		error = SYS3(ioctl, v->fd, KVM_RUN, 0);
	while (error == -EINTR || error == -EAGAIN);
	if (error < 0 || v->run->exit_reason != KVM_EXIT_MMIO || v->run->mmio.phys_addr != GPA_EXIT + EXIT_SYSCALL) {
		format(why, size, "the first instructions in the guest went wrong (error %ld, exit %u at %lx)", -error,
		       v->run->exit_reason, (unsigned long)r->rip);
		return -EIO;
	}
	inside = r->rdx << 32 | (r->rax & 0xffffffff);
	*same_clock = inside >= before && inside <= tsc();
	if (SYS3(ioctl, v->fd, KVM_GET_SREGS, &s) < 0)
		return -EIO;
	dune.syscall_at_cpl3 = s.ss.dpl == 3;
	if (r->rcx != (uintptr_t)v->area + (uintptr_t)(dune_nucleus_test - dune_nucleus) + 4) {
		format(why, size, "SYSCALL in the guest does not save rip in rcx");
		return -EIO;
	}
	/* Back to ring 3, and the store done with. */
	v->run->immediate_exit = 1;
	SYS3(ioctl, v->fd, KVM_RUN, 0);
	v->run->immediate_exit = 0;
	return 0;
}

static void close_all(void)
{
	if (dune.fd_end)
		SYS3(close_range, dune.fd_base, dune.fd_end - 1, 0);
	for (unsigned i = 0; i < dune.vcpus; i++)
		SYS2(munmap, dune.vcpu_of[i].run, dune.run_size);
	if (dune.areas)
		SYS2(munmap, dune.areas, OWN_SIZE);
	if (dune.hidden)
		SYS2(munmap, dune.hidden, dune.hidden_end - dune.hidden);
	__builtin_memset(&dune, 0, offsetof(struct dune, error));
	first = NULL;
}

/* The machine, the memory and one vCPU. */
static int prepare(bool *same_clock, char *why, size_t size)
{
	const char *limit;
	struct vcpu *v;
	int error = vm_create(why, size), word;

	if (error)
		return error;
	if (guest_read(&word, (uintptr_t)&error, sizeof(word))) {
		format(why, size,
		       "process_vm_readv is not allowed here: a filter for system calls (a container's?) forbids it");
		return -EPERM;
	}
	error = memory_init();
	if (error) {
		format(why, size,
		       "cannot reserve 1.1 GiB of addresses for page tables and stacks; is there a limit (ulimit -v)?");
		return error;
	}
	error = maps_open();
	if (error) {
		format(why, size, "cannot open /proc/self/maps: is /proc mounted?");
		return error;
	}
	ahead_init();
	limit = getenv("DUNE_MAX_SLOTS");
	if (limit && atoi(limit) >= 16 + (int)(OWN_SIZE / CHUNK))
		dune.max_slots = MIN(dune.max_slots, (unsigned)atoi(limit));
	limit = getenv("DUNE_TIDY_AT");
	dune.tidy_at = (limit ? (size_t)atol(limit) : 4096) * PAGE;
	dune.blind = getenv("DUNE_TIDY_BLIND");
	limit = getenv("DUNE_LOSE");
	dune.lose = limit ? atol(limit) : -1;
	v = vcpu_get();
	if (!v) {
		format(why, size, "KVM refuses a vCPU, or its initial state");
		return -EIO;
	}
	error = self_test(v, same_clock, why, size);
	vcpu_put(v);
	return error;
}

int dune_probe(struct dune_probe *probe)
{
	bool same_clock = false;
	int error;

	__builtin_memset(probe, 0, sizeof(*probe));
	if (dune.active) {
		probe->available = 1;
		probe->software_kvm = dune.syscall_at_cpl3;
		probe->same_clock = dune.same_clock;
		probe->max_threads = MIN(dune.max_vcpus, (unsigned)MAX_THREADS);
		return 0;
	}
	error = prepare(&same_clock, probe->reason, sizeof(probe->reason));
	if (!error) {
		probe->available = 1;
		probe->software_kvm = dune.syscall_at_cpl3;
		probe->same_clock = same_clock;
		probe->max_threads = MIN(dune.max_vcpus, (unsigned)MAX_THREADS);
	}
	close_all();
	return error;
}

/* ---- The process's state ----------------------------------------------------------------------------------------- */

/* The main stack to its full size, so that the kernel never has to extend it for the guest. */
static void grow_stack(void)
{
	struct rlimit limit;
	struct mapping m, below;
	uintptr_t here = (uintptr_t)__builtin_frame_address(0), want;

	if (SYS4(prlimit64, 0, RLIMIT_STACK, NULL, &limit) < 0 || maps_find(here, &m) || m.start > here)
		return;
	want = m.end - MIN((uintptr_t)limit.rlim_cur, 8UL << 20) + 4 * PAGE;
	/* Nothing else may lie there, nor close below. */
	if (want >= m.start || m.end - want > (64UL << 20) ||
	    (!maps_find(want - (2UL << 20), &below) && below.start < m.start))
		return;
	SYS2(access, want, 0);
}

/* glibc registered an rseq area for the main thread; the kernel would write to it, and abort sequences by the monitor's
 * rip. sched_getcpu does without. */
static void leave_rseq(void)
{
	extern const ptrdiff_t __rseq_offset __attribute__((weak));
	extern const unsigned __rseq_size __attribute__((weak));
	uintptr_t fs = 0;

	if (!&__rseq_offset || !&__rseq_size || !__rseq_size)
		return;
	SYS2(arch_prctl, ARCH_GET_FS, &fs);
	SYS4(rseq, fs + (uintptr_t)__rseq_offset, MAX(__rseq_size, 32u), 1 /* RSEQ_FLAG_UNREGISTER */, 0x53053053);
}

/* Replaces a function of the vDSO by a system call, in this process's own copy of the page. */
static void replace(const char *vdso, const char *name, uint32_t number)
{
	const struct elf_header { /* Elf64_Ehdr */
		unsigned char ident[16];
		uint16_t type, machine;
		uint32_t version;
		uint64_t entry, phoff, shoff;
		uint32_t flags;
		uint16_t ehsize, phentsize, phnum;
	} *header = (const void *)vdso;
	const struct program_header {
		uint32_t type, flags;
		uint64_t offset, vaddr, paddr, filesz, memsz, align;
	} *program = (const void *)(vdso + header->phoff);
	const struct symbol {
		uint32_t name;
		unsigned char info, other;
		uint16_t shndx;
		uint64_t value, size;
	} *symbols = NULL;
	const uint64_t *dynamic = NULL;
	const char *strings = NULL;
	const uint32_t *hash = NULL;
	size_t length = 0;

	for (int i = 0; i < header->phnum; i++) {
		if (program[i].type == 2)
			dynamic = (const void *)(vdso + program[i].offset);
		if (program[i].type == 1)
			length = PAGE_UP(program[i].offset + program[i].filesz);
	}
	for (; dynamic && dynamic[0]; dynamic += 2) {
		if (dynamic[0] == 5)
			strings = vdso + dynamic[1];
		if (dynamic[0] == 6)
			symbols = (const void *)(vdso + dynamic[1]);
		if (dynamic[0] == 4)
			hash = (const void *)(vdso + dynamic[1]);
	}
	if (!strings || !symbols || !hash)
		return;
	for (uint32_t i = 0; i < hash[1]; i++) {
		char *code = (char *)vdso + symbols[i].value;

		if (!symbols[i].shndx || __builtin_strcmp(strings + symbols[i].name, name) || symbols[i].size < 8)
			continue;
		if (SYS3(mprotect, vdso, length, PROT_READ | PROT_WRITE | PROT_EXEC) < 0)
			return;
		code[0] = (char)0xb8; /* mov $number, %eax; syscall; ret */
		__builtin_memcpy(code + 1, &number, 4);
		code[5] = 0x0f;
		code[6] = 0x05;
		code[7] = (char)0xc3;
		SYS3(mprotect, vdso, length, PROT_READ | PROT_EXEC);
	}
}

static void fix_vdso(bool same_clock)
{
	const char *vdso = (const char *)getauxval(AT_SYSINFO_EHDR);

	if (!vdso)
		return;
	/* It reads the processor's number from a register or a descriptor that the guest has not got. */
	replace(vdso, "__vdso_getcpu", SYS_getcpu);
	if (same_clock)
		return;
	replace(vdso, "__vdso_clock_gettime", SYS_clock_gettime);
	replace(vdso, "__vdso_gettimeofday", SYS_gettimeofday);
	replace(vdso, "__vdso_time", SYS_time);
}

/* A thread that has been joined may still be on its way out, which is not waited for long. */
static bool single_threaded(void)
{
	struct stat s;

	for (int i = 0; i < 50; i++) {
		if (SYS2(stat, "/proc/self/task", &s) < 0 || s.st_nlink <= 3)
			return true;
		SYS2(nanosleep, (&(struct timespec){ 0, 1000000 }), NULL);
	}
	return false;
}

/* What the first thread brings along. */
static int take_over(struct thread *t)
{
	uint64_t fs = 0, gs = 0, all = ~0UL, length;

	t->tid = (uint32_t)SYS0(gettid);
	t->sighand = sighand_new();
	SYS2(arch_prctl, ARCH_GET_FS, &fs);
	SYS2(arch_prctl, ARCH_GET_GS, &gs);
	__builtin_memset(t->xsave, 0, dune.xsave_size);
	__asm__ volatile("xsave64 (%0)" : : "r"(t->xsave), "a"((uint32_t)dune.xcr0), "d"((uint32_t)(dune.xcr0 >> 32))
			 : "memory");
	if (vcpu_set_user(t->vcpu, t->root, fs, gs) < 0 || vcpu_set_xsave(t->vcpu, t->xsave) < 0)
		return -EIO;
	SYS3(get_robust_list, 0, &t->robust_list, &length);
	SYS2(prctl, PR_GET_TID_ADDRESS, &t->clear_tid);
	SYS2(sigaltstack, NULL, &t->altstack);
	SYS2(sigaltstack, &(stack_t){ .ss_flags = SS_DISABLE }, NULL);
	leave_rseq();
	grow_stack();
	/* signal_host must not run on this stack. */
	sys_sigmask(SIG_BLOCK, &all, &t->pending_mask);
	signal_take_over(t->sighand);
	return 0;
}

/* On the monitor stack, where signal_host may run. */
static void begin(struct thread *t)
{
	uint64_t mask = t->pending_mask & ~(1UL << (KICK - 1));

	sys_sigmask(SIG_SETMASK, &mask, NULL);
	run(t);
}

static int fail(int error)
{
	close_all();
	return error;
}

int dune_enter(void)
{
	struct thread *t;
	stack_t altstack;
	int error;

	if (dune.active)
		return -EALREADY;
	dune.error[0] = 0;
	if (!single_threaded()) {
		format(dune.error, sizeof(dune.error),
		       "the process has more than one thread: enter before starting others");
		return -EBUSY;
	}
	if (!SYS2(sigaltstack, NULL, &altstack) && altstack.ss_flags & SS_ONSTACK)
		return -EBUSY;
	error = prepare(&dune.same_clock, dune.error, sizeof(dune.error));
	if (error)
		return fail(error);
	dune.pid = (uint32_t)SYS0(getpid);
	dune.report_crashes = true;
	dune.epoch++;
	dune.generation++;
	dune.live = 1;
	t = thread_new();
	t->vcpu = vcpu_get();
	t->run = t->vcpu->run;
	t->regs = &t->run->s.regs.regs;
	t->at = AT_USER;
	t->root = *dune.roots;
	t->epoch = dune.epoch;
	error = take_over(t);
	if (error) {
		format(dune.error, sizeof(dune.error), "KVM refuses the registers of this process");
		return fail(error);
	}
	fix_vdso(dune.same_clock);
	pt_fill_all();
	first = t;
	dune.active = true;
	return (int)dune_switch(t->regs, (char *)t + THREAD_SIZE, begin, t);
}

int dune_is_active(void)
{
	return dune.active;
}

const char *dune_error(void)
{
	return dune.error;
}

/* ---- Leaving ----------------------------------------------------------------------------------------------------- */

int dune_leave(void)
{
	int error = dune.active ? (int)dune_hypercall(HYPERCALL_LEAVE, 0, 0, 0) : -ENOTSUP;

	if (!error)
		close_all();
	return error;
}

/* The monitor's part. The thread goes on where its hypercall returns, outside; only what a function call keeps is
 * set, and the vector state. */
long leave(struct thread *t)
{
	static struct kvm_regs regs;
	uint64_t fs, gs, all = ~0UL, mask;

	for (unsigned i = 0; i < dune.threads_high; i++) {
		struct thread *other = (struct thread *)(dune.threads + i * THREAD_SIZE);

		if (other != t && other->used)
			return -EBUSY;
	}
	sys_sigmask(SIG_BLOCK, &all, &mask);
	if (t->pending) {
		sys_sigmask(SIG_SETMASK, &(uint64_t){ ~(1UL << (KICK - 1)) }, NULL);
		return RESTART;
	}
	if (vcpu_get_bases(t->vcpu, &fs, &gs) < 0 || vcpu_get_xsave(t->vcpu, t->xsave) < 0)
		return -EIO;
	regs = *t->regs;
	regs.rax = 0;
	signal_give_back(t->sighand);
	SYS2(arch_prctl, ARCH_SET_FS, fs);
	SYS2(arch_prctl, ARCH_SET_GS, gs);
	SYS2(sigaltstack, &t->altstack, NULL);
	__asm__ volatile("xrstor64 (%0)" : : "r"(t->xsave), "a"((uint32_t)dune.xcr0), "d"((uint32_t)(dune.xcr0 >> 32))
			 : "memory");
	dune.active = false;
	/* This stack is in what close_all unmaps; dune_leave does that, outside. */
	sys_sigmask(SIG_SETMASK, &mask, NULL);
	dune_leave_to(&regs);
}

/* ---- dune-run
 * ------------------------------------------------------------------------------------------------------ */

static const char *variable(char **environment, const char *name)
{
	size_t length = __builtin_strlen(name);

	for (; environment && *environment; environment++)
		if (!__builtin_memcmp(*environment, name, length) && (*environment)[length] == '=')
			return *environment + length + 1;
	return NULL;
}

/* Runs before the constructors of the program and of all other libraries (-z initfirst). libc has set up its thread,
 * its TLS and its relocations by then, but not yet its environment. */
__attribute__((constructor)) static void start(int argc, char **argv, char **environment)
{
	const char *mode = variable(environment, "DUNE_RUN"), *file = variable(environment, "DUNE_TRACE");
	const char *numbers = variable(environment, "DUNE_STATISTICS");
	const char *report = variable(environment, "DUNE_CRASH");
	int error;

	if (!mode || *mode != '1')
		return;
	error = dune_enter();
	if (error) {
		say("dune-run: %s: cannot enter Dune mode: %s (error %d)\n", argv[0],
		    dune.error[0] ? dune.error : "no reason known", -error);
		SYS1(exit_group, 125);
	}
	dune.report_crashes = !report || *report != '0';
	/* From here on in the guest: the descriptor is moved by the monitor's own function all the same. */
	if (numbers && *numbers)
		dune.statistics =
			high_fd((int)SYS4(openat, AT_FDCWD, numbers, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
	if (file && *file)
		dune.trace =
			high_fd((int)SYS4(openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
}

static int count(uint64_t *to, unsigned offset)
{
	for (unsigned i = 0; i < dune.vcpus; i++)
		*to += *(uint64_t *)(dune.areas + (size_t)i * AREA_SIZE + AREA_DATA + offset);
	return 0;
}

int dune_statistics(struct dune_statistics *statistics)
{
	if (!dune.active)
		return -ENOTSUP;
	*statistics = dune.stats;
	statistics->tables = dune.tables_used / PAGE;
	count(&statistics->upcalls, DATA_UPCALLS);
	count(&statistics->local_flushes, DATA_FLUSHES);
	return 0;
}
