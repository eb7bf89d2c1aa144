/* run.c - the loop of each thread: into the guest, out of it, what the exit was for.
 *
 * What a thread's registers are, wherever its vCPU was stopped, is worked out right after each exit (arrive): from
 * then on t->regs is the program's own state and t->at says how ring 3 is to be entered again (depart). That holds
 * inside the nucleus too, whose paths can all be undone or finished from the processor's frame; so a signal is
 * delivered at once and there is no state in which it must wait. */
#include "monitor.h"

static char *data_of(struct thread *t)
{
	return t->vcpu->area + AREA_DATA;
}

static uint64_t *word(struct thread *t, unsigned offset)
{
	return (uint64_t *)(data_of(t) + offset);
}

/* On its way to a system-call handler in ring 3, before the return address is on the stack: the call starts over. */
static void undo_syscall(struct thread *t)
{
	const char *at = dune_nucleus + (t->regs->rip - (uintptr_t)t->vcpu->area);

	if (at < dune_nucleus_user || at >= dune_nucleus_pushed)
		return;
	if (at > dune_nucleus_user)
		t->regs->rsp += 128;
	t->regs->rip = *word(t, DATA_SYSCALL_RIP) - 2;
}

/* The program's registers after an exception, from what the processor pushed. */
static void take_frame(struct thread *t)
{
	uint64_t *frame = word(t, DATA_FRAME);

	t->regs->rip = frame[0];
	t->regs->rflags = frame[2];
	t->regs->rsp = frame[3];
	t->at = AT_KERNEL;
	undo_syscall(t);
}

static const struct {
	uint8_t sig, has_error;
	int code;
} exceptions[32] = {
	[0] = { SIGFPE, 0, FPE_INTDIV }, [1] = { SIGTRAP, 0, TRAP_TRACE }, [3] = { SIGTRAP, 0, SI_KERNEL },
	[4] = { SIGSEGV, 0, SI_KERNEL }, [5] = { SIGSEGV, 0, SI_KERNEL }, [6] = { SIGILL, 0, ILL_ILLOPN },
	[7] = { SIGSEGV, 0, SI_KERNEL }, [10] = { SIGSEGV, 1, SI_KERNEL }, [11] = { SIGBUS, 1, SI_KERNEL },
	[12] = { SIGBUS, 1, SI_KERNEL }, [13] = { SIGSEGV, 1, SI_KERNEL }, [14] = { SIGSEGV, 1, SEGV_MAPERR },
	[16] = { SIGFPE, 0, FPE_FLTINV }, [17] = { SIGBUS, 1, BUS_ADRALN }, [19] = { SIGFPE, 0, FPE_FLTINV },
};

/* The old vsyscall page: three calls, at fixed addresses, that nothing modern makes. */
static bool vsyscall(struct thread *t, uintptr_t address)
{
	static const long calls[] = { SYS_gettimeofday, SYS_time, SYS_getcpu };
	uint64_t back;

	if ((address & ~0xc00UL) != 0xffffffffff600000UL || (address >> 10 & 3) == 3)
		return false;
	if (guest_read(&back, t->regs->rsp, 8))
		return false;
	t->regs->rax =
		(uint64_t)sys3(calls[address >> 10 & 3], (long)t->regs->rdi, (long)t->regs->rsi, (long)t->regs->rdx);
	t->regs->rip = back;
	t->regs->rsp += 8;
	return true;
}

static bool careful(struct thread *t, uintptr_t address, uint64_t error);

static void page_fault(struct thread *t)
{
	uintptr_t address = *word(t, DATA_CR2);
	uint64_t error = *word(t, DATA_FRAME - 8);
	bool passed = *word(t, DATA_PASS) == (address | 1);
	int code;

	*word(t, DATA_PASS) = 0;
	COUNT(faults);
	if (error & 16 && address == t->regs->rip && vsyscall(t, address))
		return;
	if (careful(t, address, error))
		return;
	/* The program may have written anything into its tables. */
	if (error & 8)
		die(t, "a page-table entry with reserved bits");
	t->fault_repeats = address == t->fault_address ? t->fault_repeats + 1 : 0;
	t->fault_address = address;
	if (t->fault_repeats > 20000)
		die(t, "a page fault that mapping the page does not end");
	code = pt_fault(t->root, address, error & 2, error & 16, t->careful);
	/* What stands in the entry may be its handler's doing, which has not seen the fault: the range got one just now, or
	 * another fault was passed on that did not come again. Then it is tried again, and the handler judges. */
	if (code && !passed && address - dune.upcall_base < dune.upcall_size)
		return;
	trace_exit(t, code ? "fault, no" : "fault", address);
	if (code)
		signal_force(t, SIGSEGV, code, address, 14, error | 4 | (code == SEGV_ACCERR));
}

