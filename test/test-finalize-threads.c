/* Finalizers in several threads at once: each object finalized exactly once, no lock of the collector held (they
 * take the program's own), none lost when the thread that registered it ends at once.
 *
 * TEST-FLAGS: timeout=120 torture=yes static=yes tsan=no
 */
#include "check.h"

#define THREADS 4

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static size_t made, finalized;
static unsigned char *seen;	/* malloc's; by number */

static void finalizer(void *object, void *data)
{
	struct target *t = object;

	TARGET_CHECK(t, t->id);
	/* A lock that other threads hold while they allocate. */
	pthread_mutex_lock(&lock);
	CHECKF(seen[t->id] == 0, "object %llu was finalized twice", (unsigned long long)t->id);
	seen[t->id] = 1;
	finalized++;
	pthread_mutex_unlock(&lock);
	KEEP_ALIVE(target_new(2));
}

static void *thread(void *arg)
{
	size_t each = rounds(5000, 200);

	for (size_t i = 0; i < each; i++) {
		uint64_t id = (size_t)arg * each + i;
		struct target *t = target_new(id);
		static __thread void *link;

		CHECK_EQ(gcdune_finalizer_set(t, finalizer, NULL, i % 4, NULL, NULL), 0);
		__atomic_fetch_add(&made, 1, __ATOMIC_RELAXED);
		/* The lock is not recursive: a finalizer must not be run by this allocation, and is not, for
		 * collections are off in here. Others' may be waiting for the lock. */
		if (i % 50 == 0) {
			gcdune_disable();
			pthread_mutex_lock(&lock);
			link = target_new(i);
			pthread_mutex_unlock(&lock);
			gcdune_enable();
		}
		KEEP_ALIVE(link);
		if (i % 500 == 499)
			gcdune_collect();
	}
	return NULL;
}

int main(void)
{
	pthread_t threads[THREADS];

	seen = calloc(THREADS * 5000, 1);
	for (size_t round = 0; round < 2; round++) {
		finalized = made = 0;
		memset(seen, 0, THREADS * 5000);
		for (size_t i = 0; i < THREADS; i++)
			threads[i] = thread_start(thread, (void *)i);
		for (size_t i = 0; i < THREADS; i++)
			pthread_join(threads[i], NULL);
		for (int i = 0; i < 4; i++)
			wipe_and_collect();
		gcdune_finalizers_run();
		CHECKF(finalized >= made - made / 20 && finalized <= made, "%zu of %zu were finalized", finalized,
		       made);
		/* Stragglers must not be counted in the next round. */
		for (int i = 0; i < 100 && finalized != made; i++)
			wipe_and_collect();
		if (finalized != made)
			break;
	}
	return 0;
}
