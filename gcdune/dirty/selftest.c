/* selftest.c - tries a dirty source on memory of its own before it is trusted with the heap: what the kernel's version
 * says, or what a call returns, is not asked. Called by dirty.c, once. */
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../heap.h"
#include "../os.h"
#include "dirty.h"

enum { PAGES = 64, HUGE = 2 << 20 };

static bool seen(const struct gcdune_dirty_source *s, uintptr_t at, size_t pages, size_t page, bool rearm)
{
	uint64_t bits[HUGE / GCDUNE_PAGE / 64] = {0};

	return s->take(at, pages, bits, rearm) || bits[page / 64] >> (page % 64) & 1;
}

static const char *try_pages(const struct gcdune_dirty_source *s, volatile char *memory)
{
	uintptr_t at = (uintptr_t)memory, end = at + PAGES * GCDUNE_PAGE;
	int pipes[2];

	for (unsigned i = 0; i < PAGES; i++)
		memory[i * GCDUNE_PAGE] = 1;
	if (s->attach(at, end) || s->track(at, end))
		return "it cannot track memory";
	memory[3 * GCDUNE_PAGE] = 2;
	if (!seen(s, at, PAGES, 3, true))
		return "it misses a write";
	if (seen(s, at, PAGES, 40, false) && s->rearms)
		return "it reports pages that no one wrote";
	memory[3 * GCDUNE_PAGE + 8] = 3;
	if (!seen(s, at, PAGES, 3, true))
		return "it misses the second write to a page";
	if (s->rearms && seen(s, at, PAGES, 3, false))
		return "it does not make pages clean again";
	if (strcmp(s->name, "mprotect") && pipe(pipes) == 0) {
		ssize_t n = write(pipes[1], "x", 1);

		n = n == 1 ? read(pipes[0], (char *)memory + 5 * GCDUNE_PAGE, 1) : n;
		close(pipes[0]);
		close(pipes[1]);
		if (n != 1)
			return "a system call cannot write to a tracked page";
		if (!seen(s, at, PAGES, 5, true))
			return "it misses what a system call writes";
	}
	madvise((char *)memory + 7 * GCDUNE_PAGE, GCDUNE_PAGE, MADV_DONTNEED);
	memory[7 * GCDUNE_PAGE] = 4;
	if (!seen(s, at, PAGES, 7, true))
		return "it misses a write to a page given back";
	s->mark(at + 16 * GCDUNE_PAGE, at + 20 * GCDUNE_PAGE);
	memory[17 * GCDUNE_PAGE] = 5;
	if (!seen(s, at, PAGES, 17, true))
		return "it misses a write to a page announced";
	if (s->touch) {
		s->touch(at + 24 * GCDUNE_PAGE, at + 28 * GCDUNE_PAGE);
		memory[25 * GCDUNE_PAGE] = 6;
		if (memory[26 * GCDUNE_PAGE] != 1 || !seen(s, at, PAGES, 25, true))
			return "it loses a write to a page touched";
	}
	s->end(at, end);
	memory[20 * GCDUNE_PAGE] = 6;
	return NULL;
}

/* What the program itself takes for the first write to a page, ns; with all that happens beneath the kernel. Pages were written
 * to before. */
static uint64_t time_writes(const struct gcdune_dirty_source *s, volatile char *memory)
{
	uintptr_t at = (uintptr_t)memory, end = at + PAGES * GCDUNE_PAGE;

	if (s->track(at, end))
		return 0;
	if (s->settle)
		s->settle();
	uint64_t begin = gcdune_os_now();

	for (unsigned i = 0; i < PAGES; i++)
		memory[i * GCDUNE_PAGE] = 8;
	uint64_t took = gcdune_os_now() - begin;

	s->end(at, end);
	return took / PAGES;
}

static const char *try_huge(const struct gcdune_dirty_source *s, char *memory)
{
	uintptr_t at = ((uintptr_t)memory + HUGE - 1) & ~(uintptr_t)(HUGE - 1);
	volatile char *huge = (volatile char *)at;

	(void)madvise((void *)at, HUGE, MADV_HUGEPAGE);
	huge[0] = 1;
	if (s->attach(at, at + HUGE) || s->track(at, at + HUGE))
		return "it cannot track a huge page";
	huge[100 * GCDUNE_PAGE] = 2;
	if (!seen(s, at, HUGE / GCDUNE_PAGE, 100, false))
		return "it misses a write to a huge page";
	s->end(at, at + HUGE);
	return NULL;
}

const char *gcdune_dirty_selftest(const struct gcdune_dirty_source *s, uint64_t *write_ns)
{
	size_t size = 2 * HUGE;
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return "no memory to try it on";
	/* The collector's thread blocks all signals, and a fault that is blocked ends the program. */
	sigset_t fault, before;

	sigemptyset(&fault);
	sigaddset(&fault, SIGSEGV);
	pthread_sigmask(SIG_UNBLOCK, &fault, &before);
	const char *missed = try_pages(s, memory);

	if (!missed && write_ns)
		*write_ns = time_writes(s, memory);
	if (!missed)
		missed = try_huge(s, memory);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	munmap(memory, size);
	return missed;
}
