/* address.c - system calls that change the address space.
 *
 * The order is always the same: dune.lock is held; large pages in the range become small ones; the entries of the range
 * are dropped, their dirty bits kept; the host makes the call, and KVM's MMU notifier drops what it had built; then what
 * is known to be mapped is filled in. A call that fails may have done a part of it: absent entries ask the kernel. */
#include <linux/mman.h>
#include <sys/mman.h>

#include "monitor.h"

/* Ranges up to this are mapped at once; the rest by faults, 2 MiB at a time. */
#define EAGER (8UL << 20)

static bool is_error(long result)
{
	return result < 0 && result > -4096;
}

static long call_mmap(const long a[6])
{
	uintptr_t start = (uintptr_t)a[0];
	size_t length = PAGE_UP(a[1]);
	bool fixed = a[3] & (MAP_FIXED | MAP_FIXED_NOREPLACE);
	long at;

	if (fixed && memory_is_ours(start, length))
		return -ENOMEM;
	if (a[3] & MAP_FIXED && start + length >= start && start + length <= USER_END)
		pt_drop(start, length);
	at = sys_array(SYS_mmap, a);
	if (is_error(at))
		return at;
	pt_wipe((uintptr_t)at, length);
	/* Fresh memory is left to its first touch, which ahead.c helps. */
	if (length > (256UL << 10) && a[2] & PROT_WRITE && ahead_possible((uintptr_t)at) &&
	    (a[3] & (MAP_TYPE | MAP_ANONYMOUS | MAP_STACK)) == (MAP_PRIVATE | MAP_ANONYMOUS))
		return at;
	/* With MAP_GROWSDOWN more than this may come to be mapped; faults see to it. */
	if (a[2] & (PROT_READ | PROT_WRITE | PROT_EXEC) && length <= EAGER)
		pt_fill_range((uintptr_t)at, length, a[2] & PROT_WRITE, a[2] & PROT_EXEC);
	return at;
}

static long call_mremap(const long a[6])
{
	uintptr_t old = (uintptr_t)a[0];
	size_t old_length = PAGE_UP(a[1]), new_length = PAGE_UP(a[2]);
	bool whole = old + old_length >= old && old + old_length <= USER_END && new_length <= USER_END;
	long at;

	if (!whole || old & (PAGE - 1))
		return sys_array(SYS_mremap, a);
	if (memory_is_ours(old, old_length) ||
	    (a[3] & MREMAP_FIXED && memory_is_ours((uintptr_t)a[4], new_length)))
		return -EINVAL;
	pt_drop(old, old_length);
	if (a[3] & MREMAP_FIXED && (uintptr_t)a[4] + new_length <= USER_END)
		pt_drop((uintptr_t)a[4], new_length);
	at = sys_array(SYS_mremap, a);
	if (is_error(at))
		return at;
	if ((uintptr_t)at == old) {
		if (new_length > old_length)
			pt_wipe(old + old_length, new_length - old_length);
		else
			pt_wipe(old + new_length, old_length - new_length);
		return at;
	}
	pt_wipe((uintptr_t)at, new_length);
	pt_move(old, (uintptr_t)at, MIN(old_length, new_length));
	pt_wipe(old, old_length);
	if (a[3] & MREMAP_DONTUNMAP)
		pt_dirty(old, old_length);
	return at;
}

static long call_brk(const long a[6])
{
	uintptr_t old = (uintptr_t)SYS1(brk, 0), new = (uintptr_t)a[0];

	if (new && new < old)
		pt_drop(PAGE_UP(new), PAGE_UP(old) - PAGE_UP(new));
	new = (uintptr_t)sys_array(SYS_brk, a);
	if (new > old)
		pt_wipe(PAGE_UP(old), PAGE_UP(new) - PAGE_UP(old));
	else if (new < old)
		pt_wipe(PAGE_UP(new), PAGE_UP(old) - PAGE_UP(new));
	/* What malloc asks for in small steps it is about to use. */
	if (new > old && new - old <= (256UL << 10) && ahead_make(PAGE_UP(old), PAGE_UP(new)))
		return (long)new;
	if (new > old && new - old <= EAGER)
		pt_fill_range(PAGE_UP(old), PAGE_UP(new) - PAGE_UP(old), true, false);
	return (long)new;
}

