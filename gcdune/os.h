/* os.h - all that the collector asks of the operating system, in one place; os.c is behind it.
 *
 * Every function may be called with the world stopped: none allocates from malloc or takes a lock of libc's, except
 * gcdune_os_thread_make. */
#ifndef GCDUNE_OS_H
#define GCDUNE_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Address space without memory: PROT_NONE, aligned to ALIGN. NULL when refused. */
void *gcdune_os_reserve(size_t size, size_t align);
/* The same, readable as zeroes; costs no memory and no commit charge until gcdune_os_commit. */
void *gcdune_os_reserve_zero(size_t size);

/* Makes part of a reservation usable. 0 or -ENOMEM. */
int gcdune_os_commit(void *address, size_t size);
/* Gives the memory back; it reads as zero afterwards. */
int gcdune_os_release(void *address, size_t size);
/* Makes pages present and writable, as if they were written to. What cannot be is left to the write itself. */
void gcdune_os_populate(void *address, size_t size);
/* Asks for huge pages, or asks for none. */
void gcdune_os_huge(void *address, size_t size, bool wanted);

/* All that is mapped here is the collector's own and holds no roots, unless it is disowned. Calls FN for each range; at
 * any time, also with the world stopped. A few may be left out when there are very many. */
void gcdune_os_each_own(void (*fn)(uintptr_t begin, uintptr_t end, void *arg), void *arg);
void gcdune_os_disown(const void *address);

/* Ordinary zeroed memory, page-granular. NULL when refused. */
void *gcdune_os_map(size_t size);
void *gcdune_os_remap(void *address, size_t old_size, size_t new_size);
/* What one of these gave, or a part of it; NULL is nothing. */
void gcdune_os_unmap(void *address, size_t size);

/* Whether every page of the range is mapped. */
bool gcdune_os_is_mapped(const void *address, size_t size);

/* Copies what may be unmapped at any moment. 0, or -EFAULT when not all of it is there; another error: cannot be done. */
int gcdune_os_copy(void *to, const void *from, size_t size);

/* The mapping that ADDRESS lies in. 0 or -ENOENT. Reads /proc: slow. */
int gcdune_os_mapping(uintptr_t address, uintptr_t *low, uintptr_t *high);

uint64_t gcdune_os_now(void);	      /* ns, CLOCK_MONOTONIC */
uint64_t gcdune_os_thread_time(void); /* ns of processor that the calling thread has used */
uint64_t gcdune_os_time_of(int tid);  /* the same of another thread of the process; 0: there is no such thread */
unsigned gcdune_os_cores(void);	      /* that this process might use when it began: affinity and control group */
unsigned gcdune_os_processor(void);   /* that this thread is on; UINT_MAX: not known */
/* Moves the calling thread to a processor that it may use and that is not TAKEN. False: there is none, or it cannot. */
bool gcdune_os_leave(bool (*taken)(unsigned processor));
void gcdune_os_yield(void);
unsigned gcdune_os_running(void);     /* threads of the machine that run or want to, the caller included */
size_t gcdune_os_memory_limit(void);  /* of the control group or the machine; 0 unknown */
size_t gcdune_os_address_limit(void); /* address space still to be had under RLIMIT_AS; SIZE_MAX without limit */

/* Descriptors of ours are from this number on: out of the way of programs that count on low ones, or close a range of them.
 * The other FD is closed; where there is no such number, it stays. */
enum { GCDUNE_OS_HIGH = 900 };
int gcdune_os_descriptor_high(int fd);
/* Makes room for these while the process has one thread. To grow its table of descriptors when there are several makes the
 * caller wait for a grace period of the kernel's: some 10 ms. */
void gcdune_os_descriptors_begin(void);

/* Memory in a file without a name but NAME, for other processes to find among our descriptors; zeroed. */
void *gcdune_os_shared(const char *name, size_t size);
/* In the child of a fork: takes it away here. */
void gcdune_os_unshare(void *address, size_t size);

int gcdune_os_pid(void);
int gcdune_os_tid(void);
int gcdune_os_tgkill(int tid, int signal);
void gcdune_os_futex_wait(const void *word, uint32_t value);
void gcdune_os_futex_wait_for(const void *word, uint32_t value, uint64_t ns);
void gcdune_os_futex_wake(const void *word, int waiters);

/* A full memory fence in every thread of the process (membarrier). To be announced while it has one thread: with more, that takes
 * the kernel some 10 ms. 0 or a negative errno: then there has been none, and never will be. */
void gcdune_os_fence_all_begin(void);
bool gcdune_os_can_fence_all(void);
int gcdune_os_fence_all(void);

/* A detached thread of the collector's own, with all signals blocked; 0 or a negative errno, -EAGAIN beside a fork.
 * Meanwhile the caller can be stopped by STOP_SIGNAL. */
int gcdune_os_thread_make(void *(*main)(void *), int stop_signal);
/* Around a fork: first waits until every such thread that was made has begun, for on its way there it may hold a lock
 * that libc or a sanitizer does not give back in the child; none is made meanwhile. Holding no lock; STOP_SIGNAL as
 * above. */
void gcdune_os_fork_begins(int stop_signal);
void gcdune_os_fork_ends(bool child);
/* First thing in such a thread. Address sanitizer may not see them made, and in the child of a fork
 * remembers of their stacks what a thread that is gone had there. */
void gcdune_os_thread_begins(void);

/* Whole file as text, at most size-1 bytes; its length or a negative errno. */
long gcdune_os_read_file(const char *path, char *buffer, size_t size);

void gcdune_os_sleep(uint64_t ns);
long gcdune_os_page_faults(void); /* of this process, without those that read from disk */

/* One line to stderr, or to the program's warning handler. */
void gcdune_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A broken invariant: one line that names it, then abort. */
void gcdune_panic(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
