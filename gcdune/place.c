/* place.c - owns the table of when a thread of the program was last seen on which processor. A thread of the collector's that
 * works beside the program and finds itself where one of the program's was a moment ago keeps it from running: two that
 * compute take turns at the system's ticks, 4 ms each, and schedulers let two threads of a process share a processor for
 * tens of ticks while another is idle. So it goes to a processor where none of the program's is, if one seems to be idle; or
 * lets the program run after each third of a millisecond.
 *
 * All of it is a guess that may be wrong at any time: the table is written and read without order, and decides only where
 * and when threads run. Callers: alloc.c, collector.c and stop.c say where the program is; collector.c, mark-burst.h,
 * sweep.c and the like look. */
#include "place.h"

#include <stdatomic.h>

#include "dirty/library.h"
#include "os.h"

enum { PROCESSORS = 1024 };
/* In the counter's ticks, some 3 for each ns: a look each 0.1 ms or so. After a move, which costs some 30 us, not so soon;
 * nor after the program was let run, which has the processor for one of the system's ticks then. */
enum { LOOK = 1 << 18, AFTER_YIELD = 1 << 20, AFTER_MOVE = 1 << 21, TIME_SHIFT = 20 };
/* A thread of the program that was here so long ago, about two of the system's ticks, may be waiting to run here. */
enum { RECENT = 24 };

_Atomic uint32_t gcdune_place_time;
__thread uint64_t gcdune_place_next = UINT64_MAX;

static uint32_t seen[PROCESSORS]; /* a thread of the program; 0: never */

static uint32_t time_of(uint64_t counter)
{
	return (uint32_t)(counter >> TIME_SHIFT) | 1;
}

static bool is_taken(unsigned processor)
{
	uint32_t at = processor < PROCESSORS ? __atomic_load_n(&seen[processor], __ATOMIC_RELAXED) : 0;

	return at && gcdune_place_time - at <= RECENT;
}

void gcdune_place_note(uint32_t time)
{
	unsigned processor = gcdune_os_processor();

	if (processor < PROCESSORS && __atomic_load_n(&seen[processor], __ATOMIC_RELAXED) != time)
		__atomic_store_n(&seen[processor], time, __ATOMIC_RELAXED);
}

void gcdune_place_look_now(uint64_t counter)
{
	gcdune_place_next = counter + LOOK;
	uint32_t time = gcdune_place_time;

	/* Over meanwhile? Then it stays so. */
	if (!time || (!atomic_compare_exchange_strong(&gcdune_place_time, &time, time_of(counter)) && !time))
		return;
	if (!is_taken(gcdune_os_processor()))
		return;
	/* Elsewhere there may be other processes, behind which it would wait for longer than anyone gains. */
	if (gcdune_os_running() <= gcdune_os_cores() && gcdune_os_leave(is_taken)) {
		gcdune_place_next = counter + AFTER_MOVE;
	} else {
		gcdune_os_yield();
		gcdune_place_next = __builtin_ia32_rdtsc() + AFTER_YIELD;
	}
}

bool gcdune_place_is_shared(void)
{
	return gcdune_place_next == UINT64_MAX || !gcdune_place_time || is_taken(gcdune_os_processor());
}

void gcdune_place_thread_begins(void)
{
	gcdune_place_next = 0;
}

void gcdune_place_begin(void)
{
	/* In Dune mode the processor's number is not to be had cheaply. */
	if (!gcdune_dune_active())
		gcdune_place_time = time_of(__builtin_ia32_rdtsc());
}

void gcdune_place_end(void)
{
	gcdune_place_time = 0;
}
