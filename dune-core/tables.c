/* tables.c - the structure of page tables: finding entries, making tables, copying whole trees.
 *
 * Tables are ordinary four-level ones, in dune.tables. What is here is used by the monitor and, but for what makes
 * tables, by the program in ring 3, which has them mapped. dune.roots has the top-level tables: the first is the one
 * that threads begin with, others are the program's copies (dune_table_clone). In the monitor dune.lock is held.
 *
 * Large entries: a 2 MiB page in the second-lowest table, for anonymous memory that asked for huge pages. Only an
 * empty entry becomes one (pt_huge). It becomes a table again, by an edit in the guest, as soon as anything is done
 * to part of it or its dirty bits are wanted (pt_split): KVM's shadow of it is a page of another kind, and would
 * stay. */
#include "monitor.h"

/* NULL for an entry that points elsewhere: the program can write anything there. */
uint64_t *table_at(uint64_t entry)
{
	char *table = dune.areas + ((entry & PTE_ADDRESS) - GPA_BASE);

	if (table < dune.tables || table >= dune.tables + TABLES_SIZE)
		return NULL;
	return (uint64_t *)table;
}

/* An empty one: its guest-physical address, or 0. */
uint64_t new_table(void)
{
	size_t at = dune.tables_used;
	uint64_t *free = dune.free_tables;

	if (free) {
		dune.free_tables = (uint64_t *)*free;
		__builtin_memset(free, 0, PAGE);
		return GPA_BASE + (uint64_t)((char *)free - dune.areas);
	}
	/* Its chunk may not have a slot yet. */
	if (at + PAGE > TABLES_SIZE || !memory_gpa((uintptr_t)dune.tables + at))
		return 0;
	dune.tables_used = at + PAGE;
	return GPA_BASE + (uint64_t)(dune.tables - dune.areas) + at;
}

/* The entry for the 2 MiB around address, if that is a large page; else NULL. */
uint64_t *pt_large(uint64_t root, uintptr_t address)
{
	uint64_t *table = table_at(root), *entry = NULL;

	for (int shift = 39; shift > 12 && table; shift -= 9) {
		entry = &table[address >> shift & 511];
		if (!(*entry & PTE_P))
			return NULL;
		if (*entry & PTE_LARGE)
			return shift == 21 ? entry : NULL;
		table = table_at(*entry);
	}
	return NULL;
}

/* The entry of the 4 KiB page at address. NULL if there is none and it was not to be made, or no memory, or it is
 * part of a large page. */
uint64_t *pte_of(uint64_t root, uintptr_t address, bool create)
{
	uint64_t *table = table_at(root), *entry;

	for (int shift = 39; shift > 12 && table; shift -= 9) {
		entry = &table[address >> shift & 511];
		if (!(*entry & PTE_P)) {
			uint64_t fresh;

			if (!create)
				return NULL;
			fresh = new_table();
			if (!fresh)
				return NULL;
			__atomic_store_n(entry, fresh | TABLE_BITS, __ATOMIC_RELEASE);
		}
		table = *entry & PTE_LARGE ? NULL : table_at(*entry);
	}
	return table ? &table[address >> 12 & 511] : NULL;
}

/* The entries from address to the end of its table or of the range. NULL, and how far to skip, if there are none. */
uint64_t *pt_walk(uint64_t root, uintptr_t address, uintptr_t end, uintptr_t *next)
{
	uint64_t *table = table_at(root);

	for (int shift = 39; shift > 12; shift -= 9) {
		uint64_t entry = table ? table[address >> shift & 511] : 0;

		if (!(entry & PTE_P) || entry & PTE_LARGE) {
			*next = MIN(end, ((address >> shift) + 1) << shift);
			return NULL;
		}
		table = table_at(entry);
	}
	*next = MIN(end, ((address >> 21) + 1) << 21);
	return !table ? NULL : &table[address >> 12 & 511];
}

/* A copy of a tree, tables of all levels. 0: no room. The vCPUs' areas are in it too. */
static uint64_t copy(uint64_t from, int level)
{
	uint64_t *old = table_at(from), *new, fresh = old ? new_table() : 0;

	if (!fresh)
		return 0;
	new = table_at(fresh);
	for (int i = 0; i < 512; i++) {
		uint64_t entry = __atomic_load_n(&old[i], __ATOMIC_RELAXED);

		if (level > 1 && entry & PTE_P && !(entry & PTE_LARGE)) {
			uint64_t below = copy(entry, level - 1);

			if (!below)
				continue; /* absent is always right, but for the areas: the caller sees */
			entry = (entry & ~PTE_ADDRESS) | below;
		}
		dune.larges += level == 2 && entry & PTE_LARGE ? 1 : 0;
		new[i] = entry;
	}
	return fresh;
}

