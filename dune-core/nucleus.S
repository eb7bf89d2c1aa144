/* nucleus.S - everything that runs in ring 0. It is copied into page 0 of each vCPU's area (layout.h) and finds the
 * area's other pages by its own address, so it needs no register and no swapgs to know where it is.
 *
 * Invariants, on which the monitor (run.c) relies when a signal stops a vCPU in here:
 *  - Every entry from ring 3 other than SYSCALL has the processor's frame at DATA_FRAME, whatever was pushed below.
 *  - No path changes a register of the program before the store that leaves to the monitor, except rax in the two
 *    paths that begin by saving it in DATA_RAX.
 *  - An emulated instruction may leave rip behind itself although it was not carried out (PVM): what follows the
 *    last instruction of each path belongs to that path, hence the ud2.
 *  - Between an entry and an iretq to ring 3 nothing is lost by going back to the frame and starting over.
 *
 * What leaves to the host is a store to the exit page; KVM calls it MMIO. On a processor with SVM or VMX this code
 * runs at CPL 0. Under the software KVM called PVM, SYSCALL arrives here still at CPL 3, which the first store does
 * not mind. */
#include "layout.h"

	.section .text.nucleus, "ax", @progbits
	.balign 4096
	.globl dune_nucleus
	.hidden dune_nucleus
dune_nucleus:

#define DATA(offset) dune_nucleus + AREA_DATA + offset(%rip)
#define LEAVE(offset) movb $0, dune_nucleus + AREA_EXIT + offset(%rip)

/* LSTAR. rcx is the program's rip, r11 its flags; rsp is still the program's. A call goes to the monitor, or, if the
 * program has a handler for system calls, to dune_nucleus_user in ring 3: there by a jump where SYSCALL left us in
 * ring 3 (PVM), else by sysret, which the monitor writes in place of the jump. Flags are free: the program's are in
 * r11. */
	.globl dune_nucleus_syscall, dune_nucleus_go, dune_nucleus_user, dune_nucleus_pushed
	.hidden dune_nucleus_syscall, dune_nucleus_go, dune_nucleus_user, dune_nucleus_pushed
dune_nucleus_syscall:
	cmpq $0, DATA(DATA_SYSCALL)
	jne 2f
1:	LEAVE(EXIT_SYSCALL)
	ud2
2:	cmp %rcx, DATA(DATA_SKIP)
	jne 3f
	movq $0, DATA(DATA_SKIP)
	jmp 1b
3:	mov %rcx, DATA(DATA_SYSCALL_RIP)
	mov DATA(DATA_SYSCALL), %rcx
dune_nucleus_go:
	jmp *%rcx
	nop
	ud2

/* Ring 3, on the program's stack, below its red zone. Up to dune_nucleus_pushed a signal makes the call start over. */
dune_nucleus_user:
	lea -128(%rsp), %rsp
1:	push DATA(DATA_SYSCALL_RIP)
dune_nucleus_pushed:
	lea dune_nucleus(%rip), %rcx
	jmp *DATA(DATA_SYSCALL_ENTRY)

/* Ways back to ring 3; the monitor points rip at one of them. At sysret, rcx and r11 are set and rsp is the program's.
 * At iret, rsp points at a frame. At flush, a word for rax lies below the frame. */
	.globl dune_nucleus_sysret, dune_nucleus_iret, dune_nucleus_flush
	.hidden dune_nucleus_sysret, dune_nucleus_iret, dune_nucleus_flush
dune_nucleus_sysret:
	sysretq
	ud2
dune_nucleus_flush:
	mov %cr3, %rax
	mov %rax, %cr3
	pop %rax
dune_nucleus_iret:
	iretq
	ud2

/* int3, DPL 3: a flush if it is the one of dune_flush_trap(), which returns the address of this vCPU's data page; otherwise a
 * breakpoint of the program's. */
	.globl dune_nucleus_breakpoint, dune_nucleus_pagefault, dune_nucleus_vectors, dune_nucleus_end
	.hidden dune_nucleus_breakpoint, dune_nucleus_pagefault, dune_nucleus_vectors, dune_nucleus_end
dune_nucleus_breakpoint:
	mov %rax, DATA(DATA_RAX)
	mov DATA(DATA_FLUSH_RIP), %rax
	cmp %rax, (%rsp)
	jne 1f
	mov %cr3, %rax
	mov %rax, %cr3
	incq DATA(DATA_FLUSHES)
	lea DATA(0), %rax
	iretq
1:	mov DATA(DATA_RAX), %rax
	jmp *DATA(DATA_BREAKPOINT)
	ud2

/* #PF: an upcall to ring 3 for the range that has a handler, else the monitor's. The frame stays where it is for
 * upcall_entry to copy: it does that before it can fault again. */
dune_nucleus_pagefault:
	mov %rax, DATA(DATA_RAX)
	mov %cr2, %rax
	mov %rax, DATA(DATA_CR2)
	sub DATA(DATA_UPCALL_BASE), %rax
	cmp DATA(DATA_UPCALL_SIZE), %rax
	jae 1f
	cmpq $0, DATA(DATA_PASS)
	jne 1f
	lea DATA(DATA_UPCALL_FRAME), %rsp
	iretq
1:	mov DATA(DATA_RAX), %rax
	LEAVE(EXIT_EXCEPTION + 16 * 14)
	ud2

/* The other exceptions, 16 bytes each. */
	.balign 16
dune_nucleus_vectors:
	.set vector, 0
	.rept 32
	.balign 16
	LEAVE(EXIT_EXCEPTION + 16 * vector)
	ud2
	.set vector, vector + 1
	.endr

/* The same for those that the program has a handler for; its interrupt descriptor table says which. To ring 3 by a
 * prepared frame, as for a page fault; the processor's own stays where it is until exception_entry has copied it. */
	.globl dune_nucleus_handled, dune_nucleus_raise
	.hidden dune_nucleus_handled, dune_nucleus_raise
	.balign 16
dune_nucleus_handled:
	.set vector, 0
	.rept 32
	.balign 16
	movb $vector, DATA(DATA_VECTOR)
	jmp dune_nucleus_raise
	ud2
	.set vector, vector + 1
	.endr
	.balign 16
dune_nucleus_raise:
	mov %rax, DATA(DATA_RAX)
	lea DATA(DATA_EXCEPTION_FRAME), %rsp
	iretq
	ud2

/* guest_store(): an edit of a page table that KVM is to see. At whatever level the vCPU is. */
	.globl dune_nucleus_store
	.hidden dune_nucleus_store
dune_nucleus_store:
	mov %rax, (%rdi)
	LEAVE(EXIT_STORE)
	ud2

/* The self-test's program, in ring 3 (enter.c): is SYSCALL taken at CPL 3, is the time-stamp counter the host's? */
	.globl dune_nucleus_test
	.hidden dune_nucleus_test
dune_nucleus_test:
	rdtsc
	syscall
	ud2
dune_nucleus_end:

	.section .note.GNU-stack, "", @progbits
