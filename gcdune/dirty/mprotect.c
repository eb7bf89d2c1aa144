/* mprotect.c - dirty source: read-only pages and a handler for SIGSEGV. Works on every kernel, at 5 to 9 microseconds a
 * fault, and has a flaw that cannot be mended from here: a system call that is to write to a protected page fails with
 * EFAULT. So it is used only when asked for by name, by programs whose system calls write to leaf objects (never
 * protected) or to memory outside the heap.
 *
 * Owns the handler and one bit per page. A fault opens a whole block of 64 KiB and counts its pages as written, so that
 * the kernel's map of the process does not fall into too many pieces. Order matters between who opens and who protects:
 * the opener first opens, then sets bits; the other first clears bits, then protects. So a page is never open with its
 * bit clear, but while an opener is between the two; and the world does not stop just there, for the handler is a critical
 * section, and gcdune_dirty_mark is called in one. (That the handler blocks signals does not do: the one that stops threads is
 * taken out of what it asks for, intercept-signal.c.) */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "../heap.h"
#include "../os.h"
#include "../thread.h"
#include "dirty.h"

enum { UNIT = 16 }; /* pages opened at once */

/* In memory of our own: static data are roots, and must not hold the address of the heap's first object. */
static struct {
	uintptr_t low, high; /* what may be tracked */
	uintptr_t top;	     /* and is, at most */
} *range;
static _Atomic uint64_t *written;
static size_t written_size;
static struct sigaction before; /* the program's handler, or the default */

static void set_bits(uintptr_t begin, uintptr_t end)
{
	for (size_t page = (begin - range->low) / GCDUNE_PAGE; page < (end - range->low) / GCDUNE_PAGE; page++)
		written[page / 64] |= (uint64_t)1 << (page % 64);
}

static void open_range(uintptr_t begin, uintptr_t end)
{
	begin = begin < range->low ? range->low : begin;
	end = end > range->high ? range->high : end;
	if (begin >= end)
		return;
	/* Too many pieces: open everything, for this cycle. */
	if (mprotect((void *)begin, end - begin, PROT_READ | PROT_WRITE)) {
		begin = range->low;
		end = range->top;
		if (mprotect((void *)begin, end - begin, PROT_READ | PROT_WRITE))
			gcdune_panic("mprotect: a page that was made read-only cannot be made writable again");
	}
	set_bits(begin, end);
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
	uintptr_t address = (uintptr_t)info->si_addr, unit = UNIT * GCDUNE_PAGE;
	int saved = errno;

	if (address >= range->low && address < range->high && info->si_code == SEGV_ACCERR) {
		uintptr_t begin = address & ~(unit - 1);
		struct gcdune_thread *thread = gcdune_thread_self;

		if (thread)
			gcdune_critical_enter(thread);
		open_range(begin, begin + unit);
		gcdune_dirty_faults++;
		if (thread)
			gcdune_critical_leave(thread);
		errno = saved;
		return;
	}
	errno = saved;
	if (before.sa_flags & SA_SIGINFO) {
		before.sa_sigaction(signal, info, context);
	} else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
		before.sa_handler(signal);
	} else {
		/* Not ours: the instruction is tried again and ends the program as it would have without us. */
		struct sigaction dfl = {.sa_handler = SIG_DFL};

		sigaction(SIGSEGV, &dfl, NULL);
	}
}

static int take_handler(void)
{
	struct sigaction now, action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};

	if (!range)
		range = gcdune_os_map(sizeof *range);
	if (!range)
		return -ENOMEM;
	if (sigaction(SIGSEGV, NULL, &now))
		return -errno;
	if (now.sa_flags & SA_SIGINFO && now.sa_sigaction == on_fault)
		return 0;
	before = now;
	sigfillset(&action.sa_mask);
	return sigaction(SIGSEGV, &action, NULL) ? -errno : 0;
}

static void close_source(void)
{
	struct sigaction now;

	if (sigaction(SIGSEGV, NULL, &now) == 0 && now.sa_flags & SA_SIGINFO && now.sa_sigaction == on_fault)
		sigaction(SIGSEGV, &before, NULL);
	gcdune_os_unmap(written, written_size);
	written = NULL;
	written_size = 0;
	range->low = range->high = range->top = 0;
}

/* Each cycle: the program may have put a handler of its own in front; ours goes before it again. */
static int attach(uintptr_t begin, uintptr_t end)
{
	size_t size = ((end - begin) / GCDUNE_PAGE + 63) / 64 * 8 + 8;
	int error = take_handler();

	if (error)
		return error;
	if (size > written_size) {
		void *fresh = gcdune_os_map(size * 2);

		if (!fresh)
			return -ENOMEM;
		/* A fork may come at any moment: its child gives away what it finds here. */
		void *old = written;
		size_t old_size = written_size;

		written = fresh;
		written_size = size * 2;
		gcdune_os_unmap(old, old_size);
	}
	memset((void *)written, 0xff, size);
	range->low = range->top = begin;
	range->high = end;
	return 0;
}

static void clear_bits(uintptr_t begin, size_t pages)
{
	for (size_t i = 0; i < pages; i++) {
		size_t page = (begin - range->low) / GCDUNE_PAGE + i;

		written[page / 64] &= ~((uint64_t)1 << (page % 64));
	}
}

static int track(uintptr_t begin, uintptr_t end)
{
	if (end > range->top)
		range->top = end;
	clear_bits(begin, (end - begin) / GCDUNE_PAGE);
	return mprotect((void *)begin, end - begin, PROT_READ) ? -errno : 0;
}

static int take(uintptr_t begin, size_t pages, uint64_t *bits, bool rearm)
{
	size_t run = 0;

	if (begin < range->low || begin + pages * GCDUNE_PAGE > range->high)
		return -ERANGE;
	for (size_t i = 0; i <= pages; i++) {
		size_t page = (begin - range->low) / GCDUNE_PAGE + i;

		if (i < pages && written[page / 64] >> (page % 64) & 1) {
			bits[i / 64] |= (uint64_t)1 << (i % 64);
			run++;
			continue;
		}
		if (run && rearm) {
			uintptr_t from = begin + (i - run) * GCDUNE_PAGE;

			if (track(from, from + run * GCDUNE_PAGE)) {
				set_bits(from, from + run * GCDUNE_PAGE); /* still open */
			}
		}
		run = 0;
	}
	return 0;
}

static void end_range(uintptr_t begin, uintptr_t end)
{
	open_range(begin, end);
}

/* Protection and handler are inherited. */
static void after_fork(void)
{
	if (range->top > range->low)
		open_range(range->low, range->top);
	close_source();
}

const struct gcdune_dirty_source gcdune_dirty_mprotect = {
	.name = "mprotect",
	.rearms = true,
	.open = take_handler,
	.close = close_source,
	.attach = attach,
	.track = track,
	.take = take,
	.mark = open_range,
	.end = end_range,
	.after_fork = after_fork,
};
