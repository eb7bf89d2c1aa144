/* init.c - owns gcdune_heap and brings everything up, once, in the order in which parts need each other. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>

#include "block.h"
#include "cycle.h"
#include "dirty/library.h"
#include "heap.h"
#include "mark.h"
#include "options.h"
#include "os.h"
#include "pacer.h"
#include "roots.h"
#include "stats.h"
#include "thread.h"

/* Zero, so that what no one uses of it takes no memory: most of it is lists for kinds that most programs do not make. */
struct gcdune_heap gcdune_heap;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int result;

/* Half of what address space there is, at most: the program needs some, and the tables take an eighth of the heap's. */
static size_t reserve_size(void)
{
	size_t size = gcdune_options.reserve, left = gcdune_os_address_limit();

	return left != SIZE_MAX && size > left / 2 ? left / 2 : size;
}

/* Held for microseconds, and taken again and again by the sweep: who waits spins, or it would get nothing before that ends. */
void gcdune_heap_lock_init(void)
{
	pthread_mutexattr_t attributes;

	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ADAPTIVE_NP);
	pthread_mutex_init(&gcdune_heap.lock, &attributes);
	pthread_mutexattr_destroy(&attributes);
}

void gcdune_mutex_lock_soon(pthread_mutex_t *mutex)
{
	enum { SPINS = 200 };

	for (unsigned i = 0; i < SPINS; i++) {
		if (pthread_mutex_trylock(mutex) == 0)
			return;
		__builtin_ia32_pause();
	}
	pthread_mutex_lock(mutex);
}

void gcdune_heap_lock(void)
{
	if (gcdune_thread_self)
		gcdune_critical_enter(gcdune_thread_self);
	gcdune_mutex_lock_soon(&gcdune_heap.lock);
}

void gcdune_heap_unlock(void)
{
	pthread_mutex_unlock(&gcdune_heap.lock);
	if (gcdune_thread_self)
		gcdune_critical_leave(gcdune_thread_self);
}

static void begin_kinds(void)
{
	static const struct gcdune_kind_info own[GCDUNE_KIND_FIRST_USER] = {
		[GCDUNE_KIND_SCANNED] = {.scan = GCDUNE_SCAN_WORDS},
		[GCDUNE_KIND_LEAF] = {.scan = GCDUNE_SCAN_NONE},
		[GCDUNE_KIND_PINNED] = {.scan = GCDUNE_SCAN_WORDS, .pinned = 1},
		[GCDUNE_KIND_PINNED_LEAF] = {.scan = GCDUNE_SCAN_NONE, .pinned = 1},
		[GCDUNE_KIND_TYPED] = {.scan = GCDUNE_SCAN_TYPED},
		[GCDUNE_KIND_EPHEMERON] = {.scan = GCDUNE_SCAN_EPHEMERON},
	};

	for (gcdune_kind kind = 0; kind < GCDUNE_KIND_FIRST_USER; kind++)
		gcdune_kind_begin(kind, &own[kind]);
	gcdune_heap.color = gcdune_heap.newest = gcdune_heap.white = gcdune_heap.black = 1;
}

static int start(void)
{
	struct gcdune_heap *heap = &gcdune_heap;
	int error;

	gcdune_options_init();
	gcdune_os_descriptors_begin();
	gcdune_os_fence_all_begin();
	if (gcdune_options.torture)
		heap->slow = 1;
	gcdune_class_init();
	gcdune_heap_lock_init();
	begin_kinds();
	error = gcdune_block_init(reserve_size());
	if (error) {
		gcdune_warn("no address space for a heap of %zu MiB or less: raise the limit (ulimit -v) or lower "
			    "GCDUNE_RESERVE",
			    reserve_size() >> 20);
		return error;
	}
	error = gcdune_mark_init();
	if (error) {
		gcdune_warn("no memory to start with");
		return error;
	}
	error = gcdune_stop_init();
	if (error) {
		gcdune_warn("the signal to stop threads (%d) cannot be used: %s", gcdune_options.signal,
			    strerrordesc_np(-error));
		return error;
	}
	gcdune_pacer_init();
	gcdune_stats_init();
	gcdune_thread_init();
	gcdune_fork_init();
	heap->ready = 1;
	return 0;
}

int gcdune_init(void)
{
	if (__builtin_expect(__atomic_load_n(&gcdune_heap.ready, __ATOMIC_ACQUIRE) == 2, 1))
		return 0;
	pthread_mutex_lock(&lock);
	if (gcdune_heap.ready || result) {
		pthread_mutex_unlock(&lock);
		return result;
	}
	result = start();
	pthread_mutex_unlock(&lock);
	if (result)
		return result;
	/* These call back in here, which finds it ready. */
	gcdune_thread_attach();
	gcdune_roots_exclude(&gcdune_heap, &gcdune_heap + 1);
	gcdune_roots_exclude(&gcdune_mark_main, &gcdune_mark_main + 1);
	gcdune_cycle_init();
	gcdune_roots_own_end();
	if (gcdune_options.heap_initial && gcdune_heap_reserve(gcdune_options.heap_initial))
		gcdune_warn("GCDUNE_HEAP_INITIAL cannot be had");
	__atomic_store_n(&gcdune_heap.ready, 2, __ATOMIC_RELEASE);
	/* For gcdune_option_set: the environment was asked when the library was loaded. */
	if (gcdune_dune_loaded)
		gcdune_dune_begin(gcdune_options.dirty);
	return 0;
}

const char *gcdune_version(void)
{
	return "0.1.0";
}
