/* syscall.c - what becomes of each system call of the program.
 *
 * Most are made by the monitor as they are: same process, same addresses, same descriptors, so the kernel does the
 * rest, and mark_output (output.c) marks what it wrote. Handled here are those that change the address space, the
 * thread, or signals; refused are those through which memory would change unseen, or that would reach the monitor:
 *
 *	io_uring_*, io_setup, io_submit, io_getevents, userfaultfd, rseq, clone3, seccomp, modify_ldt	ENOSYS, as if not
 *				configured; also for what was set up before this process entered
 *	memfd_secret		ENOSYS, as KVM cannot map it
 *	iopl, ioperm, bpf	EPERM
 *	pkey_alloc		ENOSPC; pkey_mprotect with a key	EINVAL
 *	shmat with SHM_REMAP, prctl(PR_SET_SECCOMP)	EINVAL
 *	open of .../mem in /proc for writing	EACCES
 *	our descriptors: close, dup2, dup3	EBADF; close_range leaves them out
 *	munmap and so on of the monitor's memory	EINVAL; fixed mmap onto it	ENOMEM
 *
 * docs/dune.md lists them for users, and test-dune-refused has each. Called by run.c for each SYSCALL instruction, with t->regs behind it. */
#include <asm/prctl.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <sched.h>

#include "monitor.h"

#define NR_PKEY_MPROTECT 329
#define NR_PKEY_ALLOC 330
#define NR_IO_PGETEVENTS 333
#define NR_IO_URING_ENTER 426
#define NR_IO_URING_REGISTER 427
#define NR_CLONE3 435
#define NR_CLOSE_RANGE 436
#define NR_OPENAT2 437
#define NR_EPOLL_PWAIT2 441
#define NR_MEMFD_SECRET 447
#define NR_MAP_SHADOW_STACK 453

/* ---- The thread's state ------------------------------------------------------------------------------------------ */

static long call_arch_prctl(struct thread *t, const long a[6])
{
	uint64_t value = (uint64_t)a[1], fs, gs;

	switch (a[0]) {
	case ARCH_SET_FS:
	case ARCH_SET_GS:
		if (value >= USER_END)
			return -EPERM;
		return vcpu_set_bases(t->vcpu, a[0] == ARCH_SET_FS ? &value : NULL,
				      a[0] == ARCH_SET_GS ? &value : NULL);
	case ARCH_GET_FS:
	case ARCH_GET_GS:
		if (vcpu_get_bases(t->vcpu, &fs, &gs) < 0)
			return -EIO;
		return guest_write((uintptr_t)a[1], a[0] == ARCH_GET_FS ? &fs : &gs, 8);
	case 0x1024 /* ARCH_REQ_XCOMP_GUEST_PERM and its kin change what XSAVE saves */:
	case 0x1023:
	case 0x1025:
		return -EINVAL;
	default:
		return sys_array(SYS_arch_prctl, a);
	}
}

/* The mask is the kernel's, but for KICK, which stays open. */
static long call_sigprocmask(struct thread *t, const long a[6])
{
	uint64_t set = 0, old = 0, new, all = ~(1UL << (KICK - 1));
	long error = 0;

	if (a[3] != SIGSET_BYTES)
		return -EINVAL;
	if (a[1]) {
		if (guest_read(&set, (uintptr_t)a[1], sizeof(set)))
			return -EFAULT;
		set &= ~(1UL << (KICK - 1));
	}
	sys_sigmask(SIG_BLOCK, &all, &old);
	if (t->pending) /* everything stays blocked until it is delivered; then the call is made again */
		return RESTART;
	if (a[1])
		new = a[0] == SIG_BLOCK ? old | set : a[0] == SIG_UNBLOCK ? old & ~set : set;
	else
		new = old;
	if (a[1] && a[0] != SIG_BLOCK && a[0] != SIG_UNBLOCK && a[0] != SIG_SETMASK)
		error = -EINVAL;
	if (!error && a[2])
		error = guest_write((uintptr_t)a[2], &old, sizeof(old));
	sys_sigmask(SIG_SETMASK, error == -EINVAL ? &old : &new, NULL);
	return error;
}

