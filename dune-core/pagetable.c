/* pagetable.c - the monitor's side of the page tables: filling in, taking away, marking.
 *
 * The tables (tables.c) are there for the program to read and write too (dirty.c and table.c do, in ring 3). An
 * entry is a cache of what the kernel says is mapped: absent is always right, and then the first access asks
 * (pt_fault). The one thing that only an entry knows is its dirty bit, which therefore stays in the entry while P is
 * clear, until the page is unmapped.
 *
 * Why edits from here are seen by the hardware. An edit that adds a mapping or a right is seen when the access
 * faults. One that takes something away is followed by a system call that makes the kernel change the same range,
 * and KVM's MMU notifier then drops what it had built for it, on every vCPU; for a view of other memory, which no
 * notifier tells of, KVM is made to forget everything (forget_views). Intermediate entries are only added: a
 * table once linked stays, since under shadow paging nobody would notice that one was taken out, until tables_tidy takes
 * out those that are empty, and has KVM forget everything.
 *
 * dune.lock is held by all callers, except pt_mark's. Ring 3 changes entries at the same time, so changes are
 * atomic. */
#include "monitor.h"

#define LARGE (512 * PAGE)

/* Does the statement for each entry that exists in the range, in each table: `pte`, `page`. */
#define FOR_EACH(start, length)                                                                                  \
	for (uint64_t *root = dune.roots; root < dune.roots + ROOTS; root++)                                      \
		for (uintptr_t page = PAGE_DOWN(start), page_end = PAGE_UP((start) + (length)), page_next;        \
		     *root && page < page_end; page = page_next)                                                  \
			for (uint64_t *pte = pt_walk(*root, page, page_end, &page_next); pte && page < page_next; \
			     page += PAGE, pte++)

static uint64_t rights(bool write, bool exec)
{
	return PTE_P | PTE_U | PTE_A | (write ? PTE_W : 0) | (exec ? 0 : PTE_NX);
}

