/* exception.c - exceptions of the program that come to the monitor, page faults among them: filled in, made a signal, or
 * brought to the end of the way to their handler in the program.
 *
 * Called by run.c, for which t->regs is the program's state and data_word() what the nucleus and the processor left. */
#include "monitor.h"

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

/* KVM could not get at memory that an entry maps: a file has become shorter, or a mapping is gone (as in a child, after
 * MADV_DONTFORK). It does not say where. So all entries are dropped and the instruction is tried again: the processor
 * names the address in a fault of its own, and page_fault looks whether the kernel has the page before it maps it. The
 * page in question has no translation left anywhere, so no flush is needed for it; others may keep theirs. */
void memory_gone(struct thread *t)
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

static void page_fault(struct thread *t)
{
	uintptr_t address = *data_word(t, DATA_CR2);
	uint64_t error = *data_word(t, DATA_FRAME - 8);
	bool passed = *data_word(t, DATA_PASS) == (address | 1);
	int code;

	*data_word(t, DATA_PASS) = 0;
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
void finish_upcall(struct thread *t, unsigned vector)
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
		.rax = r->rax, .reserved = { [SAVED_VECTOR] = vector, [SAVED_ERROR] = *data_word(t, DATA_FRAME - 8) },
		.rip = r->rip, .cs = USER_CS, .rflags = r->rflags, .rsp = r->rsp, .ss = USER_SS,
	};
	r->rbx = area;
	r->rsp = (uintptr_t)saved;
	r->rip = (uintptr_t)dune_exception_copied;
	r->rflags = 2;
}

/* A handler has passed an exception on; upcall.S has put the vector state back. */
void passed_on(struct thread *t)
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

void exception(struct thread *t, unsigned vector)
{
	take_frame(t);
	if (vector == 14) {
		page_fault(t);
		return;
	}
	if (!exceptions[vector].sig || (*data_word(t, DATA_FRAME + 8) & 3) != 3)
		die(t, "an exception in ring 0");
	if (vector == 3 && t->regs->rip == (uintptr_t)dune_flush_trapped)
		flush_instead(t); /* stopped on the way to a flush */
	else if (dune.exceptions >> vector & 1)
		finish_upcall(t, vector);
	else
		make_signal(t, vector, exceptions[vector].has_error ? *data_word(t, DATA_FRAME - 8) : 0);
}
