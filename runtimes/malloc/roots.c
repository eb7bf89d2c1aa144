/* roots.c - what can point to an object of malloc's: any writable memory of the process. Programs keep pointers to it in
 * mappings of their own (arenas, the heaps of other runtimes), which no collector could know. So the roots are read from
 * /proc/self/maps in each collection: all private mappings that can be read and are not files' read-only pages; but not
 * what is gcdune's own, and not the stacks of attached threads, which are scanned from where they are in use. Runs with the
 * world stopped: no allocation, no lock. */
#include "malloc.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "gcdune.h"
#include "mark.h"
#include "os.h"
#include "thread.h"

struct range {
	uintptr_t begin, end;
};

static struct {
	struct range items[1024];
	size_t count;
} out; /* that are not scanned */

static void leave_out(uintptr_t begin, uintptr_t end, void *arg)
{
	(void)arg;
	if (out.count < sizeof out.items / sizeof *out.items && begin < end)
		out.items[out.count++] = (struct range){begin, end};
}

static void scan(struct gcdune_marker *marker, uintptr_t begin, uintptr_t end, size_t from)
{
	for (size_t i = from; i < out.count && begin < end; i++) {
		const struct range *range = &out.items[i];

		if (range->end <= begin || range->begin >= end)
			continue;
		if (range->begin > begin)
			scan(marker, begin, range->begin, i + 1);
		begin = range->end;
	}
	if (begin < end)
		gcdune_mark_range(marker, (void *)begin, (void *)end);
}

/* One line: "begin-end perms offset device inode path". */
static void line(struct gcdune_marker *marker, const char *text)
{
	uintptr_t value[2] = {0, 0};
	const char *at = text;

	for (int i = 0; i < 2; i++, at++)
		for (; *at && *at != '-' && *at != ' '; at++)
			value[i] = value[i] * 16 + (uintptr_t)(*at <= '9' ? *at - '0' : *at - 'a' + 10);
	const char *perms = at, *path = strchr(at, '/'), *special = strstr(at, "[v");

	if (strlen(perms) < 5 || perms[0] != 'r' || perms[3] != 'p' || special)
		return;
	if (perms[1] == 'w' || (perms[2] != 'x' && !path))
		scan(marker, value[0], value[1], 0);
}

void malloc_roots(struct gcdune_marker *marker)
{
	static char text[65536];
	size_t have = 0;
	ssize_t n;
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		gcdune_panic("/proc/self/maps cannot be read: what points to objects of malloc is not known");
	out.count = 0;
	gcdune_os_each_own(leave_out, NULL);
	leave_out((uintptr_t)&gcdune_heap, (uintptr_t)(&gcdune_heap + 1), NULL);
	leave_out((uintptr_t)&gcdune_mark_main, (uintptr_t)(&gcdune_mark_main + 1), NULL);
	leave_out((uintptr_t)text, (uintptr_t)text + sizeof text, NULL);
	for (struct gcdune_thread *thread = gcdune_threads; thread; thread = thread->next)
		leave_out(thread->stack_low, thread->stack_end, NULL);
	while ((n = read(fd, text + have, sizeof text - 1 - have)) > 0) {
		char *begin = text, *end;

		have += (size_t)n;
		text[have] = '\0';
		while ((end = strchr(begin, '\n'))) {
			*end = '\0';
			line(marker, begin);
			begin = end + 1;
		}
		have -= (size_t)(begin - text);
		memmove(text, begin, have);
		if (have == sizeof text - 1)
			have = 0; /* a path longer than any can be */
	}
	close(fd);
}
