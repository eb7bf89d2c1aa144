/* os.c - the operating system, see os.h: clocks, files, threads, and what is said to the user. No state but the program's
 * warning handler. os-memory.c has memory, os-machine.c what the machine has, os-thread.c our own threads. */
#define _GNU_SOURCE
#include "os.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/single_threaded.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "gcdune.h"
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

void gcdune_os_yield(void)
{
	sched_yield();
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

static _Atomic bool can_fence_all;

void gcdune_os_fence_all_begin(void)
{
	can_fence_all = __libc_single_threaded &&
			syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
}

bool gcdune_os_can_fence_all(void)
{
	return atomic_load_explicit(&can_fence_all, memory_order_relaxed);
}

int gcdune_os_fence_all(void)
{
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0)
		return 0;
	can_fence_all = false;
	return -errno;
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
