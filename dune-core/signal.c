/* signal.c - signals: the host's handler, the frames that the program's handlers see, and how they return.
 *
 * Invariants. The host's disposition of a signal is the program's, except that signal_host stands for each handler
 * of the program's, with the same SA_RESTART. The host's mask is the program's, so the kernel does the queueing, and
 * the order, sigtimedwait, signalfd and sigpending work without us. From the moment signal_host has run until its
 * signal has been delivered, everything is blocked; t->pending_mask is what was. Only KICK, which is ours (flush.c),
 * is never blocked.
 *
 * signal_host runs on the thread's monitor stack, at any instruction of the monitor. It takes no lock and only
 * records. */
#include <ucontext.h>

#include "monitor.h"

#define ALL_BUT_KICK (~(1UL << (KICK - 1)))
#define BIT(sig) (1UL << ((sig) - 1))

/* The kernel's struct rt_sigframe, x86-64. */
struct frame {
	uintptr_t restorer;
	uint64_t flags;
	uintptr_t link;
	stack_t stack;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
	uint16_t cs, gs, fs, ss;
	uint64_t error, trap, old_mask, cr2;
	uintptr_t fpstate;
	uint64_t reserved[8];
	uint64_t mask;
	siginfo_t info;
};
_Static_assert(sizeof(struct frame) == 440, "struct rt_sigframe");

#define UC_FP_XSTATE 1
#define UC_SIGCONTEXT_SS 2
#define UC_STRICT_RESTORE_SS 4
#define FP_XSTATE_MAGIC1 0x46505853U
#define FP_XSTATE_MAGIC2 0x46505845U

/* The last 48 bytes of the FXSAVE image say what follows it. */
struct sw_bytes {
	uint32_t magic1, extended_size;
	uint64_t features;
	uint32_t size, padding[7];
};

void signal_host(int sig, siginfo_t *info, void *context)
{
	struct thread *t = thread_of(__builtin_frame_address(0));
	ucontext_t *uc = context;
	uint64_t *mask = (uint64_t *)&uc->uc_sigmask;
	uintptr_t rip = (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];

	if (t->run)
		t->run->immediate_exit = 1;
	if (sig == KICK)
		return;
	t->pending_info = *info;
	t->pending_mask = *mask;
	t->pending = (uint32_t)sig;
	*mask = ALL_BUT_KICK;
	if (rip >= (uintptr_t)dune_forward_begin && rip < (uintptr_t)dune_forward_end)
		uc->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)dune_forward_abort;
}

/* The host's action for one of the program's. */
static long set_host(int sig, const struct sys_sigaction *act)
{
	struct sys_sigaction host = *act;

	if (act->handler > 1) {
		host.handler = (uintptr_t)signal_host;
		host.flags = (act->flags & (SA_RESTART | SA_NOCLDSTOP | SA_NOCLDWAIT)) | SA_SIGINFO | SYS_SA_RESTORER;
		host.restorer = (uintptr_t)dune_restorer;
		host.mask = ALL_BUT_KICK;
	}
	return sys_sigaction(sig, &host, NULL);
}

/* The handlers that the process has become the program's; ours take their places. */
void signal_take_over(struct sighand *hand)
{
	struct sys_sigaction kick = { (uintptr_t)signal_host, SA_SIGINFO | SYS_SA_RESTORER | SA_RESTART,
				      (uintptr_t)dune_restorer, ~0UL };

	for (int sig = 1; sig <= 64; sig++) {
		if (sys_sigaction(sig, NULL, &hand->action[sig]) < 0 || sig == SIGKILL || sig == SIGSTOP)
			continue;
		if (hand->action[sig].handler > 1)
			set_host(sig, &hand->action[sig]);
	}
	sys_sigaction(KICK, &kick, NULL);
}

void signal_give_back(struct sighand *hand)
{
	for (int sig = 1; sig <= 64; sig++)
		if (hand->action[sig].handler > 1 || sig == KICK)
			sys_sigaction(sig, &hand->action[sig], NULL);
}

long signal_action(struct thread *t, const long a[6])
{
	struct sys_sigaction new, old;
	int sig = (int)a[0];
	long error;

	if (a[3] != SIGSET_BYTES || sig < 1 || sig > 64)
		return -EINVAL;
	if (a[1] && guest_read(&new, (uintptr_t)a[1], sizeof(new)))
		return -EFAULT;
	if (a[1] && (sig == SIGKILL || sig == SIGSTOP || sig == KICK))
		return -EINVAL;
	dune_lock(&dune.pool_lock);
	old = t->sighand->action[sig];
	error = 0;
	if (a[1]) {
		/* The table first: the host's handler may run as soon as it is there. */
		t->sighand->action[sig] = new;
		error = set_host(sig, &new);
		if (error)
			t->sighand->action[sig] = old;
	}
	dune_unlock(&dune.pool_lock);
	if (!error && a[2])
		error = guest_write((uintptr_t)a[2], &old, sizeof(old));
	return error;
}

