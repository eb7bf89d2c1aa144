/* softdirty.c - dirty source: the kernel's soft-dirty bits (Documentation/admin-guide/mm/soft-dirty.rst). Clearing is for
 * the whole process at once and not one step with reading, so the bits are cleared when a cycle begins and only read
 * from then on: each take reports everything since. Many kernels are built without them, and clear_refs says nothing of
 * that: the self-test finds out. Called through dirty.c. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "dirty.h"

#define SOFT_DIRTY ((uint64_t)1 << 55)

static int clear_refs = -1, pagemap = -1;

static void close_both(void)
{
	if (clear_refs >= 0)
		close(clear_refs);
	if (pagemap >= 0)
		close(pagemap);
	clear_refs = pagemap = -1;
}

static int open_both(void)
{
	clear_refs = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
	if (clear_refs >= 0)
		pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (pagemap >= 0)
		return 0;
	int error = -errno;

	close_both();
	return error;
}

/* Clears once, for all of the process. */
static int attach(uintptr_t begin, uintptr_t end)
{
	(void)begin;
	(void)end;
	return pwrite(clear_refs, "4", 1, 0) == 1 ? 0 : -errno;
}

static int track(uintptr_t begin, uintptr_t end)
{
	(void)begin;
	(void)end;
	return 0;
}

static int take(uintptr_t begin, size_t pages, uint64_t *bits, bool rearm)
{
	uint64_t entries[512];

	(void)rearm;
	for (size_t done = 0; done < pages;) {
		size_t n = pages - done < 512 ? pages - done : 512;
		ssize_t got = pread(pagemap, entries, n * 8, (off_t)((begin / 4096 + done) * 8));

		if (got <= 0)
			return got ? -errno : -EIO;
		n = (size_t)got / 8;
		for (size_t i = 0; i < n; i++)
			if (entries[i] & SOFT_DIRTY)
				bits[(done + i) / 64] |= (uint64_t)1 << ((done + i) % 64);
		done += n;
	}
	return 0;
}

static void nothing(uintptr_t begin, uintptr_t end)
{
	/* A first write costs a fault, and nothing can be done about it. */
	(void)begin;
	(void)end;
}

const struct gcdune_dirty_source gcdune_dirty_softdirty = {
	.name = "softdirty",
	.open = open_both,
	.close = close_both,
	.attach = attach,
	.track = track,
	.take = take,
	.mark = nothing,
	.end = nothing,
	.after_fork = close_both,
};
