/* place.h - which processors the program's threads run on, so that the collector's stay off them (place.c). */
#ifndef GCDUNE_PLACE_H
#define GCDUNE_PLACE_H

#include <stdbool.h>
#include <stdint.h>

/* A coarse time while a cycle runs beside the program, 0 otherwise. */
extern _Atomic uint32_t gcdune_place_time __attribute__((visibility("hidden")));
/* The time-stamp counter at which this thread is to look next. In threads of the program, never. */
extern __thread uint64_t gcdune_place_next __attribute__((tls_model("initial-exec"), visibility("hidden")));

void gcdune_place_note(uint32_t time);
void gcdune_place_look_now(uint64_t counter);

/* Whether gcdune_place_program has anything to do. */
static inline bool gcdune_place_is_asked(void)
{
	return __atomic_load_n((uint32_t *)&gcdune_place_time, __ATOMIC_RELAXED) != 0;
}

/* A thread of the program runs here. Anywhere. */
static inline void gcdune_place_program(void)
{
	uint32_t time = __atomic_load_n((uint32_t *)&gcdune_place_time, __ATOMIC_RELAXED);

	if (__builtin_expect(time != 0, 0))
		gcdune_place_note(time);
}

/* Whether a thread of the program was lately where the caller, a thread of the collector's, is. In another, yes. */
bool gcdune_place_is_shared(void);

/* A thread of the collector's begins, or the cycle that it runs beside the program does, or ends. */
void gcdune_place_thread_begins(void);
void gcdune_place_begin(void);
void gcdune_place_end(void);

/* By whoever works beside the program for long, every some microseconds. Never with the world stopped, for what is waited
 * for then is the caller; with no lock held that the program could want. */
static inline void gcdune_place_look(void)
{
	uint64_t counter = __builtin_ia32_rdtsc();

	if (__builtin_expect(counter >= gcdune_place_next, 0))
		gcdune_place_look_now(counter);
}

#endif