/* The mask that a call waits with, if it has one. */
static const uint64_t *waiting_mask(struct thread *t, long number, const long a[6])
{
	uintptr_t at = 0, pair[2];

	switch (number) {
	case SYS_rt_sigsuspend:
		at = (uintptr_t)a[0];
		break;
	case SYS_ppoll:
		at = (uintptr_t)a[3];
		break;
	case SYS_epoll_pwait:
	case NR_EPOLL_PWAIT2:
		at = (uintptr_t)a[4];
		break;
	case SYS_pselect6:
		if (a[5] && !guest_read(pair, (uintptr_t)a[5], sizeof(pair)))
			at = pair[0];
		break;
	default:
		return NULL;
	}
	if (!at || guest_read(&t->temporary_mask_word, at, sizeof(t->temporary_mask_word)))
		return NULL;
	return &t->temporary_mask_word;
}

static bool is_our_fd(long fd)
{
	return (int)fd >= dune.fd_base && (int)fd < dune.fd_end;
}

static long call_close_range(const long a[6])
{
	unsigned first = (unsigned)a[0], last = (unsigned)a[1];
	unsigned base = (unsigned)dune.fd_base, end = (unsigned)dune.fd_end;
	long error = 0;

	if (first > last || last < base || first >= end)
		return sys_array(NR_CLOSE_RANGE, a);
	if (first < base)
		error = SYS3(close_range, first, base - 1, a[2]);
	if (!error && last >= end)
		error = SYS3(close_range, end, last, a[2]);
	return error;
}

/* Opening memory as a file would be a way to write it that nobody sees. */
static bool opens_memory(long number, const long a[6])
{
	uint64_t flags = number == SYS_open ? (uint64_t)a[1] : (uint64_t)a[2];

	if (number == NR_OPENAT2 && guest_read(&flags, (uintptr_t)a[2], sizeof(flags)))
		return false;
	return (flags & O_ACCMODE) != O_RDONLY && guest_string_ends((uintptr_t)a[number == SYS_open ? 0 : 1], "/mem");
}

static long forward(struct thread *t, long number, const long a[6])
{
	uint32_t room = output_room(number, a);
	long result = dune_forward(t, number, a);

	if (result != RESTART)
		mark_output(number, a, result, room);
	return result;
}

/* A call that waits with another mask: its signals are delivered before the mask is forgotten. */
static bool wait_with_mask(struct thread *t, long number, const long a[6])
{
	long result;

	t->temporary_mask = waiting_mask(t, number, a);
	if (!t->temporary_mask)
		return false;
	result = forward(t, number, a);
	if (result == RESTART) {
		t->temporary_mask = NULL;
		t->regs->rip -= 2;
		return true;
	}
	t->regs->rax = (uint64_t)result;
	while (t->pending)
		signal_deliver(t);
	t->temporary_mask = NULL;
	return true;
}

static long table_call(struct thread *t, long number, long table)
{
	long result;

	dune_lock(&dune.pool_lock);
	dune_lock(&dune.lock);
	if (number == HYPERCALL_TABLE_CLONE) {
		result = tables_clone(t->root);
		if (result > 0)
			dune.clones++;
	} else if (table < 0 || table >= ROOTS || !dune.roots[table]) {
		result = -ENOENT;
	} else if (number == HYPERCALL_TABLE_USE) {
		result = vcpu_set_root(t->vcpu, dune.roots[table]);
		if (!result)
			t->root = dune.roots[table];
	} else {
		result = table ? 0 : -EBUSY;
		for (unsigned i = 0; i < dune.threads_high; i++) {
			struct thread *other = (struct thread *)(dune.threads + i * THREAD_SIZE);

			if (other->used && other->root == dune.roots[table])
				result = -EBUSY;
		}
		if (!result) {
			tables_free((int)table);
			dune.clones--;
		}
	}
	dune_unlock(&dune.lock);
	dune_unlock(&dune.pool_lock);
	return result;
}