static bool on_altstack(const struct thread *t, uintptr_t rsp)
{
	return rsp > (uintptr_t)t->altstack.ss_sp && rsp - (uintptr_t)t->altstack.ss_sp <= t->altstack.ss_size;
}

#define AUTODISARM (1U << 31)

static int altstack_flags(const struct thread *t, uintptr_t rsp)
{
	if (!t->altstack.ss_size)
		return SS_DISABLE;
	if (t->altstack.ss_flags & (int)AUTODISARM)
		return 0;
	return on_altstack(t, rsp) ? SS_ONSTACK : 0;
}

static long set_altstack(struct thread *t, const stack_t *new, size_t least)
{
	int mode = new->ss_flags & (int)~AUTODISARM;

	if (altstack_flags(t, t->regs->rsp) == SS_ONSTACK)
		return -EPERM;
	if (mode && mode != SS_ONSTACK && mode != SS_DISABLE)
		return -EINVAL;
	if (mode == SS_DISABLE) {
		t->altstack = (stack_t){ .ss_flags = new->ss_flags };
		return 0;
	}
	if (new->ss_size < least)
		return -ENOMEM;
	t->altstack = *new;
	return 0;
}

long signal_altstack(struct thread *t, const long a[6])
{
	stack_t new, old = t->altstack;
	long error = 0;

	old.ss_flags = altstack_flags(t, t->regs->rsp) | (t->altstack.ss_flags & (int)AUTODISARM);
	if (a[0] && guest_read(&new, (uintptr_t)a[0], sizeof(new)))
		return -EFAULT;
	if (a[0])
		error = set_altstack(t, &new, 2048);
	if (!error && a[1])
		error = guest_write((uintptr_t)a[1], &old, sizeof(old));
	return error;
}

/* In a fault handler, or an exception's. There a signal's handler runs on the same stack, also one that asks for an alternate
 * one: where a fault is nested is seen from the stack pointer alone (upcall.S), and one that came on another stack would
 * be copied over what the first has saved, which a collector scans too (dune_fault_stack). */
static bool on_upcall_stack(const struct thread *t, uintptr_t rsp)
{
	return rsp - (uintptr_t)t->vcpu->area - AREA_STACK < AREA_SIZE - AREA_STACK;
}

/* ---- Frames ------------------------------------------------------------------------------------------------------ */

/* The vector state that a handler, or a new program, begins with. */
static void reset_xsave(struct thread *t)
{
	__builtin_memset(t->xsave, 0, 1024);
	*(uint16_t *)t->xsave = 0x37f;
	*(uint32_t *)(t->xsave + 24) = 0x1f80;
}

/* Bytes of the extended state that a frame has: the standard form of all components that are on in the guest. The processor
 * itself tells what those take that the kernel has on, which may be more (AMX: 11 KiB, and KVM gives us 4). */
static uint32_t state_size(void)
{
	uint32_t most = 576; /* x87, SSE and the header, which have their places */

	for (uint32_t i = 2; i < 63; i++) {
		uint32_t size = 13, offset, c = i, d;

		if (!(dune.xcr0 >> i & 1))
			continue;
		__asm__ volatile("cpuid" : "+a"(size), "=b"(offset), "+c"(c), "=d"(d));
		most = MAX(most, offset + size);
	}
	return most;
}

