/* upcall.S - ring 3's side of a page fault or another exception, and the int3 that asks the nucleus for a flush.
 *
 * The nucleus arrives here by an iretq whose frame the monitor prepared, with rsp = the end of the vCPU's upcall
 * stack, rax in DATA_RAX, and everything else as the program had it. The processor's frame is still on the ring-0
 * stack and would be overwritten by another fault; it is copied to the upcall stack first, which never faults. A
 * fault in a handler (another range's, or the program's memory that is not filled in yet) nests below the first one:
 * whether that is so is seen from the interrupted rsp, so there is no state that a siglongjmp out of a handler could
 * leave wrong.
 *
 * All registers, vector ones included, are the program's again at the final iretq, which runs in ring 3. */
#include "layout.h"

/* Copies the processor's frame, WHAT and all general registers, and leaves rbx = the area, rsp = rbp = the copy. */
.macro COPY what, pushed, copied
	push %rbx
\pushed:
	lea 8 - AREA_SIZE(%rsp), %rbx		/* the area */
	mov AREA_DATA + DATA_FRAME + 24(%rbx), %rax	/* the interrupted rsp */
	sub %rbx, %rax
	sub $AREA_STACK, %rax
	cmp $(AREA_SIZE - AREA_STACK), %rax
	jae 1f
	/* Nested. The rbx just pushed at the end of the stack may have overwritten the outer frame: nothing lies in the
	 * last 64 bytes (below). */
	mov AREA_DATA + DATA_FRAME + 24(%rbx), %rax
	lea -128(%rax), %rax
	and $-16, %rax
	jmp 2f
1:	lea AREA_SIZE - 64(%rbx), %rax
2:	xchg %rax, %rsp				/* rax = where rbx was pushed */
	push AREA_DATA + DATA_FRAME + 32(%rbx)	/* ss */
	push AREA_DATA + DATA_FRAME + 24(%rbx)	/* rsp */
	push AREA_DATA + DATA_FRAME + 16(%rbx)	/* rflags */
	push AREA_DATA + DATA_FRAME + 8(%rbx)	/* cs */
	push AREA_DATA + DATA_FRAME + 0(%rbx)	/* rip */
	push AREA_DATA + DATA_FRAME - 8(%rbx)	/* error code */
	push AREA_DATA + \what(%rbx)
	push AREA_DATA + DATA_RAX(%rbx)
	push (%rax)				/* rbx */
	push %rcx
	push %rdx
	push %rsi
	push %rdi
	push %rbp
	push %r8
	push %r9
	push %r10
	push %r11
	push %r12
	push %r13
	push %r14
	push %r15
\copied:
	cld
	incq AREA_DATA + DATA_UPCALLS(%rbx)
	mov %rsp, %rbp
.endm

/* Vector state, as XSAVE has it, to the stack: the header must be zero. */
.macro SAVE_VECTORS
	mov %rsp, %rdi
	sub AREA_DATA + DATA_XSAVE_SIZE(%rbx), %rdi
	and $-64, %rdi
	mov %rdi, %rsp
	lea 512(%rdi), %rdi
	xor %eax, %eax
	mov $8, %ecx
	rep stosq
	mov AREA_DATA + DATA_XSAVE_LOW(%rbx), %eax
	mov AREA_DATA + DATA_XSAVE_HIGH(%rbx), %edx
	xsave64 (%rsp)
.endm

.macro RESTORE_VECTORS
	mov AREA_DATA + DATA_XSAVE_LOW(%rbx), %eax
	mov AREA_DATA + DATA_XSAVE_HIGH(%rbx), %edx
	xrstor64 (%rsp)
.endm

/* Back to the program, from rsp = the copy. */
.macro RETURN
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rbp
	pop %rdi
	pop %rsi
	pop %rdx
	pop %rcx
	pop %rbx
	pop %rax
	lea 16(%rsp), %rsp			/* address or vector, error code; lea leaves the flags to iretq */
	iretq
.endm

	.text
	.globl dune_upcall_entry, dune_upcall_pushed, dune_upcall_copied
	.hidden dune_upcall_entry, dune_upcall_pushed, dune_upcall_copied
	.type dune_upcall_entry, @function