static long make_table(struct thread *t, uintptr_t address)
{
	uint64_t *pte;

	dune_lock(&dune.lock);
	pte = address < USER_END ? pte_of(t->root, address, true) : NULL;
	dune_unlock(&dune.lock);
	return pte ? 0 : -ENOMEM;
}

static long populate(struct thread *t, uintptr_t start, size_t length)
{
	bool split;
	long error;

	if (start + length < start || start + length > USER_END)
		return -EINVAL;
	dune_lock(&dune.lock);
	split = pt_split(t, start, length);
	error = pt_populate(t->root, start, length);
	dune_unlock(&dune.lock);
	/* A processor that has a large page in its TLB would not set the small ones' bits. */
	if (split)
		flush_all(t);
	return error;
}

/* upcall.S must not fault before it has taken its copy of the frame, whichever tables it runs with. */
static bool upcalls_are_mapped(void)
{
	for (int i = 0; i < ROOTS; i++)
		if (dune.roots[i] && (pt_fault(dune.roots[i], (uintptr_t)dune_upcall_entry, false, true, false) ||
				      pt_fault(dune.roots[i], (uintptr_t)dune_exception_copied, false, true, false)))
			return false;
	return true;
}

static long upcall_set(uintptr_t base, size_t size, uintptr_t handler)
{
	if (!upcalls_are_mapped())
		return -EFAULT;
	dune_lock(&dune.pool_lock);
	dune.upcall_base = base;
	dune.upcall_size = size;
	dune.upcall_handler = handler;
	for (unsigned i = 0; i < dune.vcpus; i++)
		area_set_upcall(&dune.vcpu_of[i]);
	dune_unlock(&dune.pool_lock);
	return 0;
}

static long exceptions_set(uint32_t exceptions, uintptr_t handler)
{
	if (!upcalls_are_mapped())
		return -EFAULT;
	dune_lock(&dune.pool_lock);
	dune.exceptions = exceptions & EXCEPTIONS_FOR_HANDLERS;
	dune.exception_handler = handler;
	for (unsigned i = 0; i < dune.vcpus; i++)
		area_set_exceptions(&dune.vcpu_of[i]);
	dune_unlock(&dune.pool_lock);
	return 0;
}

static long hypercall(struct thread *t, long number, const long a[6])
{
	switch (number) {
	case HYPERCALL_STATUS:
		return 1;
	case HYPERCALL_FLUSH_ALL:
		return flush_all(t);
	case HYPERCALL_LEAVE:
		return leave(t);
	case HYPERCALL_UPCALL:
		return upcall_set((uintptr_t)a[0], (size_t)a[1], (uintptr_t)a[2]);
	case HYPERCALL_POPULATE:
		return populate(t, (uintptr_t)a[0], (size_t)a[1]);
	case HYPERCALL_EXCEPTION:
		return exceptions_set((uint32_t)a[0], (uintptr_t)a[1]);
	case HYPERCALL_SYSCALL:
		dune_lock(&dune.pool_lock);
		dune.syscall_handler = (uintptr_t)a[0];
		for (unsigned i = 0; i < dune.vcpus; i++)
			area_set_syscall(&dune.vcpu_of[i]);
		dune_unlock(&dune.pool_lock);
		return 0;
	case HYPERCALL_TABLE_CLONE:
	case HYPERCALL_TABLE_USE:
	case HYPERCALL_TABLE_FREE:
		return table_call(t, number, a[0]);
	case HYPERCALL_TABLE:
		return make_table(t, (uintptr_t)a[0]);
	default:
		return -ENOSYS;
	}
}

