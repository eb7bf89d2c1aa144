/* uffd.c - dirty source: userfaultfd's asynchronous write protection. A page that is write-protected is opened by the
 * kernel at its first write, without telling anyone; that it is no longer protected is what PAGEMAP_SCAN reports, and
 * protects again in the same step (Linux 6.7 and later; Documentation/admin-guide/mm/pagemap.rst, userfaultfd.rst).
 * System calls that write just work. The descriptor is for faults of user mode and kernel mode alike, as asynchronous
 * protection has no one to wait for; "user mode only" is asked for first because it needs no privilege.
 *
 * Owns two descriptors, kept out of the way of the program's. Called through dirty.c. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../os.h"
#include "../place.h"
#include "dirty.h"

/* Newer than the headers that we are built with. */
#define FEATURE_WP_UNPOPULATED ((uint64_t)1 << 13)
#define FEATURE_WP_ASYNC ((uint64_t)1 << 15)
#define USER_MODE_ONLY 1

struct page_region {
	uint64_t start, end, categories;
};

struct pm_scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};

#define PAGEMAP_SCAN_IOCTL _IOWR('f', 16, struct pm_scan_arg)
#define PM_SCAN_WP_MATCHING ((uint64_t)1 << 0)
#define PM_SCAN_CHECK_WPASYNC ((uint64_t)1 << 1)
#define PAGE_IS_WRITTEN ((uint64_t)1 << 1)

/* A piece at a time: a call holds the lock that mmap and munmap wait for, at 20 to 70 ns a page. */
static const size_t PIECE = 8 << 20;

static int uffd = -1, pagemap = -1;

static void close_both(void)
{
	if (uffd >= 0)
		close(uffd);
	if (pagemap >= 0)
		close(pagemap);
	uffd = pagemap = -1;
}

static int open_both(void)
{
	struct uffdio_api api = {.api = UFFD_API, .features = FEATURE_WP_ASYNC | FEATURE_WP_UNPOPULATED};
	int error;

	uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | USER_MODE_ONLY);
	if (uffd < 0)
		uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	uffd = gcdune_os_descriptor_high(uffd);
	if (uffd < 0)
		return -errno;
	if (ioctl(uffd, UFFDIO_API, &api) || !(api.features & FEATURE_WP_ASYNC)) {
		error = -errno;
		close_both();
		return error ? error : -ENOTSUP;
	}
	pagemap = gcdune_os_descriptor_high(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
	if (pagemap < 0) {
		error = -errno;
		close_both();
		return error;
	}
	return 0;
}

static int attach(uintptr_t begin, uintptr_t end)
{
	struct uffdio_register reg = {.range = {begin, end - begin}, .mode = UFFDIO_REGISTER_MODE_WP};

	return ioctl(uffd, UFFDIO_REGISTER, &reg) ? -errno : 0;
}

static int unprotect(uintptr_t begin, uintptr_t end)
{
	for (; begin < end; begin += PIECE) {
		size_t size = end - begin < PIECE ? end - begin : PIECE;
		struct uffdio_writeprotect wp = {.range = {begin, size}};
		int failed;

		do
			failed = ioctl(uffd, UFFDIO_WRITEPROTECT, &wp);
		while (failed && (errno == EAGAIN || errno == EINTR));
		if (failed)
			return -errno;
		gcdune_place_look();
	}
	return 0;
}

/* Not by UFFDIO_WRITEPROTECT: until that has interrupted the other processors, each fault of a thread of the program
 * interrupts them too (mm_tlb_flush_pending in the kernel), 20 us instead of one. This interrupts them only if there was
 * something to protect. */
static int track(uintptr_t begin, uintptr_t end)
{
	while (begin < end) {
		struct pm_scan_arg arg = {
			.size = sizeof arg,
			.flags = PM_SCAN_CHECK_WPASYNC | PM_SCAN_WP_MATCHING,
			.start = begin,
			.end = end - begin < PIECE ? end : begin + PIECE,
			.category_mask = PAGE_IS_WRITTEN,
		};

		if (ioctl(pagemap, PAGEMAP_SCAN_IOCTL, &arg) < 0) {
			if (errno == EINTR || errno == EAGAIN)
				continue;
			return -errno;
		}
		begin = arg.end;
		gcdune_place_look();
	}
	return 0;
}

static int take(uintptr_t begin, size_t pages, uint64_t *bits, bool rearm)
{
	enum { REGIONS = 256 };
	struct page_region regions[REGIONS];
	uintptr_t end = begin + pages * 4096, at = begin;

	while (at < end) {
		struct pm_scan_arg arg = {
			.size = sizeof arg,
			.flags = PM_SCAN_CHECK_WPASYNC | (rearm ? PM_SCAN_WP_MATCHING : 0),
			.start = at,
			.end = end,
			.vec = (uintptr_t)regions,
			.vec_len = REGIONS,
			.category_mask = PAGE_IS_WRITTEN,
			.return_mask = PAGE_IS_WRITTEN,
		};
		long n = ioctl(pagemap, PAGEMAP_SCAN_IOCTL, &arg);

		if (n < 0) {
			if (errno == EINTR || errno == EAGAIN)
				continue;
			return -errno;
		}
		for (long i = 0; i < n; i++)
			for (uintptr_t page = regions[i].start; page < regions[i].end; page += 4096)
				bits[(page - begin) / 4096 / 64] |= (uint64_t)1 << ((page - begin) / 4096 % 64);
		if (arg.walk_end <= at)
			break;
		at = arg.walk_end;
	}
	return 0;
}

static void mark(uintptr_t begin, uintptr_t end)
{
	/* Refused where it was never registered: all of it counts as written there. */
	(void)unprotect(begin, end);
}

static void touch(uintptr_t begin, uintptr_t end)
{
	gcdune_os_populate((void *)begin, end - begin);
}

static void stop_tracking(uintptr_t begin, uintptr_t end)
{
	(void)unprotect(begin, end);
}

static void after_fork(void)
{
	/* The descriptor is one for the parent's memory; ours has lost its protection. */
	close_both();
}

const struct gcdune_dirty_source gcdune_dirty_uffd = {
	.name = "uffd",
	.anywhere = true,
	.rearms = true,
	.late = true,
	.keeps = true,
	.open = open_both,
	.close = close_both,
	.attach = attach,
	.track = track,
	.take = take,
	.mark = mark,
	.touch = touch,
	.end = stop_tracking,
	.after_fork = after_fork,
};