dune_upcall_entry:
	/* Up to dune_upcall_copied a signal starts the fault over (run.c): the frame, rax and rbx are where they were. */
	COPY DATA_CR2, dune_upcall_pushed, dune_upcall_copied
	SAVE_VECTORS
	mov %rbp, %rdi
	call *AREA_DATA + DATA_HANDLER(%rbx)
	/* 0: handled. Otherwise the monitor is to have the fault when the instruction is tried again. */
	xor %ecx, %ecx
	test %eax, %eax
	jz 1f
	mov 120(%rbp), %rcx			/* the address */
	or $1, %rcx
1:	mov %rcx, AREA_DATA + DATA_PASS(%rbx)
	RESTORE_VECTORS
	mov %rbp, %rsp
	RETURN
	.size dune_upcall_entry, . - dune_upcall_entry

/* Another exception, for which there is a handler. An instruction that traps (int3) cannot be tried again: where a
 * signal stops this before dune_exception_copied, the monitor does the rest of the copying (run.c). The handler runs
 * with floating-point exceptions masked and none of them pending. */
	.globl dune_exception_entry, dune_exception_pushed, dune_exception_copied
	.hidden dune_exception_entry, dune_exception_pushed, dune_exception_copied
	.type dune_exception_entry, @function
dune_exception_entry:
	COPY DATA_VECTOR, dune_exception_pushed, dune_exception_copied
	SAVE_VECTORS
	fninit
	ldmxcsr 2f(%rip)
	mov %rbp, %rdi
	mov %rsp, %rsi
	call *AREA_DATA + DATA_EXCEPTION_HANDLER(%rbx)
	mov %eax, %ecx
	RESTORE_VECTORS
	mov %rbp, %rsp
	test %ecx, %ecx
	jz 1f
	/* Passed on: the monitor takes the registers from the copy, and makes a signal of it. */
	movb $0, AREA_EXIT + EXIT_RAISE(%rbx)
	ud2
1:	RETURN
	.balign 4
2:	.long 0x1f80
	.size dune_exception_entry, . - dune_exception_entry

/* A system call of the program's, from dune_nucleus_user: rcx is the area, the return address is on the stack, r11
 * has the flags, all else is as at the SYSCALL instruction. The handler gets what is pushed here, and may change
 * rax. While it runs, its own system calls go to the monitor. It returns 0 to go on behind the call, or else the
 * call is made: the SYSCALL instruction runs again, with DATA_SKIP, so that also fork and sigreturn are as without a
 * handler. */
	.globl dune_syscall_entry
	.hidden dune_syscall_entry
	.type dune_syscall_entry, @function
dune_syscall_entry:
	push %r11
	push %rax
	push %rbx
	push %rdx
	push %rsi
	push %rdi
	push %rbp
	push %r8
	push %r9
	push %r10
	push %r12
	push %r13
	push %r14
	push %r15
	cld
	mov %rcx, %rbx
	mov AREA_DATA + DATA_SYSCALL(%rbx), %r12
	movq $0, AREA_DATA + DATA_SYSCALL(%rbx)
	mov %rsp, %rbp
	SAVE_VECTORS
	mov %rbp, %rdi
	call *AREA_DATA + DATA_SYSCALL_HANDLER(%rbx)
	mov %eax, %r13d
	RESTORE_VECTORS
	mov %rbp, %rsp
	mov 112(%rsp), %rcx			/* the return address */
	xor %eax, %eax
	test %r13d, %r13d
	cmovnz %rcx, %rax
	mov %rax, AREA_DATA + DATA_SKIP(%rbx)
	mov %r12, AREA_DATA + DATA_SYSCALL(%rbx)
	/* Behind the call, or at it. */
	setnz %al
	movzbl %al, %eax
	add %eax, %eax
	sub %rax, 112(%rsp)
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %r10
	pop %r9
	pop %r8
	pop %rbp
	pop %rdi
	pop %rsi
	pop %rdx
	pop %rbx
	pop %rax
	mov (%rsp), %r11
	popfq
	pop %rcx
	lea 128(%rsp), %rsp
	jmp *%rcx
	.size dune_syscall_entry, . - dune_syscall_entry

	.globl dune_flush_trap, dune_flush_trapped
	.hidden dune_flush_trap, dune_flush_trapped
	.type dune_flush_trap, @function
dune_flush_trap:
	int3
dune_flush_trapped:
	ret
	.size dune_flush_trap, . - dune_flush_trap

	.section .note.GNU-stack, "", @progbits