static void give_back(uint64_t root, int level)
{
	uint64_t *table = table_at(root);

	if (!table)
		return;
	for (int i = 0; level > 1 && i < 512; i++) {
		if (!(table[i] & PTE_P))
			continue;
		if (table[i] & PTE_LARGE)
			dune.larges--;
		else
			give_back(table[i], level - 1);
	}
	*table = (uint64_t)dune.free_tables;
	dune.free_tables = table;
}

/* The number of the new table, or a negative errno. */
int tables_clone(uint64_t from)
{
	int number = 1;

	while (number < ROOTS && dune.roots[number])
		number++;
	if (number == ROOTS)
		return -ENOSPC;
	/* Twice what is in use is enough for any copy. */
	if (2 * dune.tables_used > TABLES_SIZE)
		return -ENOMEM;
	dune.roots[number] = copy(from, 4);
	return dune.roots[number] ? number : -ENOMEM;
}

/* No thread uses it. KVM may have shadows of its tables, which would be taken for those of what the memory is used for
 * next: vm_forget drops them all. */
void tables_free(int number)
{
	uint64_t root = dune.roots[number];

	dune.roots[number] = 0;
	vm_forget();
	give_back(root, 4);
}

/* ---- Tables that nothing is in any more -------------------------------------------------------------------------- */

/* A table below which nothing is present and no bit is kept says the same as no table, so it can be taken out. But:
 *  - Ring 3 looks at tables without a lock. Who does counts itself in dune.walkers first; here the links are removed, and
 *    then the count is read, both sequentially consistent. 0: whoever comes later finds no link. Else all is linked again,
 *    and another time will do: test-dune-walkers. (A count that stays up, after a siglongjmp out of a walk, only ends this.)
 *  - KVM may have shadows of these tables, or of tables that lead to them: vm_forget drops them. Processors may have cached
 *    the links: flush_all. Only then the memory is given to another use.
 * Callers hold dune.lock, and no pointer into a table. */
static struct {
	uint64_t *link, value;
} taken[4096];
static unsigned taken_number;

/* Takes out what is empty below; returns whether all of it is. */
static bool take_empty(uint64_t *table, int level)
{
	bool empty = true;

	for (int i = 0; i < 512; i++) {
		uint64_t entry = __atomic_load_n(&table[i], __ATOMIC_RELAXED), *below;

		if (!entry)
			continue;
		below = level > 1 && entry & PTE_P && !(entry & PTE_LARGE) ? table_at(entry) : NULL;
		if (!below || !take_empty(below, level - 1) || taken_number == sizeof(taken) / sizeof(*taken)) {
			empty = false;
			if (level == 1)
				break;
			continue;
		}
		taken[taken_number].link = &table[i];
		taken[taken_number++].value = entry;
		__atomic_store_n(&table[i], 0, __ATOMIC_SEQ_CST);
	}
	return empty;
}

/* Once there are many tables: those that are empty can be used again. Before each call that changes the address space: what
 * makes tables empty is one. */
void tables_tidy(void)
{
	if (dune.tables_used < dune.tidy_at || dune.free_tables)
		return;
	taken_number = 0;
	for (int i = 0; i < ROOTS; i++)
		if (dune.roots[i])
			take_empty(table_at(dune.roots[i]), 4);
	if (__atomic_load_n(&dune.walkers, __ATOMIC_SEQ_CST) && !dune.blind) {
		while (taken_number) {
			taken_number--;
			__atomic_store_n(taken[taken_number].link, taken[taken_number].value, __ATOMIC_SEQ_CST);
		}
		dune.tidy_at = dune.tables_used + dune.tables_used / 16;
		return;
	}
	if (taken_number) {
		vm_forget();
		flush_all(NULL);
	}
	for (unsigned i = 0; i < taken_number; i++) {
		uint64_t *table = table_at(taken[i].value);

		*table = (uint64_t)dune.free_tables;
		dune.free_tables = table;
	}
	/* What this costs is to be little for each table. */
	if (taken_number < dune.tables_used / PAGE / 2 && taken_number < sizeof(taken) / sizeof(*taken))
		dune.tidy_at = 2 * dune.tables_used;
}
