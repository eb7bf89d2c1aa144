/* ahead.c - first touch of memory from its beginning on: pages are made ahead of it.
 *
 * Why. Under shadow paging each page that the program touches for the first time is a fault of KVM's, whether or not its
 * entry is there. But KVM maps the other seven of a group of eight with it where the host has the pages already and the
 * entries have A, and D too, as a page that may be written without D would go unnoticed. So what a run of first touches
 * will reach next is made by the host in one call (MADV_POPULATE_WRITE), and its entries get D. A run that is long enough
 * for 2 MiB at once gets them as a huge page of the host's (MADV_COLLAPSE), which takes a seventh of the time of 512 small ones;
 * the entries are small all the same. MADV_HUGEPAGE would split the program's mapping, or have it filled by 2 MiB elsewhere.
 *
 * Invariants:
 *  - D says too much at most, never too little, and only until the program begins to look at dirty bits of that chunk
 *    of addresses (dune_tracked): from the first dune_dirty_take, dune_dirty_track or dune_protect_take of any of it on,
 *    no D is set here, so what is taken from then on is exact.
 *  - No run is more than half as long again as what the program has touched of it, 15 pages aside, nor more than LONGEST
 *    ahead. What is touched here and there is not a run, and costs nothing.
 *  - No huge page where the system or the program says never (MADV_NOHUGEPAGE, PR_SET_THP_DISABLE), and none after one was
 *    refused: looking for memory in one piece may take long.
 *
 * Called by pagetable.c and address.c with dune.lock held, and by enter.c. */
#include <fcntl.h>

#include "monitor.h"

#define POPULATE_WRITE 23 /* Linux 5.14 */
#define COLLAPSE 25	  /* Linux 6.1 */
#define SHORTEST 16UL	  /* pages: fewer do not pay for the exit that the next ones cost */
#define LONGEST 512UL	  /* a table, and a huge page */

uint64_t dune_tracked[CHUNKS / 64];

/* Where the next fault of each run is expected, and how many pages it has so far. A page's number, not its address: this is
 * static data, where a conservative collector in the process looks for pointers. */
static struct {
	uintptr_t next;
	size_t pages;
} runs[8];
static unsigned oldest;
static bool refused;	  /* the kernel does not know the call */
static bool huge_refused; /* there was no huge page, or is to be none */

/* At entry. The kernel collapses whatever the setting is; we do not where it is "never". */
void ahead_init(void)
{
	long fd = SYS4(openat, AT_FDCWD, "/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY | O_CLOEXEC, 0);
	char text[64];
	long n = fd < 0 ? fd : SYS3(read, fd, text, sizeof(text));

	if (fd >= 0)
		SYS1(close, fd);
	/* "always madvise [never]" */
	huge_refused = n < 0;
	for (long i = 1; i < n && !huge_refused; i++)
		huge_refused = text[i - 1] == '[' && text[i] == 'n';
}

static bool is_tracked(uintptr_t page)
{
	size_t chunk = page >> CHUNK_SHIFT;

	return __atomic_load_n(&dune_tracked[chunk / 64], __ATOMIC_RELAXED) >> chunk % 64 & 1;
}

/* Private anonymous memory of the program's that may be written, and whose dirty bits nobody asked for. */
static bool may_be_made(uintptr_t page, const struct mapping *m)
{
	return !refused && !dune.clones && m->write && !m->file && !is_tracked(page) && !memory_is_ours(page, PAGE);
}

bool ahead_possible(uintptr_t start)
{
	return !refused && !dune.clones && !is_tracked(start);
}

static bool make(uintptr_t start, uintptr_t end, const struct mapping *m)
{
	bool huge = !huge_refused && end - start == LONGEST * PAGE;
	long error;

	if (huge) {
		/* Only what holds a page already is collapsed. */
		error = SYS3(madvise, start, PAGE, POPULATE_WRITE);
		if (!error)
			error = SYS3(madvise, start, end - start, COLLAPSE);
		/* EINVAL: not of this mapping, or not by this kernel. */
		huge_refused = error && error != -EINVAL;
		huge = !error;
	}
	if (!huge) {
		error = SYS3(madvise, start, end - start, POPULATE_WRITE);
		refused = error == -EINVAL;
	}
	return !error && !pt_fill_written(start, end, m->exec);
}

/* A write to a page that has no entry. Returns whether it has one now; if not, it is for others to fill in. */
bool ahead_fault(uintptr_t page, const struct mapping *m)
{
	uint64_t *before;
	unsigned run = 0;
	uintptr_t end;

	if (!may_be_made(page, m))
		return false;
	while (run < 8 && runs[run].next != page / PAGE)
		run++;
	if (run == 8) {
		/* Does one begin here? At the beginning of a mapping, or behind a page that was written. */
		before = page > m->start ? pte_of(*dune.roots, page - PAGE, false) : NULL;
		if (page > m->start && !(before && *before & PTE_P && *before & PTE_D))
			return false;
		run = oldest++ % 8;
		runs[run].pages = 0;
	}
	/* No further than to the end of the table. */
	end = page + MAX(SHORTEST, MIN(LONGEST, runs[run].pages / 2)) * PAGE;
	end = MIN(MIN(end, m->end), (page & ~(512 * PAGE - 1)) + 512 * PAGE);
	/* The kernel may have merged our mapping with the program's. */
	if (memory_is_ours(page, end - page))
		return false;
	runs[run].next = end / PAGE;
	runs[run].pages += (end - page) / PAGE;
	return make(page, end, m);
}

/* New memory that will be written soon, all of it, as far as can be known. */
bool ahead_make(uintptr_t start, uintptr_t end)
{
	struct mapping m = { start, end, true, true, false, false };

	return may_be_made(start, &m) && make(start, end, &m);
}
