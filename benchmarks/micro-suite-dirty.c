/* micro-suite-dirty.c - gbench-dirty: what each dirty source costs for each page: to track it, to write to it for the first time
 * (also with another thread that keeps a second processor busy, which then has to be interrupted), to look for written
 * pages by how many there are and in how much memory, to announce a block or to touch it (both also with the other processor
 * busy, and with the writes that follow, which shadow page tables make dear), to stop tracking. And fresh memory: to write to it,
 * and to do so after touching it a block at a time.
 *
 * Linked with the library's objects, for it calls the sources themselves. Times are given by hand: "ns" is for each page.
 *
 * In Dune mode (dune-run gbench-dirty) the sources are those of Dune mode, else those of the kernel: each where programs use it.
 * What those of Dune mode make clean is so once every processor has flushed, and that is in the time of `track' and
 * `harvest'. */
#include "gbench.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "../gcdune/dirty/dirty.h"
#include "../gcdune/dirty/library.h"
#include "../gcdune/os.h"

enum {
	PAGE = 4096,
	MOST_MIB = 256,
	FRESH_MIB = 64,
	ROUNDS = 7,
	FEW_ROUNDS = 3,
	FEW_PERCENT = 10,
	WRITES = 2000,
	BLOCK_PAGES = 16
};

static char *memory;
static uint64_t *bits;
static atomic_bool busy_end;

/* What is timed; the rest of a round is not. */
enum step { TRACK, WRITE, ANNOUNCE, TOUCH, END, HARVEST };
enum {
	ALONE = 0,
	BUSY = 1 /* another thread keeps the second processor */,
	AND_WRITE = 2 /* to what was announced or touched */
};
struct test {
	const struct gcdune_dirty_source *source;
	enum step step;
	unsigned how;
};

static void *busy(void *arg)
{
	volatile char own[PAGE];

	while (!busy_end)
		own[0]++;
	return arg;
}

static double since(uint64_t began, size_t pages)
{
	return (double)(gcdune_os_now() - began) / 1e9 / (double)pages;
}

/* N pages of PAGES, evenly spread. */
static void write_pages(size_t pages, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((volatile char *)memory)[pages * i / n * PAGE] = 1;
}

static double step(const struct test *test, size_t pages, size_t dirty)
{
	const struct gcdune_dirty_source *s = test->source;
	uintptr_t low = (uintptr_t)memory, high = low + pages * PAGE;
	pthread_t other;
	uint64_t began;
	double time = 0;

	if (s->begin)
		s->begin();
	began = gcdune_os_now();
	s->track(low, high);
	if (s->settle)
		s->settle();
	if (test->step == TRACK)
		time = since(began, pages);
	if (test->how & BUSY) {
		busy_end = false;
		if (pthread_create(&other, NULL, busy, NULL))
			abort();
		gcdune_os_sleep(2000000);
	}
	began = gcdune_os_now();
	write_pages(pages, dirty);
	if (test->step == WRITE)
		time = since(began, dirty);
	memset(bits, 0, pages / 8 + 8);
	began = gcdune_os_now();
	s->take(low, pages, bits, s->rearms);
	if (test->step == HARVEST)
		time = since(began, pages);
	began = gcdune_os_now();
	if (test->step == ANNOUNCE || test->step == TOUCH) {
		void (*call)(uintptr_t, uintptr_t) = test->step == TOUCH ? s->touch : s->mark;

		for (size_t at = 0; at + BLOCK_PAGES <= pages; at += 4 * BLOCK_PAGES) {
			call(low + at * PAGE, low + (at + BLOCK_PAGES) * PAGE);
			for (size_t i = 0; test->how & AND_WRITE && i < BLOCK_PAGES; i++)
				((volatile char *)memory)[(at + i) * PAGE] = 1;
		}
		time = since(began, pages / 4);
	}
	if (test->how & BUSY) {
		busy_end = true;
		pthread_join(other, NULL);
	}
	began = gcdune_os_now();
	s->end(low, high);
	if (test->step == END)
		time = since(began, pages);
	return time;
}

static void dirty(struct gbench_state *state, void *data)
{
	const struct test *test = data;
	size_t pages = (size_t)MOST_MIB << 8, written = WRITES;
	int error = test->source->open();

	if (test->step == HARVEST) {
		pages = (size_t)gbench_range_of(state, 0) << 8;
		written = pages * (size_t)gbench_range_of(state, 1) / 100;
	}
	if (error) {
		gbench_skip(state, "this source cannot be had here");
		return;
	}
	const char *missed = gcdune_dirty_selftest(test->source, NULL);

	if (missed) {
		gbench_skip(state, missed);
	} else {
		/* The self-test leaves it attached to memory of its own. */
		test->source->close();
		if (test->source->open() ||
		    test->source->attach((uintptr_t)memory, (uintptr_t)memory + ((uintptr_t)MOST_MIB << 20))) {
			gbench_skip(state, "it cannot be attached to memory here");
			return;
		}
		while (gbench_running(state))
			gbench_time(state, step(test, pages, written));
	}
	test->source->close();
}

