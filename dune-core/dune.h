/* dune.h - Dune mode: the calling process becomes the guest of a KVM virtual machine that holds nothing but itself.
 * It keeps its addresses, files, system calls, signals, threads and children, and gains its own page tables: it
 * reads and clears dirty bits, changes protections and takes page faults without leaving the guest.
 *
 * Units are bytes, addresses are the program's own; a range is rounded outwards to pages of 4096 bytes. Functions
 * return 0 (or what they say), or a negative errno. Except where it says otherwise, a function may be called by any
 * thread, and may be called in a signal handler; none of them allocates memory or takes a lock that a handler could
 * wait for. Outside Dune mode all but dune_probe and dune_enter return -ENOTSUP, or do nothing. docs/dune.md says
 * how it works. */
#ifndef DUNE_H
#define DUNE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DUNE_API __attribute__((visibility("default")))

/* ---- Entering ---------------------------------------------------------------------------------------------------- */

struct dune_probe {
	int available;	     /* 1: dune_enter() will do, as far as can be seen; 0: reason says why not */
	int software_kvm;    /* 1: SYSCALL reaches ring 0 at CPL 3: a software KVM (PVM), right but slow */
	int same_clock;	     /* 1: the guest reads the host's time-stamp counter, so the vDSO is used unchanged */
	unsigned max_threads; /* threads, counting the first */
	char reason[160];    /* in words, NUL-terminated; empty when available */
};

/* Makes a VM, runs a few instructions in it, and takes it away again: some milliseconds. Fills *probe. Returns 0, or
 * the error that is behind reason. Not in a signal handler. In Dune mode: says that it is available. */
DUNE_API int dune_probe(struct dune_probe *probe);

/* Enters Dune mode: when it returns 0, the calling thread runs in the guest. Threads, children (fork, vfork) and what
 * they do follow; exec leaves it, unless the new program enters by itself (dune-run). -EBUSY: the process has other
 * threads already; -EALREADY: it is in Dune mode; -ENOENT, -EACCES: /dev/kvm; others as dune_probe. Nothing has changed
 * then. Not in a signal handler, and not on an alternate signal stack. */
DUNE_API int dune_enter(void);

/* Back to an ordinary process. -EBUSY while there are other threads. Protections that the program changed in its page
 * tables are forgotten; what is mapped, and its contents, stay. */
DUNE_API int dune_leave(void);

/* 1 in Dune mode, else 0. */
DUNE_API int dune_is_active(void);

/* The reason for the last failed dune_enter of this process, in words; "" if there was none. */
DUNE_API const char *dune_error(void);

/* ---- Dirty bits -------------------------------------------------------------------------------------------------- */

/* A page is dirty when it was written, by any thread or by the kernel in a system call of this process, since it was
 * mapped or its bit was cleared. Until a program asks for the bits of a range for the first time, more pages may count
 * as written than were: what was mapped before it entered, and memory a little ahead of where it is being filled in
 * order (at most half as much again as has been filled, or 16 pages, and 1 MiB). From the first dune_dirty_take,
 * dune_dirty_track or dune_protect_take on, whatever it answers, bits of that range are exact. mremap moves the bits with the pages, fork copies them, madvise that throws
 * contents away sets them. Not seen: writes by other processes to shared memory, by a process that uses
 * process_vm_writev or /proc/PID/mem on this one, by devices.
 *
 * After bits were cleared, a processor may go on writing to those pages without setting them until it has flushed
 * its translations. So, to lose nothing: clear; flush on every thread (below); then read the pages' contents. A
 * write before the flush is seen in the contents, one after it sets the bit again. */

/* Prepares a range, so that taking its bits meets every page: maps what is not mapped in the page tables yet.
 * Optional; one exit to the monitor, none where all is there. Memory with huge pages (madvise) is mapped by large entries until this is
 * called, and as long as it has one, a write makes all 512 pages dirty. -ENOMEM: no room for page tables. */
DUNE_API int dune_dirty_track(const void *start, size_t length);

/* Reads and clears. Page i of the range is bit i % 64 of bitmap[i / 64]; the whole words of the range are written.
 * bitmap may be NULL: clears only. Returns the number of dirty pages. Takes no exit. Two threads may take the same
 * range: each bit goes to one of them. The caller's own translations are flushed; for other threads see below. */
DUNE_API long dune_dirty_take(const void *start, size_t length, uint64_t *bitmap);

/* The same without clearing, and without a flush. */
DUNE_API long dune_dirty_peek(const void *start, size_t length, uint64_t *bitmap);

/* Marks pages as dirty, as a write would. */
DUNE_API int dune_dirty_set(const void *start, size_t length);

/* ---- Flushing translations --------------------------------------------------------------------------------------- */

/* Of the calling thread; no exit. In a signal handler too. */
DUNE_API void dune_flush_local(void);