static int push_frame(struct thread *t, int sig, const struct sys_sigaction *act, const siginfo_t *info, uint64_t mask,
		      int trap, uint64_t error, uintptr_t cr2)
{
	static uint32_t xsize; /* the same for all */
	struct kvm_regs *r = t->regs;
	uintptr_t sp = r->rsp - 128, fp;
	struct frame f;
	struct sw_bytes *sw;

	if (!xsize)
		xsize = state_size();
	if (act->flags & SA_ONSTACK && !altstack_flags(t, r->rsp) && t->altstack.ss_size && !on_upcall_stack(t, r->rsp))
		sp = (uintptr_t)t->altstack.ss_sp + t->altstack.ss_size;
	fp = (sp - xsize - 4) & ~63UL;
	sp = ((fp - sizeof(f)) & ~15UL) - 8;
	if (t->altstack.ss_size && altstack_flags(t, r->rsp) == SS_ONSTACK && !on_altstack(t, sp))
		return -EFAULT;
	if (vcpu_get_xsave(t->vcpu, t->xsave) < 0)
		die(t, "KVM_GET_XSAVE failed");
	sw = (struct sw_bytes *)(t->xsave + 464);
	*sw = (struct sw_bytes){ FP_XSTATE_MAGIC1, xsize + 4, dune.xcr0, xsize, { 0 } };
	/* The header says which components are in their initial state; the kernel writes them all. */
	*(uint64_t *)(t->xsave + 512) |= 3;
	if (guest_write(fp, t->xsave, xsize) || guest_write(fp + xsize, &(uint32_t){ FP_XSTATE_MAGIC2 }, 4))
		return -EFAULT;
	f = (struct frame){
		.restorer = act->restorer,
		.flags = UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS,
		.stack = t->altstack,
		.r8 = r->r8, .r9 = r->r9, .r10 = r->r10, .r11 = r->r11, .r12 = r->r12, .r13 = r->r13, .r14 = r->r14,
		.r15 = r->r15, .rdi = r->rdi, .rsi = r->rsi, .rbp = r->rbp, .rbx = r->rbx, .rdx = r->rdx,
		.rax = r->rax, .rcx = r->rcx, .rsp = r->rsp, .rip = r->rip, .rflags = r->rflags,
		.cs = USER_CS, .ss = USER_SS, .error = error, .trap = (uint64_t)trap, .old_mask = mask, .cr2 = cr2,
		.fpstate = fp, .mask = mask, .info = *info,
	};
	f.stack.ss_flags = altstack_flags(t, r->rsp) | (t->altstack.ss_flags & (int)AUTODISARM);
	if (guest_write(sp, &f, sizeof(f)))
		return -EFAULT;
	if (t->altstack.ss_flags & (int)AUTODISARM)
		t->altstack = (stack_t){ .ss_flags = SS_DISABLE };
	reset_xsave(t);
	if (vcpu_set_xsave(t->vcpu, t->xsave) < 0)
		die(t, "KVM_SET_XSAVE failed");
	r->rdi = (uint64_t)sig;
	r->rsi = sp + offsetof(struct frame, info);
	r->rdx = sp + offsetof(struct frame, flags);
	r->rax = 0;
	r->rsp = sp;
	r->rip = act->handler;
	r->rflags = (r->rflags & ~0x10500UL) | 0x202; /* without TF, DF, RF */
	return 0;
}

/* Ends the process as the kernel would. */
static void __attribute__((noreturn)) end_by(struct thread *t, int sig)
{
	struct sys_sigaction dfl = { 0 };
	uint64_t none = 0;

	sys_sigaction(sig, &dfl, NULL);
	sys_sigmask(SIG_SETMASK, &none, NULL);
	SYS3(tgkill, SYS0(getpid), SYS0(gettid), sig);
	SYS1(exit_group, 128 + sig);
	__builtin_unreachable();
}

static void handle(struct thread *t, int sig, const siginfo_t *info, uint64_t mask, int trap, uint64_t error,
		   uintptr_t cr2)
{
	struct sys_sigaction act;
	uint64_t during = mask;

	dune_lock(&dune.pool_lock);
	act = t->sighand->action[sig];
	if (act.handler > 1 && act.flags & SA_RESETHAND) {
		t->sighand->action[sig].handler = 0;
		set_host(sig, &t->sighand->action[sig]);
	}
	dune_unlock(&dune.pool_lock);
	if (t->temporary_mask)
		during = *t->temporary_mask;
	if (push_frame(t, sig, &act, info, mask, trap, error, cr2)) {
		/* No room for a frame. */
		if (sig == SIGSEGV)
			end_by(t, SIGSEGV);
		sys_sigmask(SIG_SETMASK, &mask, NULL);
		signal_force(t, SIGSEGV, SI_KERNEL, 0, 14, 6);
		return;
	}
	COUNT(signals);
	during |= act.mask | (act.flags & SA_NODEFER ? 0 : BIT(sig));
	during &= ALL_BUT_KICK;
	sys_sigmask(SIG_SETMASK, &during, NULL);
}

/* Delivers what signal_host recorded. Another one may be recorded at the end: the kernel builds several frames too. */
void signal_deliver(struct thread *t)
{
	int sig = (int)t->pending;
	siginfo_t info = t->pending_info;
	uint64_t mask = t->pending_mask;

	t->pending = 0;
	if (t->sighand->action[sig].handler > 1) {
		handle(t, sig, &info, mask, 0, 0, 0);
		return;
	}
	/* Its disposition changed since; the host's is right by now. */
	if (t->sighand->action[sig].handler == 0)
		SYS4(rt_tgsigqueueinfo, SYS0(getpid), SYS0(gettid), sig, &info);
	sys_sigmask(SIG_SETMASK, &mask, NULL);
}