static int fpe_code(struct thread *t, unsigned vector)
{
	uint32_t bits;

	if (vcpu_get_xsave(t->vcpu, t->xsave) < 0)
		return FPE_FLTINV;
	if (vector == 19) {
		uint32_t mxcsr = *(uint32_t *)(t->xsave + 24);

		bits = mxcsr & ~(mxcsr >> 7);
	} else {
		bits = *(uint16_t *)(t->xsave + 2) & ~*(uint16_t *)t->xsave;
	}
	return bits & 1	   ? FPE_FLTINV
	       : bits & 4  ? FPE_FLTDIV
	       : bits & 8  ? FPE_FLTOVF
	       : bits & 18 ? FPE_FLTUND
			   : FPE_FLTRES;
}

/* A signal for an exception of the program's. */
static void make_signal(struct thread *t, unsigned vector, uint64_t error)
{
	int code = exceptions[vector].code;
	uintptr_t address = 0;

	COUNT(exceptions);
	trace_exit(t, "exception", vector);
	if (vector == 16 || vector == 19)
		code = fpe_code(t, vector);
	if (exceptions[vector].sig == SIGFPE || exceptions[vector].sig == SIGILL || vector == 1)
		address = t->regs->rip;
	signal_force(t, exceptions[vector].sig, code, address, (int)vector, error);
}

/* The way to a handler that the vCPU was stopped on, to its end: what upcall.S copies from exception_entry on. */
static void finish_upcall(struct thread *t, unsigned vector)
{
	struct kvm_regs *r = t->regs;
	uintptr_t area = (uintptr_t)t->vcpu->area, top = area + AREA_SIZE - 64;
	struct dune_registers *saved;

	if (r->rsp - area - AREA_STACK < AREA_SIZE - AREA_STACK)
		top = (r->rsp - 128) & ~15UL;
	if (top - area < AREA_STACK + sizeof(*saved))
		die(t, "an exception on a full stack for handlers");
	saved = (struct dune_registers *)top - 1;
	*saved = (struct dune_registers){
		.r15 = r->r15, .r14 = r->r14, .r13 = r->r13, .r12 = r->r12, .r11 = r->r11, .r10 = r->r10, .r9 = r->r9,
		.r8 = r->r8, .rbp = r->rbp, .rdi = r->rdi, .rsi = r->rsi, .rdx = r->rdx, .rcx = r->rcx, .rbx = r->rbx,
		.rax = r->rax, .reserved = { [SAVED_VECTOR] = vector, [SAVED_ERROR] = *word(t, DATA_FRAME - 8) },
		.rip = r->rip, .cs = USER_CS, .rflags = r->rflags, .rsp = r->rsp, .ss = USER_SS,
	};
	r->rbx = area;
	r->rsp = (uintptr_t)saved;
	r->rip = (uintptr_t)dune_exception_copied;
	r->rflags = 2;
}

/* A handler has passed an exception on; upcall.S has put the vector state back. */
static void passed_on(struct thread *t)
{
	struct kvm_regs *r = t->regs;
	uintptr_t area = (uintptr_t)t->vcpu->area;
	struct dune_registers saved;
	unsigned vector;

	if (r->rbp - area < AREA_STACK || r->rbp - area > AREA_SIZE - sizeof(saved))
		die(t, "a store to the exit page");
	saved = *(const struct dune_registers *)r->rbp;
	vector = saved.reserved[SAVED_VECTOR] & 31;
	r->r15 = saved.r15, r->r14 = saved.r14, r->r13 = saved.r13, r->r12 = saved.r12, r->r11 = saved.r11;
	r->r10 = saved.r10, r->r9 = saved.r9, r->r8 = saved.r8, r->rbp = saved.rbp, r->rdi = saved.rdi;
	r->rsi = saved.rsi, r->rdx = saved.rdx, r->rcx = saved.rcx, r->rbx = saved.rbx, r->rax = saved.rax;
	r->rip = saved.rip, r->rsp = saved.rsp, r->rflags = (saved.rflags & 0x50dd5UL) | 0x202;
	t->at = AT_USER;
	if (!(EXCEPTIONS_FOR_HANDLERS >> vector & 1))
		die(t, "a store to the exit page");
	make_signal(t, vector, exceptions[vector].has_error ? saved.reserved[SAVED_ERROR] : 0);
}

