/* dirty.c - in the program, ring 3: reading and clearing the dirty bits of its page tables.
 *
 * Bits are cleared with a locked operation, as a processor that writes to the page sets them with one; whoever clears a
 * bit has it. An absent entry can be dirty (pagetable.c). Tables that are in use are never taken out: no lock is needed, but
 * to be counted (walk_begin). */
#include "monitor.h"

/* From now on the bits of this range are to be exact (ahead.c). */
static void begin_tracking(uintptr_t base, uintptr_t end)
{
	for (size_t chunk = base >> CHUNK_SHIFT; chunk << CHUNK_SHIFT < end; chunk++) {
		uint64_t *word = &dune_tracked[chunk / 64], bit = 1UL << chunk % 64;

		if (!(__atomic_load_n(word, __ATOMIC_RELAXED) & bit))
			__atomic_fetch_or(word, bit, __ATOMIC_SEQ_CST);
	}
}

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
	if (clear)
		begin_tracking(base, end);
	walk_begin();
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
	walk_end();
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
	walk_begin();
	for (uintptr_t page = PAGE_DOWN(start), next; page < end; page = next) {
		uint64_t *pte = pt_walk(HERE, page, end, &next);

		for (; pte && page < next; page += PAGE, pte++)
			__atomic_fetch_or(pte, PTE_D, __ATOMIC_RELAXED);
	}
	walk_end();
	return 0;
}

/* Whether all of the range is in the page tables, by entries of 4 KiB. */
static bool is_there(uintptr_t page, uintptr_t end)
{
	bool there = true;
	uintptr_t next;

	walk_begin();
	for (; page < end && there; page = next) {
		uint64_t *pte = pt_walk(HERE, page, end, &next);

		there = pte;
		for (; there && page < next; page += PAGE, pte++)
			there = __atomic_load_n(pte, __ATOMIC_RELAXED) & PTE_P;
	}
	walk_end();
	return there;
}

int dune_dirty_track(const void *start, size_t length)
{
	uintptr_t base = PAGE_DOWN(start), end = PAGE_UP((uintptr_t)start + length);

	if (!dune.active)
		return -ENOTSUP;
	if (end < base || end > USER_END)
		return -EINVAL;
	begin_tracking(base, end);
	return is_there(base, end) ? 0 : (int)dune_hypercall(HYPERCALL_POPULATE, (long)base, (long)(end - base), 0);
}

/* ---- The same by write faults ------------------------------------------------------------------------------------ */

/* A page is clean when there is an entry that neither allows writing nor is dirty. Who opens pages sets W in the entry,
 * in one step; so does who takes clear it: no page can be open and not be reported by the one or by the next take. */
static long harvest_rights(const void *start, size_t length, uint64_t *bitmap, bool protect)
{
	uintptr_t base = PAGE_DOWN(start), end = PAGE_UP((uintptr_t)start + length), page, next;
	long found = 0;

	if (!dune.active)
		return -ENOTSUP;
	if (end < base || end > USER_END)
		return -EINVAL;
	if (bitmap)
		__builtin_memset(bitmap, 0, ((end - base) / PAGE + 63) / 64 * 8);
	if (protect)
		begin_tracking(base, end);
	walk_begin();
	for (page = base; page < end; page = next) {
		uint64_t *pte = pt_walk(HERE, page, end, &next);

		for (; page < next; page += PAGE) {
			uint64_t old = pte ? __atomic_load_n(pte, __ATOMIC_RELAXED) : 0;

			while (protect && old & PTE_P && old & (PTE_W | PTE_D) &&
			       !__atomic_compare_exchange_n(pte, &old, (old & ~(PTE_W | PTE_D)) | PTE_OWNED, false,
							    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
				;
			pte += pte != NULL;
			if (old & PTE_P && !(old & (PTE_W | PTE_D)))
				continue;
			found++;
			if (bitmap)
				bitmap[(page - base) / PAGE / 64] |= 1UL << (page - base) / PAGE % 64;
		}
	}
	walk_end();
	return found;
}

long dune_protect_take(const void *start, size_t length, uint64_t *bitmap)
{
	long found = harvest_rights(start, length, bitmap, true);

	if (found > 0)
		dune_flush_trap();
	return found;
}

long dune_protect_peek(const void *start, size_t length, uint64_t *bitmap)
{
	return harvest_rights(start, length, bitmap, false);
}
