/* thread.c - owns the list of attached threads and each one's caches.
 *
 * Invariants: a thread is on the list exactly while gcdune_thread_self is set in it (between those two stores it holds
 * heap.cycle, so no collection sees the difference); every run that a cache holds is in a block that is OPEN and whose
 * slots from the cursor to the run's end carry the current colour. Callers: alloc.c and its parts, cycle.c,
 * intercept.c, the program. */
#define _GNU_SOURCE
#include "thread.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "block.h"
#include "meta.h"
#include "options.h"
#include "os.h"
#include "sweep.h"

static struct gcdune_heap *const heap = &gcdune_heap;

/* What a thread that is not attached allocates from: nothing. */
static struct gcdune_local local_none;

__thread struct gcdune_local *gcdune_local __attribute__((tls_model("initial-exec"))) = &local_none;
__thread struct gcdune_thread *gcdune_thread_self __attribute__((tls_model("initial-exec")));

struct gcdune_thread *gcdune_threads;
_Atomic unsigned gcdune_threads_count;

static pthread_key_t exit_key;
static bool exit_key_made;

/* ---- Caches ---- */

static struct gcdune_cache *cache_new(struct gcdune_thread *thread, unsigned kind)
{
	struct gcdune_cache *cache = gcdune_meta_alloc(sizeof *cache);

	if (!cache)
		return NULL;
	/* Where every allocation must take the slow path, the inline one finds its cursors empty for ever. */
	cache->cursors = kind <= GCDUNE_KIND_LEAF && !heap->slow ? thread->local.cursors[kind] : cache->own_cursors;
	for (unsigned cls = 0; cls < GCDUNE_CLASSES; cls++) {
		cache->runs[cls].block = GCDUNE_NO_BLOCK;
		cache->runs[cls].cursor = &cache->cursors[cls];
	}
	thread->caches[kind] = cache;
	return cache;
}

struct gcdune_cache *gcdune_thread_cache(struct gcdune_thread *thread, unsigned kind)
{
	struct gcdune_cache *cache = thread->caches[kind];

	return cache ? cache : cache_new(thread, kind);
}

#define EACH_RUN(thread, cache, kind, cls)                                                                             \
	for (unsigned kind = 0; kind < GCDUNE_KIND_MAX; kind++)                                                        \
		for (struct gcdune_cache *cache = (thread)->caches[kind]; cache; cache = NULL)                         \
			for (unsigned cls = 1; cls < GCDUNE_CLASSES; cls++)

/* The slots that the cursor has not given out: [*begin, *end) of the run's block. */
static void run_rest(const struct gcdune_cache *cache, unsigned cls, unsigned *begin, unsigned *end)
{
	const struct gcdune_run *run = &cache->runs[cls];
	uintptr_t base = gcdune_block_address(run->block);

	*begin = *end = 0;
	if (run->end) {
		*begin = (unsigned)(((uintptr_t)cache->cursors[cls].next - base) / gcdune_classes[cls].size);
		*end = (unsigned)(((uintptr_t)run->end - base) / gcdune_classes[cls].size);
	}
}

uint32_t gcdune_thread_turns(uint32_t index)
{
	return __atomic_load_n(&heap->spans[index].turns, __ATOMIC_ACQUIRE);
}

/* The caller read TURNS, then states, then asks here. If TURNS still holds, the block had one owner with one run, or none, all
 * the while, and a slot that showed the colour either is an object or was in that owner's reserve when its state was read.
 * `next' only grows within a run, but when what was allocated last is freed (alloc-free.c), and a thread moves it before it lets
 * anyone see the object (gcdune-inline.h): what is beyond the value read here was no one's when the caller found a pointer
 * to it, or has been freed since. next_run writes no `end', then TURNS, `next', `end', and the states last; here they are read
 * the other way about. Who has read the new TURNS finds no `end', or that of the new run and then its `next'; who has read the old
 * and finds anything of the new run, finds that TURNS has changed. It does not matter where the new run lies: a thread may take
 * the block again that it has just filled, and begins at the beginning of one after a collection. Records are never unmapped
 * (meta.c), so a stale pointer to one can be followed, and TURNS tells. */
