/* roots.c - owns what the program said about roots, and finds the others: data segments, thread-local storage, stacks,
 * registers.
 *
 * Data segments come from dl_iterate_phdr, which holds the dynamic linker's lock while it calls back: the world is
 * stopped inside the callback, so that the list of libraries cannot change between being read and the stop, and no
 * stopped thread holds that lock. A library may still be half gone (dlclose unmaps before it unlists): each range is
 * checked to be mapped.
 *
 * Thread-local storage: on x86-64 the thread pointer's second word is the dynamic thread vector, 16 bytes per module,
 * whose first word is the module's block in that thread or -1; vector[-1] holds its length. All of glibc's versions for
 * this processor agree. */
#define _GNU_SOURCE
#include "roots.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <string.h>

#include "dirty/dirty.h"
#include "dirty/library.h"
#include "finalize.h"
#include "mark.h"
#include "os.h"
#include "thread.h"

static struct gcdune_heap *const heap = &gcdune_heap;

struct range {
	uintptr_t begin, end;
};

struct ranges {
	struct range *items;
	size_t count, capacity;
};

static struct ranges segments, added, excluded; /* heap.cycle */
struct module {
	size_t id, size;
};
static struct module *modules; /* with thread-local storage */
static size_t module_count, module_capacity;
static bool segments_enabled = true;
static gcdune_roots_fn roots_callback;
static size_t bytes;
static size_t excluded_own; /* of the excluded ranges, the first, which are our own */

bool (*gcdune_roots_filter)(const char *name, void *begin, size_t size);

static int append(struct ranges *ranges, uintptr_t begin, uintptr_t end)
{
	if (ranges->count == ranges->capacity) {
		size_t capacity = ranges->capacity ? ranges->capacity * 2 : 256;
		void *items = gcdune_os_remap(ranges->items, ranges->capacity * sizeof *ranges->items,
					      capacity * sizeof *ranges->items);

		if (!items)
			return -ENOMEM;
		ranges->items = items;
		ranges->capacity = capacity;
	}
	ranges->items[ranges->count++] = (struct range){begin, end};
	return 0;
}

/* ---- Data segments ---- */

static void add_module(size_t id, size_t size)
{
	if (module_count == module_capacity) {
		size_t capacity = module_capacity ? module_capacity * 2 : 256;
		void *items = gcdune_os_remap(modules, module_capacity * sizeof *modules, capacity * sizeof *modules);

		if (!items)
			gcdune_panic("no memory to note a library's thread-local storage");
		modules = items;
		module_capacity = capacity;
	}
	modules[module_count++] = (struct module){id, size};
}

static int note_library(struct dl_phdr_info *info, size_t size, void *arg)
{
	uintptr_t relro_begin = 0, relro_end = 0;

	(void)size;
	(void)arg;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];

		if (ph->p_type == PT_GNU_RELRO) {
			/* Only whole pages of it are read-only. */
			relro_begin = info->dlpi_addr + ph->p_vaddr;
			relro_end = (relro_begin + ph->p_memsz) & ~(uintptr_t)4095;
		} else if (ph->p_type == PT_TLS && info->dlpi_tls_modid) {
			add_module(info->dlpi_tls_modid, ph->p_memsz);
		}
	}
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		uintptr_t begin = info->dlpi_addr + ph->p_vaddr, end = begin + ph->p_memsz;

		if (ph->p_type != PT_LOAD || !(ph->p_flags & PF_W))
			continue;
		if (relro_begin <= begin && begin < relro_end)
			begin = relro_end < end ? relro_end : end;
		if (begin < end && gcdune_roots_filter && !gcdune_roots_filter(info->dlpi_name, (void *)begin, end - begin))
			continue;
		if (begin < end && append(&segments, begin, end))
			gcdune_panic("no memory to note a library's data as roots");
	}
	return 0;
}

static int first_library(struct dl_phdr_info *info, size_t size, void *arg)
{
	void (*stop)(void) = *(void (**)(void))arg;

	(void)info;
	(void)size;
	if (!gcdune_cycle_trylock())
		return 2;
	segments.count = 0;
	module_count = 0;
	dl_iterate_phdr(note_library, NULL); /* the lock is recursive */
	stop();
	return 1;
}

