/* table.c - in the program, ring 3: protections, views and lookups in its own page tables.
 *
 * An entry that was changed here has PTE_OWNED, and then the monitor leaves it alone until the kernel's idea of the
 * page changes. Edits are atomic: the monitor and other threads edit too. */
#include "monitor.h"

__thread uint64_t dune_root;

static uint64_t rights_bits(int rights)
{
	return (rights ? PTE_P | PTE_U | PTE_A : 0) | (rights & DUNE_WRITE ? PTE_W : 0) |
	       (rights & DUNE_EXEC ? 0 : PTE_NX);
}

/* The entry, which the monitor is asked for if it is empty. NULL if nothing is mapped. */
static uint64_t *filled(uintptr_t page)
{
	for (int i = 0; i < 2; i++) {
		uint64_t *pte = pte_of(HERE, page, false);

		if (pte && *pte & PTE_ADDRESS)
			return pte;
		if (dune_dirty_track((void *)page, PAGE))
			return NULL;
	}
	return NULL;
}

/* The entry, empty or not: its table is asked for if it is not there. NULL: no memory. */
static uint64_t *made(uintptr_t page)
{
	uint64_t *pte = pte_of(HERE, page, false);

	if (!pte && !dune_hypercall(HYPERCALL_TABLE, (long)page, 0, 0))
		pte = pte_of(HERE, page, false);
	return pte;
}

int dune_protect(const void *start, size_t length, int rights)
{
	uintptr_t end = PAGE_UP((uintptr_t)start + length);
	int error = 0;

	if (!dune.active)
		return -ENOTSUP;
	if (rights & ~7)
		return -EINVAL;
	walk_begin();
	for (uintptr_t page = PAGE_DOWN(start); page < end && !error; page += PAGE) {
		uint64_t *pte, old, new;

		do {
			pte = filled(page);
			old = pte ? __atomic_load_n(pte, __ATOMIC_RELAXED) : 0;
			/* Without an address: the monitor has taken the entry out since it was found. */
			while (old & PTE_ADDRESS) {
				new = (old & (PTE_ADDRESS | PTE_D)) | rights_bits(rights) | PTE_OWNED;
				if (new == old || __atomic_compare_exchange_n(pte, &old, new, false, __ATOMIC_SEQ_CST,
									      __ATOMIC_RELAXED))
					break;
			}
		} while (pte && !(old & PTE_ADDRESS));
		error = pte ? 0 : -ENOMEM;
	}
	walk_end();
	dune_flush_trap();
	return error;
}

int dune_map(void *address, size_t length, const void *target, int rights)
{
	uintptr_t to = PAGE_DOWN(target), start = PAGE_DOWN(address), end = PAGE_UP((uintptr_t)address + length);
	int error = 0;

	if (!dune.active)
		return -ENOTSUP;
	if (rights & ~7 || end < start)
		return -EINVAL;
	walk_begin();
	for (uintptr_t page = start; page < end && !error; page += PAGE, to += PAGE) {
		uint64_t *from = filled(to), *pte = from ? made(page) : NULL;

		if (pte)
			__atomic_store_n(pte, (*from & PTE_ADDRESS) | rights_bits(rights) | PTE_OWNED, __ATOMIC_SEQ_CST);
		else
			error = -ENOMEM;
	}
	walk_end();
	if (!error)
		dune_flush_trap();
	return error;
}

int dune_unmap(const void *start, size_t length)
{
	uintptr_t end = PAGE_UP((uintptr_t)start + length);
	int error = 0;

	if (!dune.active)
		return -ENOTSUP;
	walk_begin();
	for (uintptr_t page = PAGE_DOWN(start); page < end && !error; page += PAGE) {
		uint64_t *pte = made(page);

		if (pte) {
			__atomic_fetch_and(pte, PTE_D, __ATOMIC_SEQ_CST);
			__atomic_fetch_or(pte, PTE_OWNED, __ATOMIC_SEQ_CST);
		} else {
			error = -ENOMEM;
		}
	}
	walk_end();
	dune_flush_trap();
	return error;
}

static struct dune_entry entry_of(uintptr_t page, uint64_t pte)
{
	return (struct dune_entry){
		.address = page,
		.physical = pte & PTE_ADDRESS,
		.rights = !(pte & PTE_P) ? 0 :
			  DUNE_READ | (pte & PTE_W ? DUNE_WRITE : 0) | (pte & PTE_NX ? 0 : DUNE_EXEC),
		.dirty = !!(pte & PTE_D),
		.accessed = !!(pte & PTE_A),
		.owned = !!(pte & PTE_OWNED),
	};
}

int dune_lookup(const void *address, struct dune_entry *entry)
{
	uintptr_t page = PAGE_DOWN(address);
	uint64_t *pte, value;

	if (!dune.active)
		return -ENOTSUP;
	if (page >= USER_END)
		return -ENOENT;
	walk_begin();
	pte = pte_of(HERE, page, false);
	if (!pte)
		pte = pt_large(HERE, page);
	value = pte ? *pte : 0;
	walk_end();
	if (!value)
		return -ENOENT;
	*entry = entry_of(page, value);
	if (value & PTE_LARGE) /* bit 7 of a small entry, which is never set */
		entry->physical += page & (512 * PAGE - 1);
	return 0;
}

int dune_walk(const void *start, size_t length, int (*fn)(const struct dune_entry *, void *), void *argument)
{
	uintptr_t page = PAGE_DOWN(start), end = MIN(PAGE_UP((uintptr_t)start + length), USER_END), next;
	int stop = 0;

	if (!dune.active)
		return -ENOTSUP;
	walk_begin();
	for (; page < end && !stop; page = next) {
		uint64_t *pte = pt_walk(HERE, page, end, &next), *large = pte ? NULL : pt_large(HERE, page);

		if (large) {
			struct dune_entry entry;

			next = MIN(end, page + PAGE);
			stop = dune_lookup((void *)page, &entry) ? 0 : fn(&entry, argument);
		}
		for (; pte && page < next && !stop; page += PAGE, pte++) {
			struct dune_entry entry = entry_of(page, *pte);

			stop = *pte ? fn(&entry, argument) : 0;
		}
	}
	walk_end();
	return stop;
}

int dune_table_clone(void)
{
	return dune.active ? (int)dune_hypercall(HYPERCALL_TABLE_CLONE, 0, 0, 0) : -ENOTSUP;
}

int dune_table_use(int table)
{
	int error = dune.active ? (int)dune_hypercall(HYPERCALL_TABLE_USE, table, 0, 0) : -ENOTSUP;

	if (!error)
		dune_root = dune.roots[table];
	return error;
}

int dune_table_free(int table)
{
	return dune.active ? (int)dune_hypercall(HYPERCALL_TABLE_FREE, table, 0, 0) : -ENOTSUP;
}
