/* os-machine.c - what the machine has, and what of it this process may use, see os.h: processors, memory, address space. */
#define _GNU_SOURCE
#include "os.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

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
	static _Atomic unsigned known;
	unsigned char mask[1024]; /* 8192 processors */
	unsigned cores = known;

	if (cores)
		return cores;
	long n = syscall(SYS_sched_getaffinity, 0, sizeof mask, mask);

	for (long i = 0; i < n; i++)
		cores += (unsigned)__builtin_popcount(mask[i]);
	if (!cores)
		cores = 1;
	each_cgroup("cpu.max", visit_quota, &cores);
	known = cores;
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
