/* dirty.h - which pages were written: one interface, several sources behind it (dirty.c chooses).
 *
 * A page that is tracked and clean reports its first write, whoever makes it: the program, or the kernel for it. Every
 * other page counts as written: one never tracked, one given back to the kernel, one whose mapping changed. So a source
 * may report too much and never too little, and what is unknown to it needs no care. Ranges are whole pages.
 *
 * gcdune_dirty_mark and gcdune_dirty_touch may be called by any thread in a critical section; everything else by the thread that runs the cycle, take by markers, on ranges of
 * their own, and so track where the source is `late'. Operating-system calls of this subject are in this folder. */
#ifndef GCDUNE_DIRTY_H
#define GCDUNE_DIRTY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gcdune_dirty_source {
	const char *name;
	bool anywhere; /* not only the heap: also data segments */
	bool rearms;   /* take can make pages clean again */
	bool late;     /* what was never tracked is reported at no cost, and a first write costs less than a call */
	bool keeps;    /* between cycles a tracked page is as good as any other but for its first write */

	/* Gets ready; 0 or a negative errno. */
	int (*open)(void);
	void (*close)(void);
	/* A cycle begins. NULL: nothing to do. */
	void (*begin)(void);
	/* The range may be tracked; not all of it need be mapped for use. Again for each cycle. */
	int (*attach)(uintptr_t begin, uintptr_t end);
	/* All its pages are clean, from the next settle on. */
	int (*track)(uintptr_t begin, uintptr_t end);
	/* NULL where making pages clean takes effect at once. Else, before markers take with REARM: gather for each range of
	 * the heap, then settle; what take reports was written before that, and may be read. A range that was not gathered
	 * only costs more. An error says no more than that. */
	int (*gather)(uintptr_t begin, uintptr_t end);
	void (*settle)(void);
	/* Sets bit i of BITS, all zero before, where page i of the range was written; these pages are clean again if REARM.
	 * The two are one step: a write is reported here or by the next take. An error means that nothing is known. */
	int (*take)(uintptr_t begin, size_t pages, uint64_t *bits, bool rearm);
	/* Its pages count as written, so that writing to them costs nothing. */
	void (*mark)(uintptr_t begin, uintptr_t end);
	/* Its pages are as if the caller had written to each, but for less. Contents stay. NULL: mark is as good. */
	void (*touch)(uintptr_t begin, uintptr_t end);
	/* Nothing in the range is tracked any more. */
	void (*end)(uintptr_t begin, uintptr_t end);
	/* In the child of a fork, where nothing is tracked. */
	void (*after_fork)(void);
};

extern const struct gcdune_dirty_source gcdune_dirty_uffd, gcdune_dirty_softdirty, gcdune_dirty_mprotect, gcdune_dirty_dune,
	gcdune_dirty_dune_fault __attribute__((visibility("hidden")));

/* Write faults that sources of this process have handled themselves (mprotect, dune-fault); flushes of all processors
 * that they have asked for (dune, dune-fault). */
extern _Atomic uint64_t gcdune_dirty_faults, gcdune_dirty_flushes __attribute__((visibility("hidden")));
/* Exits from the guest that tracking has caused, in Dune mode: what the functions below cost the threads that called them,
 * by each thread's own counter, and one for each thread that was interrupted for a flush. */
extern _Atomic uint64_t gcdune_dirty_exits __attribute__((visibility("hidden")));

/* Where threads that allocate come by: what was made clean waits for them to flush (gather.c). */
extern _Atomic bool gcdune_dirty_wanted __attribute__((visibility("hidden")));
void gcdune_dirty_come_by(void);

static inline bool gcdune_dirty_is_wanted(void)
{
	return atomic_load_explicit(&gcdune_dirty_wanted, memory_order_relaxed);
}

static inline void gcdune_dirty_safepoint(void)
{
	if (__builtin_expect(gcdune_dirty_is_wanted(), 0))
		gcdune_dirty_come_by();
}

/* Whether there is a source other than `always'. The first call looks for one (GCDUNE_DIRTY) and tries it out. */
bool gcdune_dirty_usable(void);
/* The same without trying: true as long as that has not been found out. */
bool gcdune_dirty_promises(void);
/* The name of the source in use; "always" when every page counts as written. */
const char *gcdune_dirty_name(void);
/* Whether take makes pages clean again. */
bool gcdune_dirty_rearms(void);

/* What the program takes for its first write to a page that is tracked and clean, as measured when the source was tried out, or
 * as GCDUNE_WRITE_COST says; ns. */
uint64_t gcdune_dirty_write_ns(void);

/* Whether it is well to track pages only once there is something on them to be tracked. */
bool gcdune_dirty_late(void);

/* Whether pages may stay tracked between cycles. */
bool gcdune_dirty_keeps(void);

/* A cycle begins: the heap is in [BEGIN, END), and may grow there. 0 or a negative errno. */
int gcdune_dirty_begin(uintptr_t begin, uintptr_t end);
/* Contents are read after gcdune_dirty_settle. */
int gcdune_dirty_track(uintptr_t begin, uintptr_t end);
/* Before a round of takes with REARM, for each range; then settle. */
void gcdune_dirty_gather(uintptr_t begin, uintptr_t end);
void gcdune_dirty_settle(void);
/* BITS has room for PAGES, all zero. Sets all of them when nothing is known. */
void gcdune_dirty_take(uintptr_t begin, size_t pages, uint64_t *bits, bool rearm);
void gcdune_dirty_mark(uintptr_t begin, uintptr_t end);
/* Whether gcdune_dirty_touch is there to be called. */
bool gcdune_dirty_touches(void);
/* Signal-safe. Memory that the kernel has not given yet is asked for. */
void gcdune_dirty_touch(uintptr_t begin, uintptr_t end);
void gcdune_dirty_end(uintptr_t begin, uintptr_t end);

/* The same for memory elsewhere; no gather. What was taken with REARM is read after gcdune_dirty_settle. False: it cannot be
 * tracked. */
bool gcdune_dirty_track_root(uintptr_t begin, uintptr_t end);
bool gcdune_dirty_take_root(uintptr_t begin, size_t pages, uint64_t *bits, bool rearm);
void gcdune_dirty_end_root(uintptr_t begin, uintptr_t end);

void gcdune_dirty_after_fork(void);

/* selftest.c: tries SOURCE on memory of its own. NULL if it reports every write, else what it misses. WRITE_NS, unless it is NULL:
 * what a first write takes. */
const char *gcdune_dirty_selftest(const struct gcdune_dirty_source *source, uint64_t *write_ns);

/* check.c: GCDUNE_VERIFY=2. What the memory itself says, page by page, against the source. */
void gcdune_dirty_check_begin(uintptr_t end);
void gcdune_dirty_check_track(uintptr_t begin, uintptr_t end);
/* The same for sources whose pages are clean only once that is settled: then. */
void gcdune_dirty_check_due(uintptr_t begin, uintptr_t end);
void gcdune_dirty_check_settled(void);
void gcdune_dirty_check_take(uintptr_t begin, size_t pages, const uint64_t *bits, bool rearm);
void gcdune_dirty_check_end(uintptr_t begin, uintptr_t end);
void gcdune_dirty_check_forget(void);

#endif
