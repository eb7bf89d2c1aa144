/* roots.c - GC_add_roots and its kin, and the procedure that pushes roots of the program's own.
 *
 * GC_remove_roots drops ranges that lie in its argument wholly, while gcdune drops the parts that do. So the ranges are
 * listed here too: what is removed from gcdune too much, because ranges overlap, is added again from the list. The
 * list is guarded by libgc_lock; gcdune is called outside it. Two threads that add and remove overlapping ranges at the
 * same time may leave a range that was removed: too many roots, never too few. */
#include "libgc.h"

#include <link.h>
#include <stdlib.h>

struct range {
	char *low, *high;
};

static struct range *ranges;
static size_t nranges, ranges_room;

/* The marker of the roots callback that runs now; only one thread is in it. */
static struct gcdune_marker *push_marker;

static void push_nothing(void)
{
}

/* Stacks and registered ranges are gcdune's business, so the procedure that programs chain to has nothing to do. It is a
 * variable because Boehm's library exports one. */
extern __attribute__((visibility("default"))) GC_push_other_roots_proc GC_push_other_roots;
GC_push_other_roots_proc GC_push_other_roots = push_nothing;

static void align(void *low, void *high, struct range *range)
{
	range->low = (char *)(((uintptr_t)low + sizeof(void *) - 1) & -sizeof(void *));
	range->high = (char *)((uintptr_t)high & -sizeof(void *));
}

static bool remember(const struct range *range)
{
	if (nranges == ranges_room) {
		size_t room = ranges_room ? 2 * ranges_room : 16;
		struct range *grown = realloc(ranges, room * sizeof(*grown));

		if (!grown)
			return false;
		ranges = grown;
		ranges_room = room;
	}
	ranges[nranges++] = *range;
	return true;
}

void GC_add_roots(void *low, void *high)
{
	struct range range;
	bool remembered;

	libgc_init();
	align(low, high, &range);
	if (range.low >= range.high)
		return;
	pthread_mutex_lock(&libgc_lock);
	remembered = remember(&range);
	pthread_mutex_unlock(&libgc_lock);
	if (!remembered || gcdune_roots_add(range.low, range.high))
		libgc_fatal("out of memory for roots");
}

/* Takes a range within OUTER out of the list; false if there is none. */
static bool take_within(const struct range *outer, struct range *taken)
{
	for (size_t i = 0; i < nranges; i++) {
		if (ranges[i].low < outer->low || ranges[i].high > outer->high)
			continue;
		*taken = ranges[i];
		ranges[i] = ranges[--nranges];
		return true;
	}
	return false;
}

static void add_again(const struct range *removed)
{
	struct range *overlapping = NULL;
	size_t count = 0;

	pthread_mutex_lock(&libgc_lock);
	if (nranges) {
		overlapping = malloc(nranges * sizeof(*overlapping));
		if (!overlapping)
			libgc_fatal("out of memory for roots");
		for (size_t i = 0; i < nranges; i++)
			if (ranges[i].low < removed->high && removed->low < ranges[i].high)
				overlapping[count++] = ranges[i];
	}
	pthread_mutex_unlock(&libgc_lock);
	for (size_t i = 0; i < count; i++)
		if (gcdune_roots_add(overlapping[i].low, overlapping[i].high))
			libgc_fatal("out of memory for roots");
	free(overlapping);
}

void GC_remove_roots(void *low, void *high)
{
	struct range outer, taken;
	bool found;

	align(low, high, &outer);
	do {
		pthread_mutex_lock(&libgc_lock);
		found = take_within(&outer, &taken);
		pthread_mutex_unlock(&libgc_lock);
		if (found) {
			gcdune_roots_remove(taken.low, taken.high);
			add_again(&taken);
		}
	} while (found);
}

void GC_clear_roots(void)
{
	libgc_init();
	gcdune_roots_segments_set(false);
	GC_remove_roots(NULL, (void *)UINTPTR_MAX);
}

void GC_exclude_static_roots(void *low, void *high)
{
	struct range range;

	libgc_init();
	align(low, high, &range);
	if (range.low < range.high && gcdune_roots_exclude(range.low, range.high))
		libgc_fatal("out of memory for roots");
}

struct program_data {
	struct range ranges[8];
	size_t count;
};

/* The first object that the dynamic linker lists is the program. The linker's lock is held: ranges are added later. */
static int find_program_data(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct program_data *data = arg;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum && data->count < sizeof data->ranges / sizeof *data->ranges; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		char *start = (char *)info->dlpi_addr + segment->p_vaddr;

		if (segment->p_type == PT_LOAD && (segment->p_flags & PF_W))
			data->ranges[data->count++] = (struct range){start, start + segment->p_memsz};
	}
	return 1;
}

/* gcdune knows only all segments or none. */
void libgc_segments_apply(bool no_libraries)
{
	struct program_data data = {.count = 0};

	if (no_libraries)
		dl_iterate_phdr(find_program_data, &data);
	for (size_t i = 0; i < data.count; i++)
		GC_add_roots(data.ranges[i].low, data.ranges[i].high);
	gcdune_roots_segments_set(!no_libraries);
}

void GC_set_push_other_roots(GC_push_other_roots_proc proc)
{
	GC_push_other_roots = proc;
}

GC_push_other_roots_proc GC_get_push_other_roots(void)
{
	return GC_push_other_roots;
}

void libgc_roots_push(struct gcdune_marker *marker)
{
	GC_push_other_roots_proc proc = GC_push_other_roots;

	if (!proc || proc == push_nothing)
		return;
	push_marker = marker;
	proc();
	push_marker = NULL;
}

void GC_push_all(void *bottom, void *top)
{
	struct range range;

	if (!push_marker)
		libgc_fatal("GC_push_all: only for the procedure given to GC_set_push_other_roots");
	align(bottom, top, &range);
	if (range.low < range.high)
		gcdune_mark_range(push_marker, range.low, range.high);
}

void GC_push_all_eager(void *bottom, void *top)
{
	GC_push_all(bottom, top);
}

/* Not only what is dirty: a collection that stops the world looks at everything. */
void GC_push_conditional(void *bottom, void *top, int all)
{
	(void)all;
	GC_push_all(bottom, top);
}
