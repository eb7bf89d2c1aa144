/* top.c - gcdune top: a running program's statistics, from the memory file that GCDUNE_LIVE=1 made it open (live.h), found
 * among its descriptors. Reading takes nothing from the program. */
#define _GNU_SOURCE
#include "command.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "live.h"

static const struct gcdune_live *find(long pid)
{
	char path[300], target[256];

	snprintf(path, sizeof path, "/proc/%ld/fd", pid);
	DIR *dir = opendir(path);
	struct dirent *entry;

	if (!dir)
		return NULL;
	errno = 0;
	while ((entry = readdir(dir))) {
		snprintf(path, sizeof path, "/proc/%ld/fd/%s", pid, entry->d_name);
		ssize_t n = readlink(path, target, sizeof target - 1);

		if (n <= 0)
			continue;
		target[n] = '\0';
		if (strncmp(target, "/memfd:" GCDUNE_LIVE_NAME, strlen("/memfd:" GCDUNE_LIVE_NAME)))
			continue;
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		closedir(dir);
		if (fd < 0)
			return NULL;
		void *p = mmap(NULL, sizeof(struct gcdune_live), PROT_READ, MAP_SHARED, fd, 0);

		close(fd);
		return p == MAP_FAILED ? NULL : p;
	}
	closedir(dir);
	errno = ENOENT;
	return NULL;
}

/* The writer never waits: read until nothing changed meanwhile. */
static void copy(const struct gcdune_live *live, struct gcdune_live *to)
{
	for (int tries = 0; tries < 1000; tries++) {
		uint32_t before = atomic_load(&live->sequence);

		memcpy(to, live, sizeof *to);
		atomic_thread_fence(memory_order_acquire);
		if (!(before & 1) && before == atomic_load(&live->sequence))
			return;
	}
}

static double mib(uint64_t bytes)
{
	return (double)bytes / 1048576;
}

static long resident(long pid)
{
	char path[64];
	long size, rss = 0;

	snprintf(path, sizeof path, "/proc/%ld/statm", pid);
	FILE *f = fopen(path, "re");

	if (f && fscanf(f, "%ld %ld", &size, &rss) != 2)
		rss = 0;
	if (f)
		fclose(f);
	return rss * (sysconf(_SC_PAGESIZE) / 1024);
}

static void bar(const char *name, double value, double most)
{
	int n = most > 0 ? (int)(value / most * 50 + .5) : 0;

	printf("%-11s%9.1f MiB  |%.*s%*s|\n", name, value, n > 50 ? 50 : n, "##################################################",
	       n > 50 ? 0 : 50 - n, "");
}

static void view(long pid, const struct gcdune_live *now, const struct gcdune_live *before, double seconds)
{
	const struct gcdune_stats *s = &now->stats;
	uint64_t recent = now->pauses < GCDUNE_LIVE_PAUSES ? now->pauses : GCDUNE_LIVE_PAUSES;
	uint32_t longest = 0;
	double most = mib(s->bytes_heap_peak);

	for (uint64_t i = 0; i < recent; i++)
		if (now->pause_ns[i] > longest)
			longest = now->pause_ns[i];
	printf("process    %ld, runs for %.1f s, resident %.1f MiB, dirty pages by %s\n", pid,
	       (double)(now->updated_ns - now->started_ns) / 1e9, (double)resident(pid) / 1024, *now->dirty ? now->dirty : "?");
	printf("collections %llu", (unsigned long long)s->collections);
	if (before)
		printf(" (%.1f a second), allocates %.1f MiB a second", (double)(s->collections - before->stats.collections) / seconds,
		       mib(s->bytes_allocated - before->stats.bytes_allocated) / seconds);
	printf("\n");
	bar("heap", mib(s->bytes_heap), most);
	bar("live", mib(s->bytes_live), most);
	bar("free", mib(s->bytes_free), most);
	printf("pauses     last %.3f ms, longest of the last %llu %.3f ms, longest ever %.3f ms, %.3f ms in all\n",
	       (double)s->pause_last_ns / 1e6, (unsigned long long)recent, (double)longest / 1e6, (double)s->pause_max_ns / 1e6,
	       (double)s->pause_total_ns / 1e6);
	printf("threads    %u attached, %u marked last time; %llu finalizers run\n", s->threads, s->markers,
	       (unsigned long long)s->finalizers_run);
	fflush(stdout);
}

int command_top(int argc, char **argv)
{
	static const struct option options[] = {{"delay", required_argument, NULL, 'd'}, {"count", required_argument, NULL, 'n'}, {0}};
	double delay = 1;
	long count = 0;
	char *end;
	int option;

	while ((option = getopt_long(argc, argv, "d:n:", options, NULL)) != -1) {
		if (option == 'd') {
			delay = strtod(optarg, &end);
			if (end == optarg || *end || !(delay >= 0.01 && delay <= 3600))
				return command_error(COMMAND_USAGE, "top: not a number of seconds: %s", optarg), command_usage("top");
		} else if (option == 'n') {
			count = strtol(optarg, &end, 10);
			if (end == optarg || *end || count < 1)
				return command_error(COMMAND_USAGE, "top: not a number of views: %s", optarg), command_usage("top");
		} else {
			return command_usage("top");
		}
	}
	if (argc - optind != 1)
		return command_error(COMMAND_USAGE, "top: the number of a process is wanted"), command_usage("top");
	long pid = strtol(argv[optind], &end, 10);

	if (end == argv[optind] || *end || pid < 1)
		return command_error(COMMAND_USAGE, "top: not the number of a process: %s", argv[optind]), command_usage("top");
	const struct gcdune_live *live = find(pid);

	if (!live && errno == ENOENT && kill((pid_t)pid, 0) == 0)
		return command_error(1, "process %ld has no live statistics: start it by 'gcdune run --live' or with GCDUNE_LIVE=1, and "
					"wait for its first collection", pid);
	if (!live)
		return command_error(1, "process %ld: %s", pid, strerrordesc_np(errno));
	if (live->magic != GCDUNE_LIVE_MAGIC || live->size != sizeof *live)
		return command_error(1, "process %ld runs another version of gcdune", pid);

	struct gcdune_live now, before;
	bool terminal = isatty(1);

	for (long i = 0; !count || i < count; i++) {
		if (i) {
			struct timespec t = {(time_t)delay, (long)((delay - (double)(time_t)delay) * 1e9)};

			nanosleep(&t, NULL);
			before = now;
		}
		if (kill((pid_t)pid, 0) && errno == ESRCH) {
			printf("process %ld has ended\n", pid);
			return 0;
		}
		copy(live, &now);
		if (terminal)
			fputs("\033[H\033[J", stdout);
		else if (i)
			putchar('\n');
		view(pid, &now, i ? &before : NULL, delay);
	}
	return 0;
}
