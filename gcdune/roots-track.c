/* roots-track.c - owns the reading of root ranges while the program runs, and what is known of writes to them.
 *
 * In the pause that begins a cycle the ranges are only noted (world stopped: the list is whole). Then the large ones are
 * tracked for writes, and all are read, from a copy that the kernel makes, for a library may be unmapped at any moment.
 * In the final pause the list is made anew; what was tracked, copied whole, and is still the same range, is read where
 * it is dirty; all else is read again.
 *
 * A range to which nothing was written all through the cycle stays tracked. Then the next one need not begin to, and a
 * minor one reads only what was written since: nothing else there can lead to anything new. Called by cycle.c and
 * roots.c. */
#include "dirty/dirty.h"
#include "mark.h"
#include "os.h"
#include "roots-parts.h"

static struct gcdune_heap *const heap = &gcdune_heap;

struct noted {
	uintptr_t begin, end;
	bool tracked;
	bool inherited; /* tracked already when the cycle began */
	bool dirty;	/* some page was, in this cycle */
};
struct list {
	struct noted *items;
	size_t count, capacity, next;
};
static struct list noted, earlier;
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

	noted.items[noted.count++] = (struct noted){begin, end, tracked, tracked, false};
}

void gcdune_roots_note(void)
{
	struct list list = earlier;

	earlier = noted;
	noted = list;
	noted.count = noted.next = earlier.next = 0;
	gcdune_roots_each_range(note);
	gcdune_roots_threads();
}

static uintptr_t page_up(uintptr_t address)
{
	return (address + GCDUNE_PAGE - 1) & ~(GCDUNE_PAGE - 1);
}

static uintptr_t page_down(uintptr_t address)
{
	return address & ~(GCDUNE_PAGE - 1);
}

/* Calls VISIT for the dirty pages of a tracked range. */
static void each_dirty(struct noted *n, bool rearm, void (*visit)(uintptr_t page))
{
	enum { PAGES = 1024 };

	for (uintptr_t from = page_up(n->begin), to = page_down(n->end); from < to; from += PAGES * GCDUNE_PAGE) {
		uint64_t bits[PAGES / 64] = {0};
		size_t pages = (to - from) / GCDUNE_PAGE;

		pages = pages < PAGES ? pages : PAGES;
		bool known = gcdune_dirty_take_root(from, pages, bits, rearm);

		for (size_t page = 0; page < pages; page++)
			if (!known || bits[page / 64] >> (page % 64) & 1) {
				n->dirty = true;
				visit(from + page * GCDUNE_PAGE);
			}
	}
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
 * what is to be read whole is read after that. */
void gcdune_roots_read(void)
{
	if (!copy)
		copy = gcdune_os_map(COPY);
	for (size_t i = 0; i < noted.count; i++) {
		struct noted *n = &noted.items[i];

		if (!copy)
			n->tracked = n->inherited = false;
		lost_page = false;
		if (n->inherited)
			each_dirty(n, true, heap->minor ? read_copy_of_page : ignore);
		if (lost_page)
			n->tracked = n->inherited = false;
	}
	if (!copy)
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
	gcdune_dirty_settle();
	for (size_t i = 0; i < noted.count; i++) {
		struct noted *n = &noted.items[i];

		lost_page = false;
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
	gcdune_mark_root_range(&gcdune_mark_main, page, page + GCDUNE_PAGE);
}

void gcdune_roots_reread(void)
{
	if (!gcdune_dirty_rearms())
		return;
	for (size_t i = 0; i < noted.count; i++) {
		if (!noted.items[i].tracked)
			continue;
		lost_page = false;
		each_dirty(&noted.items[i], true, read_copy_of_page);
		if (lost_page)
			noted.items[i].tracked = false; /* read it whole in the pause */
	}
}

void gcdune_roots_read_again(uintptr_t begin, uintptr_t end)
{
	struct noted *n = find_noted(&noted, begin, end);

	gcdune_roots_count += end - begin;
	if (!n || !n->tracked) {
		gcdune_mark_root_range(&gcdune_mark_main, begin, end);
		return;
	}
	gcdune_mark_root_range(&gcdune_mark_main, n->begin, page_up(n->begin));
	gcdune_mark_root_range(&gcdune_mark_main, page_down(n->end), n->end);
	each_dirty(n, false, read_page);
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