static void exception(struct thread *t, unsigned vector)
{
	take_frame(t);
	if (vector == 14) {
		page_fault(t);
		return;
	}
	if (!exceptions[vector].sig || (*word(t, DATA_FRAME + 8) & 3) != 3)
		die(t, "an exception in ring 0");
	if (vector == 3 && t->regs->rip == (uintptr_t)dune_flush_trapped)
		t->epoch = 0; /* stopped on the way to a flush: depart does it */
	else if (dune.exceptions >> vector & 1)
		finish_upcall(t, vector);
	else
		make_signal(t, vector, exceptions[vector].has_error ? *word(t, DATA_FRAME - 8) : 0);
}

/* An exception that KVM was about to deliver when it was stopped would be delivered to whatever runs next: a signal
 * handler, say. It is forgotten: a fault's instruction will cause it again. int3's may have been passed already
 * (PVM); KVM does not tell that it is to come, so the one that matters, a flush, is done here. (A breakpoint of the
 * program's own that meets a signal just so is raised in the signal's handler.) */
static void undelivered(struct thread *t)
{
	struct kvm_vcpu_events events;
	bool flush = t->regs->rip == (uintptr_t)dune_flush_trapped, step;

	if (SYS3(ioctl, t->vcpu->fd, KVM_GET_VCPU_EVENTS, &events) < 0)
		die(t, "KVM_GET_VCPU_EVENTS failed");
	if (!events.exception.injected && !events.exception.pending && !flush)
		return;
	step = events.exception.nr == 1 && (events.exception.injected || events.exception.pending);
	events.exception.injected = events.exception.pending = 0;
	events.flags = 0;
	if (SYS3(ioctl, t->vcpu->fd, KVM_SET_VCPU_EVENTS, &events) < 0)
		die(t, "KVM_SET_VCPU_EVENTS failed");
	if (flush)
		t->epoch = 0;
	if (step)
		signal_force(t, SIGTRAP, TRAP_TRACE, t->regs->rip, 1, 0);
}

