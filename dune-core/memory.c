/* memory.c - guest-physical memory: which chunk of virtual addresses lies where, the memory slots, the monitor's own
 * reservation, and the way to the program's memory.
 *
 * Invariant: a chunk of virtual addresses, once it has a guest-physical chunk, keeps it, so a page-table entry is
 * arithmetic: chunk_of[address / CHUNK] and the offset. Nothing here changes with mmap or munmap. Called with dune.lock
 * held by pagetable.c, and while there is one thread. */
#include <sys/mman.h>
#include <sys/uio.h>

#include "monitor.h"

#define FIRST (MAX_THREADS * AREA_SIZE / CHUNK + 1) /* chunks of our own in slot 0 */

/* Making a slot waits for all readers of KVM's list of them, whatever its size up to some 100 MiB: what every process
 * needs at once, the first area and the first tables, is one slot of two chunks. */
static int add_slot(unsigned slot, uintptr_t address)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.guest_phys_addr = GPA_BASE + slot * CHUNK,
		.memory_size = slot ? CHUNK : FIRST * CHUNK,
		.userspace_addr = address,
	};

	/* The last page below the kernel's half is nobody's, and KVM does not take it. */
	if (address + CHUNK > USER_END)
		region.memory_size = USER_END - address;
	return (int)SYS3(ioctl, dune.vm, KVM_SET_USER_MEMORY_REGION, &region);
}

/* A slot whose chunk has nothing mapped in it any more, taken from it; 0: there is none. Its entries are absent
 * since the munmap, so nothing refers to its guest-physical addresses, and KVM forgets what it knows of them with
 * the slot. */
static unsigned reclaim(void)
{
	static unsigned next; /* not the same ones again and again */
	struct mapping m;

	for (unsigned n = 0; n < dune.slots; n++) {
		unsigned slot = (next + n) % dune.slots;
		uint32_t chunk = dune.chunk_at[slot];
		uintptr_t start = (uintptr_t)(chunk - 1) << CHUNK_SHIFT;
		struct kvm_userspace_memory_region none = { .slot = slot };

		if (!chunk || memory_is_ours(start, CHUNK) || (!maps_find(start, &m) && m.start < start + CHUNK))
			continue;
		pt_drop(start, CHUNK);
		if (SYS3(ioctl, dune.vm, KVM_SET_USER_MEMORY_REGION, &none) < 0)
			continue;
		dune.chunk_of[chunk - 1] = dune.chunk_at[slot] = 0;
		next = slot + 1;
		return slot + 1;
	}
	return 0;
}

/* The guest-physical address, or 0 when there is no room for another slot. */
uint64_t memory_gpa(uintptr_t address)
{
	size_t chunk = address >> CHUNK_SHIFT;

	if (!dune.chunk_of[chunk]) {
		unsigned slot = dune.slots, n = 1;

		if (address >= (uintptr_t)dune.areas && address < (uintptr_t)dune.areas + OWN_SIZE) {
			/* These have their places. */
			slot = (unsigned)((address - (uintptr_t)dune.areas) >> CHUNK_SHIFT);
			if (slot < FIRST) {
				chunk -= slot;
				slot = 0;
				n = FIRST;
			}
		} else if (slot >= dune.max_slots - 1 || GPA_BASE + (slot + 1) * CHUNK > dune.gpa_end) {
			/* The last slot is vm_forget's. */
			slot = reclaim();
			if (!slot--)
				return 0;
		} else {
			dune.slots++;
		}
		if (add_slot(slot, chunk << CHUNK_SHIFT) < 0)
			return 0;
		for (unsigned i = 0; i < n; i++) {
			dune.chunk_of[chunk + i] = slot + i + 1;
			dune.chunk_at[slot + i] = (uint32_t)(chunk + i + 1);
		}
		COUNT(slots);
		chunk = address >> CHUNK_SHIFT;
	}
	return GPA_BASE + (dune.chunk_of[chunk] - 1) * CHUNK + (address & (CHUNK - 1));
}

/* All slots again, in a child's new VM. */
int memory_add_slots(void)
{
	for (unsigned slot = 0; slot < dune.slots; slot++) {
		int error = 0;

		if (dune.chunk_at[slot] && (!slot || slot >= FIRST))
			error = add_slot(slot, (uintptr_t)(dune.chunk_at[slot] - 1) << CHUNK_SHIFT);
		if (error < 0)
			return error;
	}
	return 0;
}

