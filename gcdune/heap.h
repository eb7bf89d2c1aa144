/* heap.h - the map of the data structures. Read this first.
 *
 *   address space    one reservation; scanned blocks grow up from its start, leaf blocks down from its end
 *      |             (so "a heap address?" is a subtract and a compare, and leaf memory is never near the rest)
 *      v
 *   blocks[]         64 KiB each, described on the side by 16 bytes (struct gcdune_block): slots of one size class
 *      |             and one kind; or the first block, or a further one, of a large object; or free
 *      v
 *   states[]         one byte per slot on the side: 0 free, else the colour the slot was allocated or marked with
 *
 * Colours count up with the collections, 1..GCDUNE_COLOR_LAST and round again. Between collections every live object
 * has heap.color. A cycle takes that as its white, the next number as heap.color, its young, for what is allocated while
 * it runs, and the one after as its black; marking turns white and young objects black, beside the program. When it is
 * over black becomes heap.color, and what is not black is dead, whatever its value, and need not be swept before the
 * next collection. Marking sets a byte, never a bit: markers that race on an object store the same value. Twice in a
 * round of numbers old values are cleared (sweep.c), so that none is met again.
 *
 * In generational mode a cycle may end with heap.color a number of its own (heap.apart): what lived through the cycle is
 * black and old, what is allocated from then on is new. The next cycle can then leave old objects alone (heap.minor):
 * new ones are its white, black stays what it is.
 *
 *   thread           cursors: per kind and class a run of free slots that only this thread takes from. Its slots carry
 *                    heap.color from the moment the thread gets it, so no one else can find them free. While a cycle
 *                    runs, a young slot is therefore an object, or in some thread's reserve (gcdune_thread_reserve).
 *
 * Who may touch what:
 *   cursors                           their thread; everyone's, the collector with the world stopped
 *   blocks[], spans[], free runs,     heap.lock, or the collector with the world stopped; a block that is OPEN
 *   sweep lists                       belongs to the thread that opened it, its states[] too
 *   threads, stacks, roots            heap.cycle; the collector holds it while it stops the world, not while it marks
 *
 * Markers read blocks[], spans[] and states[] while the program runs, without a lock. So, from the beginning of a cycle
 * to its end: a block that is in use stays what it is (what is freed meanwhile is only marked so, and swept later), and
 * a block that comes into use gets its `use' last.
 *
 * heap.lock and the table locks are taken only inside a critical section (thread.h): a thread that holds one cannot be
 * stopped, so in a stopped world they are all free and all structures consistent. heap.cycle is never waited for inside
 * one.
 *
 * Nothing in the library's static data holds the address of an object: static data is scanned as the program's is. */
#ifndef GCDUNE_HEAP_H
#define GCDUNE_HEAP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>

#include "gcdune.h"
#include "gcdune-inline.h"

#define GCDUNE_BLOCK_SHIFT 16
#define GCDUNE_BLOCK ((size_t)1 << GCDUNE_BLOCK_SHIFT)
#define GCDUNE_GRANULE ((size_t)16)
#define GCDUNE_PAGE ((size_t)4096)
#define GCDUNE_SMALL_MAX ((size_t)32768) /* larger objects are runs of blocks */
#define GCDUNE_STATE_UNIT ((size_t)64)	 /* slot states are given out in units of a cache line */

enum {
	GCDUNE_COLOR_FREE = 0,
	GCDUNE_COLOR_LAST = 250,
	GCDUNE_COLOR_KEY = 254,	  /* not black, and the key of a pending ephemeron; only while marking */
	GCDUNE_COLOR_FREED = 255, /* on a thread's list of freed slots */
};

enum gcdune_use {
	GCDUNE_USE_NONE, /* not committed: the table reads as zero there */
	GCDUNE_USE_FREE,
	GCDUNE_USE_SMALL,
	GCDUNE_USE_LARGE, /* first block of a large object */
	GCDUNE_USE_TAIL,  /* a further one */
};