/* The protocol for threads that reach safepoints: whoever cleared bits calls dune_flush_request, which returns the
 * new epoch; each thread calls dune_flush_check at its safepoint, or in the handler that stopped it, before it
 * writes again. dune_flush_check costs a load when nothing was requested. A thread that is in a system call, or that
 * comes back from one or from a signal, flushes by itself before it runs on: a thread that was stopped by waiting
 * for a futex has flushed when it goes on. */
DUNE_API uint64_t dune_flush_request(void);
DUNE_API void dune_flush_check(void);

/* 1 if each thread has flushed since dune_flush_request returned epoch, or will before it runs on; 0 if some thread runs
 * that has not, or may not have. No exit. So where threads come by safepoints, or are being stopped for another reason,
 * nobody need be interrupted: request, wait a little, ask; and dune_flush_all if somebody keeps one waiting. Flushes the
 * calling thread. */
DUNE_API int dune_flush_done(uint64_t epoch);

/* For threads that reach no safepoint: when it returns, each thread has flushed, or will before it runs on. One
 * exit, and one more for each thread that is running. Returns how many threads were interrupted. */
DUNE_API int dune_flush_all(void);

/* ---- Page faults ------------------------------------------------------------------------------------------------- */

#define DUNE_FAULT_WRITE 2  /* bits of dune_fault.error, as the processor gives them */
#define DUNE_FAULT_PRESENT 1
#define DUNE_FAULT_EXEC 16

struct dune_fault {
	uintptr_t address; /* that was accessed */
	uintptr_t rip;	   /* of the instruction */
	unsigned error;	   /* DUNE_FAULT_* */
};

/* Returns 0 when the access is to be tried again, 1 to leave the fault to the monitor: it maps what the kernel has
 * mapped there, or sends SIGSEGV. Called on a stack of its own (about 45 KiB), in ring 3, as an interruption of the
 * thread that faulted: it may do what a signal handler may. Signals can arrive in it, and their handlers run on its stack,
 * also those that asked for an alternate one. It may fault itself, in other ranges and in memory that is not mapped
 * yet. */
typedef int dune_fault_fn(const struct dune_fault *fault, void *argument);

/* Gives faults in [start, start + length) to handler; NULL takes it away. Up to 64 ranges, which do not overlap:
 * -EEXIST. -ENOSPC. One exit. The kernel's own accesses, in system calls, do not call it: they go by what mmap and
 * mprotect said. Not in a signal handler or a fault handler. */
DUNE_API int dune_fault_handler(const void *start, size_t length, dune_fault_fn *handler, void *argument);

/* ---- Other exceptions -------------------------------------------------------------------------------------------- */

/* Of the program, where the exception came. What the handler changes, the program goes on with. cs and ss must stay. */
struct dune_registers {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
	uint64_t reserved[2];
	uint64_t rip, cs, rflags, rsp, ss;
};

struct dune_exception {
	unsigned vector; /* the processor's number */
	unsigned error;	 /* its error code, or 0 where it has none */
	struct dune_registers *registers;
	void *xsave; /* floating-point and vector state, as XSAVE writes it in its standard form */
};

/* Returns 0: the program goes on with *registers and *xsave. rip is that of the instruction for those that fault, so a
 * handler that changes nothing will be called again; behind it for 3 and 4, and for 1 after a step (the T flag). 1: what
 * the kernel makes of it happens, a signal. Called as a fault handler is: in ring 3, on the same stack of its own, as an
 * interruption of the thread; it may do what a signal handler may. Floating-point exceptions are masked in it. It may be
 * left by siglongjmp. */
typedef int dune_exception_fn(const struct dune_exception *exception, void *argument);

/* Gives exception VECTOR to handler, in all threads, those to come included; NULL takes it away. The vectors are 0 (divide
 * error), 1 (debug), 3 (breakpoint), 4 (overflow), 6 (invalid opcode), 12 (stack), 13 (general protection), 16 (x87), 17
 * (alignment) and 19 (SIMD): -EINVAL for others. One exit; an exception itself takes none. A forked child keeps it, a
 * program after exec does not. Not in a signal handler or a fault handler. Page faults: dune_fault_handler. */
DUNE_API int dune_exception_handler(unsigned vector, dune_exception_fn *handler, void *argument);

/* For who looks at other threads' stacks: whether STACK, a stack pointer, is one of a fault or exception handler's stack. If so,
 * returns 1: the handler's stack is in use up to *end, with all general registers of the program among what is there;
 * and *interrupted is the stack pointer of the program, with its red zone below. Else 0. */
DUNE_API int dune_fault_stack(const void *stack, const void **end, const void **interrupted);

/* ---- System calls ------------------------------------------------------------------------------------------------ */

struct dune_syscall {
	long number, arguments[6];
	long result;   /* a negative errno, or what the call returns; for calls that are emulated */
	uintptr_t rip; /* behind the SYSCALL instruction */
};