void gcdune_roots_prepare(void (*stop)(void))
{
	int result;

	while ((result = dl_iterate_phdr(first_library, &stop)) == 2)
		gcdune_cycle_wait(); /* see lock.c */
	if (!result) { /* no libraries, not even the program */
		gcdune_cycle_lock();
		stop();
	}
}

/* Calls VISIT for [begin, end) without the excluded parts. */
static void each_part(uintptr_t begin, uintptr_t end, void (*visit)(uintptr_t begin, uintptr_t end))
{
	for (size_t i = 0; i < excluded.count && begin < end; i++) {
		const struct range *out = &excluded.items[i];

		if (out->end <= begin || out->begin >= end)
			continue;
		if (out->begin > begin)
			each_part(begin, out->begin, visit);
		begin = out->end;
	}
	if (begin < end)
		visit(begin, end);
}

static void mark_part(uintptr_t begin, uintptr_t end)
{
	bytes += end - begin;
	gcdune_mark_root_range(&gcdune_mark_main, begin, end);
}

/* Marks [begin, end) except for excluded parts. */
static void mark_range(uintptr_t begin, uintptr_t end)
{
	each_part(begin, end, mark_part);
}

/* ---- Threads ---- */

static bool covered(const struct gcdune_thread *thread, uintptr_t begin, uintptr_t end)
{
	return begin >= thread->stack_low && end <= thread->stack_end;
}

__attribute__((no_sanitize("address", "thread"))) static void mark_tls(const struct gcdune_thread *thread)
{
	struct entry {
		uintptr_t value, to_free;
	};
	const struct entry *vector = ((const struct entry *const *)thread->tp)[1];

	if (!covered(thread, thread->tp, thread->tp + GCDUNE_TCB_SIZE))
		mark_range(thread->tp, thread->tp + GCDUNE_TCB_SIZE);
	/* Values of pthread_setspecific beyond the first 32 keys are in blocks from malloc. */
	if (gcdune_thread_specific >= 0) {
		const uintptr_t *blocks = (const uintptr_t *)(thread->tp + (uintptr_t)gcdune_thread_specific);

		for (unsigned i = 1; i < 32; i++)
			if (blocks[i] && gcdune_os_is_mapped((void *)blocks[i], 512))
				mark_range(blocks[i], blocks[i] + 512);
	}
	if (!vector || !gcdune_os_is_mapped(vector - 1, sizeof *vector))
		return;
	uintptr_t length = vector[-1].value;

	if (length > 1 << 20 || !gcdune_os_is_mapped(vector, (length + 1) * sizeof *vector))
		return;
	for (size_t i = 0; i < module_count; i++) {
		if (modules[i].id > length)
			continue;
		uintptr_t block = vector[modules[i].id].value;

		if (block == 0 || block == UINTPTR_MAX || covered(thread, block, block + modules[i].size))
			continue;
		/* Static blocks lie right below the thread pointer; others may be on their way in or out. */
		if ((block < thread->tp && thread->tp - block < 1 << 20) ||
		    gcdune_os_is_mapped((void *)block, modules[i].size))
			mark_range(block, block + modules[i].size);
	}
}

/* What a switch of stacks itself pushes below the frame that announced it. */
enum { SWITCH_SLACK = 1024 };

static void mark_left_stack(uintptr_t sp, uintptr_t low, uintptr_t high)
{
	if (sp >= low && sp < high)
		mark_range(sp - low > SWITCH_SLACK ? sp - SWITCH_SLACK : low, high);
}

static void mark_own_stack_whole(const struct gcdune_thread *thread)
{
	uintptr_t low, high;

	if (gcdune_os_mapping(thread->stack_end - 1, &low, &high) == 0)
		mark_range(low > thread->stack_low ? low : thread->stack_low, thread->stack_end);
}

static uint64_t look; /* at all threads; counts on */

static struct gcdune_stack *find_stack(uintptr_t sp)
{
	for (struct gcdune_stack *stack = gcdune_stacks; stack; stack = stack->next)
		if (sp >= stack->low && sp < stack->high)
			return stack;
	return NULL;
}