__attribute__((no_sanitize("address", "thread"))) bool gcdune_thread_reserve(uint32_t index, uint32_t turns,
									     unsigned *begin, unsigned *end)
{
	const struct gcdune_block *block = &heap->blocks[index];
	uintptr_t base = gcdune_block_address(index), next = 0, last = 0;

	*begin = *end = 0;
	if (__atomic_load_n(&block->flags, __ATOMIC_ACQUIRE) & GCDUNE_BLOCK_OPEN) {
		struct gcdune_run *run = __atomic_load_n(&heap->spans[index].open, __ATOMIC_ACQUIRE);

		last = (uintptr_t)__atomic_load_n(&run->end, __ATOMIC_ACQUIRE);
		struct gcdune_cursor *cursor = __atomic_load_n(&run->cursor, __ATOMIC_ACQUIRE);

		next = cursor ? (uintptr_t)__atomic_load_n(&cursor->next, __ATOMIC_ACQUIRE) : 0;
	}
	if (gcdune_thread_turns(index) != turns)
		return false;
	if (next < base || next >= last || last > base + GCDUNE_BLOCK)
		return true;
	size_t size = block->granules * GCDUNE_GRANULE;

	*begin = (unsigned)((next - base) / size);
	*end = (unsigned)((last - base) / size);
	return true;
}

static void drop_freed(struct gcdune_run *run)
{
	for (const struct gcdune_freed *slot = run->freed; slot; slot = slot->next)
		__atomic_store_n(gcdune_freed_state(slot), GCDUNE_COLOR_FREE, __ATOMIC_RELAXED);
	run->freed = NULL;
	run->nfreed = 0;
}

void gcdune_thread_color(struct gcdune_thread *thread, uint8_t color)
{
	EACH_RUN(thread, cache, kind, cls)
	{
		struct gcdune_run *run = &cache->runs[cls];
		unsigned begin, end;

		if (run->freed)
			drop_freed(run);
		if (run->block == GCDUNE_NO_BLOCK)
			continue;
		run_rest(cache, cls, &begin, &end);
		memset(gcdune_block_states(&heap->blocks[run->block]) + begin, color, end - begin);
		/* What will be allocated here is not marked, but makes the block one with something in it. */
		if (color && heap->blocks[run->block].color != heap->black)
			heap->blocks[run->block].color = color;
	}
}

/* [next, limit) stays: the thread may have been stopped between the load and the store of `next'. */
void gcdune_thread_rewind(struct gcdune_thread *thread)
{
	EACH_RUN(thread, cache, kind, cls)
	{
		struct gcdune_run *run = &cache->runs[cls];
		char *limit = cache->cursors[cls].limit;

		if (run->block == GCDUNE_NO_BLOCK || !run->end)
			continue;
		struct gcdune_block *block = &heap->blocks[run->block];
		size_t begin = ((uintptr_t)limit - gcdune_block_address(run->block)) / gcdune_classes[cls].size;

		memset(gcdune_block_states(block) + begin, GCDUNE_COLOR_FREE,
		       (size_t)(run->end - limit) / gcdune_classes[cls].size);
		run->end = limit;
		run->slot = 0;
		run->free = 0;
		run->touched = NULL;
	}
}