/* Returns 0: the call is done with, and returns call->result. 1: it is made as if there were no handler. Called in
 * ring 3, in the thread that makes the call and on its stack (below its red zone; it takes about 300 bytes, and what
 * XSAVE writes), without an exit. It may do what a signal handler may; its own system calls do not come to it. Do
 * not leave it by longjmp: this thread's calls would not come to it again. It may be called a second time for the
 * same call, when a signal arrives just after it returned 1. */
typedef int dune_syscall_fn(struct dune_syscall *call, void *argument);

/* One handler for all threads, those to come included; NULL takes it away. Set it before there are other threads: a
 * call that another thread is just making may or may not go to it. A forked child keeps it, a program after exec
 * does not. This is for watching and emulating, not for confining: the program owns its ring 0. */
DUNE_API int dune_syscall_handler(dune_syscall_fn *handler, void *argument);

/* ---- Page tables ------------------------------------------------------------------------------------------------- */

/* Changes to the program's own page tables. They hold until an mmap, munmap, mprotect or mremap of the same pages, and
 * are seen by the kernel in no way. No exit, if the pages are in the page tables (dune_dirty_track). They flush the
 * calling thread only: a removed right goes on for other threads until those flush. */

#define DUNE_READ 1
#define DUNE_WRITE 2
#define DUNE_EXEC 4

/* Takes away or gives back rights; no more than mmap gave. 0: no access. -ENOMEM: part of the range is not mapped. */
DUNE_API int dune_protect(const void *start, size_t length, int rights);

/* Makes [address, address + length) another view of the memory at target, which must be mapped. address should be a
 * reservation (PROT_NONE) of the program's: the kernel knows nothing of the view, so system calls cannot use it. */
DUNE_API int dune_map(void *address, size_t length, const void *target, int rights);

/* Written pages by faults: a page of the range counts as written when its entry allows writing, or is dirty. The take
 * makes those read-only, as dune_protect would, and clears their dirty bits (which the kernel's writes set, for those
 * make no faults here); a fault handler is to give the right back by dune_protect. Bitmap, result and flushes as for
 * dune_dirty_take and dune_dirty_peek. Pages without an entry of 4 KiB count as written each time, as nothing is known
 * of them: dune_dirty_track first. No exit. */
DUNE_API long dune_protect_take(const void *start, size_t length, uint64_t *bitmap);
DUNE_API long dune_protect_peek(const void *start, size_t length, uint64_t *bitmap);

/* Removes entries: accesses fault. */
DUNE_API int dune_unmap(const void *start, size_t length);

struct dune_entry {
	uintptr_t address;  /* of the page */
	uint64_t physical;  /* guest-physical */
	int rights;	    /* DUNE_READ and so on; 0: absent */
	int dirty, accessed;
	int owned;	    /* changed by the three functions above */
};

/* -ENOENT: there is no entry for this page. */
DUNE_API int dune_lookup(const void *address, struct dune_entry *entry);

/* Calls fn for each entry that is not empty, in order, until it returns other than 0; returns that. */
DUNE_API int dune_walk(const void *start, size_t length, int (*fn)(const struct dune_entry *entry, void *argument),
		       void *argument);

/* Further tables, each with protections and dirty bits of its own: for code that is to see less than the rest. A
 * thread begins with table 0, the first one; a forked child has them all. What the kernel maps and unmaps changes in
 * all of them, and what system calls write is marked in all of them. The functions above and dune_dirty_* work on
 * the calling thread's table.
 *
 * dune_table_clone copies the calling thread's, with its dirty bits, and returns the number of the copy: -ENOSPC:
 * there are 16 already; -ENOMEM. dune_table_use makes the calling thread use one: -ENOENT. dune_table_free: -EBUSY
 * while a thread uses it, and for 0. One exit each. Not in a fault handler. */
DUNE_API int dune_table_clone(void);
DUNE_API int dune_table_use(int table);
DUNE_API int dune_table_free(int table);

/* ---- Statistics -------------------------------------------------------------------------------------------------- */

/* Since the process entered Dune mode, or was forked. */
struct dune_statistics {
	uint64_t exits;	       /* from the guest to the monitor, for any reason; of which */
	uint64_t system_calls;
	uint64_t faults;       /* page faults that came to the monitor */
	uint64_t exceptions;
	uint64_t exits_signal; /* to be told of a signal */
	uint64_t signals;      /* delivered to handlers */
	uint64_t fills;	       /* tables filled in, up to 512 entries each */
	uint64_t slots;	       /* memory slots */
	uint64_t large;	       /* large pages mapped */
	uint64_t flushes;      /* by the monitor */
	uint64_t tables;       /* page-table pages, in use or kept for use */
	uint64_t upcalls;      /* faults and other exceptions handled in the program, no exit */
	uint64_t local_flushes; /* asked for by the program, no exit */
};

DUNE_API int dune_statistics(struct dune_statistics *statistics);

/* How often the calling thread has left the guest, for any reason: the difference of two calls says what what lies between
 * them costs. No exit. 0 outside Dune mode. */
DUNE_API uint64_t dune_thread_exits(void);

#ifdef __cplusplus
}
#endif
#endif
