/* monitor.h - what the parts of the monitor share. Read this first, after docs/dune.md.
 *
 * The monitor is the host side of Dune mode: it lives in the program's address space, runs each thread of the program
 * as the ring 3 of a vCPU, and does for it what the kernel would do. Nothing here is called by the program, except what
 * dune.h declares.
 *
 * Rules that all of it keeps:
 *  - System calls by sys.h only; no TLS, no malloc, no stdio; each thread on its monitor stack.
 *  - Memory of the program is read and written by guest_read/guest_write (or by the kernel on its behalf): another
 *    thread may unmap it at any time.
 *  - While a thread runs the program, or waits in a system call for it, the host's signal mask of that thread is the
 *    program's. A signal that arrives is kept in thread.pending, and the mask is full until it has been delivered; so
 *    there is one at most, and the kernel keeps the queue.
 *  - dune.lock is held around every change of the address space and every change of the page tables by the monitor; it
 *    is never held across a call that can block for long, or while the program runs. */
#ifndef DUNE_MONITOR_H
#define DUNE_MONITOR_H

#include <linux/kvm.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dune.h"
#include "layout.h"
#include "sys.h"

#define PAGE 4096UL
#define PAGE_DOWN(x) ((uintptr_t)(x) & ~(PAGE - 1))
#define PAGE_UP(x) (((uintptr_t)(x) + PAGE - 1) & ~(PAGE - 1))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define USER_END 0x7ffffffff000UL

/* ---- Guest-physical memory (memory.c)
 * ------------------------------------------------------------------------------ */

/* A chunk of virtual addresses gets the next free chunk of guest-physical addresses, and a memory slot, when it is
 * first touched. Making a slot costs the kernel 10 us for each MiB, and a program has five places at the least;
 * there are some 32,000 slots, which is 2 TiB of memory in use at a time. */
#define CHUNK_SHIFT 26
#define CHUNK (1UL << CHUNK_SHIFT)
#define CHUNKS (1UL << (47 - CHUNK_SHIFT))
#define GPA_BASE (4UL << 30)	/* of chunk number 0 */
#define GPA_EXIT 0xd0000000UL	/* no slot, ever */

/* Everything of the monitor's that is in memory of its own. Areas and tables are visible to the program; the rest is
 * not mapped in the guest. */
#define MAX_THREADS 1100
#define THREAD_SIZE 0x10000UL
#define MAX_SLOTS 32768U
#define OWN_SIZE (1UL << 30) /* areas, then tables: the first guest-physical chunks, in order */
#define TABLES_SIZE (OWN_SIZE - MAX_THREADS * (unsigned long)AREA_SIZE)

/* ---- Page tables (pagetable.c) ----------------------------------------------------------------------------------- */

#define PTE_P 0x001UL
#define PTE_W 0x002UL
#define PTE_U 0x004UL
#define PTE_A 0x020UL
#define PTE_D 0x040UL
#define PTE_LARGE 0x080UL
#define PTE_OWNED 0x200UL /* the program's own doing (dune_map and so on): the monitor does not fill it in */
#define PTE_NX (1UL << 63)
#define PTE_ADDRESS 0x000ffffffffff000UL
#define TABLE_BITS (PTE_P | PTE_W | PTE_U | PTE_A | PTE_D)
#define ROOTS 16

/* ---- Threads ----------------------------------------------------------------------------------------------------- */

struct vcpu {
	int fd;
	unsigned index;
	struct kvm_run *run;
	char *area;
	struct vcpu *next; /* in dune.free_vcpus */
};

struct sighand {
	struct sys_sigaction action[65];
	unsigned users;
	bool used;
};

/* How the vCPU stands at the last exit, and so how it goes on. */
enum at {
	AT_USER,    /* ring 3: registers as they are */
	AT_SYSCALL, /* in SYSCALL's entry: sysret, if rcx and r11 still are what it needs */
	AT_KERNEL,  /* in ring 0 by an exception: iret */
};

/* At the start of a thread's THREAD_SIZE bytes, the rest of which is its monitor stack: so the host's signal handler
 * finds it by its stack pointer. */