/* A vCPU that was stopped at any instruction: by a signal, mostly. */
static void stopped(struct thread *t)
{
	struct kvm_regs *r = t->regs;
	uintptr_t offset = r->rip - (uintptr_t)t->vcpu->area;
	const char *at = dune_nucleus + offset;

	t->at = AT_USER;
	/* Before upcall_entry has taken its copies: the fault happens again. */
	if (r->rip >= (uintptr_t)dune_upcall_entry && r->rip <= (uintptr_t)dune_upcall_copied) {
		if (r->rip >= (uintptr_t)dune_upcall_pushed)
			r->rbx = *(uint64_t *)(t->vcpu->area + AREA_SIZE - 8);
		r->rax = *word(t, DATA_RAX);
		take_frame(t);
		t->at = AT_USER;
		return;
	}
	/* The same for other exceptions, but what traps would not happen again. */
	if (r->rip >= (uintptr_t)dune_exception_entry && r->rip < (uintptr_t)dune_exception_copied) {
		if (r->rip >= (uintptr_t)dune_exception_pushed)
			r->rbx = *(uint64_t *)(t->vcpu->area + AREA_SIZE - 8);
		r->rax = *word(t, DATA_RAX);
		take_frame(t);
		t->at = AT_USER;
		finish_upcall(t, *word(t, DATA_VECTOR) & 31);
		return;
	}
	if (offset >= PAGE) {
		undelivered(t);
		return;
	}
	if (at < dune_nucleus_user) {
		/* The call was not made yet. */
		r->rip = (at < dune_nucleus_go ? r->rcx : *word(t, DATA_SYSCALL_RIP)) - 2;
		r->rflags = r->r11;
		t->at = dune.syscall_at_cpl3 ? AT_USER : AT_SYSCALL;
	} else if (at < dune_nucleus_sysret) {
		undo_syscall(t);
	} else if (at < dune_nucleus_flush) {
		r->rip = r->rcx;
		r->rflags = r->r11;
		t->at = AT_SYSCALL;
	} else if (at < dune_nucleus_breakpoint) {
		if (at < dune_nucleus_iret) {
			r->rax = *word(t, DATA_FRAME - 8);
			t->epoch = 0;
		}
		take_frame(t);
	} else if (at < dune_nucleus_pagefault) {
		if (at > dune_nucleus_breakpoint)
			r->rax = *word(t, DATA_RAX);
		exception(t, 3);
	} else if (at < dune_nucleus_vectors) {
		/* An upcall, or the way to page_fault(): the instruction is tried again. */
		if (at > dune_nucleus_pagefault)
			r->rax = *word(t, DATA_RAX);
		take_frame(t);
	} else if (at < dune_nucleus_handled) {
		exception(t, (unsigned)(at - dune_nucleus_vectors) / 16);
	} else if (at < dune_nucleus_store) {
		take_frame(t);
		finish_upcall(t, at < dune_nucleus_raise ? (unsigned)(at - dune_nucleus_handled) / 16 :
							   *word(t, DATA_VECTOR) & 31);
	}
}

/* Sets the vCPU on its way to ring 3 with t->regs. A flush that is due happens on the way, in the nucleus. */
static void depart(struct thread *t)
{
	struct kvm_regs *r = t->regs;
	char *area = t->vcpu->area;
	uint64_t *frame = word(t, DATA_FRAME), epoch = __atomic_load_n(&dune.epoch, __ATOMIC_SEQ_CST);
	bool flush = t->epoch != epoch;

	t->epoch = epoch;
	if (t->at == AT_USER && !flush)
		return;
	if (t->at == AT_SYSCALL && !flush && r->rcx == r->rip && r->r11 == r->rflags) {
		r->rip = (uintptr_t)area + (uintptr_t)(dune_nucleus_sysret - dune_nucleus);
		return;
	}
	if (t->at == AT_USER) {
		struct kvm_sregs s;

		/* From ring 3 to a flush in ring 0. */
		if (SYS3(ioctl, t->vcpu->fd, KVM_GET_SREGS, &s) < 0)
			die(t, "KVM_GET_SREGS failed");
		s.cs.selector = KERNEL_CS;
		s.cs.dpl = 0;
		s.ss.selector = KERNEL_SS;
		s.ss.dpl = 0;
		if (SYS3(ioctl, t->vcpu->fd, KVM_SET_SREGS, &s) < 0)
			die(t, "KVM_SET_SREGS failed");
	}
	frame[0] = r->rip;
	frame[1] = USER_CS;
	frame[2] = r->rflags;
	frame[3] = r->rsp;
	frame[4] = USER_SS;
	r->rsp = (uintptr_t)frame;
	r->rip = (uintptr_t)area + (uintptr_t)(dune_nucleus_iret - dune_nucleus);
	if (flush) {
		COUNT(flushes);
		frame[-1] = r->rax;
		r->rsp -= 8;
		r->rip = (uintptr_t)area + (uintptr_t)(dune_nucleus_flush - dune_nucleus);
	}
	r->rflags = 2;
}

/* KVM could not get at memory that an entry maps: a file has become shorter, or a mapping is gone (as in a child, after
 * MADV_DONTFORK). It does not say where. So all entries are dropped and the instruction is tried again: the processor
 * names the address in a fault of its own, and page_fault looks whether the kernel has the page before it maps it. The
 * page in question has no translation left anywhere, so no flush is needed for it; others may keep theirs. */
static void memory_gone(struct thread *t)
{
	COUNT(faults);
	trace_exit(t, "memory gone", 0);
	dune_lock(&dune.lock);
	pt_split(t, 0, USER_END);
	pt_drop_all(t->careful); /* a second time: it is an entry of the program's own */
	dune_unlock(&dune.lock);
	t->careful = true;
}

