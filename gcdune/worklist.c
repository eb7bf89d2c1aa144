/* worklist.c - owns the pool of segments and the list of shared ones; both under one lock, taken per segment of a
 * thousand entries. Invariant: marking is over exactly when the collecting marker has nothing, the list is empty and no
 * helper is active; a helper becomes active under the lock by taking a segment, and idle under the lock with none left.
 *
 * The lock is held by markers, which are never stopped, and by threads of the program in a critical section. */
#include "worklist.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "dirty/dirty.h"
#include "options.h"
#include "os.h"

enum { SPINS = 1000 }; /* about 40 microseconds */
enum { RESERVE = 8 };  /* segments that always exist: enough for the widest object, so that overflow makes progress */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work = PTHREAD_COND_INITIALIZER, idle = PTHREAD_COND_INITIALIZER;
static struct gcdune_segment *pool, *_Atomic shared;
/* Each a segment's room, followed by COUNT segments: all there are. Of the newest, the first, those behind USED were never
 * touched, and take no memory. */
static struct chunk {
	struct chunk *next;
	unsigned count, used;
} *chunks;
static unsigned made, allowed, waiting, hungry;
static _Atomic unsigned active;
static _Atomic bool wanted;
static bool waiting_main; /* the collecting marker sleeps */

static struct gcdune_segment *segment_of(struct chunk *chunk, unsigned i)
{
	return (struct gcdune_segment *)(void *)chunk + 1 + i;
}

static bool grow(unsigned count)
{
	unsigned bound = gcdune_options.mark_segments;

	if (bound && made + count > (bound < RESERVE ? RESERVE : bound))
		return false;
	struct chunk *chunk = gcdune_os_map((count + 1) * sizeof(struct gcdune_segment));

	if (!chunk)
		return false;
	chunk->count = count;
	chunk->next = chunks;
	chunks = chunk;
	made += count;
	return true;
}

int gcdune_worklist_init(void)
{
	return grow(RESERVE) ? 0 : -ENOMEM;
}

struct gcdune_segment *gcdune_segment_take(void)
{
	pthread_mutex_lock(&lock);
	struct gcdune_segment *segment = pool;

	if (segment)
		pool = segment->next;
	else if (chunks->used < chunks->count || grow(32) || grow(1))
		segment = segment_of(chunks, chunks->used++);
	pthread_mutex_unlock(&lock);
	if (segment)
		segment->count = 0;
	return segment;
}

void gcdune_segment_give(struct gcdune_segment *segment)
{
	pthread_mutex_lock(&lock);
	segment->next = pool;
	pool = segment;
	pthread_mutex_unlock(&lock);
}

static void update_wanted(void)
{
	atomic_store_explicit(&wanted, (active < allowed || hungry) && !shared, memory_order_relaxed);
}

/* A helper that may not help now is let sleep: to wake it takes the processor from whoever runs where it wakes. */
static void wake_helper(void)
{
	if (waiting && shared && active < allowed)
		pthread_cond_signal(&work);
}

bool gcdune_worklist_wanted(void)
{
	return atomic_load_explicit(&wanted, memory_order_relaxed);
}

void gcdune_worklist_share(struct gcdune_segment *segment)
{
	pthread_mutex_lock(&lock);
	segment->next = shared;
	shared = segment;
	update_wanted();
	wake_helper();
	if (waiting_main)
		pthread_cond_signal(&idle);
	pthread_mutex_unlock(&lock);
}

/* Work comes and goes within microseconds while marking, and to sleep and be woken takes tens of them: look for a while
 * first. In the pause the processor would be idle anyway; beside the program helpers are few (gcdune_mark_adapt). */
static void spin(bool for_the_end)
{
	for (unsigned i = 0; i < SPINS; i++) {
		if (atomic_load_explicit(&shared, memory_order_relaxed) ||
		    (for_the_end && !atomic_load_explicit(&active, memory_order_relaxed)))
			return;
		__builtin_ia32_pause();
		gcdune_dirty_safepoint();
	}
}

