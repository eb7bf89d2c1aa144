/* The two sources of Dune mode, as the collector uses them, against a model: written pages are gathered from ranges of any
 * alignment, and taken in others, with a flush in between. One thread writes by itself and by system calls, gives pages
 * back and announces some: exactly those pages are reported. Then threads write all the time: no write that was over before
 * a gather and is not in what was read after the one before stays unreported. A forked child goes on with tracking anew. The
 * heap grows between a gather and the takes after it: what was gathered is reported all the same.
 *
 * Skipped where there is no Dune mode.
 *
 * TEST-FLAGS: link=internal timeout=120 asan=no tsan=no
 */
#include "check.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dirty/dirty.h"
#include "dirty/library.h"
#include "heap.h"

enum { PAGES = 16 * 40, WRITERS = 3, EACH = PAGES / WRITERS };

static const struct gcdune_dirty_source *source;
static char *memory; /* an object of the heap: what is gathered lies there */
static bool model[PAGES];

static uintptr_t page_at(size_t page)
{
	return (uintptr_t)memory + page * GCDUNE_PAGE;
}

static void write_page(size_t page, uint64_t *random, int pipes[2])
{
	volatile char *place = memory + page * GCDUNE_PAGE + random_next(random) % 4000;

	switch (random_next(random) % 8) {
	case 0:
		CHECK(write(pipes[1], "x", 1) == 1 && read(pipes[0], (char *)place, 1) == 1);
		break;
	case 1:
		CHECK(madvise((void *)page_at(page), GCDUNE_PAGE, MADV_DONTNEED) == 0);
		break;
	case 2:
		if (source->mark != gcdune_dirty_dune.mark) { /* to that one it means nothing */
			source->mark(page_at(page), page_at(page + 1));
			break;
		}
		/* fall through */
	default:
		*place = (char)random_next(random);
	}
	model[page] = true;
}

/* Some ranges that cover all, as blocks of the heap do: their bounds are multiples of 16 pages. */
static void gather(uint64_t *random)
{
	for (size_t page = 0, n; page < PAGES; page += n) {
		n = 16 * (1 + random_next(random) % 10);
		n = n < PAGES - page ? n : PAGES - page;
		CHECK(source->gather(page_at(page), page_at(page + n)) == 0);
	}
	source->settle();
}

static void take(uint64_t *random, bool rearm, uint64_t bits[PAGES / 64])
{
	memset(bits, 0, PAGES / 8);
	for (size_t page = 0, n; page < PAGES; page += n) {
		uint64_t some[PAGES / 64 + 1] = {0};

		n = 1 + random_next(random) % 200;
		n = n < PAGES - page ? n : PAGES - page;
		CHECK(source->take(page_at(page), n, some, rearm) == 0);
		for (size_t i = 0; i < n; i++)
			bits[(page + i) / 64] |= (some[i / 64] >> (i % 64) & 1) << ((page + i) % 64);
	}
}

static void compare(const uint64_t bits[PAGES / 64], const char *when)
{
	for (size_t i = 0; i < PAGES; i++)
		CHECKF((bits[i / 64] >> (i % 64) & 1) == model[i], "%s, %s: page %zu was %swritten and %sreported",
		       source->name, when, i, model[i] ? "" : "not ", model[i] ? "not " : "");
}

static void begin(void)
{
	CHECK(source->open() == 0);
	source->begin();
	CHECK(source->attach(gcdune_heap.base, gcdune_heap.base + gcdune_heap.size) == 0);
	CHECK(source->track(page_at(0), page_at(PAGES)) == 0);
	source->settle();
	memset(model, 0, sizeof model);
}

static void alone(void)
{
	uint64_t random = 7, bits[PAGES / 64];
	int pipes[2];

	CHECK(pipe(pipes) == 0);
	begin();
	for (size_t round = 0; round < 200; round++) {
		for (size_t i = random_next(&random) % 60; i > 0; i--)
			write_page(random_next(&random) % PAGES, &random, pipes);
		switch (random_next(&random) % 4) {
		case 0: /* as in the pause */
			take(&random, false, bits);
			compare(bits, "looked at");
			break;
		case 1: /* a range that was not gathered */
			source->begin();
			take(&random, true, bits);
			compare(bits, "taken");
			memset(model, 0, sizeof model);
			break;
		case 2: /* what is written between counts for the next */
			gather(&random);
			take(&random, true, bits);
			compare(bits, "gathered and taken");
			memset(model, 0, sizeof model);
			break;
		case 3: /* gathered twice */
			gather(&random);
			write_page(random_next(&random) % PAGES, &random, pipes);
			gather(&random);
			take(&random, true, bits);
			compare(bits, "gathered twice and taken");
			memset(model, 0, sizeof model);
			break;
		}
	}
	if (fork() == 0) {
		source->after_fork();
		begin();
		write_page(3, &random, pipes);
		take(&random, false, bits);
		compare(bits, "in the child of a fork");
		_exit(0);
	}
	int status;

	CHECK(wait(&status) > 0 && status == 0);
	memory[0] = 1;
	model[0] = true;
	take(&random, false, bits);
	compare(bits, "after a fork");
	source->end(page_at(0), page_at(PAGES));
	source->close();
	close(pipes[0]);
	close(pipes[1]);
}