enum {
	GCDUNE_BLOCK_OPEN = 1,	   /* some thread takes slots from it */
	GCDUNE_BLOCK_LISTED = 2,   /* on the sweep list of its kind and class */
	GCDUNE_BLOCK_EXACT = 8,	   /* its objects fill their slots */
	GCDUNE_BLOCK_WORDS = 16,   /* small objects, every word of which may be a pointer */
	GCDUNE_BLOCK_LEAF = 32,	   /* small objects, in which no word is one */
	GCDUNE_BLOCK_OVERFLOW = 4, /* holds a marked object whose scan was cut short (worklist.h) */
};

/* What marking needs to know of a block; four to a cache line. */
struct gcdune_block {
	uint32_t reciprocal; /* ceil(2^32 / slot size), so that slot = offset * reciprocal >> 32 */
	uint32_t states;     /* where its slot states are, in GCDUNE_STATE_UNITs from heap.states */
	uint16_t nslots;     /* 1 for a large object */
	uint16_t granules;   /* slot size / 16; 0 for a large object */
	uint8_t kind;
	uint8_t use;
	uint8_t color; /* some slot was given out or marked under this colour, black before others; another: all dead */
	uint8_t flags;
};
_Static_assert(sizeof(struct gcdune_block) == 16, "four blocks to a cache line");

/* What allocation needs to know of a block. Runs of free blocks are doubly linked in bins (block.c). */
struct gcdune_span {
	union {
		uint64_t bytes;		 /* LARGE: usable size */
		struct gcdune_run *open; /* SMALL and OPEN: whose run it is */
	};
	uint32_t length;     /* LARGE, first and last of a free run: blocks in it */
	uint32_t head;	     /* TAIL: its LARGE block; last of a free run: its first */
	uint32_t next, prev; /* free run: neighbours in its bin; SMALL: next on the sweep list */
	uint8_t cls;	     /* SMALL */
	uint8_t pages;	     /* its first so many may have been written to; the others are zero, and cost nothing */
	uint8_t age;	     /* collections since its free slots began to be filled, saturating; free: see sweep.c */
	uint8_t watch; /* GCDUNE_WATCH_*: the first writes to its pages are recorded, for all we know (remark.c) */
	uint32_t turns; /* SMALL: changes of OPEN, and runs, counted (gcdune_thread_reserve) */
};
_Static_assert(sizeof(struct gcdune_span) == 32, "two spans to a cache line");

#define GCDUNE_NO_BLOCK 0xffffffffu

/* A hint: a wrong one costs a fault or a call. */
enum {
	GCDUNE_WATCH_ARMED = 1,
	GCDUNE_WATCH_DIRTY = 2, /* a page of it was found dirty in this cycle */
	GCDUNE_WATCH_WHOLE = 4, /* no hint: something in it was marked, perhaps, before it was armed */
	GCDUNE_WATCH_ARMING = 8, /* a marker is about to (gcdune_remark_first) */
	GCDUNE_WATCH_LINKS = 16, /* a disappearing link in it may have to be cleared in the pause */
	GCDUNE_WATCH_FILLS = 32, /* likely to be filled while the cycle marks: not to be armed for that */
};

/* How the marker treats a kind. */
enum gcdune_scan {
	GCDUNE_SCAN_NONE,
	GCDUNE_SCAN_WORDS,
	GCDUNE_SCAN_TYPED,
	GCDUNE_SCAN_CALLBACK,
	GCDUNE_SCAN_EPHEMERON
};

struct gcdune_kind_info {
	uint8_t scan;	 /* enum gcdune_scan */
	uint8_t pinned;	 /* its objects are roots */
	uint8_t stopped; /* CALLBACK: only with the world stopped */
	gcdune_mark_fn mark;
	void *arg;
};

/* Blocks of which a good part was free when they were swept, and others. */
enum { GCDUNE_ROOMY, GCDUNE_FULLER, GCDUNE_ROOMS };

/* A growing end of the reservation. */
enum { GCDUNE_SPACE_SCANNED, GCDUNE_SPACE_LEAF, GCDUNE_SPACES };
#define GCDUNE_BINS 24 /* free runs by log2 of their length */

