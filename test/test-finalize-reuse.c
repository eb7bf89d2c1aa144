/* Finalizers and links that are taken back and made for other objects while a collection marks: the collector notes them by
 * their places in its tables, which others take. Each object that was dropped is finalized once, none that is held is; links
 * to what is held stay, links to what was finalized are cleared.
 *
 * TEST-FLAGS: timeout=120 torture=yes tsan=no env:GCDUNE_MODE=concurrent
 */
#include "check.h"

#define COUNT 2000

static struct target *held[COUNT];
static void *links[COUNT]; /* hidden: to what is held, or was dropped since */
static unsigned char finalized[COUNT * 40];
static size_t next_id;
static volatile int stop;

static void finalizer(void *object, void *data)
{
	struct target *t = object;

	TARGET_CHECK(t, t->id);
	CHECKF(!finalized[t->id]++, "object %llu was finalized twice", (unsigned long long)t->id);
	KEEP_ALIVE(data);
}

static void *collect(void *arg)
{
	while (!stop)
		gcdune_collect();
	return arg;
}

static void NOINLINE make(size_t i)
{
	struct target *t = target_new(next_id++);

	held[i] = t;
	links[i] = GCDUNE_HIDE(t);
	CHECK_EQ(gcdune_finalizer_set(t, finalizer, NULL, i % 4, NULL, NULL), 0);
	CHECK_EQ(gcdune_link_add(&links[i], t, GCDUNE_LINK_LONG), 0);
}

/* Both entries of I are free then; its object dies unnoticed. */
static void NOINLINE take_back(size_t i)
{
	CHECK_EQ(gcdune_finalizer_set(held[i], NULL, NULL, 0, NULL, NULL), 0);
	CHECK_EQ(gcdune_link_remove(&links[i], GCDUNE_LINK_LONG), 0);
	finalized[held[i]->id] = 2;
	held[i] = NULL;
}

static void *read_link(void *link)
{
	return *(void **)link ? GCDUNE_REVEAL(*(void **)link) : NULL;
}

static void NOINLINE look(size_t i)
{
	struct target *t = gcdune_locked_call(read_link, &links[i]);

	CHECKF(t == held[i], "the link to an object that is held is %p, not %p", (void *)t, (void *)held[i]);
	TARGET_CHECK(t, t->id);
	CHECKF(!finalized[t->id], "object %llu was finalized, and is held", (unsigned long long)t->id);
}

int main(void)
{
	size_t dropped = 0;

	gcdune_finalizers_mode_set(GCDUNE_FINALIZE_ON_DEMAND);
	for (size_t i = 0; i < COUNT; i++)
		make(i);
	pthread_t thread = thread_start(collect, NULL);

	for (size_t round = 0; round < rounds(30, 3); round++) {
		for (size_t i = 0; i < COUNT; i++) {
			if ((i + round) % 3 == 0) {
				take_back(i);
				make(i);
			} else if ((i + round) % 3 == 1) {
				/* Dropped, with a link elsewhere from now on, whose place another takes. */
				gcdune_link_remove(&links[i], GCDUNE_LINK_LONG);
				held[i] = NULL;
				dropped++;
				make(i);
			}
		}
		for (size_t i = 0; i < COUNT; i++)
			look(i);
		gcdune_finalizers_run();
	}
	stop = 1;
	pthread_join(thread, NULL);
	for (int i = 0; i < 10; i++) {
		wipe_and_collect();
		gcdune_finalizers_run();
	}
	size_t once = 0;

	for (size_t i = 0; i < next_id; i++)
		once += finalized[i] == 1;
	CHECKF(once <= dropped && once >= dropped - dropped / 20, "%zu of %zu were finalized", once, dropped);
	for (size_t i = 0; i < COUNT; i++)
		look(i);
	return 0;
}
