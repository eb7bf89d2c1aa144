/* stats.c - Boehm's counters from gcdune's statistics, and GC_dump.
 *
 * "Unmapped" is what the heap once had and gave back: the difference to its peak. */
#include "libgc.h"

#include <fcntl.h>
#include <unistd.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"

bool libgc_dump_regularly, libgc_print_address_map;

static uint64_t measured_from;

static struct gcdune_stats stats(void)
{
	struct gcdune_stats now;

	gcdune_stats_get(&now, sizeof(now));
	return now;
}

/* What GC_expand_hp asked for belongs to the heap from then on, also where no page of it was touched yet. */
static atomic_size_t reserved;

int libgc_heap_reserve(size_t size)
{
	size_t before = atomic_load(&reserved);

	if (gcdune_heap_reserve(size))
		return 0;
	while (before < size && !atomic_compare_exchange_weak(&reserved, &before, size))
		;
	return 1;
}

static size_t heap_size(const struct gcdune_stats *now)
{
	size_t least = atomic_load(&reserved);

	return now->bytes_heap > least ? now->bytes_heap : least;
}

static size_t heap_free(const struct gcdune_stats *now)
{
	return now->bytes_free + heap_size(now) - now->bytes_heap;
}

static size_t unmapped(const struct gcdune_stats *now)
{
	return now->bytes_heap_peak > heap_size(now) ? now->bytes_heap_peak - heap_size(now) : 0;
}

/* A locked instruction for each object would be a tenth of a program that frees all it allocates (asymptote): a thread keeps
 * some back, which others do not see. */
enum { KEPT_BACK = 4096 };
static atomic_size_t freed;
static __thread size_t freed_here;

static void tell_freed(void)
{
	atomic_fetch_add_explicit(&freed, freed_here, memory_order_relaxed);
	freed_here = 0;
}

void libgc_stats_freed(size_t bytes)
{
	freed_here += bytes;
	if (freed_here >= KEPT_BACK)
		tell_freed();
}

void libgc_stats_begin(void)
{
	freed_here = 0;
	atomic_store(&freed, 0);
}

size_t GC_get_expl_freed_bytes_since_gc(void)
{
	tell_freed();
	return atomic_load(&freed);
}

/* For programs that keep free lists of their own and want them counted. */
extern __attribute__((visibility("default"))) void GC_incr_bytes_allocd(size_t bytes);
void GC_incr_bytes_allocd(size_t bytes)
{
	struct gcdune_thread *thread = gcdune_thread_get();

	if (thread)
		gcdune_account(thread, (int64_t)bytes);
}

extern __attribute__((visibility("default"))) void GC_incr_bytes_freed(size_t bytes);
void GC_incr_bytes_freed(size_t bytes)
{
	libgc_stats_freed(bytes);
}

GC_word GC_get_gc_no(void)
{
	return GC_gc_no;
}

int GC_get_parallel(void)
{
	return GC_parallel;
}

size_t GC_get_heap_size(void)
{
	struct gcdune_stats now = stats();

	return heap_size(&now);
}

size_t GC_get_free_bytes(void)
{
	struct gcdune_stats now = stats();

	return heap_free(&now);
}

size_t GC_get_unmapped_bytes(void)
{
	struct gcdune_stats now = stats();

	return unmapped(&now);
}

size_t GC_get_bytes_since_gc(void)
{
	return stats().bytes_since;
}

size_t GC_get_total_bytes(void)
{
	return stats().bytes_allocated;
}

size_t GC_get_obtained_from_os_bytes(void)
{
	struct gcdune_stats now = stats();

	return heap_size(&now) + unmapped(&now);
}

size_t GC_get_memory_use(void)
{
	struct gcdune_stats now = stats();

	return now.bytes_heap - now.bytes_free;
}

static void put(GC_word *place, GC_word value)
{
	if (place)
		*place = value;
}

void GC_get_heap_usage_safe(GC_word *heap, GC_word *free_bytes, GC_word *unmapped_bytes, GC_word *bytes_since_gc,
			    GC_word *total_bytes)
{
	struct gcdune_stats now = stats();

	put(heap, heap_size(&now));
	put(free_bytes, heap_free(&now));
	put(unmapped_bytes, unmapped(&now));
	put(bytes_since_gc, now.bytes_since);
	put(total_bytes, now.bytes_allocated);
}

size_t GC_get_prof_stats(struct GC_prof_stats_s *result, size_t size)
{
	struct gcdune_stats now = stats();
	struct GC_prof_stats_s all = {
		.heapsize_full = heap_size(&now) + unmapped(&now),
		.free_bytes_full = heap_free(&now) + unmapped(&now),
		.unmapped_bytes = unmapped(&now),
		.bytes_allocd_since_gc = now.bytes_since,
		.allocd_bytes_before_gc = now.bytes_allocated - now.bytes_since,
		.non_gc_bytes = GC_non_gc_bytes,
		.gc_no = GC_gc_no,
		.markers_m1 = (GC_word)GC_parallel,
		.bytes_reclaimed_since_gc = (GC_word)-1,
		.reclaimed_bytes_before_gc = (GC_word)-1,
		.expl_freed_bytes_since_gc = GC_get_expl_freed_bytes_since_gc(),
		.obtained_from_os_bytes = heap_size(&now) + unmapped(&now),
	};

	if (size <= sizeof(all)) {
		memcpy(result, &all, size);
		return size;
	}
	memcpy(result, &all, sizeof(all));
	memset(result + 1, 0xff, size - sizeof(all));
	return sizeof(all);
}

size_t GC_get_prof_stats_unsafe(struct GC_prof_stats_s *result, size_t size)
{
	return GC_get_prof_stats(result, size);
}

void GC_start_performance_measurement(void)
{
	measured_from = stats().pause_total_ns;
}

unsigned long GC_get_full_gc_total_time(void)
{
	return (stats().pause_total_ns - measured_from) / 1000000;
}

static void print(const char *name, unsigned long long value)
{
	printf("  %-22s %llu\n", name, value);
}

void GC_dump_named(const char *name)
{
	struct gcdune_stats now;

	libgc_init();
	now = stats();
	if (name)
		printf("gcdune %s, dump %s\n", gcdune_version(), name);
	else
		printf("gcdune %s, dump at collection %lu\n", gcdune_version(), GC_gc_no);
	print("collections", now.collections);
	print("heap bytes", now.bytes_heap);
	print("free bytes", now.bytes_free);
	print("peak heap bytes", now.bytes_heap_peak);
	print("live bytes", now.bytes_live);
	print("live objects", now.objects_marked);
	print("allocated bytes", now.bytes_allocated);
	print("allocated since", now.bytes_since);
	print("released bytes", now.bytes_released);
	print("longest pause, ns", now.pause_max_ns);
	print("all pauses, ns", now.pause_total_ns);
	print("finalizers run", now.finalizers_run);
	print("threads", now.threads);
	fflush(stdout);
}

void GC_dump(void)
{
	GC_dump_named(NULL);
}

static void print_address_map(void)
{
	char text[4096];
	ssize_t got;
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);

	GC_err_printf("---------- Address map:\n");
	while (fd >= 0 && (got = read(fd, text, sizeof text)) > 0)
		GC_err_printf("%.*s", (int)got, text);
	GC_err_printf("---------- End of address map\n");
	if (fd >= 0)
		close(fd);
}

void libgc_stats_after_collection(void)
{
	struct gcdune_stats now = stats();

	GC_parallel = now.markers ? (int)now.markers - 1 : 0;
	if (libgc_dump_regularly)
		GC_dump_named(NULL);
	if (libgc_print_address_map)
		print_address_map();
}