/* THREAD's registers are in memory above SP. */
static void mark_stack(struct gcdune_thread *thread, uintptr_t sp)
{
	uintptr_t low, high;

	/* In a fault handler of Dune mode's (dirty/dune-fault.c): what it interrupted counts, from the red zone on. */
	if (gcdune_dune_fault_stack(sp, &high, &low)) {
		mark_range(sp, high);
		sp = (low - 128) & ~(uintptr_t)7;
	}
	if (sp >= thread->stack_low && sp < thread->stack_end) {
		mark_range(sp, thread->stack_end);
		return;
	}
	/* Elsewhere: its own stack was left at own_sp if it told us so. */
	if (thread->own_sp && !thread->on_altstack)
		mark_left_stack(thread->own_sp, thread->stack_low, thread->stack_end);
	else
		mark_own_stack_whole(thread);
	struct gcdune_stack *stack = find_stack(sp);

	if (stack) {
		stack->seen = look;
		mark_range(sp, stack->high);
	} else if (thread->on_altstack && sp < thread->altstack_end) {
		mark_range(sp, thread->altstack_end);
		if (thread->stack) /* the handler interrupted a fiber, we cannot know where */
			mark_range(thread->stack->low, thread->stack->high);
	} else if (gcdune_os_mapping(sp, &low, &high) == 0) {
		/* A stack that no one told us of. */
		mark_range(sp, high);
	}
}

/* Every allocated slot of a pinned kind is a root. */
static void mark_pinned(void)
{
	GCDUNE_EACH_BLOCK(i) {
		struct gcdune_block *block = &heap->blocks[i];

		if ((block->use != GCDUNE_USE_SMALL && block->use != GCDUNE_USE_LARGE) ||
		    !heap->kinds[block->kind].pinned)
			continue;
		const uint8_t *states = gcdune_block_states(block);

		for (unsigned slot = 0; slot < block->nslots; slot++)
			if (gcdune_mark_is_unmarked(__atomic_load_n(&states[slot], __ATOMIC_RELAXED)))
				gcdune_mark_object((char *)gcdune_block_address(i) +
						   (size_t)slot * block->granules * GCDUNE_GRANULE);
	}
}

/* What belongs to threads and is read anew in each pause. */
static void mark_threads(void)
{
	look++;
	for (struct gcdune_thread *thread = gcdune_threads; thread; thread = thread->next) {
		mark_stack(thread, thread->sp);
		mark_tls(thread);
	}
	for (struct gcdune_stack *stack = gcdune_stacks; stack; stack = stack->next)
		if (stack->seen != look)
			mark_left_stack(stack->sp, stack->low, stack->high);
	for (struct gcdune_start *start = gcdune_starts; start; start = start->next)
		gcdune_mark_object(start->arg);
	if (roots_callback) {
		gcdune_mark_main.source = NULL;
		roots_callback(&gcdune_mark_main);
	}
}

/* Calls VISIT for each range of words that are roots wherever threads are. World stopped. */
static void each_range(void (*visit)(uintptr_t begin, uintptr_t end))
{
	if (segments_enabled)
		for (size_t i = 0; i < segments.count; i++)
			if (gcdune_os_is_mapped((void *)segments.items[i].begin,
						segments.items[i].end - segments.items[i].begin))
				each_part(segments.items[i].begin, segments.items[i].end, visit);
	for (size_t i = 0; i < added.count; i++)
		each_part(added.items[i].begin, added.items[i].end, visit);
}

/* ---- The same while the program runs ----
 *
 * In the pause that begins a cycle the ranges are only noted (world stopped: the list is whole). Then the large ones are
 * tracked for writes, and all are read, from a copy that the kernel makes, for a library may be unmapped at any moment.
 * In the final pause the list is made anew; what was tracked, copied whole, and is still the same range, is read where
 * it is dirty; all else is read again.
 *
 * A range to which nothing was written all through the cycle stays tracked. Then the next one need not begin to, and a
 * minor one reads only what was written since: nothing else there can lead to anything new. */

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
	each_range(note);
	mark_threads();
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

void gcdune_roots_threads(void)
{
	mark_threads();
}

static void read_again(uintptr_t begin, uintptr_t end)
{
	struct noted *n = find_noted(&noted, begin, end);

	bytes += end - begin;
	if (!n || !n->tracked) {
		gcdune_mark_root_range(&gcdune_mark_main, begin, end);
		return;
	}
	gcdune_mark_root_range(&gcdune_mark_main, n->begin, page_up(n->begin));
	gcdune_mark_root_range(&gcdune_mark_main, page_down(n->end), n->end);
	each_dirty(n, false, read_page);
}