struct gcdune_space {
	uint32_t edge;		    /* SCANNED: first block not committed; LEAF: last committed */
	uint32_t bins[GCDUNE_BINS]; /* heads of the lists of free runs */
	uint32_t bins_used;	    /* bit i: bins[i] is not empty */
};

/* Where a kind and class took its last free block, and how many it took lately (gcdune_block_take_near). Under heap.lock. */
struct gcdune_growth {
	uint32_t after; /* that block, plus one: 0 if there was none */
	uint32_t taken; /* halved in each cycle */
	bool fresh;	/* the last one had never been written to */
	uint32_t filled; /* blocks with much room that threads took while the last cycle beside the program marked */
};

struct gcdune_heap {
	/* What marking and asking read; set once. */
	uintptr_t base; /* of the reservation */
	size_t size;	/* of the reservation */
	struct gcdune_block *blocks;
	struct gcdune_span *spans;
	uint8_t *states;
	uint32_t nblocks;	 /* that the reservation has room for */
	uint8_t color;		 /* of new objects, and of live ones when no cycle is under way */
	uint8_t white, black;	 /* live too while a cycle is under way; the same as color when there is none */
	uint8_t newest;		 /* the last number that became a colour */
	uint8_t marking;	 /* a cycle is between its flip and its end */
	uint8_t apart;		 /* since the last cycle new objects have a colour that old ones have not */
	uint8_t minor;		 /* the cycle that marks, or did last, left old objects alone */
	uint8_t ready;		 /* gcdune_init has succeeded */
	uint8_t strict_interior; /* a pointer in the heap counts only at a known displacement */
	uint8_t extra_byte;	 /* every object gets a byte more */
	uint8_t slow;		 /* torture or extra_byte: every allocation takes the slow path */
	struct gcdune_kind_info kinds[GCDUNE_KIND_MAX];
	_Atomic unsigned nkinds;

	/* Under lock. */
	pthread_mutex_t lock;
	struct gcdune_space spaces[GCDUNE_SPACES];
	uint32_t sweep[GCDUNE_ROOMS][GCDUNE_KIND_MAX][GCDUNE_CLASSES]; /* sweep lists: blocks that may have free slots */
	bool busy[GCDUNE_KIND_MAX][GCDUNE_CLASSES];		       /* since the last cycle some thread took a block */
	struct gcdune_growth growth[GCDUNE_KIND_MAX][GCDUNE_CLASSES];
	uint32_t states_next, states_committed;		 /* in units */
	uint32_t states_free[GCDUNE_CLASSES]; /* chunks to be had again, linked through their first word; 0 ends */
	size_t blocks_committed;
	size_t blocks_used;  /* SMALL, LARGE, TAIL */
	size_t blocks_dirty; /* FREE, and a page of it may have been written to */
	size_t blocks_peak;  /* of used + dirty */
	size_t pinned_blocks;
	size_t limit;	   /* bytes; 0: none */
	uint64_t released; /* bytes given back to the kernel */
	_Atomic bool grew; /* an event is due */
	uint32_t swept;	      /* the sweep has come so far (sweep.c) */
	bool sweeping;	      /* and is not done */

	/* Pacing (pacer.c). */
	_Atomic int64_t allocated;	   /* bytes given out since the last cycle ended */
	_Atomic int64_t trigger;	   /* see gcdune_cycle_due when allocated reaches it */
	_Atomic uint64_t allocated_before; /* bytes given out before that */
	_Atomic int disabled;
	_Atomic unsigned throttle; /* threads that allocate sleep so many times as long as they run */
	_Atomic bool after_due; /* a cycle ended; its event and its finalizers wait for a thread that allocates */

	/* The cycle (cycle.c). */
	_Atomic uint64_t collections;
	size_t live_bytes; /* by the last collection */
	size_t leaf_bytes;  /* of these, leaf objects' */
	size_t young_bytes; /* of these, what was made while the cycle ran */
	size_t root_bytes;
};