void system_call(struct thread *t)
{
	struct kvm_regs *r = t->regs;
	long number = (long)r->rax, result;
	long a[6] = { (long)r->rdi, (long)r->rsi, (long)r->rdx, (long)r->r10, (long)r->r8, (long)r->r9 };

	COUNT(system_calls);
	t->careful = false;
	t->fault_repeats = 0;
	if (number >= 0 && number < 512)
		__atomic_fetch_add(&dune.system_calls[number], 1, __ATOMIC_RELAXED);
	if (t->pending) {
		r->rip -= 2;
		return;
	}
	switch (number) {
	case SYS_mmap:
	case SYS_mremap:
	case SYS_brk:
	case SYS_mprotect:
	case SYS_munmap:
	case SYS_madvise:
	case SYS_shmat:
	case SYS_shmdt:
	case SYS_remap_file_pages:
		result = address_space_call(t, number, a);
		break;
	case NR_PKEY_MPROTECT:
		result = (int)a[3] == -1 ? address_space_call(t, SYS_mprotect, a) : -EINVAL;
		break;
	case NR_PKEY_ALLOC:
		result = -ENOSPC;
		break;
	case SYS_clone:
		result = thread_clone(t, a, false, false);
		break;
	case SYS_fork:
		result = thread_clone(t, a, true, false);
		break;
	case SYS_vfork:
		result = thread_clone(t, a, false, true);
		break;
	case SYS_exit:
		trace_call(t, number, a, 0);
		thread_exit(t, a[0]);
		result = RESTART;
		break;
	case SYS_exit_group:
		trace_call(t, number, a, 0);
		report_statistics();
		for (;;)
			SYS1(exit_group, a[0]);
	case SYS_execve:
	case SYS_execveat:
		trace_call(t, number, a, 0);
		report_statistics();
		flush_await_kicks(t);
		result = forward(t, number, a);
		break;
	case SYS_rt_sigaction:
		result = signal_action(t, a);
		break;
	case SYS_rt_sigprocmask:
		result = call_sigprocmask(t, a);
		break;
	case SYS_sigaltstack:
		result = signal_altstack(t, a);
		break;
	case SYS_rt_sigreturn:
		trace_call(t, number, a, 0);
		signal_return(t);
		return;
	case SYS_rt_sigsuspend:
	case SYS_ppoll:
	case SYS_pselect6:
	case SYS_epoll_pwait:
	case NR_EPOLL_PWAIT2:
		if (wait_with_mask(t, number, a)) {
			trace_call(t, number, a, (long)r->rax);
			return;
		}
		result = forward(t, number, a);
		break;
	case SYS_arch_prctl:
		result = call_arch_prctl(t, a);
		break;
	case SYS_set_tid_address:
		t->clear_tid = (uintptr_t)a[0];
		result = sys_array(number, a);
		break;
	case SYS_set_robust_list:
		result = sys_array(number, a);
		if (!result)
			t->robust_list = (uintptr_t)a[0];
		break;
	case SYS_close:
	case SYS_dup:
		result = is_our_fd(a[0]) ? -EBADF : forward(t, number, a);
		break;
	case SYS_dup2:
	case SYS_dup3:
		result = is_our_fd(a[0]) || is_our_fd(a[1]) ? -EBADF : forward(t, number, a);
		break;
	case NR_CLOSE_RANGE:
		result = call_close_range(a);
		break;
	case SYS_open:
	case SYS_openat:
	case NR_OPENAT2:
		result = opens_memory(number, a) ? -EACCES : forward(t, number, a);
		break;
	case SYS_prctl:
		result = a[0] == PR_SET_SECCOMP ? -EINVAL : forward(t, number, a);
		break;
	case NR_CLONE3: /* libc then uses clone */
	case SYS_rseq:
	case SYS_io_setup:
	case SYS_io_submit:
	case SYS_io_getevents:
	case NR_IO_PGETEVENTS:
	case SYS_io_uring_setup:
	case NR_IO_URING_ENTER:
	case NR_IO_URING_REGISTER:
	case SYS_userfaultfd:
	case SYS_seccomp:
	case SYS_modify_ldt:
	case NR_MAP_SHADOW_STACK:
	case NR_MEMFD_SECRET:
		result = -ENOSYS;
		break;
	case SYS_iopl:
	case SYS_ioperm:
	case SYS_bpf:
		result = -EPERM;
		break;
	default:
		if (number >= HYPERCALL_BASE && number < HYPERCALL_BASE + 16)
			result = hypercall(t, number, a);
		else
			result = forward(t, number, a);
		break;
	}
	r = t->regs; /* a child of fork has others */
	trace_call(t, number, a, result);
	if (result == RESTART)
		r->rip -= 2;
	else
		r->rax = (uint64_t)result;
}
