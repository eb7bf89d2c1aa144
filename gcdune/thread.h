/* thread.h - a mutator, its caches, and how it is kept from being stopped at a bad moment (thread.c, stop.c).
 *
 * Critical sections: a thread that is inside one does not stop; the stop signal's handler only notes the request, and
 * gcdune_critical_leave sends the signal again. They are short and never wait for heap.cycle; locks of the heap and of
 * the tables are taken only inside, so a stopped thread holds none. Only the thread itself and its own signal handler
 * look at `critical', so compiler fences are enough. That who stops the world sets `stop_pending' may be seen late: it
 * signals those who have not come after a moment. */
#ifndef GCDUNE_THREAD_H
#define GCDUNE_THREAD_H

#include <pthread.h>
#include <signal.h>

#include "heap.h"
#include "stats.h"

/* A slot given to gcdune_free, in state COLOR_FREED. */
struct gcdune_freed {
	struct gcdune_freed *next;
	uint8_t *state; /* where that is; its block counts as used */
};

/* Not, if the program has written to it since: then it can be found from the address. (Where the first word is overwritten the
 * rest of the list is lost to us, as with any collector; programs that do that much worked on none.) */
static inline bool gcdune_freed_knows(const struct gcdune_freed *slot)
{
	return (size_t)(slot->state - gcdune_heap.states) < (size_t)gcdune_heap.nblocks * (GCDUNE_BLOCK / GCDUNE_GRANULE);
}

static inline uint8_t *gcdune_freed_state(const struct gcdune_freed *slot)
{
	return __builtin_expect(gcdune_freed_knows(slot), 1) ? slot->state : gcdune_ref_of(slot).state;
}

/* What the slow path keeps beside a cursor. */
struct gcdune_run {
	char *end;	/* of the run; [cursor.limit, end) is still to be cleared */
	struct gcdune_cursor *cursor;
	struct gcdune_freed *freed;
	uint32_t block; /* that the run is in; it is OPEN; or GCDUNE_NO_BLOCK */
	uint16_t slot;	/* where in the block the search goes on when all of `free' is used up; a multiple of 64 */
	uint16_t nfreed;
	char *touched; /* where gcdune_dirty_touch has come to in the block; NULL: not called */
	uint64_t free; /* those of the 64 slots before that which are free and not given out yet */
};

struct gcdune_cache {
	struct gcdune_cursor *cursors; /* the thread's local.cursors[kind], or own_cursors */
	struct gcdune_run runs[GCDUNE_CLASSES];
	struct gcdune_cursor own_cursors[GCDUNE_CLASSES];
};

struct gcdune_stack {
	struct gcdune_stack *next, **link;
	uintptr_t low, high;
	_Atomic uintptr_t sp; /* where it was left; 0: never entered */
	uint64_t seen;	      /* number of the look (roots-thread.c) at which a thread was last found running on it */
};

enum gcdune_thread_state { GCDUNE_THREAD_RUNNING, GCDUNE_THREAD_BLOCKED };

struct gcdune_thread {
	struct gcdune_local local; /* first: gcdune_local points here */
	struct gcdune_cache *caches[GCDUNE_KIND_MAX];
	int64_t allocated;  /* bytes not yet added to heap.allocated */
	int64_t made;	    /* bytes that were, most of them, since the last collection (pacer.c) */
	uint64_t countdown; /* torture: allocations until the next collection */
	int until_clear;    /* slow paths until dead stack is cleared */
	unsigned uncleared; /* bytes taken from what was at hand since dead stack was last cleared at all */
	unsigned put_back;  /* slots, into cursors (alloc-free.c) */
	uintptr_t deepest;  /* lowest stack pointer seen in the slow path since dead stack was last cleared */

	volatile sig_atomic_t critical;
	_Atomic int stop_pending; /* it sends itself the signal when it leaves its critical section */
	_Atomic int state;	 /* enum gcdune_thread_state */
	_Atomic int stop_wanted; /* a stop is on its way and not yet answered */
	volatile bool coming;	 /* in gcdune_stop_late */
	uintptr_t sp;		 /* while stopped or BLOCKED */
	_Atomic int suspended;	 /* 1: by gcdune_thread_suspend; set and cleared under heap.cycle */
	bool takes_lock;	 /* BLOCKED for a lock of ours: not to be suspended there */
	_Atomic int leaving;	 /* GCDUNE_LEAVING_*: it has held heap.cycle for the program */
	uintptr_t leaving_to;	 /* and goes back to this address */
	unsigned refused;	 /* stops, since */
	_Atomic int has_refused; /* this one, and is to be signalled again */
	int suspend_look;	 /* not 0: the handler is to say whether it can be suspended there: 2 */
	bool parked;		 /* suspended where it was stopped, and BLOCKED only for that */
	bool on_altstack;	 /* stopped in a handler on its alternate stack, which ends at */
	uintptr_t altstack_end;

