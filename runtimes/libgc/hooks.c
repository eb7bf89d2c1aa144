/* hooks.c - what gcdune calls, passed on to what the program set: out of memory, warnings, events, roots; and the ends.
 *
 * The procedures that the program sets are variables, some of them exported, and read at each call. */
#include "libgc.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "heap.h"

#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* warning procedures take a format */

static GC_on_collection_event_proc on_collection_event;
static GC_start_callback_proc start_callback;

/* Without stdio's lock, which a stopped thread may hold. */
static void print_and_abort(const char *message)
{
	if (message)
		dprintf(2, "%s\n", message);
}

extern __attribute__((visibility("default"))) GC_abort_func GC_on_abort;
GC_abort_func GC_on_abort = print_and_abort;

static void print_warning(char *message, GC_word arg)
{
	dprintf(2, message, arg);
}

static GC_warn_proc warn_proc = print_warning;

bool libgc_loop_on_abort;

void libgc_fatal(const char *message)
{
	GC_on_abort(message);
	while (libgc_loop_on_abort)
		pause();
	abort();
}

void libgc_warn(const char *message)
{
	static char format[] = "GC Warning: %s\n";

	warn_proc(format, (GC_word)message);
}

static void *return_null(size_t size)
{
	static char format[] = "GC Warning: out of memory: %lu bytes cannot be had, returning NULL\n";

	warn_proc(format, size);
	return NULL;
}

/* gcdune's callbacks. */

static void *out_of_memory(size_t size)
{
	return GC_oom_fn(size);
}

static void finalizers_queued(void)
{
	GC_finalizer_notifier_proc notify = GC_finalizer_notifier;

	if (notify)
		notify();
}

static void push_roots(struct gcdune_marker *marker)
{
	libgc_toggle_push(marker);
	libgc_roots_push(marker);
	libgc_dead_push(marker);
}

static void tell(GC_EventType event)
{
	GC_on_collection_event_proc proc = on_collection_event;

	if (proc)
		proc(event);
}

static void begin(void)
{
	GC_start_callback_proc proc = start_callback;

	libgc_heap_ready();
	libgc_collection_apply();
	tell(GC_EVENT_START);
	if (proc)
		proc();
	libgc_toggle_decide();
	tell(GC_EVENT_PRE_STOP_WORLD);
}

static void on_event(enum gcdune_event event)
{
	switch (event) {
	case GCDUNE_EVENT_BEGIN:
		begin();
		break;
	case GCDUNE_EVENT_STOPPED:
		if (!gcdune_heap.marking) /* the first stop of the collection */
			GC_gc_no++;
		libgc_stats_begin();
		libgc_inspect_begin();
		libgc_tell_threads(GC_EVENT_THREAD_SUSPENDED);
		tell(GC_EVENT_POST_STOP_WORLD);
		tell(GC_EVENT_MARK_START);
		break;
	case GCDUNE_EVENT_RESUME:
		tell(GC_EVENT_MARK_END);
		tell(GC_EVENT_PRE_START_WORLD);
		libgc_tell_threads(GC_EVENT_THREAD_UNSUSPENDED);
		break;
	case GCDUNE_EVENT_END:
		tell(GC_EVENT_POST_START_WORLD);
		tell(GC_EVENT_RECLAIM_START);
		tell(GC_EVENT_RECLAIM_END);
		tell(GC_EVENT_END);
		libgc_stats_after_collection();
		libgc_debug_report();
		libgc_dead_process();
		break;
	case GCDUNE_EVENT_GREW:
		libgc_heap_ready();
		libgc_collection_apply();
		if (GC_on_heap_resize)
			GC_on_heap_resize(GC_get_heap_size());
		break;
	}
}

void libgc_hooks_install(void)
{
	GC_oom_fn = return_null;
	gcdune_oom_set(out_of_memory);
	gcdune_warn_set(libgc_warn);
	gcdune_event_set(on_event);
	gcdune_roots_callback_set(push_roots);
	gcdune_finalizers_notify_set(finalizers_queued);
}

/* The program's side. */

void GC_set_oom_fn(GC_oom_func fn)
{
	GC_oom_fn = fn;
}

GC_oom_func GC_get_oom_fn(void)
{
	return GC_oom_fn;
}

void GC_abort_on_oom(void)
{
	dprintf(2, "Out of memory\n");
	GC_on_abort(NULL);
	exit(1);
}

void GC_set_abort_func(GC_abort_func fn)
{
	GC_on_abort = fn;
}

GC_abort_func GC_get_abort_func(void)
{
	return GC_on_abort;
}

void GC_set_warn_proc(GC_warn_proc proc)
{
	warn_proc = proc;
}

GC_warn_proc GC_get_warn_proc(void)
{
	return warn_proc;
}

void GC_ignore_warn_proc(char *message, GC_word arg)
{
	(void)message;
	(void)arg;
}

void GC_set_on_heap_resize(GC_on_heap_resize_proc proc)
{
	GC_on_heap_resize = proc;
}

GC_on_heap_resize_proc GC_get_on_heap_resize(void)
{
	return GC_on_heap_resize;
}

void GC_set_on_collection_event(GC_on_collection_event_proc proc)
{
	on_collection_event = proc;
}

GC_on_collection_event_proc GC_get_on_collection_event(void)
{
	return on_collection_event;
}

void GC_set_start_callback(GC_start_callback_proc proc)
{
	start_callback = proc;
}

GC_start_callback_proc GC_get_start_callback(void)
{
	return start_callback;
}

void GC_set_finalizer_notifier(GC_finalizer_notifier_proc proc)
{
	GC_finalizer_notifier = proc;
}

GC_finalizer_notifier_proc GC_get_finalizer_notifier(void)
{
	return GC_finalizer_notifier;
}
