/* leak.c - mode `leak': at the end of the program, what was never freed and nothing points to any more, by the stack of the
 * call that allocated it. An object that only other leaked objects point to is lost with them and counted apart. */
#include "malloc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backtrace.h"
#include "gcdune.h"
#include "mark.h"
#include "os.h"
#include "walk.h"

struct leak {
	void *object;
	size_t bytes;
	uint32_t stack;
	bool indirect;
};

static struct leak *leaks;
static size_t leaks_used, leaks_room;

static void note(void *object, size_t size, unsigned kind, void *arg)
{
	(void)kind;
	(void)arg;
	if (leaks_used == leaks_room) {
		size_t room = leaks_room ? leaks_room * 2 : 8192;
		struct leak *grown = gcdune_os_remap(leaks, leaks_room * sizeof *leaks, room * sizeof *leaks);

		if (!grown)
			return;
		leaks = grown;
		leaks_room = room;
	}
	struct leak leak = {.object = object};

	leak.stack = gc_stack(object, size, &leak.bytes);
	leaks[leaks_used++] = leak;
}

/* In the collection. */
static void find_leaks(void)
{
	leaks_used = 0;
	gcdune_walk_marked(false, note, NULL);
	for (size_t i = 0; i < leaks_used; i++)
		gcdune_walk_push_children(leaks[i].object, true);
	gcdune_walk_drain();
	for (size_t i = 0; i < leaks_used; i++)
		leaks[i].indirect = !gcdune_mark_is_dead(leaks[i].object);
	for (size_t i = 0; i < leaks_used; i++)
		gcdune_walk_push(leaks[i].object);
	gcdune_walk_drain();
}

static int by_stack(const void *a_, const void *b_)
{
	const struct leak *a = a_, *b = b_;

	if (a->indirect != b->indirect)
		return a->indirect - b->indirect;
	return a->stack < b->stack ? -1 : a->stack > b->stack;
}

struct group {
	size_t first, count, bytes;
};

static int by_bytes(const void *a_, const void *b_)
{
	const struct group *a = a_, *b = b_;

	return a->bytes > b->bytes ? -1 : a->bytes < b->bytes;
}

static void print(int fd)
{
	struct group *groups = malloc((leaks_used + 1) * sizeof *groups);
	size_t n = 0, direct = 0, direct_bytes = 0, indirect = 0, indirect_bytes = 0;

	if (!groups)
		return;
	qsort(leaks, leaks_used, sizeof *leaks, by_stack);
	for (size_t i = 0; i < leaks_used; i++) {
		if (leaks[i].indirect) {
			indirect++;
			indirect_bytes += leaks[i].bytes;
			continue;
		}
		direct++;
		direct_bytes += leaks[i].bytes;
		if (n && leaks[groups[n - 1].first].stack == leaks[i].stack) {
			groups[n - 1].count++;
			groups[n - 1].bytes += leaks[i].bytes;
		} else {
			groups[n++] = (struct group){i, 1, leaks[i].bytes};
		}
	}
	qsort(groups, n, sizeof *groups, by_bytes);
	dprintf(fd, "gcdune: process %d leaked %zu bytes in %zu objects, and %zu bytes in %zu objects that only these point to\n",
		getpid(), direct_bytes, direct, indirect_bytes, indirect);
	for (size_t i = 0; i < n; i++) {
		dprintf(fd, "  %zu bytes in %zu object%s from\n", groups[i].bytes, groups[i].count, groups[i].count == 1 ? "" : "s");
		gcdune_backtrace_print(fd, leaks[groups[i].first].stack);
	}
	free(groups);
}

void leak_report(void)
{
	const char *path = getenv("GCDUNE_LEAK_REPORT");
	int fd = 2;

	/* The report's own memory is heap.c's. */
	gc_inside_begin();
	gcdune_enable();
	gcdune_walk_hook = find_leaks;
	gcdune_collect();
	gcdune_walk_hook = NULL;
	gcdune_disable();
	if (leaks_used) {
		if (path && *path)
			fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
		if (fd < 0) {
			gcdune_warn("%s cannot be written (%s): the report of leaks goes to stderr", path, strerrordesc_np(errno));
			fd = 2;
		}
		print(fd);
		if (fd != 2)
			close(fd);
	}
	gc_inside_end();
}
