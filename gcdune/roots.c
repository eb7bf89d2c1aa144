/* roots.c - owns what the program said about roots, and finds data segments; in roots-thread.c is what belongs to threads, in
 * roots-track.c the reading of ranges while the program runs. Called by cycle.c.
 *
 * Data segments come from dl_iterate_phdr, which holds the dynamic linker's lock while it calls back: the world is
 * stopped inside the callback, so that the list of libraries cannot change between being read and the stop, and no
 * stopped thread holds that lock. A library may still be half gone (dlclose unmaps before it unlists): each range is
 * checked to be mapped. */
#define _GNU_SOURCE
#include "roots-parts.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <string.h>

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
struct gcdune_roots_modules gcdune_roots_modules;
static bool segments_enabled = true;
gcdune_roots_fn gcdune_roots_callback;
size_t gcdune_roots_count;
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
	struct gcdune_roots_modules *m = &gcdune_roots_modules;

	if (m->count == m->capacity) {
		size_t capacity = m->capacity ? m->capacity * 2 : 256;
		void *items = gcdune_os_remap(m->items, m->capacity * sizeof *m->items, capacity * sizeof *m->items);

		if (!items)
			gcdune_panic("no memory to note a library's thread-local storage");
		m->items = items;
		m->capacity = capacity;
	}
	m->items[m->count++] = (struct gcdune_roots_module){id, size};
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
	gcdune_roots_modules.count = 0;
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
	gcdune_roots_count += end - begin;
	gcdune_mark_root_range(&gcdune_mark_main, begin, end);
}

void gcdune_roots_mark_range(uintptr_t begin, uintptr_t end)
{
	each_part(begin, end, mark_part);
}

void gcdune_roots_each_range(void (*visit)(uintptr_t begin, uintptr_t end))
{
	if (segments_enabled)
		for (size_t i = 0; i < segments.count; i++)
			if (gcdune_os_is_mapped((void *)segments.items[i].begin,
						segments.items[i].end - segments.items[i].begin))
				each_part(segments.items[i].begin, segments.items[i].end, visit);
	for (size_t i = 0; i < added.count; i++)
		each_part(added.items[i].begin, added.items[i].end, visit);
}

/* ---- Marking from them ---- */

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

void gcdune_roots_remark(void)
{
	gcdune_roots_count = 0;
	gcdune_roots_each_range(gcdune_roots_read_again);
	gcdune_roots_threads();
}

void gcdune_roots_mark(bool minor)
{
	gcdune_roots_count = 0;
	gcdune_roots_each_range(minor ? gcdune_roots_read_again : mark_part);
	gcdune_roots_threads();
	gcdune_finalize_mark_roots();
	if (heap->pinned_blocks)
		mark_pinned();
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
	size_t before = gcdune_roots_count;

	gcdune_mark_check_roots = true;
	/* What was not written since may point by chance to where something was made meanwhile. */
	gcdune_roots_each_range(heap->minor ? gcdune_roots_read_again : mark_part);
	place = "a thread's stack, registers or thread-local storage";
	gcdune_roots_threads();
	place = "a data segment or added range";
	gcdune_mark_check_roots = false;
	gcdune_roots_count = before;
	gcdune_mark_run(); /* nothing, but what was pushed must go */
}

size_t gcdune_roots_bytes(void)
{
	return gcdune_roots_count;
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
	gcdune_roots_fn old = gcdune_roots_callback;

	gcdune_roots_callback = callback;
	gcdune_cycle_unlock();
	return old;
}

void gcdune_roots_segments_set(bool enabled)
{
	gcdune_cycle_lock();
	segments_enabled = enabled;
	gcdune_cycle_unlock();
}
