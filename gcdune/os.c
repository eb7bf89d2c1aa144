/* os.c - the operating system, see os.h. No state of its own but the program's warning handler and what is mapped. */
#define _GNU_SOURCE
#include "os.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/single_threaded.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "gcdune.h"

/* What is mapped here. Written without a lock, entry by entry, so that it can be read while a thread is stopped within: the
 * end is there before the beginning, and 0 is no beginning. Static data are roots, and the heap begins where its mapping
 * does: addresses are kept as complements. */
static struct {
	_Atomic uintptr_t begin, end;
} mapped[512];

static void own_add(const void *address, size_t size)
{
	for (size_t i = 0; i < sizeof mapped / sizeof *mapped; i++) {
		uintptr_t none = 0;

		if (mapped[i].begin || !atomic_compare_exchange_strong(&mapped[i].begin, &none, 1))
			continue;
		mapped[i].end = ~((uintptr_t)address + size);
		mapped[i].begin = ~(uintptr_t)address;
		return;
	}
}

void gcdune_os_disown(const void *address)
{
	for (size_t i = 0; address && i < sizeof mapped / sizeof *mapped; i++)
		if (mapped[i].begin == ~(uintptr_t)address) {
			mapped[i].end = 0;
			mapped[i].begin = 0;
			return;
		}
}

void gcdune_os_each_own(void (*fn)(uintptr_t begin, uintptr_t end, void *arg), void *arg)
{
	for (size_t i = 0; i < sizeof mapped / sizeof *mapped; i++) {
		uintptr_t begin = mapped[i].begin, end = mapped[i].end;

		if (begin > 1 && end && ~begin < ~end)
			fn(~begin, ~end, arg);
	}
}

/* The kernel charges a private mapping against the commit limit only while it is writable, so what is reserved
 * PROT_NONE or PROT_READ is free of charge even under strict overcommit. */
void *gcdune_os_reserve(size_t size, size_t align)
{
	if (size + align < size)
		return NULL;
	char *p = mmap(NULL, size + align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	char *start = (char *)(((uintptr_t)p + align - 1) & ~(align - 1));

	if (start > p)
		munmap(p, (size_t)(start - p));
	if (start + size < p + size + align)
		munmap(start + size, (size_t)(p + align - start));
	own_add(start, size);
	return start;
}

void *gcdune_os_reserve_zero(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	own_add(p, size);
	return p;
}

void gcdune_os_unreserve(void *address, size_t size)
{
	gcdune_os_disown(address);
	if (address)
		munmap(address, size);
}

int gcdune_os_commit(void *address, size_t size)
{
	return mprotect(address, size, PROT_READ | PROT_WRITE) ? -ENOMEM : 0;
}

int gcdune_os_release(void *address, size_t size)
{
	return madvise(address, size, MADV_DONTNEED) ? -errno : 0;
}

void gcdune_os_huge(void *address, size_t size, bool wanted)
{
	/* A kernel without huge pages refuses, which is as good. */
	(void)madvise(address, size, wanted ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

void *gcdune_os_map(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	own_add(p, size);
	return p;
}

void *gcdune_os_remap(void *address, size_t old_size, size_t new_size)
{
	if (!address)
		return gcdune_os_map(new_size);
	void *p = mremap(address, old_size, new_size, MREMAP_MAYMOVE);

	if (p == MAP_FAILED)
		return NULL;
	gcdune_os_disown(address);
	own_add(p, new_size);
	return p;
}

void gcdune_os_unmap(void *address, size_t size)
{
	gcdune_os_disown(address);
	if (address)
		munmap(address, size);
}

bool gcdune_os_is_mapped(const void *address, size_t size)
{
	uintptr_t start = (uintptr_t)address & ~(uintptr_t)4095;
	uintptr_t end = ((uintptr_t)address + size + 4095) & ~(uintptr_t)4095;

	/* MS_ASYNC does nothing any more but check that the range is mapped. */
	return msync((void *)start, end - start, MS_ASYNC) == 0;
}

int gcdune_os_copy(void *to, const void *from, size_t size)
{
	struct iovec local = {to, size}, remote = {(void *)from, size};
	ssize_t n = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);

	if (n == (ssize_t)size)
		return 0;
	if (n >= 0 || errno == EFAULT)
		return -EFAULT;
	/* Where that call is forbidden. */
	int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);

	if (mem < 0)
		return -errno;
	n = pread(mem, to, size, (off_t)(uintptr_t)from);
	close(mem);
	return n == (ssize_t)size ? 0 : -EFAULT;
}

int gcdune_os_mapping(uintptr_t address, uintptr_t *low, uintptr_t *high)
{
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	uintptr_t value[2] = {0, 0};
	int field = 0; /* 0, 1: the two addresses; 2: rest of the line */
	char text[2048];
	ssize_t n;

	if (fd < 0)
		return -errno;
	while ((n = read(fd, text, sizeof text)) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			char c = text[i];

			if (c == '\n') {
				field = 0;
				value[0] = value[1] = 0;
			} else if (field < 2) {
				if (c == '-' || c == ' ') {
					if (++field == 2 && value[0] <= address && address < value[1]) {
						*low = value[0];
						*high = value[1];
						close(fd);
						return 0;
					}
				} else {
					value[field] =
						value[field] * 16 + (uintptr_t)(c <= '9' ? c - '0' : c - 'a' + 10);
				}
			}
		}
	}
	close(fd);
	return -ENOENT;
}