/* A signal that the program's own instruction caused. */
void signal_force(struct thread *t, int sig, int code, uintptr_t address, int trap, uint64_t error)
{
	siginfo_t info;
	uint64_t mask;

	/* One that came meanwhile is first; the instruction will be tried again. */
	if (t->pending && trap != 3 && trap != 1)
		return;
	while (t->pending)
		signal_deliver(t);
	__builtin_memset(&info, 0, sizeof(info));
	info.si_signo = sig;
	info.si_code = code;
	if (code != SI_KERNEL)
		info.si_addr = (void *)address;
	sys_sigmask(SIG_BLOCK, &(uint64_t){ ALL_BUT_KICK }, &mask);
	if (t->pending) { /* it came just before the block */
		sys_sigmask(SIG_SETMASK, &(uint64_t){ ALL_BUT_KICK }, NULL);
		if (trap != 3 && trap != 1)
			return;
		mask = t->pending_mask;
		/* Nested in front of a trap: rare, and the trap must not be lost. Its handler runs first. */
	}
	if (t->sighand->action[sig].handler <= 1 || mask & BIT(sig)) {
		static const char *const names[] = { [SIGSEGV] = "a segmentation fault", [SIGBUS] = "a bus error",
						     [SIGILL] = "an illegal instruction", [SIGTRAP] = "a trap",
						     [SIGFPE] = "an arithmetic error" };

		if (dune.report_crashes)
			crash_report(t, names[sig]);
		end_by(t, sig);
	}
	if (t->pending) {
		int other = (int)t->pending;

		t->pending = 0;
		SYS4(rt_tgsigqueueinfo, SYS0(getpid), SYS0(gettid), other, &t->pending_info);
	}
	handle(t, sig, &info, mask, trap, error, trap == 14 ? address : 0);
}

/* rt_sigreturn. */
void signal_return(struct thread *t)
{
	struct kvm_regs *r = t->regs;
	struct frame f;
	uint64_t mask;

	sys_sigmask(SIG_BLOCK, &(uint64_t){ ALL_BUT_KICK }, &mask);
	if (t->pending) { /* it is delivered first; then the call is made again */
		r->rip -= 2;
		return;
	}
	if (guest_read(&f, r->rsp - 8, sizeof(f))) {
		sys_sigmask(SIG_SETMASK, &mask, NULL);
		signal_force(t, SIGSEGV, SI_KERNEL, 0, 13, 0);
		return;
	}
	if (f.fpstate) {
		struct sw_bytes *sw = (struct sw_bytes *)(t->xsave + 464);
		bool ok = !guest_read(t->xsave, f.fpstate, 512);

		/* A frame without the extended part resets it. */
		if (ok && sw->magic1 == FP_XSTATE_MAGIC1 && sw->size >= 576 && sw->size <= dune.xsave_size) {
			ok = !guest_read(t->xsave + 512, f.fpstate + 512, sw->size - 512);
			*(uint64_t *)(t->xsave + 512) &= dune.xcr0;
			__builtin_memset(t->xsave + 520, 0, 56);
		} else {
			__builtin_memset(t->xsave + 512, 0, dune.xsave_size - 512);
			*(uint64_t *)(t->xsave + 512) = 3;
		}
		if (ok) {
			__builtin_memset(sw, 0, sizeof(*sw));
			*(uint32_t *)(t->xsave + 24) &= 0xffff;
			ok = vcpu_set_xsave(t->vcpu, t->xsave) >= 0;
		}
		if (!ok) {
			sys_sigmask(SIG_SETMASK, &mask, NULL);
			signal_force(t, SIGSEGV, SI_KERNEL, 0, 13, 0);
			return;
		}
	} else {
		reset_xsave(t);
		vcpu_set_xsave(t->vcpu, t->xsave);
	}
	r->r8 = f.r8, r->r9 = f.r9, r->r10 = f.r10, r->r11 = f.r11, r->r12 = f.r12, r->r13 = f.r13, r->r14 = f.r14;
	r->r15 = f.r15, r->rdi = f.rdi, r->rsi = f.rsi, r->rbp = f.rbp, r->rbx = f.rbx, r->rdx = f.rdx;
	r->rax = f.rax, r->rcx = f.rcx, r->rsp = f.rsp, r->rip = f.rip;
	r->rflags = (f.rflags & 0x40dd5UL) | 0x202; /* what a program may set */
	set_altstack(t, &f.stack, 0);
	mask = f.mask & ALL_BUT_KICK;
	sys_sigmask(SIG_SETMASK, &mask, NULL);
}