static long call_mprotect(const long a[6])
{
	uintptr_t start = (uintptr_t)a[0];
	size_t length = PAGE_UP(a[1]);
	long error;

	if (start + length < start || start + length > USER_END || start & (PAGE - 1))
		return sys_array(SYS_mprotect, a);
	if (memory_is_ours(start, length))
		return -EINVAL;
	pt_drop(start, length);
	error = sys_array(SYS_mprotect, a);
	if (!error && a[2] & (PROT_READ | PROT_WRITE | PROT_EXEC) && !(a[2] & ~7L) && length <= EAGER)
		pt_fill_range(start, length, a[2] & PROT_WRITE, a[2] & PROT_EXEC);
	return error;
}

static long call_munmap(const long a[6])
{
	uintptr_t start = (uintptr_t)a[0];
	size_t length = PAGE_UP(a[1]);
	long error;

	if (start + length < start || start + length > USER_END || start & (PAGE - 1))
		return sys_array(SYS_munmap, a);
	if (memory_is_ours(start, length))
		return -EINVAL;
	pt_drop(start, length);
	error = sys_array(SYS_munmap, a);
	if (!error)
		pt_wipe(start, length);
	return error;
}

static long call_madvise(const long a[6])
{
	uintptr_t start = (uintptr_t)a[0], end = start + PAGE_UP(a[1]);
	struct mapping m;
	long error;

	if (end < start || end > USER_END || start & (PAGE - 1))
		return sys_array(SYS_madvise, a);
	if (memory_is_ours(start, end - start))
		return -EINVAL;
	error = sys_array(SYS_madvise, a);
	switch (a[2]) {
	case MADV_HUGEPAGE:
		if (!error)
			pt_huge(start, end - start);
		break;
	case MADV_DONTNEED:
	case MADV_FREE:
	case MADV_REMOVE:
	case 24 /* MADV_DONTNEED_LOCKED */:
		/* The contents are not what they were, also where it failed half-way. */
		for (uintptr_t at = start; at < end && !maps_find(at, &m) && m.start < end; at = m.end)
			pt_dirty(MAX(at, m.start), MIN(end, m.end) - MAX(at, m.start));
		break;
	}
	return error;
}

/* Where only the kernel knows how far it reaches. */
static long call_shm(long number, const long a[6])
{
	uintptr_t start = (uintptr_t)a[0];
	struct mapping m;
	long at;

	if (number == SYS_shmdt) {
		/* A segment that was split has several mappings; what follows it may be dropped too, without harm. */
		for (uintptr_t next = start; !maps_find(next, &m) && m.start == next; next = m.end)
			pt_drop(m.start, m.end - m.start);
		return sys_array(number, a);
	}
	if (number == SYS_shmat && a[2] & 040000 /* SHM_REMAP */)
		return -EINVAL;
	if (number == SYS_remap_file_pages)
		pt_drop(start, PAGE_UP(a[1]));
	at = sys_array(number, a);
	if (number == SYS_shmat && !is_error(at) && !maps_find((uintptr_t)at, &m))
		pt_wipe((uintptr_t)at, m.end - (uintptr_t)at);
	return at;
}

/* Large pages in the ranges of a call become small ones first. */
static void split_for(struct thread *t, long number, const long a[6])
{
	uintptr_t start = (uintptr_t)a[0], brk;
	size_t length = PAGE_UP(a[1]);

	switch (number) {
	case SYS_mmap:
		if (!(a[3] & MAP_FIXED))
			return;
		break;
	case SYS_brk:
		brk = (uintptr_t)SYS1(brk, 0);
		length = start && start < brk ? brk - start : 0;
		break;
	case SYS_madvise:
		if (a[2] == MADV_HUGEPAGE || a[2] == MADV_DONTNEED || a[2] == MADV_WILLNEED)
			return;
		break;
	case SYS_mremap:
		if (a[3] & MREMAP_FIXED)
			pt_split(t, (uintptr_t)a[4], PAGE_UP(a[2]));
		break;
	case SYS_shmat:
	case SYS_shmdt:
		return; /* these are of files */
	}
	if (length && start + length > start)
		pt_split(t, start, length);
}

long address_space_call(struct thread *t, long number, const long a[6])
{
	long result;

	dune_lock(&dune.lock);
	tables_tidy();
	split_for(t, number, a);
	switch (number) {
	case SYS_mmap:
		result = call_mmap(a);
		break;
	case SYS_mremap:
		result = call_mremap(a);
		break;
	case SYS_brk:
		result = call_brk(a);
		break;
	case SYS_mprotect:
		result = call_mprotect(a);
		break;
	case SYS_munmap:
		result = call_munmap(a);
		break;
	case SYS_madvise:
		result = call_madvise(a);
		break;
	default:
		result = call_shm(number, a);
		break;
	}
	dune_unlock(&dune.lock);
	return result;
}