static struct gcdune_segment *take_shared(void)
{
	struct gcdune_segment *segment = shared;

	shared = segment->next;
	return segment;
}

struct gcdune_segment *gcdune_worklist_next(void)
{
	struct gcdune_segment *segment = NULL;

	pthread_mutex_lock(&lock);
	for (unsigned tries = 0; !shared && active; tries++) {
		atomic_store_explicit(&wanted, true, memory_order_relaxed);
		if (tries == 0) {
			pthread_mutex_unlock(&lock);
			spin(true);
			pthread_mutex_lock(&lock);
			continue;
		}
		waiting_main = true;
		pthread_cond_wait(&idle, &lock);
		waiting_main = false;
	}
	if (shared)
		segment = take_shared();
	update_wanted();
	pthread_mutex_unlock(&lock);
	return segment;
}

struct gcdune_segment *gcdune_worklist_wait(bool was_active)
{
	pthread_mutex_lock(&lock);
	if (was_active && !shared) {
		active--;
		update_wanted();
		if (!active && waiting_main)
			pthread_cond_signal(&idle);
		was_active = false;
		if (!shared) {
			pthread_mutex_unlock(&lock);
			spin(false);
			pthread_mutex_lock(&lock);
		}
	}
	if (!was_active) {
		waiting++;
		while (!shared || active >= allowed)
			pthread_cond_wait(&work, &lock);
		waiting--;
		active++;
	}
	struct gcdune_segment *segment = take_shared();

	update_wanted();
	pthread_mutex_unlock(&lock);
	return segment;
}

struct gcdune_segment *gcdune_worklist_try(void)
{
	struct gcdune_segment *segment = NULL;

	pthread_mutex_lock(&lock);
	if (shared) {
		segment = take_shared();
		active++;
		hungry = 0;
	} else {
		hungry = 1; /* the next one who comes by finds something */
	}
	update_wanted();
	pthread_mutex_unlock(&lock);
	return segment;
}

void gcdune_worklist_leave(struct gcdune_segment *segment)
{
	pthread_mutex_lock(&lock);
	if (segment->count) {
		segment->next = shared;
		shared = segment;
	} else {
		segment->next = pool;
		pool = segment;
	}
	active--;
	update_wanted();
	if (waiting_main)
		pthread_cond_signal(&idle);
	wake_helper();
	pthread_mutex_unlock(&lock);
}

void gcdune_worklist_quiet(void)
{
	gcdune_worklist_helpers(0);
	pthread_mutex_lock(&lock);
	waiting_main = true;
	while (active)
		pthread_cond_wait(&idle, &lock);
	waiting_main = false;
	pthread_mutex_unlock(&lock);
}

void gcdune_worklist_drop(void)
{
	while (shared)
		gcdune_segment_give(take_shared());
}

void gcdune_worklist_helpers(unsigned count)
{
	pthread_mutex_lock(&lock);
	allowed = count;
	update_wanted();
	wake_helper();
	pthread_mutex_unlock(&lock);
}

void gcdune_worklist_lock(void)
{
	pthread_mutex_lock(&lock);
}

void gcdune_worklist_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

void gcdune_worklist_after_fork(void)
{
	/* The forking thread, which is the one left, holds the lock. */
	pthread_cond_init(&work, NULL);
	pthread_cond_init(&idle, NULL);
	shared = pool = NULL;
	for (struct chunk *chunk = chunks; chunk; chunk = chunk->next)
		for (unsigned i = 0; i < chunk->used; i++) {
			segment_of(chunk, i)->next = pool;
			pool = segment_of(chunk, i);
		}
	active = allowed = waiting = hungry = 0;
	waiting_main = false;
	wanted = false;
	pthread_mutex_unlock(&lock);
}
