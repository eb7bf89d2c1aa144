/* timed.h - how long each allocation call takes: backend.h calls this where BACKEND_TIMED is defined (make bench-longest), in
 * binaries of their own, so that the others stay as they are.
 *
 * Time is the processor's counter, which runs at one rate on every processor this is for. What the system takes between the
 * two looks, by running something else, counts too: a control run that never collects shows how much that is. By any thread;
 * not in signal handlers. */
#ifndef BENCHMARKS_TIMED_H
#define BENCHMARKS_TIMED_H

#include <stdint.h>

static inline uint64_t timed_now(void)
{
	uint32_t processor;

	return __builtin_ia32_rdtscp(&processor);
}

/* A call of this thread that took so many ticks. At exit all of them go as JSON to the file that $BENCH_ALLOCATIONS names. */
void timed_record(uint64_t ticks);

#define timed_call(call)                                                                                               \
	({                                                                                                             \
		uint64_t timed_began = timed_now();                                                                    \
		void *timed_result = (call);                                                                           \
		timed_record(timed_now() - timed_began);                                                               \
		timed_result;                                                                                          \
	})

#endif
