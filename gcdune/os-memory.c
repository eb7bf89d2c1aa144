/* os-memory.c - memory from the kernel, see os.h; and what of it is the collector's own. */
#define _GNU_SOURCE
#include "os.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "gcdune.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* What is mapped here. Written without a lock, entry by entry, so that it can be read while a thread is stopped within: the
 * end is there before the beginning, and 0 is no beginning. Static data are roots, and the heap begins where its mapping
 * does: addresses are kept as complements. */
static struct {
	_Atomic uintptr_t begin, end;
} mapped[512];

static void own_add(const void *address, size_t size)
{
	for (size_t i = 0; i < sizeof mapped / sizeof *mapped; i++) {
		uintptr_t none = 0;

		if (mapped[i].begin || !atomic_compare_exchange_strong(&mapped[i].begin, &none, 1))
			continue;
		mapped[i].end = ~((uintptr_t)address + size);
		mapped[i].begin = ~(uintptr_t)address;
		return;
	}
}

void gcdune_os_disown(const void *address)
{
	for (size_t i = 0; address && i < sizeof mapped / sizeof *mapped; i++)
		if (mapped[i].begin == ~(uintptr_t)address) {
			mapped[i].end = 0;
			mapped[i].begin = 0;
			return;
		}
}

void gcdune_os_each_own(void (*fn)(uintptr_t begin, uintptr_t end, void *arg), void *arg)
{
	for (size_t i = 0; i < sizeof mapped / sizeof *mapped; i++) {
		uintptr_t begin = mapped[i].begin, end = mapped[i].end;

		if (begin > 1 && end && ~begin < ~end)
			fn(~begin, ~end, arg);
	}
}

/* The kernel charges a private mapping against the commit limit only while it is writable, so what is reserved
 * PROT_NONE or PROT_READ is free of charge even under strict overcommit. */
void *gcdune_os_reserve(size_t size, size_t align)
{
	if (size + align < size)
		return NULL;
	char *p = mmap(NULL, size + align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	char *start = (char *)(((uintptr_t)p + align - 1) & ~(align - 1));

	if (start > p)
		munmap(p, (size_t)(start - p));
	if (start + size < p + size + align)
		munmap(start + size, (size_t)(p + align - start));
	own_add(start, size);
	return start;
}

void *gcdune_os_reserve_zero(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	own_add(p, size);
	return p;
}

int gcdune_os_commit(void *address, size_t size)
{
	return mprotect(address, size, PROT_READ | PROT_WRITE) ? -ENOMEM : 0;
}

int gcdune_os_release(void *address, size_t size)
{
	return madvise(address, size, MADV_DONTNEED) ? -errno : 0;
}

void gcdune_os_populate(void *address, size_t size)
{
	static atomic_bool unknown; /* to kernels before Linux 5.14 */
	int saved = errno;

	if (!atomic_load_explicit(&unknown, memory_order_relaxed) && madvise(address, size, MADV_POPULATE_WRITE) &&
	    errno == EINVAL)
		atomic_store_explicit(&unknown, true, memory_order_relaxed);
	errno = saved;
}

void gcdune_os_huge(void *address, size_t size, bool wanted)
{
	/* A kernel without huge pages refuses, which is as good. */
	(void)madvise(address, size, wanted ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

void *gcdune_os_map(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	own_add(p, size);
	return p;
}

void *gcdune_os_remap(void *address, size_t old_size, size_t new_size)
{
	if (!address)
		return gcdune_os_map(new_size);
	void *p = mremap(address, old_size, new_size, MREMAP_MAYMOVE);

	if (p == MAP_FAILED)
		return NULL;
	gcdune_os_disown(address);
	own_add(p, new_size);
	return p;
}

void gcdune_os_unmap(void *address, size_t size)
{
	gcdune_os_disown(address);
	if (address)
		munmap(address, size);
}

bool gcdune_os_is_mapped(const void *address, size_t size)
{
	uintptr_t start = (uintptr_t)address & ~(uintptr_t)4095;
	uintptr_t end = ((uintptr_t)address + size + 4095) & ~(uintptr_t)4095;

	/* MS_ASYNC does nothing any more but check that the range is mapped. */
	return msync((void *)start, end - start, MS_ASYNC) == 0;
}

int gcdune_os_copy(void *to, const void *from, size_t size)
{
	struct iovec local = {to, size}, remote = {(void *)from, size};
	ssize_t n = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);

	if (n == (ssize_t)size)
		return 0;
	if (n >= 0 || errno == EFAULT)
		return -EFAULT;
	/* Where that call is forbidden. */
	int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);

	if (mem < 0)
		return -errno;
	n = pread(mem, to, size, (off_t)(uintptr_t)from);
	close(mem);
	return n == (ssize_t)size ? 0 : -EFAULT;
}

/* Linux 6.11 and later look one mapping up (Documentation/filesystems/proc.rst; include/uapi/linux/fs.h), which does not
 * take longer the more there are. Newer than the headers that we are built with. */
struct procmap_query {
	uint64_t size, query_flags, query_addr, vma_start, vma_end, vma_flags, vma_page_size, vma_offset, inode;
	uint32_t dev_major, dev_minor, vma_name_size, build_id_size;
	uint64_t vma_name_addr, build_id_addr;
};
#define PROCMAP_QUERY _IOWR('f', 17, struct procmap_query)

/* 0, -ENOENT: nothing is mapped there; anything else: it cannot be asked so. */
static int query_mapping(int fd, uintptr_t address, uintptr_t *low, uintptr_t *high)
{
	struct procmap_query query = {.size = sizeof query, .query_addr = address};

	if (ioctl(fd, PROCMAP_QUERY, &query))
		return -errno;
	if (query.vma_start > address || query.vma_end <= address)
		return -EIO;
	*low = query.vma_start;
	*high = query.vma_end;
	return 0;
}

/* The same by reading what is mapped, from the beginning. */
static int read_mapping(int fd, uintptr_t address, uintptr_t *low, uintptr_t *high)
{
	uintptr_t value[2] = {0, 0};
	int field = 0; /* 0, 1: the two addresses; 2: rest of the line */
	char text[2048];
	ssize_t n;

	while ((n = read(fd, text, sizeof text)) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			char c = text[i];

			if (c == '\n') {
				field = 0;
				value[0] = value[1] = 0;
			} else if (field < 2) {
				if (c == '-' || c == ' ') {
					if (++field == 2 && value[0] <= address && address < value[1]) {
						*low = value[0];
						*high = value[1];
						return 0;
					}
				} else {
					value[field] =
						value[field] * 16 + (uintptr_t)(c <= '9' ? c - '0' : c - 'a' + 10);
				}
			}
		}
	}
	return -ENOENT;
}

int gcdune_os_mapping(uintptr_t address, uintptr_t *low, uintptr_t *high)
{
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC), error;

	if (fd < 0)
		return -errno;
	error = query_mapping(fd, address, low, high);
	if (error && error != -ENOENT)
		error = read_mapping(fd, address, low, high);
	close(fd);
	return error;
}

static int shared_fd = -1;

void *gcdune_os_shared(const char *name, size_t size)
{
	int fd = gcdune_os_descriptor_high(memfd_create(name, MFD_CLOEXEC));

	if (fd < 0)
		return NULL;
	void *p = ftruncate(fd, (off_t)size) ? MAP_FAILED
					     : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED) {
		close(fd);
		return NULL;
	}
	shared_fd = fd;
	return p;
}

void gcdune_os_unshare(void *address, size_t size)
{
	if (!address)
		return;
	munmap(address, size);
	close(shared_fd);
	shared_fd = -1;
}