	struct gcdune_stack *stack;	/* it runs on, as told by gcdune_stack_switch; NULL: its own */
	uintptr_t own_sp;		/* where its own stack was left for that one */
	uintptr_t stack_low, stack_end; /* of its own stack */
	uintptr_t tp;			/* thread pointer: where its thread-local storage is found from */

	struct gcdune_chain {
		char *first, *from, *to; /* one object, and those in [from, to) */
		size_t step;
	} chain; /* that gcdune_alloc_many gave out last, of a leaf kind */

	uint64_t awake_since; /* processor time, ns, that it had used when it last slept for the collector */
	uint64_t awake_at;    /* the time then, when it went on */
	uint64_t time_seen;   /* and when another thread asked last (form.c); heap.cycle */
	uint64_t lost_ns[GCDUNE_LOST_KINDS];
	uint64_t lost_most;
	uint64_t lost_before; /* in stops, to help and in sleep, when a cycle beside the program last began (form.c) */

	int tid;
	uint32_t finalizing;		    /* runs finalizers now */
	struct gcdune_start *start;	    /* its record, if it has one */
	struct gcdune_thread *next, **link; /* heap.cycle */
};

/* NULL if the calling thread is not attached. */
extern __thread struct gcdune_thread *gcdune_thread_self
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

/* The calling thread is in gcdune_thread_attach, which calls functions of libc that allocate: for a malloc on this heap. */
extern __thread bool gcdune_thread_attaching __attribute__((tls_model("initial-exec"), visibility("hidden")));

extern struct gcdune_thread *gcdune_threads __attribute__((visibility("hidden"))); /* heap.cycle */
extern _Atomic unsigned gcdune_threads_count __attribute__((visibility("hidden")));
extern struct gcdune_stack *gcdune_stacks __attribute__((visibility("hidden"))); /* heap.cycle */

static inline void gcdune_critical_enter(struct gcdune_thread *thread)
{
	thread->critical++;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

void gcdune_stop_late(struct gcdune_thread *thread);

static inline void gcdune_critical_leave(struct gcdune_thread *thread)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	thread->critical--;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (__builtin_expect(atomic_load_explicit(&thread->stop_pending, memory_order_relaxed), 0) && !thread->critical)
		gcdune_stop_late(thread);
}

/* The same for who has seen that `critical' is 0, and is done in a few ns: counting is a load that waits for the store before. Of
 * a pair of allocation and free it took some 5 % (docs/dropin.md). */