extern struct gcdune_heap gcdune_heap __attribute__((visibility("hidden")));
void gcdune_heap_lock_init(void); /* init.c */
/* For a lock at which threads of the program meet every few microseconds, each for less than one: to sleep and be woken takes
 * up to a hundred. libc's adaptive mutex spins as long as it needed to lately, which is mostly not at all. */
void gcdune_mutex_lock_soon(pthread_mutex_t *mutex);
/* heap.lock for who runs a cycle, while threads run: a thread of the program may be stopped meanwhile by who suspends another or
 * stops the world from outside, and must not be with the lock, which others wait for in critical sections. */
void gcdune_heap_lock(void);
void gcdune_heap_unlock(void);

/* ---- Size classes (class.c) ---------------------------------------------------------------- */

struct gcdune_class {
	uint32_t size;
	uint32_t reciprocal;
	uint16_t nslots;
	uint16_t state_units;
};
extern struct gcdune_class gcdune_classes[GCDUNE_CLASSES] __attribute__((visibility("hidden")));
void gcdune_class_init(void);
/* The next kind, KIND, is there. heap.cycle, or before there are threads. */
void gcdune_kind_begin(unsigned kind, const struct gcdune_kind_info *info);
extern uint8_t gcdune_class_numbers[GCDUNE_SMALL_MAX / GCDUNE_GRANULE + 1] /* by size / 16, rounded up */
	__attribute__((visibility("hidden")));

/* The class for 1 <= size <= GCDUNE_SMALL_MAX. */
static inline unsigned gcdune_class_of(size_t size)
{
	unsigned number = gcdune_class_numbers[(size + GCDUNE_GRANULE - 1) / GCDUNE_GRANULE];

	return number + (gcdune_classes[number].size == size ? GCDUNE_SIZES : 0);
}

/* ---- Small helpers ---------------------------------------------------------------------------- */

static inline uintptr_t gcdune_block_address(uint32_t index)
{
	return gcdune_heap.base + ((uintptr_t)index << GCDUNE_BLOCK_SHIFT);
}

/* Walks over the committed blocks, both ends of the reservation, in the order of addresses. */
static inline uint32_t gcdune_block_skip(uint32_t index)
{
	return index == gcdune_heap.spaces[GCDUNE_SPACE_SCANNED].edge ? gcdune_heap.spaces[GCDUNE_SPACE_LEAF].edge : index;
}
#define GCDUNE_EACH_BLOCK(i)                                                                                           \
	for (uint32_t i = gcdune_block_skip(0); i < gcdune_heap.nblocks; i = gcdune_block_skip(i + 1))

static inline uint8_t *gcdune_block_states(const struct gcdune_block *block)
{
	return gcdune_heap.states + (size_t)block->states * GCDUNE_STATE_UNIT;
}

static inline bool gcdune_kind_is_leaf(unsigned kind)
{
	return gcdune_heap.kinds[kind].scan == GCDUNE_SCAN_NONE;
}

/* Of a slot or a block when no cycle is under way. */
static inline bool gcdune_color_lives(uint8_t color)
{
	return color == gcdune_heap.color || color == gcdune_heap.black;
}

/* An object, found from an address. */
struct gcdune_ref {
	char *object;
	uint8_t *state;
	struct gcdune_block *block; /* of the object's start */
};

static inline size_t gcdune_ref_size(const struct gcdune_ref *ref)
{
	if (ref->block->granules)
		return (size_t)ref->block->granules * GCDUNE_GRANULE;
	return gcdune_heap.spans[ref->block - gcdune_heap.blocks].bytes;
}

