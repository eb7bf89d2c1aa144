/* roots-track.c - owns the reading of root ranges while the program runs, and what is known of writes to them.
 *
 * In the pause that begins a cycle the ranges are only noted (world stopped: the list is whole). Then the large ones are
 * tracked for writes, and all are read, from a copy that the kernel makes, for a library may be unmapped at any moment.
 * What was written since is taken first and read after gcdune_dirty_settle; `written' has it meanwhile.
 * In the final pause the list is made anew; what was tracked, copied whole, and is still the same range, is read where
 * it is dirty; all else is read again.
 *
 * A range to which nothing was written all through the cycle stays tracked. Then the next one need not begin to, and a
 * minor one reads only what was written since: nothing else there can lead to anything new. Called by cycle.c and
 * roots.c. */
#include <string.h>

#include "dirty/dirty.h"
#include "mark.h"
#include "os.h"
#include "remark.h"
#include "roots-parts.h"

static struct gcdune_heap *const heap = &gcdune_heap;

struct noted {
	uintptr_t begin, end;
	bool tracked;
	bool inherited; /* tracked already when the cycle began */
	bool dirty;	/* some page was, in this cycle */
	size_t bits;	/* word of `written' where those of its whole pages begin */
};
struct list {
	struct noted *items;
	size_t count, capacity, next;
};
static struct list noted, earlier;
static uint64_t *written; /* taken, and not read yet */
static size_t written_size, written_words; /* bytes there are; words of the ranges noted */
static void *copy;
enum { COPY = 65536 };
/* Smaller ranges are read again faster than asked about. */
enum { TRACK_PAGES = 8 };

/* Lists change rarely, so the range is found where the last one was left, most of the time. */
static struct noted *find_noted(struct list *list, uintptr_t begin, uintptr_t end)
{
	for (size_t i = 0; i < list->count; i++) {
		size_t k = (list->next + i) % list->count;

		if (list->items[k].begin != begin || list->items[k].end != end)
			continue;
		list->next = k + 1;
		return &list->items[k];
	}
	return NULL;
}

static uintptr_t page_up(uintptr_t address)
{
	return (address + GCDUNE_PAGE - 1) & ~(GCDUNE_PAGE - 1);
}

static uintptr_t page_down(uintptr_t address)
{
	return address & ~(GCDUNE_PAGE - 1);
}

static void note(uintptr_t begin, uintptr_t end)
{
	if (noted.count == noted.capacity) {
		size_t capacity = noted.capacity ? noted.capacity * 2 : 512;
		void *items = gcdune_os_remap(noted.items, noted.capacity * sizeof *noted.items,
					      capacity * sizeof *noted.items);

		if (!items)
			return; /* it is read in the pause */
		noted.items = items;
		noted.capacity = capacity;
	}
	const struct noted *before = find_noted(&earlier, begin, end);
	bool tracked = before && before->tracked;

	noted.items[noted.count++] = (struct noted){begin, end, tracked, tracked, false, written_words};
	if (page_down(end) > page_up(begin))
		written_words += ((page_down(end) - page_up(begin)) / GCDUNE_PAGE + 63) / 64;
}

void gcdune_roots_note(void)
{
	struct list list = earlier;

	earlier = noted;
	noted = list;
	noted.count = noted.next = earlier.next = 0;
	written_words = 0;
	gcdune_roots_each_range(note);
	gcdune_roots_threads();
}

/* Room for a bit for each page, none of them set. */
static bool make_room(void)
{
	size_t want = written_words * sizeof *written;

	if (want > written_size) {
		uint64_t *more = gcdune_os_remap(written, written_size, want * 2);

		if (!more)
			return false;
		written = more;
		written_size = want * 2;
	}
	if (want)
		memset(written, 0, want);
	return true;
}

/* Adds to `written' which pages of a tracked range were. */
static void collect(struct noted *n, bool rearm)
{
	enum { PAGES = 1024 };
	uint64_t *to = written + n->bits;

	for (uintptr_t from = page_up(n->begin), end = page_down(n->end); from < end; from += PAGES * GCDUNE_PAGE) {
		uint64_t bits[PAGES / 64] = {0};
		size_t pages = (end - from) / GCDUNE_PAGE;

		pages = pages < PAGES ? pages : PAGES;
		bool known = gcdune_dirty_take_root(from, pages, bits, rearm);

		for (size_t i = 0; i < (pages + 63) / 64; i++) {
			size_t here = pages - i * 64;

			if (!known)
				bits[i] = here < 64 ? ((uint64_t)1 << here) - 1 : ~(uint64_t)0;
			n->dirty |= bits[i] != 0;
			*to++ |= bits[i];
		}
	}
}