struct thread {
	/* The host's signal handler writes these; entry.S reads pending at offset 0. */
	volatile uint32_t pending;
	uint32_t tid;
	uint64_t pending_mask; /* what the mask was */
	siginfo_t pending_info;

	struct vcpu *vcpu;
	struct kvm_run *run;
	struct kvm_regs *regs; /* of the program, in vcpu->run */
	enum at at;
	uint64_t root; /* of its page tables */
	bool vfork;   /* a process of its own in this address space, until it has called exec or exit */
	bool careful; /* after memory was gone, until the next system call */
	bool process; /* the same, but nobody waits for it */
	uint32_t used;

	struct sighand *sighand;
	stack_t altstack;
	const uint64_t *temporary_mask; /* while in sigsuspend and its kin: what the mask is */
	uint64_t temporary_mask_word;

	/* Of the flush protocol (flush.c). */
	uint64_t epoch;
	uint32_t in_guest, kickers;

	uintptr_t clear_tid, robust_list;
	uintptr_t fault_address; /* of the last fault, and how often it came since the last system call */
	unsigned fault_repeats;
	uint64_t fs, gs; /* for a new thread, until it runs */
	char *xsave;	 /* dune.xsave_size bytes, for signal frames and new threads */
};

/* What the whole process shares. */
struct dune {
	bool active, same_clock;
	bool syscall_at_cpl3; /* PVM */
	bool has_procmap, report_crashes;
	long lose; /* for tests: of this system call nothing is marked */
	int kvm, vm, maps, trace, statistics;
	int fd_base, fd_end; /* the descriptors of ours are in here */
	uint32_t pid;
	size_t run_size, xsave_size;
	uint64_t xcr0;
	uint32_t lock;	  /* address space and page tables */
	uint32_t pool_lock; /* threads, vCPUs, sighands */
	uint64_t epoch;
	uint64_t generation; /* counts VMs that this process and its ancestors have had */
	struct vcpu *free_vcpus;
	unsigned live; /* threads of this process */
	int leader_status; /* once its first thread has ended */
	bool leader_ended;
	unsigned vcpus, slots, max_slots, max_vcpus;
	char *areas;	  /* MAX_THREADS of AREA_SIZE, then the tables: OWN_SIZE */
	char *tables;	  /* page-table pages, given out in order */
	size_t tables_used; /* bytes */
	size_t larges;	  /* large pages there are */
	uint64_t roots[ROOTS]; /* guest-physical addresses of the top-level tables */
	unsigned clones;  /* how many more than one */
	uint64_t *free_tables;
	size_t tidy_at;	  /* tables_used from which on tables_tidy looks for empty ones */
	bool blind;	  /* for tests: nobody reads the count that comes next */
	uint32_t walkers; /* threads that look at tables without dune.lock */
	char *threads;	  /* MAX_THREADS of THREAD_SIZE */
	unsigned threads_high; /* of which so many have ever been used */
	char *xsaves;	  /* MAX_THREADS of xsave_size */
	char *hidden, *hidden_end; /* what of the monitor's is not mapped in the guest */
	struct vcpu *vcpu_of; /* MAX_THREADS */
	uint32_t *chunk_of;   /* CHUNKS: slot number + 1 of each chunk of virtual addresses */
	uint32_t *chunk_at;   /* MAX_SLOTS: the other way round, chunk number + 1 */
	struct sighand *sighands;
	unsigned sighands_high;
	uint64_t gpa_end;
	uintptr_t upcall_base;
	size_t upcall_size;
	uintptr_t upcall_handler, syscall_handler, exception_handler;
	uint32_t exceptions; /* which vectors have a handler in the program */
	char error[160];
	struct dune_statistics stats;
	uint64_t system_calls[512];
};
extern struct dune dune;

static inline struct thread *thread_of(const void *stack)
{
	return (struct thread *)((uintptr_t)stack & ~(THREAD_SIZE - 1));
}

/* A word of the data page of its vCPU (layout.h). */
static inline uint64_t *data_word(struct thread *t, unsigned offset)
{
	return (uint64_t *)(t->vcpu->area + AREA_DATA + offset);
}