/* Of a block of fresh memory each page is written to; first it is touched, if TOUCHED is not NULL. */
static void fresh(struct gbench_state *state, void *touched)
{
	while (gbench_running(state)) {
		size_t pages = (size_t)FRESH_MIB << 8;
		char *p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED) {
			gbench_skip(state, "no memory");
			return;
		}
		(void)madvise(p, pages * PAGE, MADV_NOHUGEPAGE);
		uint64_t began = gcdune_os_now();

		for (size_t i = 0; i < pages; i++) {
			if (touched && i % BLOCK_PAGES == 0)
				gcdune_os_populate(p + i * PAGE, (size_t)BLOCK_PAGES * PAGE);
			((volatile char *)p)[i * PAGE] = 1;
		}
		gbench_time(state, since(began, pages));
		munmap(p, pages * PAGE);
	}
}

static struct gbench *add(const struct gcdune_dirty_source *source, enum step step, unsigned how, const char *name)
{
	struct test *test = malloc(sizeof(*test));
	char *full = malloc(64);
	struct gbench *bench;

	if (!test || !full)
		abort();
	*test = (struct test){source, step, how};
	snprintf(full, 64, "%s/%s", source->name, name);
	bench = gbench_new_manual(full, dirty, test);
	gbench_iterations(bench, ROUNDS);
	return bench;
}

int main(int argc, char **argv)
{
	static const struct gcdune_dirty_source *const native[] = {&gcdune_dirty_uffd, &gcdune_dirty_softdirty,
								   &gcdune_dirty_mprotect, NULL};
	static const struct gcdune_dirty_source *const guest[] = {&gcdune_dirty_dune, &gcdune_dirty_dune_fault, NULL};
	static const int64_t sizes[] = {16, 256}, percents[] = {0, 1, 10, 50, 100};
	const struct gcdune_dirty_source *const *sources = gcdune_dune_active() ? guest : native;

	memory = mmap(NULL, (size_t)MOST_MIB << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bits = calloc(((size_t)MOST_MIB << 8) / 64 + 1, sizeof(*bits));
	if (memory == MAP_FAILED || !bits) {
		fprintf(stderr, "gbench-dirty: no memory\n");
		return 1;
	}
	(void)madvise(memory, (size_t)MOST_MIB << 20, MADV_NOHUGEPAGE);
	memset(memory, 1, (size_t)MOST_MIB << 20);
	for (unsigned i = 0; sources[i]; i++) {
		struct gbench *harvest;

		add(sources[i], TRACK, ALONE, "track");
		add(sources[i], WRITE, ALONE, "first_write");
		if (sources[i]->rearms)
			add(sources[i], WRITE, BUSY, "first_write_2nd_busy");
		add(sources[i], ANNOUNCE, ALONE, "announce");
		add(sources[i], ANNOUNCE, BUSY, "announce_2nd_busy");
		add(sources[i], ANNOUNCE, AND_WRITE, "announce_write");
		if (sources[i]->touch) {
			add(sources[i], TOUCH, ALONE, "touch");
			add(sources[i], TOUCH, BUSY, "touch_2nd_busy");
			add(sources[i], TOUCH, AND_WRITE, "touch_write");
		}
		add(sources[i], END, ALONE, "end");
		harvest = add(sources[i], HARVEST, ALONE, "harvest");
		/* A fault for each page, which takes much longer in Dune mode: fewer of those. */
		if (sources[i] == &gcdune_dirty_dune_fault)
			gbench_iterations(harvest, FEW_ROUNDS);
		for (unsigned m = 0; m < 2; m++)
			for (unsigned p = 0; p < sizeof(percents) / sizeof(percents[0]); p++)
				if (sources[i] != &gcdune_dirty_dune_fault || !m || percents[p] <= FEW_PERCENT)
					gbench_args(harvest, sizes[m], percents[p]);
	}
	gbench_iterations(gbench_new_manual("fresh/write", fresh, NULL), ROUNDS);
	gbench_iterations(gbench_new_manual("fresh/touch_write", fresh, &memory), ROUNDS);
	return gbench_main(argc, argv);
}