static inline void gcdune_critical_begin(struct gcdune_thread *thread)
{
	thread->critical = 1;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static inline void gcdune_critical_over(struct gcdune_thread *thread)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	thread->critical = 0;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* To be asked after that: whether gcdune_stop_late is to be called. */
static inline bool gcdune_critical_is_late(struct gcdune_thread *thread)
{
	return atomic_load_explicit(&thread->stop_pending, memory_order_relaxed);
}

static inline void gcdune_critical_end(struct gcdune_thread *thread)
{
	gcdune_critical_over(thread);
	if (__builtin_expect(gcdune_critical_is_late(thread), 0))
		gcdune_stop_late(thread);
}

/* The calling thread's record, attached if need be. NULL when there is no memory for one. */
struct gcdune_thread *gcdune_thread_get(void);

/* The cache of KIND, made if need be; critical section. NULL when there is no memory. */
struct gcdune_cache *gcdune_thread_cache(struct gcdune_thread *thread, unsigned kind);

/* World stopped: what THREAD has taken but not used gets COLOR, so that it stays the thread's. Slots on its lists of freed
 * ones go back to their blocks. */
void gcdune_thread_color(struct gcdune_thread *thread, uint8_t color);
/* World stopped, after marking: THREAD goes on at the beginning of its open blocks, among what has died there, when it has used
 * up what is cleared already. So a size of which few objects are made does not come to touch all of a block. */
void gcdune_thread_rewind(struct gcdune_thread *thread);
/* The slots of block INDEX that its owner has in reserve: [*begin, *end) carry the colour of new objects but are none,
 * and hold whatever lay there. Any thread, also while the owner runs: true only if nothing that mattered has changed
 * since the caller, with TURNS from gcdune_thread_turns, looked at the states of slots. */
uint32_t gcdune_thread_turns(uint32_t index);
bool gcdune_thread_reserve(uint32_t index, uint32_t turns, unsigned *begin, unsigned *end);
/* Gives all of it back. For a thread that is gone or going; heap.lock. */
void gcdune_thread_retire(struct gcdune_thread *thread);

/* World stopped: takes threads whose `tid' is 0 off the list; they ended without detaching. */
void gcdune_thread_reap(void);

/* glibc's struct pthread, which holds the first pthread_setspecific values, begins at the thread pointer. */
enum { GCDUNE_TCB_SIZE = 2304 };
/* Offset in there of the table of pointers to blocks of 32 such values, 16 bytes each; -1: not known. */
extern ptrdiff_t gcdune_thread_specific __attribute__((visibility("hidden")));

/* Attaches the main thread and prepares for fork and thread exit. By gcdune_init. */
int gcdune_thread_init(void);

/* A thread that intercept.c has seen made: what is on its way to it or from it is a root. */
struct gcdune_start {
	struct gcdune_start *next, **link;
	void *(*routine)(void *);
	void *arg; /* the argument; while the thread runs, NULL; then its result */
	pthread_t thread;
	uint64_t serial;
	bool begun, detached, ended;
};
extern struct gcdune_start *gcdune_starts __attribute__((visibility("hidden"))); /* heap.cycle */
/* NULL: no memory. */
struct gcdune_start *gcdune_start_new(void *(*routine)(void *), void *arg, bool detached);
void gcdune_start_free(struct gcdune_start *start);
/* The new thread's first function. */
void *gcdune_start_run(void *start);
/* THREAD is about to leave the list; heap.cycle. */
void gcdune_start_ended(struct gcdune_thread *thread);
/* The calling thread is to end with RESULT. */
void gcdune_start_result(void *result);
/* What names THREAD's record, for gcdune_start_joined; 0: it has none. */
uint64_t gcdune_start_serial(pthread_t thread);
void gcdune_start_joined(uint64_t serial);
void gcdune_start_detached(pthread_t thread);

/* ---- heap.cycle: the list of threads stands still, the world is not stopped (lock.c) ---- */

/* Recursive for its owner. Not in a critical section. */
void gcdune_cycle_lock(void);
void gcdune_cycle_unlock(void);
bool gcdune_cycle_trylock(void);
/* Until it was free for a moment. */
void gcdune_cycle_wait(void);
/* With the dynamic linker's lock, so that no thread is stopped that has it; that one is given back with
 * gcdune_loader_unlock. */
void gcdune_cycle_lock_with_loader(void);
bool gcdune_cycle_locked_here(void);
void gcdune_cycle_lock_after_fork(void);

/* Calls FN(ARG) with heap.cycle held, for the program, which goes on at BACK. */
void *gcdune_locked_call_to(void *(*fn)(void *), void *arg, void *back);

/* ---- stop.c ---- */

/* In gcdune_locked_call_to, after FN; and about to return from it, or some time after. */
enum { GCDUNE_LEAVING_NOT, GCDUNE_LEAVING_LOCK, GCDUNE_LEAVING_CALL };

/* Installs the signal handler. 0 or -EBUSY with a warning if the program has one of its own. */
int gcdune_stop_init(void);
/* Stops all attached threads but the caller, which holds heap.cycle. */
void gcdune_stop_world(void);
void gcdune_stop_release(void);
/* Nanoseconds to spin before sleeping until the end of a stop: 0 unless the last one was shorter than it takes to wake a
 * thread. */
uint64_t gcdune_stop_brief(void);
/* Stops one thread, perhaps the caller, until another resumes it; it counts as BLOCKED meanwhile. Not counted: one
 * resume is enough. Nothing happens to a thread that is not attached. (suspend.c) */
void gcdune_suspend_look(struct gcdune_thread *thread, void *context);
void gcdune_thread_suspend(pthread_t thread);
void gcdune_thread_resume(pthread_t thread);
bool gcdune_thread_is_suspended(pthread_t thread);

/* Another thread than the caller runs on the stack that ends at END; it reaches down as far as its mapping. What it is on at
 * a stop is seen there: this only says how far up. -ESRCH: it is not attached. (stack.c) */
int gcdune_thread_stack_end_tell(pthread_t thread, void *end);

/* ---- fork.c ---- */
/* In the child: the other threads' records go. */
void gcdune_thread_after_fork(void);
void gcdune_fork_init(void);

#endif