/* Returns whether the fault is dealt with. */
static bool careful(struct thread *t, uintptr_t address, uint64_t error)
{
	struct mapping m;
	char byte;
	bool there;

	if (!t->careful || address >= USER_END)
		return false;
	dune_lock(&dune.lock);
	/* Only files can be shorter than their mappings; of the vDSO's data the kernel lets nobody read. */
	there = maps_find(address, &m) || m.start > address || !m.read || !m.file || !guest_read(&byte, address, 1);
	dune_unlock(&dune.lock);
	if (there)
		return false;
	t->careful = false;
	signal_force(t, SIGBUS, BUS_ADRERR, address, 14, error | 4);
	return true;
}

static void exit_page(struct thread *t, unsigned offset)
{
	if (offset == EXIT_SYSCALL) {
		t->regs->rip = t->regs->rcx;
		t->regs->rflags = t->regs->r11;
		t->at = dune.syscall_at_cpl3 ? AT_USER : AT_SYSCALL;
		system_call(t);
	} else if (offset >= EXIT_EXCEPTION && offset < EXIT_EXCEPTION + 16 * 32 && offset % 16 == 8) {
		exception(t, (offset - EXIT_EXCEPTION) / 16);
	} else if (offset == EXIT_RAISE) {
		passed_on(t);
	} else {
		die(t, "a store to the exit page");
	}
}

/* Stores into a page table from inside the guest. The program's registers are as before. */
void guest_store(struct thread *t, uint64_t *at, uint64_t value)
{
	struct kvm_regs saved = *t->regs;
	long error;

	t->regs->rip = (uintptr_t)t->vcpu->area + (uintptr_t)(dune_nucleus_store - dune_nucleus);
	t->regs->rdi = (uintptr_t)at;
	t->regs->rax = value;
	t->regs->rflags = 2;
	t->run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
	do {
		t->run->immediate_exit = 0;
		error = SYS3(ioctl, t->vcpu->fd, KVM_RUN, 0);
	} while (error == -EINTR || error == -EAGAIN);
	if (error < 0 || t->run->exit_reason != KVM_EXIT_MMIO || t->run->mmio.phys_addr != GPA_EXIT + EXIT_STORE)
		die(t, "an edit of the page tables in the guest went wrong");
	*t->regs = saved;
}

/* Runs the program until it ends. The stack begins anew here: nothing of the caller is needed again. */
void run(struct thread *t)
{
	for (;;) {
		/* After a fork the child has another one. */
		struct kvm_run *run = t->run;
		long error;

		run->immediate_exit = 0;
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
		while (t->pending)
			signal_deliver(t);
		__atomic_store_n(&t->in_guest, 1, __ATOMIC_SEQ_CST);
		depart(t);
		run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
		error = SYS3(ioctl, t->vcpu->fd, KVM_RUN, 0);
		__atomic_store_n(&t->in_guest, 0, __ATOMIC_SEQ_CST);
		COUNT(exits);
		if (error == -EINTR || error == -EAGAIN) {
			COUNT(exits_signal);
			stopped(t);
			continue;
		}
		if (error == -EFAULT) {
			stopped(t);
			memory_gone(t);
			continue;
		}
		if (error < 0) {
			stopped(t);
			die(t, "KVM_RUN failed");
		}
		switch (run->exit_reason) {
		case KVM_EXIT_MMIO:
			if (run->mmio.phys_addr - GPA_EXIT < PAGE && run->mmio.is_write) {
				exit_page(t, (unsigned)(run->mmio.phys_addr - GPA_EXIT));
				break;
			}
			stopped(t);
			die(t, "a page-table entry that points at memory without a slot");
		case KVM_EXIT_INTR:
			stopped(t);
			break;
		case KVM_EXIT_SHUTDOWN:
			stopped(t);
			die(t, "a triple fault: its page tables or descriptor tables are no good");
		case KVM_EXIT_INTERNAL_ERROR:
			stopped(t);
			die(t, "an instruction that KVM cannot emulate");
		default:
			stopped(t);
			die(t, "an exit of an unexpected kind");
		}
	}
}