/* Fills in one entry, keeping its dirty bit; one that the program owns stays as it is. */
static void fill(uint64_t *pte, uint64_t gpa, uint64_t bits)
{
	uint64_t old = __atomic_load_n(pte, __ATOMIC_RELAXED);

	do {
		if (old & (PTE_P | PTE_OWNED))
			return;
	} while (!__atomic_compare_exchange_n(pte, &old, gpa | bits | (old & PTE_D), false, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
}

/* The part of the range that is in one table: at most 512 pages. */
static int fill_table(uint64_t root, uintptr_t start, uintptr_t end, uint64_t bits)
{
	uint64_t gpa, *pte;

	if (pt_large(root, start))
		return 0;
	gpa = memory_gpa(start);
	pte = pte_of(root, start, true);

	if (!gpa || !pte)
		return -ENOMEM;
	for (; start < end; start += PAGE, gpa += PAGE)
		fill(pte++, gpa, bits);
	COUNT(fills);
	return 0;
}

/* Maps the pages around address, as far as the mapping and one table go. */
int pt_fill(uint64_t root, uintptr_t address, const struct mapping *m)
{
	uintptr_t base = address & ~(512 * PAGE - 1);
	uintptr_t start = MAX(base, m->start), end = MIN(base + 512 * PAGE, m->end);

	/* Of the monitor's memory the program sees the page tables, which are its own, and the areas (pt_map_area). The
	 * kernel may have merged our mapping with the program's. */
	if (memory_is_ours(start, end - start)) {
		uintptr_t tables = (uintptr_t)dune.tables;

		start = PAGE_DOWN(address);
		end = start + PAGE;
		if (start >= tables && start < tables + TABLES_SIZE) {
			/* Also those that are not in use yet: else the first look at the bits of each 2 MiB would be an exit. */
			start = MAX(base, tables);
			end = MIN(base + 512 * PAGE, tables + TABLES_SIZE);
		} else if (memory_is_ours(start, PAGE)) {
			return -EFAULT;
		}
	}
	return fill_table(root, start, end, rights(m->write, m->exec));
}

/* Maps a whole range at once, as a help: what it does not do is done by faults. */
void pt_fill_range(uintptr_t start, size_t length, bool write, bool exec)
{
	uintptr_t end = start + length;

	while (start < end) {
		uintptr_t next = MIN(end, (start & ~(512 * PAGE - 1)) + 512 * PAGE);

		if (fill_table(*dune.roots, start, next, rights(write, exec)))
			return;
		start = next;
	}
}

/* The same for memory that counts as written (ahead.c). */
int pt_fill_written(uintptr_t start, uintptr_t end, bool exec)
{
	int error = 0;

	for (uintptr_t next; start < end && !error; start = next) {
		next = MIN(end, (start & ~(512 * PAGE - 1)) + 512 * PAGE);
		error = fill_table(*dune.roots, start, next, rights(true, exec) | PTE_D);
	}
	return error;
}

/* One entry is absent; its dirty bit stays. Returns whether it was a view of other memory (dune_map): the kernel's change of
 * its own addresses does not concern that memory, so no notifier will fire for it. */
static bool drop(uint64_t *pte, uintptr_t page)
{
	uint64_t old = __atomic_fetch_and(pte, PTE_D, __ATOMIC_RELAXED);

	return old & PTE_P && old & PTE_OWNED && (old & PTE_ADDRESS) != memory_gpa(page);
}

/* For views: KVM forgets all that it has built, and every processor flushes. */
static void forget_views(void)
{
	vm_forget();
	flush_all(NULL);
}

/* Before a call that changes what is mapped: nothing in the range is present, dirty bits stay. */
void pt_drop(uintptr_t start, size_t length)
{
	bool views = false;

	FOR_EACH (start, length)
		views |= drop(pte, page);
	if (views)
		forget_views();
}

/* One large entry becomes a table. */
static void split_one(struct thread *t, uint64_t *large)
{
	uint64_t old = *large, table = new_table(), *pte = table ? table_at(table) : NULL;
	uintptr_t around = (uintptr_t)large & ~(LARGE - 1);

	if (!table)
		die(t, "no room for page tables");
	/* Which of the pages were written is not known, and another thread may write until the edit: all are dirty. */
	for (uint64_t i = 0; i < 512; i++)
		pte[i] = ((old & PTE_ADDRESS) + i * PAGE) | (old & ~(PTE_ADDRESS | PTE_LARGE)) | PTE_D;
	/* The table that is edited must itself be mapped, for the guest to do it. */
	fill_table(t->root, around, around + LARGE, rights(true, false));
	guest_store(t, large, table | TABLE_BITS);
	if (*large & PTE_LARGE)
		die(t, "an edit of the page tables that had no effect");
	dune.larges--;
}

/* The whole range in small pages: t's vCPU makes the edits. Returns whether there was anything to do. */
bool pt_split(struct thread *t, uintptr_t start, size_t length)
{
	bool any = false;

	if (!dune.larges)
		return false;
	for (uintptr_t at = start & ~(LARGE - 1), end = MIN(start + length, USER_END); at < end; at += LARGE) {
		uint64_t *large;

		/* A whole chunk at once where there is nothing. */
		if (!(at & (CHUNK - 1)) && !dune.chunk_of[at >> CHUNK_SHIFT]) {
			at += CHUNK - LARGE;
			continue;
		}
		for (int i = 0; i < ROOTS; i++)
			if (dune.roots[i] && (large = pt_large(dune.roots[i], at)))
				split_one(t, large), any = true;
	}
	return any;
}
/* madvise(MADV_HUGEPAGE): large pages where nothing has been mapped yet, of anonymous memory. */
void pt_huge(uintptr_t start, size_t length)
{
	struct mapping m;

	for (uintptr_t at = (start + LARGE - 1) & ~(LARGE - 1); at + LARGE <= start + length; at += LARGE) {
		uint64_t *table, *entry = NULL, gpa;
		bool empty = true;

		if (maps_find(at, &m) || m.start > at || m.end < at + LARGE || m.file || !(m.write || m.read || m.exec))
			continue;
		/* Making the entry's table, but not the one below it. */
		table = table_at(*dune.roots);
		for (int shift = 39; shift >= 21 && table; shift -= 9) {
			entry = &table[at >> shift & 511];
			if (shift == 21)
				break;
			if (!(*entry & PTE_P)) {
				uint64_t fresh = new_table();

				if (!fresh)
					return;
				__atomic_store_n(entry, fresh | TABLE_BITS, __ATOMIC_RELEASE);
			}
			table = table_at(*entry);
		}
		if (!table || *entry)
			empty = false;
		gpa = empty ? memory_gpa(at) : 0;
		if (!gpa)
			continue;
		dune.larges++;
		__atomic_store_n(entry, gpa | rights(m.write, m.exec) | PTE_LARGE, __ATOMIC_RELEASE);
		COUNT(large);
	}
}

/* The whole program, but for what a fault upcall needs before it can fault again; and what it owns if that is asked
 * for. */
void pt_drop_all(bool owned)
{
	bool views = false;
	uintptr_t at = 0, ends[3][2] = {
		{ (uintptr_t)dune.areas, (uintptr_t)dune.areas + OWN_SIZE },
		{ PAGE_DOWN(dune_upcall_entry), PAGE_UP(dune_exception_copied) },
		{ USER_END, USER_END },
	};

	if (ends[0][0] > ends[1][0])
		for (int i = 0; i < 2; i++) {
			uintptr_t other = ends[0][i];

			ends[0][i] = ends[1][i];
			ends[1][i] = other;
		}
	for (int i = 0; i < 3; i++) {
		FOR_EACH (at, ends[i][0] - at)
			if (owned || !(__atomic_load_n(pte, __ATOMIC_RELAXED) & PTE_OWNED))
				views |= drop(pte, page);
		at = ends[i][1];
	}
	if (views)
		forget_views();
}

/* A new mapping: not written yet. */
void pt_wipe(uintptr_t start, size_t length)
{
	FOR_EACH (start, length)
		__atomic_store_n(pte, 0, __ATOMIC_RELAXED);
}

/* Entries that do not exist yet are made. */
static void dirty_in(uint64_t root, uintptr_t start, size_t length)
{
	for (uintptr_t page = PAGE_DOWN(start); page < PAGE_UP(start + length);) {
		uint64_t *pte = pt_large(root, page);

		if (pte) {
			__atomic_fetch_or(pte, PTE_D, __ATOMIC_RELAXED);
			page = (page & ~(LARGE - 1)) + LARGE;
			continue;
		}
		pte = pte_of(root, page, true);
		if (!pte)
			return;
		do {
			if (!(__atomic_load_n(pte, __ATOMIC_RELAXED) & PTE_D))
				__atomic_fetch_or(pte, PTE_D, __ATOMIC_RELAXED);
			page += PAGE;
			pte++;
		} while (page < PAGE_UP(start + length) && page & (512 * PAGE - 1));
	}
}

/* The kernel has written there, or changed the contents. */
void pt_dirty(uintptr_t start, size_t length)
{
	for (int i = 0; i < ROOTS; i++)
		if (dune.roots[i])
			dirty_in(dune.roots[i], start, length);
}

/* mremap: the dirty bits go along. Both ranges have been dropped. */
void pt_move(uintptr_t from, uintptr_t to, size_t length)
{
	for (int i = 0; i < ROOTS; i++)
		for (size_t offset = 0; dune.roots[i] && offset < length; offset += PAGE) {
			uint64_t *old = pte_of(dune.roots[i], from + offset, false);

			if (old && *old & PTE_D)
				dirty_in(dune.roots[i], to + offset, PAGE);
		}
}

/* Marks what the kernel wrote. No lock is needed where the table is there. */
void pt_mark(uintptr_t start, size_t length)
{
	uintptr_t end = start + length;

	if (!length || end < start || end > USER_END)
		return;
	for (uintptr_t page = PAGE_DOWN(start); page < end; page += PAGE) {
		uint64_t *pte;

		walk_begin();
		pte = dune.clones ? NULL : pte_of(*dune.roots, page, false);
		if (!pte && !dune.clones)
			pte = pt_large(*dune.roots, page);
		if (pte && !(__atomic_load_n(pte, __ATOMIC_RELAXED) & PTE_D))
			__atomic_fetch_or(pte, PTE_D, __ATOMIC_RELAXED);
		walk_end();
		if (!pte) {
			dune_lock(&dune.lock);
			pt_dirty(page, MIN(end - page, PAGE));
			dune_unlock(&dune.lock);
		}
	}
}

/* A fault of the program's that nobody else wants. 0: try again; else the si_code of a SIGSEGV. alone: only this
 * page is filled in. */
int pt_fault(uint64_t root, uintptr_t address, bool write, bool exec, bool alone)
{
	struct mapping m;
	uint64_t *pte;
	int code = SEGV_MAPERR;

	if (address >= USER_END)
		return SEGV_MAPERR;
	dune_lock(&dune.lock);
	if (!maps_find(address, &m)) {
		/* Just below a stack: a system call that reads there makes the kernel extend it, or not. */
		if (m.start > address && m.start - address < (256UL << 20)) {
			SYS2(access, address, 0);
			if (maps_find(address, &m))
				m.start = UINTPTR_MAX;
		}
		if (m.start <= address) {
			code = SEGV_ACCERR;
			pte = pte_of(root, address, false);
			if (!pte)
				pte = pt_large(root, address);
			if (!(pte && *pte & PTE_OWNED) && (write  ? m.write
							   : exec ? m.exec
								  : m.read || m.exec || m.write)) {
				uint64_t old = pte ? *pte : 0;

				code = 0;
				/* Another thread may have been faster. An entry with too few rights is an old one. */
				if (!(old & PTE_P) || (write && !(old & PTE_W)) || (exec && old & PTE_NX)) {
					if (old & PTE_P)
						pt_drop(address, 1);
					if (alone) {
						m.start = PAGE_DOWN(address);
						m.end = m.start + PAGE;
					}
					if (!(write && !alone && !(old & PTE_P) &&
					      ahead_fault(PAGE_DOWN(address), &m)) &&
					    pt_fill(root, address, &m))
						code = SEGV_MAPERR;
				}
			}
		}
	}
	dune_unlock(&dune.lock);
	return code;
}

/* Fills in what the process has when it enters, large areas aside: a fault for each table would cost more. What can be
 * written counts as written (ahead.c says what that is good for). */
void pt_fill_all(void)
{
	struct mapping m;

	for (uintptr_t at = 0; !maps_find(at, &m); at = m.end) {
		if (m.end - m.start > (16UL << 20) || memory_is_ours(m.start, m.end - m.start) ||
		    !(m.read || m.write || m.exec) || m.end > USER_END)
			continue;
		if (!m.write || !ahead_possible(m.start) || pt_fill_written(m.start, m.end, m.exec))
			pt_fill_range(m.start, m.end - m.start, m.write, m.exec);
	}
}

/* Fills in all that is mapped in a range. */
int pt_populate(uint64_t root, uintptr_t start, size_t length)
{
	uintptr_t end = start + length;
	struct mapping m;
	int error = 0;

	while (!error && start < end && !maps_find(start, &m) && m.start < end) {
		start = MAX(start, m.start);
		/* An inaccessible page has nothing to be tracked. */
		if (!m.read && !m.write && !m.exec)
			start = m.end;
		for (; !error && start < MIN(end, m.end); start = (start & ~(512 * PAGE - 1)) + 512 * PAGE)
			error = pt_fill(root, start, &m);
		start = MIN(start, m.end);
	}
	return error;
}

/* The pages of a vCPU's area. */
int pt_map_area(unsigned index)
{
	uintptr_t area = (uintptr_t)dune.areas + (size_t)index * AREA_SIZE;

	for (uint64_t *root = dune.roots; root < dune.roots + ROOTS; root++)
		for (uintptr_t offset = 0; *root && offset < AREA_SIZE; offset += PAGE) {
			uint64_t *pte = pte_of(*root, area + offset, true);

			if (!pte)
				return -ENOMEM;
			if (offset == 0)
				*pte = memory_gpa(area) | PTE_P | PTE_U | PTE_A;
			else if (offset == AREA_EXIT)
				*pte = GPA_EXIT | TABLE_BITS | PTE_NX;
			else
				*pte = memory_gpa(area + offset) | TABLE_BITS | PTE_NX;
		}
	return 0;
}
