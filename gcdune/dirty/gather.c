/* gather.c - Dune mode: from bits of page-table entries to bits of pages, with a flush in between.
 *
 * Safety argument. A processor may hold a translation of a page as dirty (or as writable) after its entry was made clean,
 * and then writes without a trace until it has flushed. So nothing that was made clean may be read, and taken to be what
 * the page holds, before every thread has flushed: a write before its flush is in what is read then, a later one leaves a
 * trace. Hence three steps: make clean (gcdune_gather, or track); settle, which returns when each thread has flushed or
 * is where it will before it runs on (dune_flush_done, dune_flush_all); read. In the pause nothing is made clean, so nothing is flushed:
 * stopped threads' writes have left their traces, as a processor sets the bit before it writes.
 *
 * Who flushes. Making clean raises dune's epoch, so whoever comes back from the monitor from then on flushes on its way: from a
 * system call, or from the signal that stopped it. So behind a stop nothing is left to do but for threads that were not
 * stopped, and the settle that follows one finds that. Else threads that allocate are asked to flush when they next
 * come by (gcdune_dirty_safepoint), which costs no exit, and settle waits for a moment. Who has not come by then, or
 * computes in a blocking region, is interrupted. That each thread has flushed is never concluded from where it was
 * stopped or has come by: it is read from what its vCPU did (dune_flush_done).
 *
 * It is one settle for a whole look at the heap (dirty.h: gather), not one for each range that a marker takes. `pending' has what was gathered and not yet taken, a bit for each page of the
 * heap; markers take bits of their own ranges, which may share words. What no marker takes stays, and is reported again:
 * too much, never too little. */
#include "gather.h"

#include <errno.h>
#include <string.h>

#include "../heap.h"
#include "../options.h"
#include "../os.h"
#include "dirty.h"
#include "library.h"

enum { CHUNK = 32768 }; /* pages looked through at once: their bits are on the stack */

static uint64_t *pending;
static size_t pending_size; /* bytes */
static bool gathered;	    /* takes find everything in `pending' */
static bool unsettled;
static uint64_t epoch; /* to be flushed for, if unsettled */
static unsigned cores;
_Atomic bool gcdune_dirty_wanted;

static void made_clean(void)
{
	unsettled = true;
	epoch = gcdune_dune.flush_request();
}

static bool make_room(size_t pages)
{
	size_t want = (pages / 64 + 2) * sizeof *pending;

	if (want <= pending_size)
		return true;
	uint64_t *more = gcdune_os_remap(pending, pending_size, want * 2);

	if (!more)
		return false;
	pending = more;
	pending_size = want * 2;
	return true;
}

int gcdune_gather(gcdune_harvest_fn *take, uintptr_t begin, uintptr_t end)
{
	uint64_t bits[CHUNK / 64];
	size_t page = (begin - gcdune_heap.base) / GCDUNE_PAGE;

	gathered = make_room((end - gcdune_heap.base) / GCDUNE_PAGE);
	if (!gathered)
		return -ENOMEM;
	while (begin < end) {
		size_t pages = (end - begin) / GCDUNE_PAGE;

		pages = pages < CHUNK ? pages : CHUNK;
		long found = take((void *)begin, pages * GCDUNE_PAGE, bits);

		if (found < 0) {
			gathered = false;
			return (int)found;
		}
		if (found > 0)
			made_clean();
		for (size_t i = 0; found && i < (pages + 63) / 64; i++) {
			size_t at = page + i * 64;

			pending[at / 64] |= bits[i] << at % 64;
			if (at % 64)
				pending[at / 64 + 1] |= bits[i] >> (64 - at % 64);
		}
		begin += pages * GCDUNE_PAGE;
		page += pages;
	}
	return 0;
}

int gcdune_gather_track(gcdune_harvest_fn *take, uintptr_t begin, uintptr_t end)
{
	/* What has no entry was not written yet, and writing to it will make one. dune-fault needs them, and large ones are to
	 * become small. */
	bool entries = take != gcdune_dune.dirty_take || gcdune_options.hugepages == GCDUNE_HUGE_ON;
	int error = entries ? gcdune_dune.dirty_track((void *)begin, end - begin) : 0;
	long found = error ? error : take((void *)begin, end - begin, NULL);

	if (found > 0)
		made_clean();
	return found < 0 ? (int)found : 0;
}

