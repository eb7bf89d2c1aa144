/* maps.c - what the kernel says is mapped. The monitor keeps no list of mappings of its own: the kernel's is right, and
 * asking it costs less than a fault does. PROCMAP_QUERY (Linux 6.11) answers for one address; before that the text of
 * /proc/self/maps is read. Called with dune.lock held, so that the answer stays true while it is used. */
#include <fcntl.h>

#include "monitor.h"

/* <linux/fs.h> of Linux 6.11. */
struct procmap_query {
	uint64_t size, query_flags, query_addr;
	uint64_t vma_start, vma_end, vma_flags, vma_page_size, vma_offset, inode;
	uint32_t dev_major, dev_minor, vma_name_size, build_id_size;
	uint64_t vma_name_addr, build_id_addr;
};
#define QUERY 0xc0686611UL /* _IOWR('f', 17, struct procmap_query) */
#define COVERING_OR_NEXT 0x10

_Static_assert(sizeof(struct procmap_query) == 0x68, "struct procmap_query");

int maps_open(void)
{
	struct mapping m;

	dune.maps = high_fd((int)SYS4(openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC, 0));
	if (dune.maps < 0)
		return dune.maps;
	dune.has_procmap = true;
	if (maps_find(0x1000, &m) == -ENOTTY)
		dune.has_procmap = false;
	return 0;
}

static int find_in_text(uintptr_t address, struct mapping *m)
{
	static char text[65536]; /* dune.lock is held */
	size_t have = 0;
	long n;

	SYS3(lseek, dune.maps, 0, 0);
	while ((n = SYS3(read, dune.maps, text + have, sizeof(text) - have)) > 0) {
		char *at = text, *end = text + have + n;

		for (;;) {
			char *line = at;
			uintptr_t value[2] = { 0, 0 };

			while (at < end && *at != '\n')
				at++;
			if (at == end) {
				have = (size_t)(end - line);
				__builtin_memmove(text, line, have);
				break;
			}
			at++;
			for (int i = 0; i < 2; i++, line++)
				for (; *line != '-' && *line != ' '; line++)
					value[i] = value[i] << 4 |
						   (uintptr_t)(*line <= '9' ? *line - '0' : *line - 'a' + 10);
			if (value[1] > address && value[0] < USER_END) {
				/* "rwxp offset device inode": anonymous memory has device 00:00. */
				*m = (struct mapping){ value[0], value[1], line[0] == 'r', line[1] == 'w',
						       line[2] == 'x', __builtin_memcmp(line + 14, "00:00", 5) != 0 };
				return 0;
			}
		}
	}
	return -ENOENT;
}

/* The mapping at address, or the next one above it. */
int maps_find(uintptr_t address, struct mapping *m)
{
	struct procmap_query q = { .size = sizeof(q), .query_flags = COVERING_OR_NEXT, .query_addr = address };
	long error;

	if (!dune.has_procmap)
		return find_in_text(address, m);
	error = SYS3(ioctl, dune.maps, QUERY, &q);
	if (error < 0)
		return (int)error;
	*m = (struct mapping){ q.vma_start, q.vma_end, q.vma_flags & 1, q.vma_flags & 2, q.vma_flags & 4,
				q.inode || q.dev_major || q.dev_minor };
	return 0;
}