/* The slot that ADDRESS lies in, allocated or not: the caller looks at *ref->state. */
static inline bool gcdune_resolve(uintptr_t address, struct gcdune_ref *ref)
{
	size_t offset = address - gcdune_heap.base;

	if (offset >= gcdune_heap.size)
		return false;
	uint32_t index = (uint32_t)(offset >> GCDUNE_BLOCK_SHIFT);
	struct gcdune_block *block = &gcdune_heap.blocks[index];
	uint8_t use = __atomic_load_n(&block->use, __ATOMIC_ACQUIRE);

	if (__builtin_expect(use == GCDUNE_USE_SMALL, 1)) {
		size_t within = offset & (GCDUNE_BLOCK - 1);
		uint32_t slot = (uint32_t)(((uint64_t)within * block->reciprocal) >> 32);

		if (slot >= block->nslots)
			return false;
		ref->object = (char *)(gcdune_heap.base + (offset - within)) +
			      (size_t)slot * block->granules * GCDUNE_GRANULE;
		ref->state = gcdune_block_states(block) + slot;
		ref->block = block;
		return true;
	}
	if (use == GCDUNE_USE_TAIL)
		index = gcdune_heap.spans[index].head;
	else if (use != GCDUNE_USE_LARGE)
		return false;
	if (offset - ((size_t)index << GCDUNE_BLOCK_SHIFT) >= gcdune_heap.spans[index].bytes)
		return false;
	ref->block = &gcdune_heap.blocks[index];
	ref->object = (char *)gcdune_block_address(index);
	ref->state = gcdune_block_states(ref->block);
	return true;
}

/* Whether it is a live object. Asked by a thread that may be stopped at any instruction: a collection between the two
 * reads changes both, and then they are read again. */
static inline bool gcdune_ref_live(const struct gcdune_ref *ref)
{
	uint8_t color, white, black, state;

	do {
		color = __atomic_load_n(&gcdune_heap.color, __ATOMIC_ACQUIRE);
		white = __atomic_load_n(&gcdune_heap.white, __ATOMIC_ACQUIRE);
		black = __atomic_load_n(&gcdune_heap.black, __ATOMIC_ACQUIRE);
		state = __atomic_load_n(ref->state, __ATOMIC_ACQUIRE);
	} while (color != __atomic_load_n(&gcdune_heap.color, __ATOMIC_ACQUIRE) ||
		 white != __atomic_load_n(&gcdune_heap.white, __ATOMIC_ACQUIRE));
	/* It may be all that the caller has of the object, which must not die while it is asked about. */
	__asm__ volatile("" : : "r"(ref->object) : "memory");
	return state == color || state == white || state == black;
}

/* Block flags change under heap.lock, but for OVERFLOW, which markers set at any time. */
static inline void gcdune_block_flag(struct gcdune_block *block, uint8_t set, uint8_t clear)
{
	if (clear)
		__atomic_fetch_and(&block->flags, (uint8_t)~clear, __ATOMIC_RELEASE);
	if (set)
		__atomic_fetch_or(&block->flags, set, __ATOMIC_RELEASE);
}

/* The same for what is known to be an object. */
static inline struct gcdune_ref gcdune_ref_of(const void *object)
{
	struct gcdune_ref ref = {NULL, NULL, NULL};

	gcdune_resolve((uintptr_t)object, &ref);
	return ref;
}

/* A slot of the block is being given out. What markers say of it stands. */
static inline void gcdune_block_used(struct gcdune_block *block)
{
	uint8_t color = __atomic_load_n(&block->color, __ATOMIC_RELAXED);

	while (color != gcdune_heap.black && color != gcdune_heap.color &&
	       !__atomic_compare_exchange_n(&block->color, &color, gcdune_heap.color, true, __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED))
		;
}

/* RUN takes its slots from block INDEX from now on, or no longer; heap.lock. */
static inline void gcdune_block_open(uint32_t index, struct gcdune_run *run)
{
	__atomic_store_n(&gcdune_heap.spans[index].open, run, __ATOMIC_RELEASE);
	__atomic_fetch_add(&gcdune_heap.spans[index].turns, 1, __ATOMIC_ACQ_REL);
	gcdune_block_flag(&gcdune_heap.blocks[index], GCDUNE_BLOCK_OPEN, 0);
}

static inline void gcdune_block_close(uint32_t index)
{
	gcdune_block_flag(&gcdune_heap.blocks[index], 0, GCDUNE_BLOCK_OPEN);
	__atomic_fetch_add(&gcdune_heap.spans[index].turns, 1, __ATOMIC_ACQ_REL);
}

#endif
