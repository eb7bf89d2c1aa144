/* run.c - the loop of each thread: into the guest, out of it, what the exit was for.
 *
 * What a thread's registers are, wherever its vCPU was stopped, is worked out right after each exit (arrive): from
 * then on t->regs is the program's own state and t->at says how ring 3 is to be entered again (depart). That holds
 * inside the nucleus too, whose paths can all be undone or finished from the processor's frame; so a signal is
 * delivered at once and there is no state in which it must wait. */
#include "monitor.h"

/* On its way to a system-call handler in ring 3, before the return address is on the stack: the call starts over. */
static void undo_syscall(struct thread *t)
{
	const char *at = dune_nucleus + (t->regs->rip - (uintptr_t)t->vcpu->area);

	if (at < dune_nucleus_user || at >= dune_nucleus_pushed)
		return;
	if (at > dune_nucleus_user)
		t->regs->rsp += 128;
	t->regs->rip = *data_word(t, DATA_SYSCALL_RIP) - 2;
}

/* The program's registers after an exception, from what the processor pushed. */
void take_frame(struct thread *t)
{
	uint64_t *frame = data_word(t, DATA_FRAME);

	t->regs->rip = frame[0];
	t->regs->rflags = frame[2];
	t->regs->rsp = frame[3];
	t->at = AT_KERNEL;
	undo_syscall(t);
}

/* T is just behind its dune_flush_trap, which has flushed or not: depart does, and this is what the function returns. */
void flush_instead(struct thread *t)
{
	t->epoch = 0;
	t->regs->rax = (uintptr_t)t->vcpu->area + AREA_DATA;
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
		flush_instead(t);
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
		r->rax = *data_word(t, DATA_RAX);
		take_frame(t);
		t->at = AT_USER;
		return;
	}
	/* The same for other exceptions, but what traps would not happen again. */
	if (r->rip >= (uintptr_t)dune_exception_entry && r->rip < (uintptr_t)dune_exception_copied) {
		if (r->rip >= (uintptr_t)dune_exception_pushed)
			r->rbx = *(uint64_t *)(t->vcpu->area + AREA_SIZE - 8);
		r->rax = *data_word(t, DATA_RAX);
		take_frame(t);
		t->at = AT_USER;
		finish_upcall(t, *data_word(t, DATA_VECTOR) & 31);
		return;
	}
	if (offset >= PAGE) {
		undelivered(t);
		return;
	}
	if (at < dune_nucleus_user) {
		/* The call was not made yet. */
		r->rip = (at < dune_nucleus_go ? r->rcx : *data_word(t, DATA_SYSCALL_RIP)) - 2;
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
			r->rax = *data_word(t, DATA_FRAME - 8);
			t->epoch = 0;
		}
		take_frame(t);
	} else if (at < dune_nucleus_pagefault) {
		if (at > dune_nucleus_breakpoint)
			r->rax = *data_word(t, DATA_RAX);
		exception(t, 3);
	} else if (at < dune_nucleus_vectors) {
		/* An upcall, or the way to page_fault(): the instruction is tried again. */
		if (at > dune_nucleus_pagefault)
			r->rax = *data_word(t, DATA_RAX);
		take_frame(t);
	} else if (at < dune_nucleus_handled) {
		exception(t, (unsigned)(at - dune_nucleus_vectors) / 16);
	} else if (at < dune_nucleus_store) {
		take_frame(t);
		finish_upcall(t, at < dune_nucleus_raise ? (unsigned)(at - dune_nucleus_handled) / 16 :
							   *data_word(t, DATA_VECTOR) & 31);
	}
}

/* Sets the vCPU on its way to ring 3 with t->regs. A flush that is due happens on the way, in the nucleus. */
static void depart(struct thread *t)
{
	struct kvm_regs *r = t->regs;
	char *area = t->vcpu->area;
	uint64_t *frame = data_word(t, DATA_FRAME), epoch = __atomic_load_n(&dune.epoch, __ATOMIC_SEQ_CST);
	bool flush = t->epoch != epoch;

	t->epoch = epoch;
	__atomic_store_n(data_word(t, DATA_EPOCH), epoch, __ATOMIC_RELAXED);
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
		__atomic_store_n(data_word(t, DATA_IN_GUEST), 1, __ATOMIC_RELAXED); /* ordered by the next */
		__atomic_store_n(&t->in_guest, 1, __ATOMIC_SEQ_CST);
		depart(t);
		run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
		error = SYS3(ioctl, t->vcpu->fd, KVM_RUN, 0);
		__atomic_store_n(&t->in_guest, 0, __ATOMIC_SEQ_CST);
		__atomic_store_n(data_word(t, DATA_IN_GUEST), 0, __ATOMIC_RELEASE);
		++*data_word(t, DATA_EXITS);
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
