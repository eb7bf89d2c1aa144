/* trace.c - owns the record of spans of time that becomes the trace: the Trace Event format that Perfetto and Chromium's
 * about:tracing open ("Trace Event Format", complete events). Kept in memory and written at exit. Under a lock of its
 * own; threads of the program hold it in critical sections only, so the collector may take it while they are stopped. */
#include "trace.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "options.h"
#include "os.h"
#include "stats.h"
#include "thread.h"

struct span {
	const char *name;
	uint64_t begin, length;
	int tid; /* 0: the collector */
};

enum { KEEP = 1 << 20 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct span *spans;
static size_t count, capacity;

static void add(const char *name, int tid, uint64_t begin, uint64_t end)
{
	struct gcdune_thread *self = gcdune_thread_self;

	if (self)
		gcdune_critical_enter(self);
	pthread_mutex_lock(&lock);
	if (count == capacity && capacity < KEEP) {
		size_t more = capacity ? capacity * 2 : 4096;
		void *bigger = gcdune_os_remap(spans, capacity * sizeof *spans, more * sizeof *spans);

		if (bigger) {
			spans = bigger;
			capacity = more;
		}
	}
	if (count < capacity)
		spans[count++] = (struct span){name, begin - gcdune_stats_start(), end - begin, tid};
	pthread_mutex_unlock(&lock);
	if (self)
		gcdune_critical_leave(self);
}

void gcdune_trace_span(const char *name, uint64_t begin, uint64_t end)
{
	if (gcdune_options.trace)
		add(name, 0, begin, end);
}

void gcdune_trace_thread(const char *name, int tid, uint64_t begin, uint64_t end)
{
	if (gcdune_options.trace)
		add(name, tid, begin, end);
}

int gcdune_trace_write(const char *path)
{
	FILE *f = fopen(path, "we");
	int pid = (int)getpid();
	struct gcdune_thread *self = gcdune_thread_self;

	if (!f)
		return -errno;
	/* The collector may add to it meanwhile, also with the world stopped: who holds the lock is not stopped. */
	if (self)
		gcdune_critical_enter(self);
	pthread_mutex_lock(&lock);
	/* Where it begins on the system's clock: what perf record -k CLOCK_MONOTONIC saw lines up with it. */
	fprintf(f, "{\"displayTimeUnit\": \"ms\", \"otherData\": {\"monotonic_ns\": \"%llu\"}, \"traceEvents\": [\n",
		(unsigned long long)gcdune_stats_start());
	fprintf(f, "{\"name\": \"thread_name\", \"ph\": \"M\", \"pid\": %d, \"tid\": 0, \"args\": {\"name\": \"gcdune\"}}", pid);
	for (size_t i = 0; i < count; i++)
		fprintf(f, ",\n{\"name\": \"%s\", \"cat\": \"gc\", \"ph\": \"X\", \"ts\": %.3f, \"dur\": %.3f, \"pid\": %d, \"tid\": %d}",
			spans[i].name, (double)spans[i].begin / 1e3, (double)spans[i].length / 1e3, pid, spans[i].tid);
	fprintf(f, "\n]}\n");
	pthread_mutex_unlock(&lock);
	if (self)
		gcdune_critical_leave(self);
	int failed = ferror(f);

	return fclose(f) || failed ? -EIO : 0;
}

void gcdune_trace_after_fork(void)
{
	pthread_mutex_init(&lock, NULL);
	count = 0;
}
