/* inspect.c - looking into the heap: objects, mark bits, dumps (gc_mark.h, gc.h, gc_inline.h).
 *
 * Boehm's mark bits stay as the last collection left them. gcdune's objects change colour with each collection, and one
 * that is allocated has it from the start. So between collections an object counts as marked while it lives, unless
 * GC_clear_mark_bit was called for it since: these few are listed. Those that wait to be disclaimed have bits of their own (dead.c). During
 * marking the bits are the slot states. */
#include "libgc.h"

#include <stdio.h>
#include <stdlib.h>

#include "finalize.h"
#include "mark.h"
#include "os.h"
#include "roots.h"
#include "thread.h"
#include "walk.h"
#include "gc/javaxfc.h"

/* ---- Objects ---- */

struct enumeration {
	GC_reachable_object_proc proc;
	void *data;
};

static void enumerate_one(void *object, size_t size, unsigned kind, void *arg)
{
	const struct enumeration *enumeration = arg;

	(void)kind;
	enumeration->proc(object, size, enumeration->data);
}

void GC_enumerate_reachable_objects_inner(GC_reachable_object_proc proc, void *data)
{
	struct enumeration enumeration = { proc, data };

	gcdune_cycle_lock();
	gcdune_walk(enumerate_one, &enumeration);
	gcdune_cycle_unlock();
}

/* ---- Mark bits ---- */

static const void **cleared;
static size_t cleared_used, cleared_room;

void libgc_inspect_begin(void)
{
	cleared_used = 0;
}

/* A mark procedure asks. They run with the world stopped only. */
static bool in_marking(void)
{
	return gcdune_heap.marking && gcdune_mark_is_stopped();
}

static size_t find_cleared(const void *object)
{
	size_t i = 0;

	while (i < cleared_used && cleared[i] != object)
		i++;
	return i;
}

static bool find(const void *object, struct gcdune_ref *ref)
{
	return gcdune_resolve((uintptr_t)object, ref) && ref->object == object;
}

int GC_is_marked(const void *object)
{
	struct gcdune_ref ref;
	bool marked;

	if (!find(object, &ref))
		return 0;
	if (in_marking())
		return *ref.state == gcdune_heap.black;
	gcdune_cycle_lock();
	if (!libgc_dead_mark(object, -1, &marked))
		marked = gcdune_ref_live(&ref) && find_cleared(object) == cleared_used;
	gcdune_cycle_unlock();
	return marked;
}

void GC_set_mark_bit(const void *object)
{
	struct gcdune_ref ref;

	if (!find(object, &ref))
		return;
	if (in_marking()) {
		if (gcdune_mark_is_unmarked(*ref.state)) {
			*ref.state = gcdune_heap.black;
			ref.block->color = gcdune_heap.black;
		}
		return;
	}
	gcdune_cycle_lock();
	bool marked;

	if (!libgc_dead_mark(object, 1, &marked)) {
		size_t i = find_cleared(object);

		if (i < cleared_used)
			cleared[i] = cleared[--cleared_used];
	}
	gcdune_cycle_unlock();
}

void GC_clear_mark_bit(const void *object)
{
	struct gcdune_ref ref;

	if (!find(object, &ref))
		return;
	if (in_marking()) {
		if (*ref.state == gcdune_heap.black)
			*ref.state = gcdune_heap.white;
		return;
	}
	gcdune_cycle_lock();
	bool marked;

	if (!libgc_dead_mark(object, 0, &marked) && find_cleared(object) == cleared_used) {
		if (cleared_used == cleared_room) {
			size_t room = cleared_room ? 2 * cleared_room : 512;
			const void **grown =
				cleared ? gcdune_os_remap(cleared, cleared_room * sizeof(*cleared), room * sizeof(*cleared))
					: gcdune_os_map(room * sizeof(*cleared));

			if (!grown)
				libgc_fatal("out of memory for mark bits");
			cleared = grown;
			cleared_room = room;
		}
		cleared[cleared_used++] = object;
	}
	gcdune_cycle_unlock();
}

/* ---- Sizes ---- */

/* As many as the table in Boehm's library has entries; beyond it that says "no size". */
#define SIZE_MAP_ENTRIES 2049

size_t GC_get_size_map_at(int size)
{
	libgc_init();
	if (size < 0 || size >= SIZE_MAP_ENTRIES)
		return SIZE_MAX;
	size += gcdune_heap.extra_byte;
	return gcdune_classes[gcdune_class_of(size ? (size_t)size : 1)].size;
}

/* ---- Roots ---- */

static GC_has_static_roots_func has_static_roots;

static bool filter(const char *name, void *begin, size_t size)
{
	GC_has_static_roots_func ask = has_static_roots;

	return !ask || ask(name, begin, size);
}