#define COUNT(field) __atomic_fetch_add(&dune.stats.field, 1, __ATOMIC_RELAXED)

/* entry.S */
long dune_forward(struct thread *t, long number, const long args[6]);
extern const char dune_forward_begin[], dune_forward_end[], dune_forward_abort[];
#define RESTART (-512) /* what dune_forward returns when a signal came first */
long dune_clone(long flags, void *stack, long ptid, long ctid, long tls, void (*fn)(struct thread *), struct thread *t);
void dune_exit_thread(uint32_t *used, long status) __attribute__((noreturn));
void dune_run_on(void *stack, void (*fn)(struct thread *), struct thread *t) __attribute__((noreturn));
long dune_switch(struct kvm_regs *regs, void *stack, void (*fn)(struct thread *), struct thread *t);
void dune_leave_to(const struct kvm_regs *regs) __attribute__((noreturn));
void dune_restorer(void);
long dune_hypercall(long number, long a, long b, long c);

/* nucleus.S */
extern char dune_nucleus[], dune_nucleus_syscall[], dune_nucleus_go[], dune_nucleus_user[], dune_nucleus_pushed[],
	dune_nucleus_sysret[], dune_nucleus_iret[], dune_nucleus_flush[], dune_nucleus_breakpoint[],
	dune_nucleus_pagefault[], dune_nucleus_vectors[], dune_nucleus_handled[], dune_nucleus_raise[], dune_nucleus_test[], dune_nucleus_store[], dune_nucleus_end[];
/* upcall.S */
extern char dune_upcall_entry[], dune_upcall_copied[], dune_upcall_pushed[], dune_flush_trapped[];
extern char dune_exception_entry[], dune_exception_copied[], dune_exception_pushed[];
void dune_syscall_entry(void);
/* Reloads CR3. Returns the data page of the vCPU that it ran on. */
char *dune_flush_trap(void);

/* lock.c */
void dune_lock(uint32_t *lock);
void dune_unlock(uint32_t *lock);

/* cpuid.c */
int cpuid_init(char *why, size_t size);
long cpuid_give(struct vcpu *v);

/* vm.c */
int vm_create(char *why, size_t size);
int vm_after_fork(void);
struct vcpu *vcpu_get(void);
void vcpu_put(struct vcpu *v);
int vcpu_set_user(struct vcpu *v, uint64_t root, uint64_t fs, uint64_t gs);
int vcpu_set_root(struct vcpu *v, uint64_t root);
void vm_forget(void);
int vcpu_set_bases(struct vcpu *v, const uint64_t *fs, const uint64_t *gs);
int vcpu_get_bases(struct vcpu *v, uint64_t *fs, uint64_t *gs);
int vcpu_get_xsave(struct vcpu *v, void *xsave);
int vcpu_set_xsave(struct vcpu *v, const void *xsave);
int high_fd(int fd);

/* area.c */
void area_write(struct vcpu *v);
void area_set_upcall(struct vcpu *v);
void area_set_syscall(struct vcpu *v);
void area_set_exceptions(struct vcpu *v);

/* memory.c */
int memory_init(void);
int memory_add_slots(void);
uint64_t memory_gpa(uintptr_t address);
bool memory_is_ours(uintptr_t start, size_t length);
long guest_read(void *to, uintptr_t from, size_t length);
long guest_write(uintptr_t to, const void *from, size_t length);
bool guest_string_ends(uintptr_t string, const char *end);

/* maps.c */
struct mapping {
	uintptr_t start, end;
	bool read, write, exec, file;
};
int maps_open(void);
int maps_find(uintptr_t address, struct mapping *m);

/* tables.c */
uint64_t *table_at(uint64_t entry);
uint64_t new_table(void);
uint64_t *pte_of(uint64_t root, uintptr_t address, bool create);
uint64_t *pt_walk(uint64_t root, uintptr_t address, uintptr_t end, uintptr_t *next);
uint64_t *pt_large(uint64_t root, uintptr_t address);
int tables_clone(uint64_t from);
void tables_free(int number);
void tables_tidy(void);
/* Around each use of the tables without dune.lock (tables.c: tables_tidy). */
static inline void walk_begin(void)
{
	__atomic_fetch_add(&dune.walkers, 1, __ATOMIC_SEQ_CST);
}
static inline void walk_end(void)
{
	__atomic_fetch_sub(&dune.walkers, 1, __ATOMIC_SEQ_CST);
}
/* In the program: the table that this thread uses (table.c). */
extern __thread uint64_t dune_root __attribute__((visibility("hidden")));
#define HERE (dune_root ? dune_root : *dune.roots)