uint64_t gcdune_os_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t gcdune_os_thread_time(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t gcdune_os_time_of(int tid)
{
	/* The kernel's number for the clock of a thread: how pthread_getcpuclockid makes it, from a pthread_t. */
	clockid_t clock = (clockid_t)(~(unsigned)tid << 3 | 6);
	struct timespec t;

	if (clock_gettime(clock, &t))
		return 0;
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

long gcdune_os_read_file(const char *path, char *buffer, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t got = 0;

	if (fd < 0)
		return -errno;
	while (got + 1 < size) {
		ssize_t n = read(fd, buffer + got, size - 1 - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		got += (size_t)n;
	}
	close(fd);
	buffer[got] = 0;
	return (long)got;
}

/* The unified hierarchy's file NAME of this process's control group: "/sys/fs/cgroup" + path from "0::path". A limit
 * may sit on any ancestor; the caller gets each, innermost first, until VISIT returns true. */
static void each_cgroup(const char *name, bool (*visit)(const char *text, void *arg), void *arg)
{
	char own[4096], path[4400], text[128];

	if (gcdune_os_read_file("/proc/self/cgroup", own, sizeof own) <= 0)
		return;
	char *start = strstr(own, "0::");

	if (!start)
		return;
	start += 3;
	start[strcspn(start, "\n")] = 0;
	for (;;) {
		snprintf(path, sizeof path, "/sys/fs/cgroup%s/%s", strcmp(start, "/") ? start : "", name);
		if (gcdune_os_read_file(path, text, sizeof text) > 0 && visit(text, arg))
			return;
		char *slash = strrchr(start, '/');

		if (!slash || slash == start)
			return;
		*slash = 0;
	}
}

static bool visit_quota(const char *text, void *arg)
{
	unsigned *cores = arg;
	unsigned long quota, period;

	if (sscanf(text, "%lu %lu", &quota, &period) == 2 && period) {
		unsigned n = (unsigned)((quota + period - 1) / period);

		if (n >= 1 && n < *cores)
			*cores = n;
	}
	return false;
}

unsigned gcdune_os_cores(void)
{
	unsigned char mask[1024]; /* 8192 processors */
	unsigned cores = 0;
	long n = syscall(SYS_sched_getaffinity, 0, sizeof mask, mask);

	for (long i = 0; i < n; i++)
		cores += (unsigned)__builtin_popcount(mask[i]);
	if (!cores)
		cores = 1;
	each_cgroup("cpu.max", visit_quota, &cores);
	return cores;
}

unsigned gcdune_os_processor(void)
{
	int processor = sched_getcpu();

	return processor < 0 ? UINT_MAX : (unsigned)processor;
}

/* The system moves a thread at once when it may not stay where it is; and then it may be anywhere again, as before. A
 * change of this thread's own affinity by someone else just in between would be lost. */
bool gcdune_os_leave(bool (*taken)(unsigned processor))
{
	unsigned long before[128], set[128]; /* 8192 processors */
	enum { BITS = 8 * sizeof *set };
	long size = syscall(SYS_sched_getaffinity, 0, sizeof before, before);
	bool any = false;

	for (unsigned i = 0; size > 0 && i < (size_t)size / sizeof *set; i++) {
		set[i] = before[i];
		for (unsigned long rest = before[i]; rest; rest &= rest - 1) {
			unsigned bit = (unsigned)__builtin_ctzl(rest);

			if (taken(i * BITS + bit))
				set[i] &= ~(1ul << bit);
		}
		any |= set[i] != 0;
	}
	if (!any || syscall(SYS_sched_setaffinity, 0, (size_t)size, set))
		return false;
	(void)syscall(SYS_sched_setaffinity, 0, (size_t)size, before);
	return true;
}

void gcdune_os_yield(void)
{
	sched_yield();
}

unsigned gcdune_os_running(void)
{
	char text[128];
	unsigned running;

	if (gcdune_os_read_file("/proc/loadavg", text, sizeof text) <= 0 ||
	    sscanf(text, "%*f %*f %*f %u/", &running) != 1 || !running)
		return 1;
	return running;
}

static bool visit_memory(const char *text, void *arg)
{
	size_t *limit = arg;
	unsigned long long value;

	if (sscanf(text, "%llu", &value) == 1 && value < *limit)
		*limit = (size_t)value;
	return false;
}

size_t gcdune_os_memory_limit(void)
{
	size_t limit = SIZE_MAX;
	char text[64];
	unsigned long long v1;

	each_cgroup("memory.max", visit_memory, &limit);
	/* The older hierarchy, as containers see it. */
	if (gcdune_os_read_file("/sys/fs/cgroup/memory/memory.limit_in_bytes", text, sizeof text) > 0 &&
	    sscanf(text, "%llu", &v1) == 1 && v1 < limit && v1 < (1ull << 60))
		limit = (size_t)v1;
	return limit == SIZE_MAX ? 0 : limit;
}

size_t gcdune_os_address_limit(void)
{
	struct rlimit limit;
	char text[128];
	unsigned long pages;

	if (getrlimit(RLIMIT_AS, &limit) || limit.rlim_cur == RLIM_INFINITY)
		return SIZE_MAX;
	if (gcdune_os_read_file("/proc/self/statm", text, sizeof text) <= 0 || sscanf(text, "%lu", &pages) != 1)
		return limit.rlim_cur / 2;
	size_t used = pages * 4096ul;

	return used < limit.rlim_cur ? limit.rlim_cur - used : 0;
}

int gcdune_os_descriptor_high(int fd)
{
	int moved = fd < 0 ? fd : fcntl(fd, F_DUPFD_CLOEXEC, GCDUNE_OS_HIGH);

	if (moved < 0)
		return fd;
	close(fd);
	return moved;
}

void gcdune_os_descriptors_begin(void)
{
	if (__libc_single_threaded)
		close(gcdune_os_descriptor_high(memfd_create("gcdune", MFD_CLOEXEC)));
}

static int shared_fd = -1;

void *gcdune_os_shared(const char *name, size_t size)
{
	int fd = gcdune_os_descriptor_high(memfd_create(name, MFD_CLOEXEC));

	if (fd < 0)
		return NULL;
	void *p = ftruncate(fd, (off_t)size) ? MAP_FAILED
					     : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED) {
		close(fd);
		return NULL;
	}
	shared_fd = fd;
	return p;
}

void gcdune_os_unshare(void *address, size_t size)
{
	if (!address)
		return;
	munmap(address, size);
	close(shared_fd);
	shared_fd = -1;
}

int gcdune_os_pid(void)
{
	return getpid();
}

int gcdune_os_tid(void)
{
	return (int)syscall(SYS_gettid);
}

int gcdune_os_tgkill(int tid, int signal)
{
	return syscall(SYS_tgkill, getpid(), tid, signal) ? -errno : 0;
}

void gcdune_os_futex_wait(const void *word, uint32_t value)
{
	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

void gcdune_os_futex_wait_for(const void *word, uint32_t value, uint64_t ns)
{
	struct timespec t = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};

	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, &t, NULL, 0);
}

void gcdune_os_futex_wake(const void *word, int waiters)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, waiters, NULL, NULL, 0);
}

