/* probe.c - gcdune probe: what this machine offers, what gcdune chooses and why. The library's dirty sources try themselves
 * out (dirty/selftest.c); here each that works is also timed: the first write to a clean page, and reading back which
 * pages were written. */
#define _GNU_SOURCE
#include "command.h"

#include <errno.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "dirty/dirty.h"
#include "dirty/library.h"
#include "gcdune.h"
#include "options.h"
#include "os.h"

enum { PAGES = 2048, APART = 16 }; /* a fault may open that many pages (mprotect) */

static void first_line(const char *path, const char *key, char *line, size_t size)
{
	FILE *f = fopen(path, "re");
	char text[512];

	snprintf(line, size, "?");
	while (f && fgets(text, sizeof text, f)) {
		if (strncmp(text, key, strlen(key)))
			continue;
		char *value = strchr(text, ':');

		text[strcspn(text, "\n")] = '\0';
		snprintf(line, size, "%s", value ? value + 2 : text);
		break;
	}
	if (f)
		fclose(f);
}

/* Nanoseconds for taking what was written, per page written; -1 if it fails. */
static double measure_take(const struct gcdune_dirty_source *source)
{
	static uint64_t bits[PAGES / 64];
	size_t size = (size_t)PAGES * 4096;
	char *memory = gcdune_os_reserve(size, 4096);
	uintptr_t begin = (uintptr_t)memory;
	double take_ns = -1;

	if (!memory || gcdune_os_commit(memory, size) || source->open())
		return take_ns;
	memset(memory, 1, size);
	if (source->attach(begin, begin + size) == 0 && source->track(begin, begin + size) == 0) {
		for (size_t i = 0; i < PAGES; i += APART)
			memory[i * 4096] = 2;
		uint64_t written = gcdune_os_now();

		if (source->take(begin, PAGES, bits, source->rearms) == 0)
			take_ns = (double)(gcdune_os_now() - written) / (PAGES / APART);
		source->end(begin, begin + size);
	}
	source->close();
	gcdune_os_unmap(memory, size);
	return take_ns;
}

static const char *probe_source(const struct gcdune_dirty_source *source)
{
	int error = source->open();
	const char *missing;
	uint64_t write_ns = 0; /* as the collector takes it into account */

	if (error) {
		printf("  %-10s no: %s\n", source->name, strerrordesc_np(-error));
		return NULL;
	}
	missing = gcdune_dirty_selftest(source, &write_ns);
	source->close();
	if (missing) {
		printf("  %-10s no: %s\n", source->name, missing);
		return NULL;
	}
	printf("  %-10s works; first write to a clean page %.2f us, reading back %.0f ns for each%s%s\n", source->name,
	       (double)write_ns / 1000, measure_take(source), source->rearms ? "" : "; one harvest a cycle", source->anywhere ? "; data segments too" : "");
	return source->name;
}

/* Enters Dune mode for it: from there on userfaultfd is gone, so this comes last. Where it cannot be entered, why. */
static void probe_dune(void)
{
	char why[512];
	uint64_t start = gcdune_os_now();

	if (gcdune_dune_enter(why, sizeof why)) {
		printf("  %-10s no: %s\n", "dune", why);
		return;
	}
	uint64_t entered = gcdune_os_now();

	for (unsigned i = 0; i < 1000; i++)
		getppid();
	double call_us = (double)(gcdune_os_now() - entered) / 1e6;

	probe_source(&gcdune_dirty_dune);
	probe_source(&gcdune_dirty_dune_fault);
	printf("             entering takes %.1f ms, a system call %.1f us%s\n", (double)(entered - start) / 1e6, call_us,
	       call_us > 10 ? ": KVM here is software, or its host's: right, but slow" : "");
}

int command_probe(int argc, char **argv)
{
	static const struct option options[] = {{0}};
	struct utsname system;
	char line[512];
	uint64_t start;

	if (getopt_long(argc, argv, "", options, NULL) != -1)
		return command_usage("probe");
	if (optind < argc)
		return command_error(COMMAND_USAGE, "probe: too many arguments"), command_usage("probe");
	uname(&system);
	first_line("/proc/cpuinfo", "model name", line, sizeof line);
	printf("machine    %s %s, %s\n", system.sysname, system.release, line);
	size_t limit = gcdune_os_memory_limit();

	if (!limit)
		limit = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);

	printf("           %u processors for this process, %zu MiB of memory\n", gcdune_os_cores(), limit >> 20);
	first_line("/sys/kernel/mm/transparent_hugepage/enabled", "", line, sizeof line);
	printf("huge pages %s\n", line);
	size_t size = (size_t)64 << 20;
	char *memory = gcdune_os_map(size);

	start = gcdune_os_now();
	for (size_t i = 0; memory && i < size; i += 4096)
		memory[i] = 1;
	printf("memory     first touch of a page %.2f us\n", (double)(gcdune_os_now() - start) / (double)(size / 4096) / 1000);
	gcdune_os_unmap(memory, size);

	const char *wanted = getenv("GCDUNE_DIRTY");
	bool by_name = wanted && *wanted && strcmp(wanted, "auto");

	printf("dirty pages:\n");
	probe_source(&gcdune_dirty_uffd);
	probe_source(&gcdune_dirty_softdirty);
	probe_source(&gcdune_dirty_mprotect);
	/* What is chosen depends on whether the process is in Dune mode. */
	if (gcdune_dune_is_wanted(wanted))
		probe_dune();
	if (gcdune_init())
		return command_error(1, "the collector does not start");
	bool usable = gcdune_dirty_usable();

	if (!gcdune_dune_is_wanted(wanted))
		probe_dune();
	printf("  %-10s works: every page counts as written, and the program is stopped while the heap is marked\n", "always");
	printf("chosen     %s: %s\n", gcdune_dirty_name(),
	       by_name && !strcmp(wanted, gcdune_dirty_name()) ? "GCDUNE_DIRTY asks for it"
	       : usable ? "the cheapest of those that report every write here and need not be asked for by name"
			: "nothing else works");
	printf("signal     SIG%s stops threads\n", sigabbrev_np(gcdune_options.signal));
	return 0;
}