void GC_register_has_static_roots_callback(GC_has_static_roots_func ask)
{
	libgc_init();
	gcdune_cycle_lock();
	has_static_roots = ask;
	gcdune_roots_filter = ask ? filter : NULL;
	gcdune_cycle_unlock();
}

/* Segments are found anew by each collection. */
int GC_is_tmp_root(void *address)
{
	return gcdune_roots_in_segment(address);
}

void GC_clear_exclusion_table(void)
{
	gcdune_roots_include_all();
}

/* They always are, whatever the program's push-other-roots procedure does. */
void GC_push_finalizer_structures(void)
{
	gcdune_finalize_mark_roots();
}

/* ---- Finalizers ---- */

void GC_set_await_finalize_proc(GC_await_finalize_proc proc)
{
	gcdune_cycle_lock();
	gcdune_finalize_await = proc;
	gcdune_cycle_unlock();
}

GC_await_finalize_proc GC_get_await_finalize_proc(void)
{
	return gcdune_finalize_await;
}

/* Finalizers may set others: until there are none. */
void GC_finalize_all(void)
{
	libgc_init();
	do {
		if (gcdune_finalize_queue_all())
			libgc_fatal("GC_finalize_all: out of memory");
	} while (GC_invoke_finalizers());
}

/* ---- Dumps ---- */

static void print_root(char what, void *begin, void *end)
{
	printf("  %p-%p %s\n", begin, end, what == 's' ? "data segment" : what == 'a' ? "added" : "excluded");
}

void GC_dump_regions(void)
{
	static const char *const uses[] = { "not committed", "free", "small objects", "large object", "large object" };
	unsigned long count[5] = { 0 };

	libgc_init();
	gcdune_cycle_lock();
	printf("roots:\n");
	gcdune_roots_each(print_root);
	printf("heap %p-%p, blocks of %zu bytes:\n", (void *)gcdune_heap.base, (void *)(gcdune_heap.base + gcdune_heap.size),
	       GCDUNE_BLOCK);
	for (uint32_t i = gcdune_block_skip(0), from = i; i < gcdune_heap.nblocks; from = i) {
		uint8_t use = gcdune_heap.blocks[i].use, kind = gcdune_heap.blocks[i].kind;

		do {
			count[use]++;
			i++;
		} while (i < gcdune_heap.nblocks && gcdune_block_skip(i) == i && gcdune_heap.blocks[i].use == use &&
			 (use < GCDUNE_USE_SMALL || gcdune_heap.blocks[i].kind == kind));
		printf("  %p-%p %s", (void *)gcdune_block_address(from), (void *)gcdune_block_address(i), uses[use]);
		if (use >= GCDUNE_USE_SMALL)
			printf(", kind %d", libgc_kind_swap(kind));
		printf("\n");
		i = gcdune_block_skip(i);
	}
	printf("%lu blocks free, %lu of small objects, %lu of large ones\n", count[GCDUNE_USE_FREE], count[GCDUNE_USE_SMALL],
	       count[GCDUNE_USE_LARGE] + count[GCDUNE_USE_TAIL]);
	gcdune_cycle_unlock();
	fflush(stdout);
}

static unsigned long finalizers, links[2];

static void print_entry(char what, void *object, void *target)
{
	if (what == 'f') {
		finalizers++;
		dprintf(1, "  finalizer of %p\n", object);
	} else {
		links[what == 'l']++;
		dprintf(1, "  %s link at %p to %p\n", what == 'l' ? "long" : "disappearing", object, target);
	}
}

void GC_dump_finalization(void)
{
	libgc_init();
	fflush(stdout);
	gcdune_cycle_lock();
	finalizers = links[0] = links[1] = 0;
	dprintf(1, "finalization:\n");
	gcdune_finalize_each(print_entry);
	dprintf(1, "%lu finalizers, %lu disappearing links, %lu long ones\n", finalizers, links[0], links[1]);
	gcdune_cycle_unlock();
}

/* There are no lists: free slots are those without the colour of live objects. */
void GC_print_free_list(int kind, size_t granules)
{
	unsigned long n = 0;

	libgc_init();
	gcdune_cycle_lock();
	GCDUNE_EACH_BLOCK(i) {
		const struct gcdune_block *block = &gcdune_heap.blocks[i];

		if (block->use != GCDUNE_USE_SMALL || libgc_kind_swap(block->kind) != kind || block->granules != granules)
			continue;
		for (unsigned slot = 0; slot < block->nslots; slot++)
			if (!gcdune_color_lives(gcdune_block_states(block)[slot])) {
				printf("Free object in heap block %p [%lu]: %p\n", (void *)gcdune_block_address(i), n++,
				       (void *)(gcdune_block_address(i) + slot * granules * GCDUNE_GRANULE));
			}
	}
	gcdune_cycle_unlock();
	fflush(stdout);
}