void gcdune_thread_retire(struct gcdune_thread *thread)
{
	EACH_RUN(thread, cache, kind, cls)
	{
		struct gcdune_run *run = &cache->runs[cls];
		unsigned begin, end;

		if (run->freed)
			drop_freed(run);
		if (run->block == GCDUNE_NO_BLOCK)
			continue;
		run_rest(cache, cls, &begin, &end);
		struct gcdune_block *block = &heap->blocks[run->block];

		memset(gcdune_block_states(block) + begin, GCDUNE_COLOR_FREE, end - begin);
		gcdune_block_close(run->block);
		gcdune_sweep_list(run->block);
		run->block = GCDUNE_NO_BLOCK;
		run->end = NULL;
		cache->cursors[cls] = (struct gcdune_cursor){NULL, NULL};
	}
	atomic_fetch_add(&heap->allocated, thread->allocated);
	thread->allocated = 0;
}

/* ---- Attaching ---- */

static int find_stack(struct gcdune_thread *thread)
{
	pthread_attr_t attr;
	void *low;
	size_t size;

	if (pthread_getattr_np(pthread_self(), &attr))
		return -ENOMEM;
	pthread_attr_getstack(&attr, &low, &size);
	pthread_attr_destroy(&attr);
	thread->stack_low = (uintptr_t)low;
	thread->stack_end = (uintptr_t)low + size;
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);

	if (here < thread->stack_low || here >= thread->stack_end) {
		/* Made by clone, or on a stack of the program's: take the mapping that we are in. */
		uintptr_t from, to;

		if (gcdune_os_mapping(here, &from, &to))
			return -ENOMEM;
		thread->stack_low = from;
		thread->stack_end = to;
	}
	return 0;
}

static void free_record(struct gcdune_thread *thread)
{
	for (unsigned kind = 0; kind < GCDUNE_KIND_MAX; kind++)
		gcdune_meta_free(thread->caches[kind], sizeof *thread->caches[kind]);
	gcdune_meta_free(thread, sizeof *thread);
}

/* The exit key's value is the number of further rounds of destructors to wait: others may still allocate in theirs. */
static void thread_exit(void *rounds)
{
	intptr_t left = (intptr_t)rounds - 1;

	if (left > 0 && pthread_setspecific(exit_key, (void *)left) == 0)
		return;
	gcdune_thread_detach();
}

__thread bool gcdune_thread_attaching __attribute__((tls_model("initial-exec")));

static int attach(void)
{
	if (gcdune_thread_self)
		return -EALREADY;
	int error = gcdune_init();

	if (error || gcdune_thread_self) /* gcdune_init attaches its caller */
		return error;
	struct gcdune_thread *thread;

	/* Not on the list yet, so it is not stopped: the locks below need no critical section. But a lock of the
	 * allocator's may be held by a thread in one, which will leave it. */
	thread = gcdune_meta_alloc(sizeof *thread);
	if (!thread)
		return -ENOMEM;
	thread->tid = gcdune_os_tid();
	thread->tp = (uintptr_t)pthread_self();
	thread->countdown = gcdune_options.torture;
	error = find_stack(thread);
	if (error) {
		gcdune_meta_free(thread, sizeof *thread);
		return error;
	}
	if (exit_key_made)
		pthread_setspecific(exit_key, (void *)(intptr_t)3);
	/* It may have inherited a mask that blocks everything. */
	sigset_t stop;

	sigemptyset(&stop);
	sigaddset(&stop, gcdune_options.signal);
	pthread_sigmask(SIG_UNBLOCK, &stop, NULL);
	gcdune_cycle_lock();
	thread->next = gcdune_threads;
	thread->link = &gcdune_threads;
	if (thread->next)
		thread->next->link = &thread->next;
	gcdune_threads = thread;
	gcdune_threads_count++;
	gcdune_thread_self = thread;
	gcdune_local = &thread->local;
	gcdune_cycle_unlock();
	return 0;
}

int gcdune_thread_attach(void)
{
	gcdune_thread_attaching = true;
	int error = attach();

	gcdune_thread_attaching = false;
	return error;
}

static void unlink_thread(struct gcdune_thread *thread)
{
	*thread->link = thread->next;
	if (thread->next)
		thread->next->link = thread->link;
	gcdune_threads_count--;
}