static volatile uint64_t completed[PAGES];
static atomic_bool stop;

static volatile uint64_t *counter(size_t page)
{
	return (volatile uint64_t *)(memory + page * GCDUNE_PAGE + page % 500 * 8);
}

static void *writer(void *arg)
{
	size_t me = (size_t)arg;
	uint64_t random = 99 + me;

	while (!stop) {
		size_t page = me * EACH + random_next(&random) % EACH;

		(*counter(page))++;
		completed[page]++;
	}
	return NULL;
}

static void together(void)
{
	static uint64_t last[PAGES], done[PAGES];
	uint64_t random = 5, bits[PAGES / 64];
	size_t reported = 0;
	pthread_t threads[WRITERS];

	memset(memory, 0, PAGES * GCDUNE_PAGE);
	memset((void *)completed, 0, sizeof completed);
	memset(last, 0, sizeof last);
	begin();
	stop = false;
	for (size_t i = 0; i < WRITERS; i++)
		threads[i] = thread_start(writer, (void *)i);
	for (size_t round = 0; round < 60 || !reported; round++) {
		for (size_t i = 0; i < PAGES; i++)
			done[i] = completed[i];
		if (round % 3)
			gather(&random);
		else
			source->begin();
		take(&random, true, bits);
		for (size_t i = 0; i < PAGES; i++) {
			bool bit = bits[i / 64] >> (i % 64) & 1;

			reported += bit;
			CHECKF(bit || done[i] <= last[i], "%s: a write to page %zu was not reported", source->name, i);
			last[i] = *counter(i);
		}
	}
	stop = true;
	for (size_t i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	source->end(page_at(0), page_at(PAGES));
	source->close();
}

/* As in a cycle whose heap grows while it runs: markers take ranges that reach further than any gather did so far. LOW is
 * near the beginning of the heap, where little room was made for what is gathered. */
static void grown(char *low)
{
	uint64_t bits[PAGES / 64] = {0};
	char *other = memory;

	memory = low;
	begin();
	memory[5 * GCDUNE_PAGE] = 1;
	memory[(PAGES - 1) * GCDUNE_PAGE] = 1;
	CHECK(source->gather(page_at(0), page_at(16)) == 0);
	source->settle();
	CHECK(source->take(page_at(0), PAGES, bits, true) == 0);
	CHECKF(bits[0] >> 5 & 1, "%s: a page that was gathered is not reported in a longer range", source->name);
	/* Page 5 is clean now; the other one, which was not gathered, is reported by the next at the latest. */
	model[5] = false;
	model[PAGES - 1] = !(bits[(PAGES - 1) / 64] >> ((PAGES - 1) % 64) & 1);
	memset(bits, 0, sizeof bits);
	CHECK(source->take(page_at(0), PAGES, bits, false) == 0);
	compare(bits, "after the heap has grown");
	source->end(page_at(0), page_at(PAGES));
	source->close();
	memory = other;
}

/* A program that asks for it itself, before its first allocation. */
static bool by_option(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		CHECK(gcdune_option_set("dirty", "dune") == 0);
		_exit(gcdune_init() || !gcdune_dune_active());
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	return status == 0;
}

int main(void)
{
	bool option = by_option();
	static const struct gcdune_dirty_source *const sources[] = {&gcdune_dirty_dune, &gcdune_dirty_dune_fault};
	char why[512];

	if (gcdune_dune_enter(why, sizeof why)) {
		printf("SKIP: no Dune mode here: %s\n", why);
		return 77;
	}
	CHECKF(option, "gcdune_option_set does not enter Dune mode");
	CHECK(gcdune_init() == 0);
	gcdune_disable();
	char *low = gcdune_alloc(PAGES * GCDUNE_PAGE);

	memory = gcdune_alloc_leaf(PAGES * GCDUNE_PAGE);
	CHECK(memory && (uintptr_t)memory % GCDUNE_PAGE == 0);
	CHECK(low && ((uintptr_t)low - gcdune_heap.base) / GCDUNE_PAGE < PAGES / 4);
	for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
		source = sources[i];
		const char *missed = gcdune_dirty_selftest(source, NULL);

		CHECKF(!missed, "%s: %s", source->name, missed);
		alone();
		together();
		grown(low);
	}
	return 0;
}