static void flush(void)
{
	int interrupted;

	gcdune_dirty_flushes++;
	interrupted = gcdune_dune.flush_all();
	gcdune_dirty_exits += interrupted > 0 ? (uint64_t)interrupted : 0; /* those of other threads */
}

void gcdune_dirty_come_by(void)
{
	uint64_t before = gcdune_dune.thread_exits();

	gcdune_dune.flush_check();
	gcdune_dirty_exits += gcdune_dune.thread_exits() - before;
}

void gcdune_gather_settle(void)
{
	enum { PATIENCE = 500 /* us */ };

	if (!unsettled)
		return;
	/* With one processor nobody comes by while we wait, before the system lets them. */
	uint64_t patience = gcdune_options.settle ? gcdune_options.settle : cores > 1 ? PATIENCE : 0;

	if (!gcdune_dune.flush_done(epoch)) {
		bool done = false;

		if (patience) {
			uint64_t until = gcdune_os_now() + patience * 1000;

			gcdune_dirty_wanted = true;
			do {
				for (unsigned i = 0; i < 64; i++)
					__builtin_ia32_pause();
				done = gcdune_dune.flush_done(epoch);
			} while (!done && gcdune_os_now() < until);
			gcdune_dirty_wanted = false;
		}
		if (!done)
			flush();
	}
	unsettled = false;
}

/* The heap may have grown since the gather, and the range reach further than `pending': nothing was gathered there, but
 * what was in the rest of the range is reported. Every gathered page is below the limit (make_room), and so has a word and
 * one after it. */
static void take_pending(uintptr_t begin, size_t pages, uint64_t *bits, bool clear)
{
	size_t page = (begin - gcdune_heap.base) / GCDUNE_PAGE, words = pending_size / sizeof *pending;
	size_t limit = words ? (words - 1) * 64 : 0;

	if (begin < gcdune_heap.base || page >= limit)
		return;
	if (pages > limit - page)
		pages = limit - page;
	/* Word by word of `bits', from two of `pending'. */
	for (size_t i = 0; i < (pages + 63) / 64; i++) {
		size_t at = page + i * 64, n = pages - i * 64 < 64 ? pages - i * 64 : 64;
		uint64_t mask = ~(uint64_t)0 >> (64 - n), low = mask << at % 64;
		uint64_t high = at % 64 ? mask >> (64 - at % 64) : 0;
		uint64_t a = __atomic_load_n(&pending[at / 64], __ATOMIC_RELAXED) & low;
		uint64_t b = high ? __atomic_load_n(&pending[at / 64 + 1], __ATOMIC_RELAXED) & high : 0;

		if (!(a | b))
			continue;
		bits[i] |= a >> at % 64 | (at % 64 ? b << (64 - at % 64) : 0);
		if (clear && a)
			__atomic_fetch_and(&pending[at / 64], ~a, __ATOMIC_RELAXED);
		if (clear && b)
			__atomic_fetch_and(&pending[at / 64 + 1], ~b, __ATOMIC_RELAXED);
	}
}

int gcdune_gather_take(gcdune_harvest_fn *take, gcdune_harvest_fn *peek, uintptr_t begin, size_t pages, uint64_t *bits,
		       bool rearm)
{
	bool heap = begin - gcdune_heap.base < gcdune_heap.size;

	if (!rearm || !heap || !gathered) {
		long found = (rearm ? take : peek)((void *)begin, pages * GCDUNE_PAGE, bits);

		if (found < 0)
			return (int)found;
		if (rearm && found && heap)
			flush();
		else if (rearm && found)
			made_clean();
	}
	if (heap)
		take_pending(begin, pages, bits, rearm);
	return 0;
}

int gcdune_gather_open(void)
{
	if (!cores)
		cores = gcdune_os_cores();
	return gcdune_dune_active() ? 0 : -ENOTSUP;
}

void gcdune_gather_begin(void)
{
	gathered = false;
}

void gcdune_gather_forget(void)
{
	/* A forked child may have been made just while it was moved: nothing is known of it there. */
	pending = NULL;
	pending_size = 0;
	gathered = unsettled = false;
	gcdune_dirty_wanted = false;
}