int gcdune_thread_detach(void)
{
	struct gcdune_thread *thread = gcdune_thread_self;

	if (!thread || thread->critical || atomic_load(&thread->state) == GCDUNE_THREAD_BLOCKED)
		return -EINVAL;
	gcdune_cycle_lock();
	pthread_mutex_lock(&heap->lock);
	gcdune_thread_retire(thread);
	pthread_mutex_unlock(&heap->lock);
	gcdune_start_ended(thread);
	unlink_thread(thread);
	gcdune_local = &local_none;
	gcdune_thread_self = NULL;
	gcdune_cycle_unlock();
	free_record(thread);
	return 0;
}

bool gcdune_thread_is_attached(void)
{
	return gcdune_thread_self != NULL;
}

struct gcdune_thread *gcdune_thread_get(void)
{
	if (__builtin_expect(gcdune_thread_self != NULL, 1))
		return gcdune_thread_self;
	int error = gcdune_thread_attach();

	if (error)
		gcdune_warn("a thread cannot be attached: %s", strerrordesc_np(-error));
	return gcdune_thread_self;
}

static void remove_threads(bool (*which)(const struct gcdune_thread *))
{
	struct gcdune_thread *thread, *next;

	for (thread = gcdune_threads; thread; thread = next) {
		next = thread->next;
		if (!which(thread))
			continue;
		gcdune_thread_retire(thread);
		unlink_thread(thread);
		free_record(thread);
	}
}

static bool is_gone(const struct gcdune_thread *thread)
{
	return thread->tid == 0;
}

void gcdune_thread_reap(void)
{
	remove_threads(is_gone);
}

static bool is_other(const struct gcdune_thread *thread)
{
	return thread != gcdune_thread_self;
}

/* In the child of a fork: the other threads are gone; what they had open is given back. */
void gcdune_thread_after_fork(void)
{
	struct gcdune_thread *self = gcdune_thread_self;

	remove_threads(is_other);
	for (struct gcdune_start *start = gcdune_starts, *next; start; start = next) {
		next = start->next;
		if (!self || start != self->start)
			gcdune_start_free(start);
	}
	if (self)
		self->tid = gcdune_os_tid();
}

/* Where in a thread's descriptor glibc keeps the table of blocks of pthread_setspecific values, found by setting one:
 * first the value, and so the first block, which is part of the descriptor; then the pointer to that block. -1 where it
 * is not as expected. */
static ptrdiff_t find_specific(void)
{
	const char *tcb = (const char *)pthread_self();
	uintptr_t magic = 0x6764756e65736565; /* misaligned for every use */

	if (exit_key >= 32 || pthread_setspecific(exit_key, (void *)magic))
		return -1;
	const char *block = NULL;
	ptrdiff_t found = -1;

	for (size_t i = 0; i < GCDUNE_TCB_SIZE && found < 0; i += sizeof(uintptr_t)) {
		uintptr_t word;

		memcpy(&word, tcb + i, sizeof word);
		if (word == magic)
			block = tcb + i - exit_key * 16 - 8;
		else if (block && word == (uintptr_t)block)
			found = (ptrdiff_t)i;
	}
	pthread_setspecific(exit_key, NULL);
	return found;
}

ptrdiff_t gcdune_thread_specific = -1;

/* When the library is loaded, before the program has made keys of its own: what is looked for is found only through a
 * low one. */
static __attribute__((constructor)) void make_exit_key(void)
{
	if (exit_key_made)
		return;
	exit_key_made = pthread_key_create(&exit_key, thread_exit) == 0;
	if (exit_key_made)
		gcdune_thread_specific = find_specific();
}

int gcdune_thread_init(void)
{
	make_exit_key();
	if (!exit_key_made)
		gcdune_warn("no thread-specific key is left: threads must call gcdune_thread_detach before they exit");
	return 0;
}
