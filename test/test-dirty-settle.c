/* In Dune mode, who flushes after pages were made clean, and what that costs (gather.c): a thread that allocates flushes when
 * it comes by; one that waits in a system call, or was sent a signal since, has flushed or will on its way back; neither
 * takes an exit for it. Only one that computes is interrupted, which is counted: by the exits of the thread that asked and
 * one for each that was interrupted. That a thread has flushed is what its vCPU says, so a computing one is never passed
 * over.
 *
 * Nobody here waits for less than half a minute for a thread to come by, so how busy the machine is does not matter.
 *
 * TEST-FLAGS: link=internal timeout=240 asan=no tsan=no
 */
#include "check.h"

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "dirty/dirty.h"
#include "dirty/library.h"
#include "heap.h"
#include "options.h"

enum { PAGES = 64, LONG = 30 * 1000 * 1000, SHORT = 1000 /* us */, TIMES = 20, TRIES = 1000 };

static const struct gcdune_dirty_source *source;
static char *memory;
static atomic_int what, told, handled;
enum { ALLOCATES, SLEEPS, COMPUTES, ENDS };
static int pipes[2];

static void on_signal(int signal)
{
	(void)signal;
	handled++;
}

static void *other(void *arg)
{
	char byte;

	(void)arg;
	for (;;) {
		int now = what;

		told = now;
		switch (now) {
		case ALLOCATES:
			while (what == now)
				gcdune_free(gcdune_alloc(48));
			break;
		case SLEEPS:
			while (what == now)
				CHECK(read(pipes[0], &byte, 1) == 1);
			break;
		case COMPUTES:
			while (what == now)
				;
			break;
		case ENDS:
			return NULL;
		}
	}
}

static void let(int what_now)
{
	int before = what;

	what = what_now;
	if (before == SLEEPS)
		CHECK(write(pipes[1], "x", 1) == 1);
	while (told != what_now)
		poll(NULL, 0, 1);
	poll(NULL, 0, what_now == SLEEPS ? 50 : 1);
}

struct cost {
	uint64_t flushes, exits, local;
};

static struct cost cost(void)
{
	struct dune_statistics s;

	CHECK(gcdune_dune.statistics(&s) == 0);
	return (struct cost){gcdune_dirty_flushes, gcdune_dirty_exits, s.local_flushes};
}

/* A page is made clean; MEANWHILE, and what is unsettled is settled. */
static struct cost round_of(unsigned patience, pthread_t thread, bool meanwhile)
{
	uintptr_t at = (uintptr_t)memory;
	struct cost before, after;

	gcdune_options.settle = patience;
	memory[5 * GCDUNE_PAGE]++;
	before = cost();
	CHECK(source->gather(at, at + PAGES * GCDUNE_PAGE) == 0);
	if (meanwhile) {
		int n = handled;

		CHECK(pthread_kill(thread, SIGUSR1) == 0);
		while (handled == n)
			poll(NULL, 0, 1);
	}
	uint64_t exits = gcdune_dune.thread_exits();

	source->settle();
	exits = gcdune_dune.thread_exits() - exits;
	after = cost();
	/* As dirty.c counts. A signal or a timer of the host may have come in between. */
	return (struct cost){after.flushes - before.flushes, exits + after.exits - before.exits, after.local - before.local};
}

/* The least of several, and how often nobody was interrupted. */
static struct cost least(unsigned patience, pthread_t thread, bool meanwhile, unsigned *without)
{
	struct cost best = {UINT64_MAX, UINT64_MAX, UINT64_MAX};

	*without = 0;
	for (unsigned i = 0; i < TIMES && (patience != LONG || *without == i); i++) {
		struct cost c = round_of(patience, thread, meanwhile);

		*without += c.flushes == 0;
		if (c.exits < best.exits)
			best = c;
	}
	return best;
}

static void try_all(void)
{
	uintptr_t at = (uintptr_t)memory;
	unsigned without;
	struct cost c;
	pthread_t thread;

	CHECK(source->open() == 0);
	source->begin();
	CHECK(source->attach(gcdune_heap.base, gcdune_heap.base + gcdune_heap.size) == 0);
	CHECK(source->track(at, at + PAGES * GCDUNE_PAGE) == 0);
	source->settle();
	what = ALLOCATES;
	told = -1;
	thread = thread_start(other, NULL);
	let(ALLOCATES);
	c = least(LONG, thread, false, &without);
	CHECKF(without == TIMES && c.exits == 0, "%s: a thread that allocates: interrupted %u times of %d, at least %llu exits",
	       source->name, TIMES - without, TIMES, (unsigned long long)c.exits);
	CHECKF(c.local >= 2, "%s: nobody but the caller has flushed", source->name);
	let(SLEEPS);
	c = least(LONG, thread, false, &without);
	CHECKF(without == TIMES && c.exits == 0, "%s: a thread that sleeps: interrupted %u times of %d, at least %llu exits",
	       source->name, TIMES - without, TIMES, (unsigned long long)c.exits);
	let(COMPUTES);
	/* It may have left the guest for a reason of the host's: under emulation and load most of the time. Not each time. */
	for (unsigned i = 0; i < TRIES; i++) {
		c = round_of(SHORT, thread, false);
		if (c.flushes)
			break;
	}
	CHECKF(c.flushes && c.exits >= 2, "%s: a thread that computes was passed over: %llu flushes, %llu exits", source->name,
	       (unsigned long long)c.flushes, (unsigned long long)c.exits);
	c = least(SHORT, thread, true, &without);
	CHECKF(without == TIMES && c.exits == 0, "%s: a thread that had a signal: interrupted %u times of %d, at least %llu exits",
	       source->name, TIMES - without, TIMES, (unsigned long long)c.exits);
	let(ENDS);
	pthread_join(thread, NULL);
	source->end(at, at + PAGES * GCDUNE_PAGE);
	source->close();
}

int main(void)
{
	static const struct gcdune_dirty_source *const sources[] = {&gcdune_dirty_dune, &gcdune_dirty_dune_fault};
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	char why[512];

	if (gcdune_dune_enter(why, sizeof why)) {
		printf("SKIP: no Dune mode here: %s\n", why);
		return 77;
	}
	CHECK(gcdune_init() == 0);
	gcdune_disable();
	CHECK(pipe(pipes) == 0 && sigaction(SIGUSR1, &action, NULL) == 0);
	memory = gcdune_alloc_leaf(PAGES * GCDUNE_PAGE);
	CHECK(memory != NULL);
	for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
		source = sources[i];
		try_all();
	}
	return 0;
}
