/* backend-whippet.c - the out-of-line part of backend.h on Whippet (configure --with-whippet), and the figures of its stops, which
 * go as JSON to the file that $BENCH_REPORT names.
 *
 * $WHIPPET_OPTIONS is passed on; the default is a heap that grows with what is live. Whippet has no realloc and no stacks but
 * those of threads: programs that need these skip themselves. Threads reach a safepoint when they allocate, and must not be
 * waited for while they block: hence the wrappers around create and join. */
#include "backend.h"

#include <stdio.h>
#include <string.h>

#include "figures.h"

#include <gc-event-listener.h>

enum { LIST = 4096, SKIPPED = 77 };

static struct gc_heap *heap;
__thread struct gc_mutator *backend_mutator;

static struct {
	uint64_t loaded, began, count, most, total;
	uint32_t list[LIST][2]; /* microseconds since the start; length in 10 ns */
	uint64_t collections;
} stops;

static void no_event(void *data)
{
}

static void *no_data(void *data)
{
	return NULL;
}

static void size_event(void *data, size_t size)
{
}

static void stop_begins(void *data)
{
	stops.began = figures_now();
}

static void collection_begins(void *data, enum gc_collection_kind kind, uint64_t allocated)
{
	stops.collections++;
}

static void stop_ends(void *data)
{
	uint64_t length = figures_now() - stops.began;

	if (stops.count < LIST) {
		stops.list[stops.count][0] = (uint32_t)((stops.began - stops.loaded) / 1000);
		stops.list[stops.count][1] = (uint32_t)(length / 10);
	}
	stops.count++;
	stops.total += length;
	if (length > stops.most)
		stops.most = length;
}

static void report(void)
{
	const char *path = getenv("BENCH_REPORT");
	FILE *file = path ? fopen(path, "we") : NULL;

	if (!file)
		return;
	fprintf(file,
		"{\"collections\":%llu,\"pause_max_ns\":%llu,\"pause_total_ns\":%llu,\"library\":\"whippet\","
		"\"version\":\"mmc\",\"pauses\":{\"list\":[",
		(unsigned long long)stops.collections, (unsigned long long)stops.most, (unsigned long long)stops.total);
	for (uint64_t i = 0; i < stops.count && i < LIST; i++)
		fprintf(file, "%s[%llu,%llu]", i ? "," : "", stops.list[i][0] * 1000ull, stops.list[i][1] * 10ull);
	fputs("]}}\n", file);
	fclose(file);
}

static struct gc_stack_addr stack_bottom(void)
{
	pthread_attr_t attributes;
	void *low;
	size_t size;

	if (pthread_getattr_np(pthread_self(), &attributes) || pthread_attr_getstack(&attributes, &low, &size))
		backend_out_of_memory(0);
	pthread_attr_destroy(&attributes);
	return gc_stack_addr((uintptr_t)low + size);
}

void backend_init(void)
{
	static const struct gc_event_listener listener = {
		.init = size_event,
		.requesting_stop = stop_begins,
		.waiting_for_stop = no_event,
		.mutators_stopped = no_event,
		.prepare_gc = collection_begins,
		.roots_traced = no_event,
		.heap_traced = no_event,
		.ephemerons_traced = no_event,
		.finalizers_traced = no_event,
		.restarting_mutators = stop_ends,
		.mutator_added = no_data,
		.mutator_cause_gc = no_event,
		.mutator_stopping = no_event,
		.mutator_stopped = no_event,
		.mutator_restarted = no_event,
		.mutator_removed = no_event,
		.heap_resized = size_event,
		.live_data_size = size_event,
	};
	struct gc_options *options = gc_allocate_options();
	const char *text = getenv("WHIPPET_OPTIONS");

	stops.loaded = figures_now();
	if (!gc_options_parse_and_set_many(
		    options, text ? text : "heap-size-policy=growable,heap-expansiveness=2.0,heap-size=4194304") ||
	    !gc_init(options, stack_bottom(), &heap, &backend_mutator, listener, NULL)) {
		fprintf(stderr, "Whippet does not start\n");
		exit(1);
	}
	gc_heap_set_roots(heap, (struct gc_heap_roots *)&stops);
	atexit(report);
}

void backend_collect(void)
{
	gc_collect(backend_mutator, GC_COLLECTION_MAJOR);
}

struct start {
	void *(*fn)(void *);
	void *arg;
};

static void *thread_main(void *arg)
{
	struct start start = *(struct start *)arg;
	void *result;

	free(arg);
	backend_mutator = gc_init_for_thread(stack_bottom(), heap);
	result = start.fn(start.arg);
	gc_finish_for_thread(backend_mutator);
	return result;
}

/* ARG must be reachable from elsewhere until the thread has begun. */
void backend_thread_create(pthread_t *thread, void *(*fn)(void *), void *arg)
{
	struct start *start = malloc(sizeof(*start));
	int error;

	if (!start)
		backend_out_of_memory(sizeof(*start));
	*start = (struct start){fn, arg};
	error = pthread_create(thread, NULL, thread_main, start);
	if (error) {
		fprintf(stderr, "pthread_create: %s\n", strerror(error));
		exit(1);
	}
}

static void *join(struct gc_mutator *mutator, void *thread)
{
	pthread_join(*(pthread_t *)thread, NULL);
	return NULL;
}

void backend_thread_join(pthread_t thread)
{
	gc_deactivate_for_call(backend_mutator, join, &thread);
}

static _Noreturn void skip(const char *what)
{
	printf("SKIP: Whippet has no %s\n", what);
	exit(SKIPPED);
}

void *backend_whippet_realloc(void *object, size_t size)
{
	skip("realloc");
}

void *backend_stack_add(void *low, void *high)
{
	skip("stacks besides those of threads");
}

void backend_stack_remove(void *stack)
{
}

void backend_stack_switch(void *to)
{
}

void backend_thread_attach(void)
{
	backend_mutator = gc_init_for_thread(stack_bottom(), heap);
}

void backend_thread_detach(void)
{
	gc_finish_for_thread(backend_mutator);
}

bool backend_finalizer(void *object, void (*fn)(void *object, void *data))
{
	return false;
}

bool backend_link(void **link, void *object)
{
	return false;
}

void backend_out_of_memory(size_t size)
{
	fprintf(stderr, "out of memory: Whippet has no %zu bytes\n", size);
	exit(1);
}