/* Calls VISIT for each, once. */
static void each_written(struct noted *n, void (*visit)(uintptr_t page))
{
	uint64_t *bits = written + n->bits;

	for (uintptr_t from = page_up(n->begin), end = page_down(n->end); from < end; from += 64 * GCDUNE_PAGE, bits++)
		for (; *bits; *bits &= *bits - 1)
			visit(from + (unsigned)__builtin_ctzll(*bits) * GCDUNE_PAGE);
}

static bool lost_page;

/* From a copy, while the program runs. */
static void read_part(uintptr_t begin, uintptr_t end)
{
	for (uintptr_t at = begin; at < end && !lost_page; at += COPY) {
		size_t size = end - at < COPY ? end - at : COPY;

		if (gcdune_os_copy(copy, (void *)at, size)) {
			lost_page = true;
			return;
		}
		gcdune_mark_root_range(&gcdune_mark_main, (uintptr_t)copy, (uintptr_t)copy + size);
		gcdune_mark_run();
	}
}

static void read_copy_of_page(uintptr_t page)
{
	read_part(page, page + GCDUNE_PAGE);
}

static void ignore(uintptr_t page)
{
	(void)page;
}

static void end_tracking(struct noted *n)
{
	gcdune_dirty_end_root(page_up(n->begin), page_down(n->end));
	n->tracked = false;
}

/* Ranges may overlap, and tracking makes pages clean. So what was tracked reports first; then the others are tracked;
 * all that is to be read is read after that. */
void gcdune_roots_arm(void)
{
	if (!copy)
		copy = gcdune_os_map(COPY);
	bool room = copy && make_room();

	for (size_t i = 0; i < noted.count; i++) {
		struct noted *n = &noted.items[i];

		if (!room)
			n->tracked = n->inherited = false;
		if (n->inherited)
			collect(n, true);
	}
	if (!room)
		return;
	for (size_t i = 0; i < earlier.count; i++) {
		struct noted *n = &earlier.items[i];

		if (n->tracked && !find_noted(&noted, n->begin, n->end))
			end_tracking(n);
	}
	for (size_t i = 0; i < noted.count; i++) {
		struct noted *n = &noted.items[i];
		uintptr_t from = page_up(n->begin), to = page_down(n->end);

		/* Pages of the heap are made clean by remark.c, which does not know that they are roots too. */
		if (n->inherited || (from < heap->base + heap->size && to > heap->base))
			continue;
		if (to > from && to - from >= TRACK_PAGES * GCDUNE_PAGE)
			n->tracked = gcdune_dirty_track_root(from, to);
	}
}

void gcdune_roots_read(void)
{
	if (!copy)
		return;
	for (size_t i = 0; i < noted.count; i++) {
		struct noted *n = &noted.items[i];

		lost_page = false;
		if (n->inherited)
			each_written(n, heap->minor ? read_copy_of_page : ignore);
		if (heap->minor && n->inherited) {
			read_part(n->begin, page_up(n->begin));
			read_part(page_down(n->end), n->end);
		} else {
			read_part(n->begin, n->end);
		}
		if (lost_page)
			n->tracked = false;
	}
}

static void read_page(uintptr_t page)
{
	gcdune_remark_root_range(page, page + GCDUNE_PAGE);
}

void gcdune_roots_gather(void)
{
	for (size_t i = 0; i < noted.count && gcdune_dirty_rearms(); i++)
		if (noted.items[i].tracked)
			collect(&noted.items[i], true);
}

void gcdune_roots_reread(void)
{
	for (size_t i = 0; i < noted.count; i++) {
		if (!noted.items[i].tracked)
			continue;
		lost_page = false;
		each_written(&noted.items[i], read_copy_of_page);
		if (lost_page)
			noted.items[i].tracked = false; /* read it whole in the pause */
	}
}

void gcdune_roots_read_again(uintptr_t begin, uintptr_t end)
{
	struct noted *n = find_noted(&noted, begin, end);

	gcdune_roots_count += end - begin;
	if (!n || !n->tracked) {
		gcdune_remark_root_range(begin, end);
		return;
	}
	gcdune_remark_root_range(n->begin, page_up(n->begin));
	gcdune_remark_root_range(page_down(n->end), n->end);
	collect(n, false);
	each_written(n, read_page);
}

void gcdune_roots_forget(void)
{
	for (size_t i = 0; i < noted.count; i++) {
		struct noted *n = &noted.items[i];

		if (n->tracked && (n->dirty || !gcdune_dirty_keeps()))
			end_tracking(n);
	}
}

void gcdune_roots_after_fork(void)
{
	noted.count = earlier.count = 0;
}