void gcdune_os_sleep(uint64_t ns)
{
	struct timespec t = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};

	nanosleep(&t, NULL);
}

long gcdune_os_page_faults(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_SELF, &usage) ? 0 : usage.ru_minflt;
}

#ifdef __SANITIZE_ADDRESS__
void __asan_unpoison_memory_region(void const volatile *address, size_t size);

__attribute__((no_sanitize("address"))) void gcdune_os_thread_begins(void)
{
	char *here = __builtin_frame_address(0);

	/* The caller's frame, and all that will be used below: the stack is 256 KiB. */
	__asan_unpoison_memory_region(here - (200 << 10), 204 << 10);
}
#else
void gcdune_os_thread_begins(void)
{
}
#endif

static _Atomic(gcdune_warn_fn) warn_handler;

gcdune_warn_fn gcdune_warn_set(gcdune_warn_fn handler)
{
	return __atomic_exchange_n((gcdune_warn_fn *)&warn_handler, handler, __ATOMIC_ACQ_REL);
}

static void write_line(const char *prefix, const char *line)
{
	char text[1200];
	int n = snprintf(text, sizeof text, "%s%s\n", prefix, line);

	if (n > 0 && write(2, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1) < 0)
		return;
}

void gcdune_warn(const char *format, ...)
{
	char line[1024];
	va_list args;
	gcdune_warn_fn handler = warn_handler;
	int saved = errno;

	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	if (handler)
		handler(line);
	else
		write_line("gcdune: ", line);
	errno = saved;
}

void gcdune_panic(const char *format, ...)
{
	char line[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	write_line("gcdune: fatal: ", line);
	abort();
}
