/* worklist.c - owns the pool of segments and the list of shared ones; both under one lock, taken per segment of a thousand
 * entries. Invariant: marking is over exactly when the collecting marker has nothing, the list is empty and no helper is
 * active; a helper becomes active under the lock by taking a segment, and idle under the lock with none left.
 *
 * The lock is ours alone and is held only by markers, which are never stopped. */
#include "worklist.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "options.h"
#include "os.h"

enum { RESERVE = 8 };	/* segments that always exist: enough for the widest object, so that overflow makes progress */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work = PTHREAD_COND_INITIALIZER, idle = PTHREAD_COND_INITIALIZER;
static struct gcdune_segment *pool, *shared;
static unsigned made, active, allowed, waiting;
static _Atomic bool wanted;

static bool grow(unsigned count)
{
	unsigned bound = gcdune_options.mark_segments;

	if (bound && made + count > (bound < RESERVE ? RESERVE : bound))
		return false;
	struct gcdune_segment *fresh = gcdune_os_map(count * sizeof *fresh);

	if (!fresh)
		return false;
	made += count;
	for (unsigned i = 0; i < count; i++) {
		fresh[i].next = pool;
		pool = &fresh[i];
	}
	return true;
}

int gcdune_worklist_init(void)
{
	return grow(RESERVE) ? 0 : -ENOMEM;
}

struct gcdune_segment *gcdune_segment_take(void)
{
	pthread_mutex_lock(&lock);
	if (!pool && !grow(32))
		grow(1);
	struct gcdune_segment *segment = pool;

	if (segment)
		pool = segment->next;
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
	atomic_store_explicit(&wanted, active < allowed && !shared, memory_order_relaxed);
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
	if (waiting)
		pthread_cond_signal(&work);
	pthread_cond_signal(&idle);	/* the collecting marker may be waiting for the others to end */
	pthread_mutex_unlock(&lock);
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
	while (!shared && active) {
		atomic_store_explicit(&wanted, true, memory_order_relaxed);
		pthread_cond_wait(&idle, &lock);
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
		if (!active)
			pthread_cond_signal(&idle);
		was_active = false;
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

void gcdune_worklist_helpers(unsigned count)
{
	pthread_mutex_lock(&lock);
	allowed = count;
	update_wanted();
	pthread_mutex_unlock(&lock);
}

void gcdune_worklist_after_fork(void)
{
	/* No collection was under way: nothing was shared, and the helpers are gone. */
	pthread_mutex_init(&lock, NULL);
	pthread_cond_init(&work, NULL);
	pthread_cond_init(&idle, NULL);
	shared = NULL;
	active = allowed = waiting = 0;
	wanted = false;
}