static char *reserve(size_t size, size_t alignment)
{
	long at = SYS6(mmap, NULL, size + alignment, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uintptr_t start, end;

	if (at < 0 && at > -4096)
		return NULL;
	start = ((uintptr_t)at + alignment - 1) & ~(alignment - 1);
	end = (uintptr_t)at + size + alignment;
	if (start > (uintptr_t)at)
		SYS2(munmap, at, start - (uintptr_t)at);
	if (end > start + size)
		SYS2(munmap, start + size, end - start - size);
	return (char *)start;
}

/* Reserves what the monitor needs. Nothing is touched yet. */
int memory_init(void)
{
	size_t small = PAGE_UP(CHUNKS * sizeof(*dune.chunk_of)) + PAGE_UP(MAX_SLOTS * sizeof(*dune.chunk_at)) +
		       PAGE_UP(MAX_THREADS * sizeof(struct vcpu)) + PAGE_UP(MAX_THREADS * sizeof(struct sighand)) +
		       MAX_THREADS * dune.xsave_size;
	char *at;

	dune.areas = reserve(OWN_SIZE, CHUNK);
	if (!dune.areas)
		return -ENOMEM;
	dune.tables = dune.areas + MAX_THREADS * (unsigned long)AREA_SIZE;
	at = reserve(MAX_THREADS * THREAD_SIZE + small, THREAD_SIZE);
	if (!at)
		return -ENOMEM;
	dune.hidden = at;
	dune.hidden_end = at + MAX_THREADS * THREAD_SIZE + small;
	dune.threads = at;
	at += MAX_THREADS * THREAD_SIZE;
	dune.chunk_of = (uint32_t *)at;
	at += PAGE_UP(CHUNKS * sizeof(*dune.chunk_of));
	dune.chunk_at = (uint32_t *)at;
	at += PAGE_UP(MAX_SLOTS * sizeof(*dune.chunk_at));
	dune.vcpu_of = (struct vcpu *)at;
	at += PAGE_UP(MAX_THREADS * sizeof(struct vcpu));
	dune.sighands = (struct sighand *)at;
	at += PAGE_UP(MAX_THREADS * sizeof(struct sighand));
	dune.xsaves = at;
	dune.slots = OWN_SIZE / CHUNK;
	*dune.roots = new_table();
	return *dune.roots ? 0 : -ENOMEM;
}

/* Whether a range touches what the program must not unmap or map over. */
bool memory_is_ours(uintptr_t start, size_t length)
{
	uintptr_t end = start + length;

	return (start < (uintptr_t)dune.areas + OWN_SIZE && end > (uintptr_t)dune.areas) ||
	       (start < (uintptr_t)dune.hidden_end && end > (uintptr_t)dune.hidden);
}

/* ---- The program's memory ---------------------------------------------------------------------------------------- */

/* Through the kernel: the memory may not be there, or go away meanwhile, and then these return a negative errno. What
 * can be read or written in part counts as an error. */
static long transfer(bool write, void *ours, uintptr_t theirs, size_t length)
{
	struct iovec local = { ours, length }, remote = { (void *)theirs, length };
	/* Not dune.pid: in a child of vfork that is the parent, and its permission may differ. */
	long pid = SYS0(getpid), n;

	if (!length)
		return 0;
	if (theirs + length < theirs || theirs + length > USER_END)
		return -EFAULT;
	n = write ? SYS6(process_vm_writev, pid, &local, 1, &remote, 1, 0) :
		    SYS6(process_vm_readv, pid, &local, 1, &remote, 1, 0);
	if (n < 0)
		return n;
	return (size_t)n == length ? 0 : -EFAULT;
}

long guest_read(void *to, uintptr_t from, size_t length)
{
	return transfer(false, to, from, length);
}

long guest_write(uintptr_t to, const void *from, size_t length)
{
	long error = transfer(true, (void *)(uintptr_t)from, to, length);

	if (!error)
		pt_mark(to, length);
	return error;
}

/* Whether the string of the program's ends like that. */
bool guest_string_ends(uintptr_t string, const char *end)
{
	size_t length = __builtin_strlen(end);
	char tail[16] = { 0 };

	for (size_t i = 0; i < 4096;) {
		char part[256];
		size_t n = MIN(sizeof(part), PAGE - ((string + i) & (PAGE - 1)));

		if (guest_read(part, string + i, n))
			return false;
		for (size_t j = 0; j < n; j++) {
			if (!part[j])
				return !__builtin_memcmp(tail + sizeof(tail) - length, end, length);
			__builtin_memmove(tail, tail + 1, sizeof(tail) - 1);
			tail[sizeof(tail) - 1] = part[j];
		}
		i += n;
	}
	return false;
}