/* pagetable.c; dune.lock is held */
bool pt_split(struct thread *t, uintptr_t start, size_t length);
void pt_huge(uintptr_t start, size_t length);
void pt_fill_all(void);
int pt_populate(uint64_t root, uintptr_t start, size_t length);
int pt_fill(uint64_t root, uintptr_t address, const struct mapping *m);
void pt_fill_range(uintptr_t start, size_t length, bool write, bool exec);
int pt_fill_written(uintptr_t start, uintptr_t end, bool exec);
void pt_drop(uintptr_t start, size_t length);
void pt_wipe(uintptr_t start, size_t length);
void pt_dirty(uintptr_t start, size_t length);
void pt_move(uintptr_t from, uintptr_t to, size_t length);
int pt_fault(uint64_t root, uintptr_t address, bool write, bool exec, bool alone);
void pt_drop_all(bool owned);
int pt_map_area(unsigned index);
void pt_mark(uintptr_t start, size_t length); /* takes the lock */

/* ahead.c; dune.lock is held */
void ahead_init(void);
bool ahead_possible(uintptr_t start);
bool ahead_fault(uintptr_t page, const struct mapping *m);
bool ahead_make(uintptr_t start, uintptr_t end);
/* A bit for each chunk of addresses: the program looks at dirty bits there. It sets them itself (dirty.c). */
extern uint64_t dune_tracked[CHUNKS / 64] __attribute__((visibility("hidden")));

/* enter.c */
long leave(struct thread *t);
/* exception.c */
void exception(struct thread *t, unsigned vector);
void finish_upcall(struct thread *t, unsigned vector);
void passed_on(struct thread *t);
void memory_gone(struct thread *t);
/* run.c */
void take_frame(struct thread *t);
void flush_instead(struct thread *t);
void run(struct thread *t) __attribute__((noreturn));
void guest_store(struct thread *t, uint64_t *at, uint64_t value);
/* syscall.c */
void system_call(struct thread *t);
/* address.c */
long address_space_call(struct thread *t, long number, const long a[6]);
/* output.c */
uint32_t output_room(long number, const long a[6]);
void mark_output(long number, const long a[6], long result, uint32_t room);
/* signal.c */
void signal_host(int sig, siginfo_t *info, void *context);
void signal_take_over(struct sighand *hand);
void signal_give_back(struct sighand *hand);
void signal_deliver(struct thread *t);
void signal_force(struct thread *t, int sig, int code, uintptr_t address, int trap, uint64_t error);
long signal_action(struct thread *t, const long a[6]);
long signal_altstack(struct thread *t, const long a[6]);
void signal_return(struct thread *t);
#define KICK 64
/* thread.c */
struct thread *thread_new(void);
long thread_clone(struct thread *t, const long a[6], bool fork, bool vfork);
void thread_exit(struct thread *t, long status);
struct sighand *sighand_new(void);
/* fault.c */
void fault_after_fork(void);
/* What upcall.S saves of the program: end of dune_registers is what the processor pushed. The two words are the address
 * of a page fault or the number of another exception, and the error code. */
#define SAVED_VECTOR 0
#define SAVED_ERROR 1
#define EXCEPTIONS_FOR_HANDLERS 0x000b305bU /* 0 1 3 4 6 12 13 16 17 19 */
/* flush.c */
long flush_all(struct thread *t);
void flush_await_kicks(struct thread *t);
/* report.c */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
size_t format(char *to, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
void report_statistics(void);
void crash_report(struct thread *t, const char *what);
void die(struct thread *t, const char *what) __attribute__((noreturn));
void trace_call(struct thread *t, long number, const long a[6], long result);
void trace_exit(struct thread *t, const char *what, uint64_t value);

#endif
