/* layout.h - addresses and offsets that C and assembly share: the area of a vCPU, its descriptor tables, the words that
 * the nucleus reads.
 *
 * Each vCPU has one area of AREA_SIZE bytes, at an address that is the same for the program, the monitor and ring 0:
 *
 *	page 0		the nucleus: a copy of the code in nucleus.S, which finds the rest by its own address
 *	page 1		data: words below, GDT, TSS, IDT, and at the page's end the ring-0 stack
 *	page 2		the exit page: it maps a guest-physical page that no memory slot has, so that a store to it,
 *			from ring 0 or ring 3, ends KVM_RUN. The offset of the store says why.
 *	pages 3-15	the stack of fault upcalls (upcall.S): always mapped, never tracked
 *
 * All but page 0 can be written from ring 3. That gives nothing away: ring 3 owns its page tables, so it owns ring 0.
 * What the machine's other programs are protected by is that guest-physical memory holds this process and no more. */
#ifndef DUNE_LAYOUT_H
#define DUNE_LAYOUT_H

#define AREA_SIZE 0x10000
#define AREA_DATA 0x1000
#define AREA_EXIT 0x2000
#define AREA_STACK 0x3000

/* Words of the data page, from its start. */
#define DATA_RAX 0x00	     /* rax of a program that the nucleus interrupted in its page-fault or int3 path */
#define DATA_CR2 0x08	     /* address of the last page fault */
#define DATA_UPCALL_BASE 0x10 /* page faults at [base, base + size) go to ring 3 ... */
#define DATA_UPCALL_SIZE 0x18
#define DATA_PASS 0x20	      /* ... unless this is set, to an address | 1: the next one goes to the monitor */
#define DATA_FLUSH_RIP 0x28   /* the return address of the one int3 that asks for a flush */
#define DATA_UPCALLS 0x30     /* how many upcalls there were */
#define DATA_FLUSHES 0x38     /* how many flushes ring 3 asked for */
#define DATA_HANDLER 0x40     /* ring 3: the C function that upcalls go to */
#define DATA_SYSCALL 0x48     /* where in ring 3 system calls go (dune_nucleus_user); 0: to the monitor */
#define DATA_UPCALL_FRAME 0x50 /* rip, cs, rflags, rsp, ss: an iretq to upcall_entry */
#define DATA_XSAVE_SIZE 0x78  /* bytes that XSAVE writes */
#define DATA_XSAVE_LOW 0x80   /* the components that it saves, two words of 32 bits */
#define DATA_XSAVE_HIGH 0x84
#define DATA_SYSCALL_RIP 0x88 /* the return address of the call that is on its way there */
#define DATA_SYSCALL_ENTRY 0x90 /* dune_syscall_entry */
#define DATA_SYSCALL_HANDLER 0x98 /* the C function that it calls */
#define DATA_SKIP 0xa0	     /* a call with this return address goes to the monitor, once */
#define DATA_EXCEPTION_FRAME 0xa8 /* as DATA_UPCALL_FRAME, to exception_entry */
#define DATA_VECTOR 0xd0     /* of the exception that is on its way there */
#define DATA_EXCEPTION_HANDLER 0xd8 /* ring 3: the C function that it goes to */
#define DATA_BREAKPOINT 0xe0 /* where in the nucleus an int3 goes that is not a flush */
#define DATA_EXITS 0xe8	     /* how often it has left the guest */
#define DATA_IN_GUEST 0xf0   /* 1: its thread is in the guest, or on its way there (flush.c) */
#define DATA_EPOCH 0xf8	     /* the flush epoch that it has flushed for, or will before it runs on */
#define DATA_GDT 0x100
#define DATA_TSS 0x180
#define DATA_IDT 0x200	     /* 32 entries of 16 bytes */
#define DATA_FRAME 0xfd8     /* what the processor pushes: rip, cs, rflags, rsp, ss; an error code lies below */
#define DATA_TOP 0x1000

/* Selectors, as Linux has them: programs look at cs and ss in signal frames. */
#define KERNEL_CS 0x10
#define KERNEL_SS 0x18
#define USER_SS 0x2b
#define USER_CS 0x33
#define TSS_SELECTOR 0x40

/* Offsets into the exit page. */
#define EXIT_SYSCALL 0x00
#define EXIT_EXCEPTION 0x08 /* + 16 * vector */
#define EXIT_STORE 0x800    /* guest_store is done */
#define EXIT_RAISE 0x808    /* a handler passes an exception on (upcall.S): rbp points at what it saved */

/* Numbers of system calls that are for the monitor; Linux has none so high. */
#define HYPERCALL_BASE 0x44554e00
#define HYPERCALL_STATUS (HYPERCALL_BASE + 0)
#define HYPERCALL_FLUSH_ALL (HYPERCALL_BASE + 1)
#define HYPERCALL_LEAVE (HYPERCALL_BASE + 2)
#define HYPERCALL_UPCALL (HYPERCALL_BASE + 3)
#define HYPERCALL_POPULATE (HYPERCALL_BASE + 4)
#define HYPERCALL_SYSCALL (HYPERCALL_BASE + 5)
#define HYPERCALL_TABLE (HYPERCALL_BASE + 6)
#define HYPERCALL_TABLE_CLONE (HYPERCALL_BASE + 7)
#define HYPERCALL_TABLE_USE (HYPERCALL_BASE + 8)
#define HYPERCALL_TABLE_FREE (HYPERCALL_BASE + 9)
#define HYPERCALL_EXCEPTION (HYPERCALL_BASE + 10)

#endif
