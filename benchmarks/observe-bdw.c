/* observe-bdw.c - counts the collections of Boehm's collector and times its stops, from outside.
 *
 * Owns the figures of one process on Boehm's collector and writes them at exit, as JSON, to the file that
 * $BENCH_REPORT names. Used twice: linked into the benchmark programs, and as a preloaded library
 * for programs that are not rebuilt (there also for the shell that starts one: without a collector it stays silent).
 *
 * A stop lasts from the request to stop the world to the moment all threads have been told to go on: what the
 * program can notice of it. What is outside, such as sweeping, is not counted, nor is it for gcdune.
 * The event hook runs with the collector's lock held, so plain variables do.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* The events of gc.h that matter here. Spelled out because the preloaded library must load without the collector. */
enum { OBSERVE_PRE_STOP = 6, OBSERVE_POST_START = 9, OBSERVE_END = 5 };

typedef void (*observe_hook)(int event);

static observe_hook observe_next;
static uint64_t observe_began;
static uint64_t observe_collections;
static uint64_t observe_pauses;
static uint64_t observe_pause_max;
static uint64_t observe_pause_total;
static uint64_t observe_loaded; /* when this was loaded */

/* Each stop, as start and length. Of a kind that cannot be taken for pointers, but it is a root, so it is short. */
enum { OBSERVE_LIST = 4096 };
static uint32_t observe_list[OBSERVE_LIST][2]; /* microseconds since the start; length in 10 ns */

static uint64_t observe_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void observe_event(int event)
{
	if (event == OBSERVE_PRE_STOP) {
		observe_began = observe_now();
	} else if (event == OBSERVE_POST_START && observe_began) {
		uint64_t pause = observe_now() - observe_began;

		if (observe_pauses < OBSERVE_LIST) {
			observe_list[observe_pauses][0] = (uint32_t)((observe_began - observe_loaded) / 1000);
			observe_list[observe_pauses][1] = (uint32_t)(pause / 10);
		}
		observe_began = 0;
		observe_pauses++;
		observe_pause_total += pause;
		if (pause > observe_pause_max)
			observe_pause_max = pause;
	} else if (event == OBSERVE_END) {
		observe_collections++;
	}
	if (observe_next)
		observe_next(event);
}

__attribute__((constructor)) static void observe_start(void)
{
	void (*set)(observe_hook) = (void (*)(observe_hook))dlsym(RTLD_DEFAULT, "GC_set_on_collection_event");
	observe_hook (*get)(void) = (observe_hook(*)(void))dlsym(RTLD_DEFAULT, "GC_get_on_collection_event");

	if (!set || !get || !getenv("BENCH_REPORT"))
		return;
	observe_loaded = observe_now();
	observe_next = get();
	set(observe_event);
}

/* Names the library that was really used: a comparison with Boehm's collector is worthless if the dynamic
 * linker found another libgc. */
__attribute__((destructor)) static void observe_report(void)
{
	const char *path = getenv("BENCH_REPORT");
	size_t (*heap_size)(void) = (size_t(*)(void))dlsym(RTLD_DEFAULT, "GC_get_heap_size");
	unsigned (*version)(void) = (unsigned (*)(void))dlsym(RTLD_DEFAULT, "GC_get_version");
	Dl_info info;
	FILE *file;

	if (!path || !heap_size || !version || !dladdr((void *)heap_size, &info))
		return;
	file = fopen(path, "we");
	if (!file)
		return;
	fprintf(file,
		"{\"collections\":%llu,\"pause_max_ns\":%llu,\"pause_total_ns\":%llu,\"bytes_heap\":%zu,"
		"\"pauses\":{\"count\":%llu,\"list\":[",
		(unsigned long long)observe_collections, (unsigned long long)observe_pause_max,
		(unsigned long long)observe_pause_total, heap_size(), (unsigned long long)observe_pauses);
	for (uint64_t i = 0; i < observe_pauses && i < OBSERVE_LIST; i++)
		fprintf(file, "%s[%llu,%llu]", i ? "," : "", observe_list[i][0] * 1000ull, observe_list[i][1] * 10ull);
	fprintf(file, "]},\"library\":\"%s\",\"version\":\"%u.%u.%u\"}\n", info.dli_fname, version() >> 16,
		version() >> 8 & 255, version() & 255);
	fclose(file);
}
