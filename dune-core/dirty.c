/* dirty.c - in the program, ring 3: reading and clearing the dirty bits of its page tables.
 *
 * Bits are cleared with a locked operation, as a processor that writes to the page sets them with one; whoever clears a
 * bit has it. An absent entry can be dirty (pagetable.c). The tables are never taken out, so no lock is needed. */
#include "monitor.h"

static long harvest(const void *start, size_t length, uint64_t *bitmap, bool clear)
{
	uintptr_t base = PAGE_DOWN(start), end = PAGE_UP((uintptr_t)start + length), page, next;
	long dirty = 0;

	if (!dune.active)
		return -ENOTSUP;
	if (end < base || end > USER_END)
		return -EINVAL;
	if (bitmap)
		__builtin_memset(bitmap, 0, ((end - base) / PAGE + 63) / 64 * 8);
	for (page = base; page < end; page = next) {
		uint64_t *pte = pt_walk(HERE, page, end, &next), *large = pte ? NULL : pt_large(HERE, page);

		/* A range that was not tracked: a large page is dirty as a whole. */
		if (large) {
			next = MIN(end, (page | (512 * PAGE - 1)) + 1);
			if (clear ? __atomic_fetch_and(large, ~PTE_D, __ATOMIC_SEQ_CST) & PTE_D : *large & PTE_D)
				for (; page < next; page += PAGE, dirty++)
					if (bitmap)
						bitmap[(page - base) / PAGE / 64] |= 1UL << (page - base) / PAGE % 64;
			continue;
		}
		for (; pte && page < next; page += PAGE, pte++) {
			if (!(__atomic_load_n(pte, __ATOMIC_RELAXED) & PTE_D))
				continue;
			if (clear && !(__atomic_fetch_and(pte, ~PTE_D, __ATOMIC_SEQ_CST) & PTE_D))
				continue;
			dirty++;
			if (bitmap)
				bitmap[(page - base) / PAGE / 64] |= 1UL << (page - base) / PAGE % 64;
		}
	}
	return dirty;
}

long dune_dirty_take(const void *start, size_t length, uint64_t *bitmap)
{
	long dirty = harvest(start, length, bitmap, true);

	if (dirty > 0)
		dune_flush_trap();
	return dirty;
}

long dune_dirty_peek(const void *start, size_t length, uint64_t *bitmap)
{
	return harvest(start, length, bitmap, false);
}

int dune_dirty_set(const void *start, size_t length)
{
	uintptr_t end = PAGE_UP((uintptr_t)start + length);
	int error = dune_dirty_track(start, length);

	if (error)
		return error;
	for (uintptr_t page = PAGE_DOWN(start), next; page < end; page = next) {
		uint64_t *pte = pt_walk(HERE, page, end, &next);

		for (; pte && page < next; page += PAGE, pte++)
			__atomic_fetch_or(pte, PTE_D, __ATOMIC_RELAXED);
	}
	return 0;
}

int dune_dirty_track(const void *start, size_t length)
{
	if (!dune.active)
		return -ENOTSUP;
	return (int)dune_hypercall(HYPERCALL_POPULATE, (long)PAGE_DOWN(start),
				   (long)(PAGE_UP((uintptr_t)start + length) - PAGE_DOWN(start)), 0);
}
