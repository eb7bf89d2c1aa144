/* init.c - load time, Boehm's environment variables, and GC_init.
 *
 * At load time gcdune is told of the hooks and the environment, but not started: a program may still choose, before its
 * GC_init or first allocation, whatever must be known at the start (the signal, the number of markers). What needs the
 * heap to exist comes in libgc_heap_ready, from GC_init or from gcdune's first event, whichever is first.
 *
 * Variables of gcdune's own (GCDUNE_...) are read after these and win. */
#include "libgc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "heap.h"

bool libgc_initialized;

static size_t initial_heap;
static bool wants_incremental; /* GC_ENABLE_INCREMENTAL, until it is done */

/* 12345, 64k, 16M, 2G; 0 if malformed, with a warning. */
static size_t size_variable(const char *name)
{
	const char *text = getenv(name);
	const char *units = "kmg";
	unsigned long long value;
	const char *unit;
	char *end;
	int shift = 0;

	if (!text || !*text)
		return 0;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (*end && (unit = strchr(units, *end | 0x20))) {
		shift = 10 * (int)(unit - units + 1);
		end++;
	}
	if (errno || *end || end == text || *text == '-' || value << shift >> shift != value) {
		libgc_warn("a GC_... environment variable does not hold a size; it is ignored");
		return 0;
	}
	return (size_t)(value << shift);
}

static bool is_set(const char *name)
{
	return getenv(name) != NULL;
}

static void set_option(const char *name, const char *value)
{
	if (gcdune_option_set(name, value) == -EINVAL)
		libgc_warn("a GC_... environment variable has a value that cannot be used; it is ignored");
}

/* Programs of Debian that write past the end of what they asked for, up to a word, by a mistake that Boehm's byte after each
 * object hides. They get that byte without asking. goo's g2c is one: 5000 of its objects in a short run, of sizes that fill
 * their slot, are overrun (make check-others OTHERS=goo crashed in two of three runs). */
static const char *const overrunning[] = {"g2c"};

static bool overruns(void)
{
	for (size_t i = 0; i < sizeof overrunning / sizeof *overrunning; i++)
		if (strcmp(program_invocation_short_name, overrunning[i]) == 0)
			return true;
	return false;
}

static void read_environment(void)
{
	const char *text = getenv("GC_MARKERS");
	size_t size;

	if (!text)
		text = getenv("GC_NPROCS");
	if (text)
		set_option("markers", text);
	if (is_set("GC_PRINT_STATS") || is_set("GC_PRINT_VERBOSE_STATS"))
		set_option("stats", "1");
	if (is_set("GC_DONT_GC"))
		GC_dont_gc = 1;
	if (is_set("GC_FORCE_UNMAP_ON_GCOLLECT"))
		GC_set_force_unmap_on_gcollect(1);
	if (is_set("GC_ALL_INTERIOR_POINTERS") || overruns())
		GC_set_all_interior_pointers(1);
	if (is_set("GC_FIND_LEAK"))
		GC_find_leak = 1;
	libgc_delay_free = is_set("GC_FINDLEAK_DELAY_FREE");
	libgc_abort_on_leak = is_set("GC_ABORT_ON_LEAK");
	libgc_loop_on_abort = is_set("GC_LOOP_ON_ABORT");
	if (is_set("GC_LOG_FILE"))
		libgc_log_open(getenv("GC_LOG_FILE"), is_set("GC_ONLY_LOG_TO_FILE"));
	text = getenv("GC_UNMAP_THRESHOLD");
	if (text && strcmp(text, "0") == 0)
		set_option("release", "off");
	text = getenv("GC_USE_GETWRITEWATCH");
	if (text && strcmp(text, "0") == 0)
		set_option("dirty", "mprotect");
	libgc_incremental_refused = is_set("GC_DISABLE_INCREMENTAL");
	libgc_print_address_map = is_set("GC_PRINT_ADDRESS_MAP");
	if (is_set("GC_COLLECT_AT_MALLOC"))
		set_option("torture", "1");
	if (is_set("GC_USE_ENTIRE_HEAP"))
		GC_use_entire_heap = 1;
	if (is_set("GC_FULL_FREQUENCY") && atoi(getenv("GC_FULL_FREQUENCY")) > 0)
		GC_set_full_freq(atoi(getenv("GC_FULL_FREQUENCY")));
	if (is_set("GC_PAUSE_TIME_TARGET") && atol(getenv("GC_PAUSE_TIME_TARGET")) > 0)
		GC_time_limit = strtoul(getenv("GC_PAUSE_TIME_TARGET"), NULL, 10);
	libgc_dump_regularly = is_set("GC_DUMP_REGULARLY");
	size = size_variable("GC_MAXIMUM_HEAP_SIZE");
	if (size)
		gcdune_heap_limit_set(size);
	size = size_variable("GC_FREE_SPACE_DIVISOR");
	if (size)
		GC_free_space_divisor = size;
	initial_heap = size_variable("GC_INITIAL_HEAP_SIZE");
}

static void lock(void)
{
	pthread_mutex_lock(&libgc_lock);
}

static void unlock(void)
{
	pthread_mutex_unlock(&libgc_lock);
}

static void in_child(void)
{
	libgc_thread_after_fork();
	libgc_dead_after_fork();
	unlock();
}

__attribute__((constructor)) static void load(void)
{
	libgc_hooks_install();
	read_environment();
	pthread_atfork(lock, unlock, in_child);
}

void libgc_heap_ready(void)
{
	if (libgc_initialized || !gcdune_heap.ready)
		return;
	GC_least_plausible_heap_addr = (void *)gcdune_heap.base;
	GC_greatest_plausible_heap_addr = (void *)(gcdune_heap.base + gcdune_heap.size - 1);
	libgc_initialized = true;
}

/* What leaked up to the end is told at exit. */
static void last_look(void)
{
	if (GC_find_leak)
		GC_gcollect();
}

static void start(void)
{
	if (gcdune_init())
		libgc_fatal("no address space for the heap");
	libgc_heap_ready();
	if (!GC_stackbottom)
		GC_stackbottom = gcdune_thread_stack_end();
	if (!GC_all_interior_pointers)
		gcdune_interior_set(false);
	libgc_settings_apply();
	if (is_set("GC_ENABLE_INCREMENTAL"))
		wants_incremental = true;
	if (GC_find_leak) {
		libgc_dead_watch();
		atexit(last_look);
	}
	if (initial_heap && !libgc_heap_reserve(initial_heap))
		libgc_warn("the initial heap size cannot be had");
}

void libgc_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	static __thread bool starting; /* what start calls may come back here */

	if (starting)
		return;
	starting = true;
	pthread_once(&once, start);
	starting = false;
	if (wants_incremental) {
		wants_incremental = false;
		GC_enable_incremental();
	}
}

void GC_init(void)
{
	libgc_init();
	if (libgc_deinitialized) {
		libgc_deinitialized = false;
		libgc_collection_apply();
	}
}

int GC_is_init_called(void)
{
	return libgc_initialized && !libgc_deinitialized;
}

unsigned GC_get_version(void)
{
	return GC_VERSION_MAJOR << 16 | GC_VERSION_MINOR << 8 | GC_VERSION_MICRO;
}
