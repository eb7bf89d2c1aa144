/* entry.S - the places where the monitor's stack, or the instruction pointer, matters: entering, forwarding a system
 * call so that no signal is lost, threads that begin and end. */

	.text
	.macro function name
	.globl \name
	.hidden \name
	.type \name, @function
\name:
	.endm

/* long dune_forward(struct thread *t, long number, const long args[6])
 *
 * A signal between the test of t->pending and the SYSCALL instruction would leave the call waiting although a handler
 * has to run. The host's handler (signal_host) therefore moves rip to dune_forward_abort when it finds it in
 * [dune_forward_begin, dune_forward_end). The kernel restarts an interrupted call by moving rip back to SYSCALL, which
 * lies in that range too: then the program's handler runs first, and the call is made again after it. */
function dune_forward
	push %rbx
	mov %rdi, %rbx
	mov %rsi, %rax
	mov %rdx, %r11
	mov 0(%r11), %rdi
	mov 8(%r11), %rsi
	mov 16(%r11), %rdx
	mov 24(%r11), %r10
	mov 32(%r11), %r8
	mov 40(%r11), %r9
	.globl dune_forward_begin, dune_forward_end, dune_forward_abort
	.hidden dune_forward_begin, dune_forward_end, dune_forward_abort
dune_forward_begin:
	cmpl $0, (%rbx)
	jne dune_forward_abort
	syscall
dune_forward_end:
	pop %rbx
	ret
dune_forward_abort:
	mov $-512, %rax
	pop %rbx
	ret

/* long dune_clone(flags, stack, ptid, ctid, tls, fn, t): the child calls fn(t) on the new stack and never returns. */
function dune_clone
	mov 8(%rsp), %rax
	mov %rdx, %r11
	lea -32(%rsi), %rsi
	mov %r9, (%rsi)			/* fn */
	mov %rax, 8(%rsi)		/* t */
	mov %rcx, %r10
	mov $56, %eax
	syscall
	test %rax, %rax
	jz 1f
	ret
1:	xor %ebp, %ebp
	mov 8(%rsp), %rdi
	call *(%rsp)
	ud2

/* void dune_exit_thread(uint32_t *used, long status): gives the stack back and ends the thread without using it. */
function dune_exit_thread
	movl $0, (%rdi)
	mov %rsi, %rdi
	mov $60, %eax
	syscall
	ud2

/* void dune_run_on(void *stack, void (*fn)(struct thread *), struct thread *t) */
function dune_run_on
	mov %rdi, %rsp
	mov %rdx, %rdi
	xor %ebp, %ebp
	call *%rsi
	ud2

/* long dune_switch(struct kvm_regs *regs, void *stack, fn, t): records the caller's registers as those that the program
 * goes on with in the guest, returning 0 from here, and calls fn(t) on the other stack. kvm_regs is rax, rbx, rcx, rdx,
 * rsi, rdi, rsp, rbp, r8-r15, rip, rflags. */
function dune_switch
	movq $0, 0(%rdi)
	mov %rbx, 8(%rdi)
	mov %rbp, 56(%rdi)
	mov %r12, 96(%rdi)
	mov %r13, 104(%rdi)
	mov %r14, 112(%rdi)
	mov %r15, 120(%rdi)
	mov (%rsp), %rax
	mov %rax, 128(%rdi)
	lea 8(%rsp), %rax
	mov %rax, 48(%rdi)
	movq $0x202, 136(%rdi)
	mov %rsi, %rsp
	mov %rcx, %rdi
	xor %ebp, %ebp
	call *%rdx
	ud2

/* void dune_leave_to(const struct kvm_regs *regs): the way back, to a function that has just made a system call. */
function dune_leave_to
	mov 8(%rdi), %rbx
	mov 56(%rdi), %rbp
	mov 96(%rdi), %r12
	mov 104(%rdi), %r13
	mov 112(%rdi), %r14
	mov 120(%rdi), %r15
	mov 48(%rdi), %rsp
	mov 0(%rdi), %rax
	jmp *128(%rdi)

/* What the host's signal handler returns to. */
function dune_restorer
	mov $15, %eax
	syscall

/* long dune_hypercall(number, a, b, c): from the program to the monitor. */
function dune_hypercall
	mov %rdi, %rax
	mov %rsi, %rdi
	mov %rdx, %rsi
	mov %rcx, %rdx
	syscall
	ret

	.section .note.GNU-stack, "", @progbits