void gcdune_roots_remark(void)
{
	bytes = 0;
	each_range(read_again);
	mark_threads();
}

void gcdune_roots_mark(bool minor)
{
	bytes = 0;
	each_range(minor ? read_again : mark_part);
	mark_threads();
	gcdune_finalize_mark_roots();
	if (heap->pinned_blocks)
		mark_pinned();
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

void gcdune_roots_pinned(void)
{
	if (heap->pinned_blocks)
		mark_pinned();
}

static const char *place = "a data segment or added range";

const char *gcdune_roots_place(void)
{
	return place;
}

void gcdune_roots_verify(void)
{
	size_t before = bytes;

	gcdune_mark_check_roots = true;
	/* What was not written since may point by chance to where something was made meanwhile. */
	each_range(heap->minor ? read_again : mark_part);
	place = "a thread's stack, registers or thread-local storage";
	mark_threads();
	place = "a data segment or added range";
	gcdune_mark_check_roots = false;
	bytes = before;
	gcdune_mark_run(); /* nothing, but what was pushed must go */
}

size_t gcdune_roots_bytes(void)
{
	return bytes;
}

/* ---- What the program says ---- */

static int add(struct ranges *ranges, void *begin, void *end)
{
	int error = gcdune_init();

	if (error)
		return error;
	if (end < begin)
		return -EINVAL;
	gcdune_cycle_lock();
	error = append(ranges, (uintptr_t)begin, (uintptr_t)end);
	gcdune_cycle_unlock();
	return error;
}

int gcdune_roots_add(void *begin, void *end)
{
	return add(&added, begin, end);
}

int gcdune_roots_exclude(void *begin, void *end)
{
	return add(&excluded, begin, end);
}

void gcdune_roots_own_end(void)
{
	excluded_own = excluded.count;
}

void gcdune_roots_include_all(void)
{
	gcdune_cycle_lock();
	if (excluded.count > excluded_own)
		excluded.count = excluded_own;
	gcdune_cycle_unlock();
}

bool gcdune_roots_in_segment(const void *address)
{
	bool found = false;

	gcdune_cycle_lock();
	for (size_t i = 0; i < segments.count; i++)
		found |= (uintptr_t)address >= segments.items[i].begin && (uintptr_t)address < segments.items[i].end;
	gcdune_cycle_unlock();
	return found;
}

void gcdune_roots_each(void (*fn)(char what, void *begin, void *end))
{
	const struct ranges *all[] = {&segments, &added, &excluded};

	for (size_t list = 0; list < 3; list++)
		for (size_t i = 0; i < all[list]->count; i++)
			fn("sax"[list], (void *)all[list]->items[i].begin, (void *)all[list]->items[i].end);
}

int gcdune_roots_remove(void *begin_, void *end_)
{
	uintptr_t begin = (uintptr_t)begin_, end = (uintptr_t)end_;
	int error = gcdune_init();

	if (error)
		return error;
	if (end < begin)
		return -EINVAL;
	gcdune_cycle_lock();
	for (size_t i = 0; i < added.count && !error; i++) {
		struct range *range = &added.items[i];

		if (range->end <= begin || range->begin >= end)
			continue;
		if (range->begin < begin && range->end > end) {
			uintptr_t rest = range->end;

			error = append(&added, end, rest); /* may move the items */
			if (!error)
				added.items[i].end = begin;
		} else if (range->begin < begin) {
			range->end = begin;
		} else if (range->end > end) {
			range->begin = end;
		} else {
			*range = added.items[--added.count];
			i--;
		}
	}
	gcdune_cycle_unlock();
	return error;
}

gcdune_roots_fn gcdune_roots_callback_set(gcdune_roots_fn callback)
{
	gcdune_cycle_lock();
	gcdune_roots_fn old = roots_callback;

	roots_callback = callback;
	gcdune_cycle_unlock();
	return old;
}

void gcdune_roots_segments_set(bool enabled)
{
	gcdune_cycle_lock();
	segments_enabled = enabled;
	gcdune_cycle_unlock();
}
