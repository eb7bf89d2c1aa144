/* dirty.c - owns the choice of the dirty source, made once, by trying it out. Called by the cycle (remark.c, roots-track.c),
 * by alloc-run.c for pages about to be filled, and by fork.c. */
#include "dirty.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "../heap.h"
#include "../options.h"
#include "../os.h"
#include "library.h"

/* In the order in which they are wanted. dune is tried unasked only in a process that is in Dune mode: there it costs
 * least, and there is no userfaultfd. mprotect makes system calls that write to a protected page fail with EFAULT, which
 * a program may not expect, and dune-fault costs more than dune: only if asked for by name. */
static const struct gcdune_dirty_source *const sources[] = {&gcdune_dirty_dune, &gcdune_dirty_uffd, &gcdune_dirty_softdirty,
							    &gcdune_dirty_mprotect, &gcdune_dirty_dune_fault};
enum { SOURCES = sizeof sources / sizeof *sources, AUTOMATIC = 3 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic bool chosen;
static const struct gcdune_dirty_source *_Atomic source; /* NULL: always */
static bool is_open;
static uint64_t write_ns;
_Atomic uint64_t gcdune_dirty_faults, gcdune_dirty_flushes, gcdune_dirty_exits;

static bool try(const struct gcdune_dirty_source *candidate, char *why, size_t size)
{
	int error = candidate->open();
	const char *missed = error ? NULL : gcdune_dirty_selftest(candidate, &write_ns);

	if (!error)
		candidate->close();
	if (!error && !missed) {
		source = candidate; /* opened again, with nothing left of the test, by the first cycle */
		return true;
	}
	snprintf(why, size, "%s: %s", candidate->name, missed ? missed : strerrordesc_np(-error));
	return false;
}

/* Tries the automatic ones in order. WHY gets a reason for each that does not work. */
static bool try_all(char why[][128], const char *already)
{
	for (unsigned i = gcdune_dune_active() ? 0 : 1; i < AUTOMATIC; i++)
		if ((!already || strcmp(already, sources[i]->name)) && try(sources[i], why[i], sizeof why[i]))
			return true;
	return false;
}

static void choose(void)
{
	const char *wanted = gcdune_options.dirty;
	char why[SOURCES][128] = {0};
	bool first = false;

	if (!strcmp(wanted, "always"))
		return;
	if (!strcmp(wanted, "auto")) {
		if (!try_all(why, NULL))
			gcdune_warn("no way to track writes (%s; %s): the program stops while the heap is marked", why[1],
				    why[2]);
		else if (why[0][0] || why[1][0])
			gcdune_warn("writes are tracked by %s (%s)", source->name, why[1][0] ? why[1] : why[0]);
		return;
	}
	for (unsigned i = 0; i < SOURCES && !first; i++) {
		if (strcmp(wanted, sources[i]->name))
			continue;
		if (try(sources[i], why[i], sizeof why[i]))
			return;
		/* That Dune mode cannot be had was said when the library was loaded. */
		first = gcdune_dune_is_wanted(wanted);
		if (first && gcdune_dune_active())
			gcdune_warn("GCDUNE_DIRTY=%s cannot be had (%s): the next source is taken", wanted, why[i]);
		else if (!first)
			gcdune_warn("GCDUNE_DIRTY=%s cannot be had (%s): the program stops while the heap is marked", wanted,
				    why[i]);
	}
	if (first && !try_all(why, wanted))
		gcdune_warn("no way to track writes (%s; %s): the program stops while the heap is marked", why[1], why[2]);
}

bool gcdune_dirty_usable(void)
{
	if (!atomic_load_explicit(&chosen, memory_order_acquire)) {
		pthread_mutex_lock(&lock);
		if (!chosen)
			choose();
		atomic_store_explicit(&chosen, true, memory_order_release);
		pthread_mutex_unlock(&lock);
	}
	return source != NULL;
}

bool gcdune_dirty_promises(void)
{
	if (!atomic_load_explicit(&chosen, memory_order_acquire) && strcmp(gcdune_options.dirty, "always"))
		return true;
	return gcdune_dirty_usable();
}

const char *gcdune_dirty_name(void)
{
	return source ? source->name : "always";
}

bool gcdune_dirty_rearms(void)
{
	return source && source->rearms;
}

uint64_t gcdune_dirty_write_ns(void)
{
	return gcdune_options.write_cost ? gcdune_options.write_cost : write_ns;
}

bool gcdune_dirty_late(void)
{
	return source && source->late;
}

bool gcdune_dirty_keeps(void)
{
	return source && source->keeps;
}

/* What a call costs its thread in exits from the guest. */
static uint64_t exits_so_far(void)
{
	return gcdune_dune.thread_exits ? gcdune_dune.thread_exits() : 0;
}

static void count_exits(const uint64_t *before)
{
	uint64_t n = exits_so_far() - *before;

	if (n)
		gcdune_dirty_exits += n;
}

/* The block's exits are tracking's. */
#define COUNTED __attribute__((cleanup(count_exits), unused)) uint64_t before = exits_so_far()

int gcdune_dirty_begin(uintptr_t begin, uintptr_t end)
{
	COUNTED;

	if (!source)
		return -ENOTSUP;
	if (!is_open) {
		int error = source->open();

		if (error)
			return error;
		is_open = true;
	}
	if (source->begin)
		source->begin();
	if (gcdune_options.verify > 1)
		gcdune_dirty_check_begin(end);
	return source->attach(begin, end);
}

/* With the check, making a page clean and summing it up is one step. */
static pthread_mutex_t checking = PTHREAD_MUTEX_INITIALIZER;

int gcdune_dirty_track(uintptr_t begin, uintptr_t end)
{
	COUNTED;

	if (gcdune_options.verify < 2)
		return source->track(begin, end);
	pthread_mutex_lock(&checking);
	int error = source->track(begin, end);

	if (!error)
		(source->settle ? gcdune_dirty_check_due : gcdune_dirty_check_track)(begin, end);
	pthread_mutex_unlock(&checking);
	return error;
}

void gcdune_dirty_gather(uintptr_t begin, uintptr_t end)
{
	COUNTED;

	if (source && source->gather)
		(void)source->gather(begin, end);
}

void gcdune_dirty_settle(void)
{
	COUNTED;

	if (!source || !source->settle)
		return;
	source->settle();
	if (gcdune_options.verify > 1)
		gcdune_dirty_check_settled();
}

static void set_all(size_t pages, uint64_t *bits)
{
	memset(bits, 0xff, pages / 64 * sizeof *bits);
	if (pages % 64)
		bits[pages / 64] |= ((uint64_t)1 << (pages % 64)) - 1;
}

void gcdune_dirty_take(uintptr_t begin, size_t pages, uint64_t *bits, bool rearm)
{
	COUNTED;
	bool check = gcdune_options.verify > 1;

	if (check)
		pthread_mutex_lock(&checking);
	if (source->take(begin, pages, bits, rearm))
		set_all(pages, bits);
	if (gcdune_options.dirty_plant && pages)
		bits[0] &= ~(uint64_t)0xff; /* for the test of the check */
	if (check) {
		gcdune_dirty_check_take(begin, pages, bits, rearm);
		pthread_mutex_unlock(&checking);
	}
}

void gcdune_dirty_mark(uintptr_t begin, uintptr_t end)
{
	COUNTED;

	if (is_open)
		source->mark(begin, end);
}

bool gcdune_dirty_touches(void)
{
	return is_open && source->touch;
}

void gcdune_dirty_touch(uintptr_t begin, uintptr_t end)
{
	source->touch(begin, end);
}

void gcdune_dirty_end(uintptr_t begin, uintptr_t end)
{
	COUNTED;

	source->end(begin, end);
	if (gcdune_options.verify > 1)
		gcdune_dirty_check_end(begin, end);
}

bool gcdune_dirty_track_root(uintptr_t begin, uintptr_t end)
{
	COUNTED;

	return source && source->anywhere && source->attach(begin, end) == 0 && source->track(begin, end) == 0;
}

bool gcdune_dirty_take_root(uintptr_t begin, size_t pages, uint64_t *bits, bool rearm)
{
	COUNTED;

	return source && is_open && source->take(begin, pages, bits, rearm) == 0;
}

void gcdune_dirty_end_root(uintptr_t begin, uintptr_t end)
{
	COUNTED;

	source->end(begin, end);
}

void gcdune_dirty_after_fork(void)
{
	pthread_mutex_init(&lock, NULL);
	pthread_mutex_init(&checking, NULL);
	if (source && is_open)
		source->after_fork();
	gcdune_dirty_check_forget();
	is_open = false;
}
