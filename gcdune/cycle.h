/* cycle.h - collections (cycle-turn.c, cycle.c), and the thread that runs them beside the program (collector.c). */
#ifndef GCDUNE_CYCLE_H
#define GCDUNE_CYCLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gcdune_thread;

enum gcdune_cycle_reason {
	GCDUNE_CYCLE_BUDGET, /* the trigger was reached; nothing is done if another thread has collected meanwhile */
	GCDUNE_CYCLE_NO_MEMORY,
	GCDUNE_CYCLE_ASKED,
	GCDUNE_CYCLE_TORTURE,
	GCDUNE_CYCLE_REASONS
};

/* Once, by init.c. */
void gcdune_cycle_init(void);

/* Collects unless collections are disabled or the caller is inside one. For BUDGET and TORTURE a cycle that runs beside
 * the program is only begun; otherwise it is over on return, and finalizers have run, in AUTO mode. */
void gcdune_cycle_collect(enum gcdune_cycle_reason reason);
/* The calling thread runs a cycle; also from a signal handler. */
bool gcdune_cycle_runs_here(void);
/* heap.allocated has reached heap.trigger: begins a cycle, or helps with the one under way. Not in a critical section. */
void gcdune_cycle_due(struct gcdune_thread *thread);
/* heap.throttle is set: the thread sleeps if it has run for long enough. Not in a critical section. */
void gcdune_cycle_throttle(struct gcdune_thread *thread, unsigned times);
/* A cycle has ended: tells the program, and runs finalizers, if no one has yet. No locks held. */
void gcdune_cycle_after(void);

/* Tells the program if the heap has grown since it was last told. No locks held. */
void gcdune_cycle_tell_growth(void);

/* One cycle, by the collector's thread. */
void gcdune_cycle_run(enum gcdune_cycle_reason reason);

/* In the child of a fork: a cycle that was under way is given up. */
void gcdune_cycle_after_fork(void);

/* ---- form.c ---- */

/* A collection that was made for REASON should run beside the program. */
bool gcdune_form_beside(enum gcdune_cycle_reason reason);
/* It should be a minor one, in the thread that wants it, the program stopped. */
bool gcdune_form_minor_here(enum gcdune_cycle_reason reason);
/* The next collection may be a minor one. AGAIN: a full one follows at once. World stopped. */
bool gcdune_form_minor_next(bool again);
/* A minor cycle that was prepared for runs beside the program after all. */
void gcdune_form_minor_missed(void);
/* How many nanoseconds may be spent on marking in a collection with the program stopped that was taken to be short; then it
 * is abandoned, and one beside the program follows. 0: there is no bound. */
uint64_t gcdune_form_bound(enum gcdune_cycle_reason reason, bool minor);
/* That happened. */
void gcdune_form_abandoned(bool minor);
/* How many bytes there are likely to be to mark. */
size_t gcdune_form_expected(void);
/* A collection beside the program begins; and ends, in which PAGES were found written to and whose last stop took LAST_STOP
 * ns. World stopped. */
void gcdune_form_flip(void);
void gcdune_form_price(size_t pages, uint64_t last_stop);
/* A collection ends that had the program stopped for NS nanoseconds in its last stop, and took CPU of its thread; before
 * heap.allocated begins anew. World stopped. */
void gcdune_form_used(uint64_t ns, uint64_t cpu, bool concurrent, bool minor);

/* ---- collector.c ---- */

/* Makes the thread if need be. False: it cannot be had. */
bool gcdune_collector_ready(void);
/* Asks for a cycle, made for REASON, unless one is asked for or under way or about to be. Calls BEFORE if it does. Returns
 * what gcdune_collector_wait takes, or 0. */
uint32_t gcdune_collector_ask(enum gcdune_cycle_reason reason, void (*before)(void));
/* The caller is in that BEFORE, or makes the thread, for which libc allocates: perhaps on this heap. */
bool gcdune_collector_asking_here(void);
/* Waits until that cycle has ended, as a thread that holds nothing. */
void gcdune_collector_wait(uint32_t ticket);
/* A cycle is asked for or under way; a ticket for its end, else 0. */
uint32_t gcdune_collector_busy(void);
void *gcdune_collector_main(void *arg); /* for intercept.c to recognize */
void gcdune_collector_after_fork(void);

#endif
