/* verify.c - checks of what the rest of the collector relies on, each with the message that names it. Called by cycle.c
 * with the world stopped when GCDUNE_VERIFY is set. It owns nothing. */
#include "verify.h"

#include <string.h>

#include "block.h"
#include "dirty/dirty.h"
#include "finalize.h"
#include "mark.h"
#include "options.h"
#include "os.h"
#include "roots.h"
#include "sweep.h"
#include "thread.h"

static struct gcdune_heap *const heap = &gcdune_heap;

static void each_block(void (*visit)(uint32_t index, struct gcdune_block *block, void *arg), void *arg)
{
	GCDUNE_EACH_BLOCK(i) {
		if (heap->blocks[i].use == GCDUNE_USE_SMALL || heap->blocks[i].use == GCDUNE_USE_LARGE)
			visit(i, &heap->blocks[i], arg);
	}
}

static struct gcdune_ref slot_ref(uint32_t index, struct gcdune_block *block, unsigned slot)
{
	return (struct gcdune_ref){(char *)gcdune_block_address(index) +
					   (size_t)slot * block->granules * GCDUNE_GRANULE,
				   gcdune_block_states(block) + slot, block};
}

/* Pages that a minor cycle has looked through: written since the last one, or counted so. */
static uint64_t *looked_at;
static size_t looked_at_size; /* bytes */

void gcdune_verify_minor_begin(uint32_t blocks)
{
	size_t want = ((size_t)blocks * (GCDUNE_BLOCK / GCDUNE_PAGE) / 64 + 1) * 2 * sizeof *looked_at;

	if (want > looked_at_size) {
		uint64_t *more = gcdune_os_remap(looked_at, looked_at_size, want);

		if (!more)
			return;
		looked_at = more;
		looked_at_size = want;
	}
	memset(looked_at, 0, looked_at_size);
}

void gcdune_verify_looked_at(uintptr_t begin, size_t pages)
{
	for (size_t page = (begin - heap->base) / GCDUNE_PAGE, end = page + pages; page < end; page++)
		if (page / 8 < looked_at_size)
			__atomic_fetch_or(&looked_at[page / 64], (uint64_t)1 << (page % 64), __ATOMIC_RELAXED);
}

static bool was_looked_at(uintptr_t address)
{
	size_t page = (address - heap->base) / GCDUNE_PAGE;

	return page / 8 < looked_at_size && looked_at[page / 64] >> (page % 64) & 1;
}

/* Whether the object was scanned in this pause. A word in it that was scanned before, and not written since, may point by
 * chance to where something was made meanwhile. Level 3 is for programs whose objects hold no such words: for them the source
 * is not asked, so that what it, or remark.c, has lost is found. */
static bool was_written(const struct gcdune_ref *from)
{
	if (gcdune_options.verify > 2)
		return true;
	uintptr_t begin = (uintptr_t)from->object & ~(GCDUNE_PAGE - 1), end = (uintptr_t)from->object + gcdune_ref_size(from);

	for (; begin < end; begin += GCDUNE_PAGE) {
		uint64_t bits = 0;

		if (heap->minor && was_looked_at(begin))
			return true;
		if (!gcdune_dirty_take_root(begin, 1, &bits, false) || bits)
			return true;
	}
	return false;
}

/* What the marker pushed for one object: none of it may be white. */
static void check_pushed(struct gcdune_marker *m, const struct gcdune_ref *from)
{
	while (m->top > m->segment->entries) {
		uint64_t entry = *--m->top;
		struct gcdune_ref to;

		if (!gcdune_resolve(entry & ~GCDUNE_ENTRY_ROOT, &to))
			continue;
		if (gcdune_options.verify_plant && to.object != from->object) {
			*to.state = gcdune_options.verify > 2 ? m->young : m->white;
			gcdune_options.verify_plant = 0;
		}
		if (*to.state != m->white && *to.state != m->young)
			continue;
		/* In a minor cycle that goes for all that is new. */
		if ((*to.state == m->young || heap->minor) && !was_written(from))
			continue;
		if (heap->strict_interior && !(entry & GCDUNE_ENTRY_ROOT) &&
		    !gcdune_displacement_valid((entry & ~GCDUNE_ENTRY_ROOT) - (uintptr_t)to.object))
			continue;
		gcdune_panic("verify: marked object %p (kind %u, %zu bytes) points to %s object %p (kind %u, %zu bytes)",
			     (void *)from->object, from->block->kind, gcdune_ref_size(from),
			     *to.state == m->young && m->young != m->white ? "unmarked new" : "unmarked",
			     (void *)to.object, to.block->kind, gcdune_ref_size(&to));
	}
}

static void check_block(uint32_t index, struct gcdune_block *block, void *arg)
{
	struct gcdune_marker *m = arg;
	const uint8_t *states = gcdune_block_states(block);
	bool any = false;

	if (block->use == GCDUNE_USE_SMALL &&
	    (block->granules == 0 || block->nslots != gcdune_classes[heap->spans[index].cls].nslots))
		gcdune_panic("verify: block %u does not fit its size class %u", index, heap->spans[index].cls);
	if (block->use == GCDUNE_USE_LARGE)
		for (uint32_t i = 1; i < heap->spans[index].length; i++)
			if (heap->blocks[index + i].use != GCDUNE_USE_TAIL || heap->spans[index + i].head != index)
				gcdune_panic("verify: block %u is not marked as part of the large object at block %u",
					     index + i, index);
	for (unsigned slot = 0; slot < block->nslots; slot++) {
		if (states[slot] == GCDUNE_COLOR_FREED)
			gcdune_panic("verify: slot %u of block %u is on a list of freed slots", slot, index);
		if (states[slot] != m->black)
			continue;
		any = true;
		struct gcdune_ref ref = slot_ref(index, block, slot);
		enum gcdune_scan scan = heap->kinds[block->kind].scan;

		if (block->use == GCDUNE_USE_LARGE && (scan == GCDUNE_SCAN_WORDS || scan == GCDUNE_SCAN_TYPED)) {
			/* In pieces that fit a segment; the marker would make slices of it. */
			size_t words = gcdune_ref_size(&ref) / sizeof(uintptr_t);
			gcdune_layout layout =
				scan == GCDUNE_SCAN_TYPED ? ((uintptr_t *)(void *)ref.object)[words - 1] : 0;

			for (size_t from = 0; from < words; from += 512) {
				gcdune_scan_typed(m, ref.object, layout, from,
						  words - from > 512 ? from + 512 : words - (layout != 0));
				check_pushed(m, &ref);
			}
		} else {
			gcdune_scan_object(m, &ref);
			while (m->below) {
				struct gcdune_segment *current = m->segment;

				check_pushed(m, &ref);
				m->segment = m->below;
				m->below = m->segment->next;
				m->top = m->segment->entries + m->segment->count;
				gcdune_segment_give(current);
			}
			check_pushed(m, &ref);
			/* Ephemerons that wait for their keys were settled before. */
			m->ephemerons = NULL;
		}
	}
	if (any && block->color != m->black && !(block->flags & GCDUNE_BLOCK_OPEN))
		gcdune_panic("verify: block %u holds marked objects but would be freed", index);
}

/* The part of a run that is cleared already must be zero: an object is about to be made of it. */
static void check_threads(void)
{
	for (struct gcdune_thread *thread = gcdune_threads; thread; thread = thread->next)
		for (unsigned kind = 0; kind < GCDUNE_KIND_MAX; kind++) {
			const struct gcdune_cache *cache = thread->caches[kind];

			if (!cache)
				continue;
			for (unsigned cls = 1; cls < GCDUNE_CLASSES; cls++) {
				const struct gcdune_cursor *c = &cache->cursors[cls];
				uint32_t index = cache->runs[cls].block;

				if (index == GCDUNE_NO_BLOCK) {
					if (c->next != c->limit)
						gcdune_panic("verify: thread %d has a cursor without a block",
							     thread->tid);
					continue;
				}
				if (!(heap->blocks[index].flags & GCDUNE_BLOCK_OPEN) ||
				    heap->blocks[index].kind != kind || heap->spans[index].cls != cls)
					gcdune_panic(
						"verify: thread %d allocates from block %u, which is not open for it",
						thread->tid, index);
				if (gcdune_kind_is_leaf(kind))
					continue;
				for (const char *p = c->next; p < c->limit; p++)
					if (*p)
						gcdune_panic(
							"verify: %p, about to be allocated by thread %d, is not zero",
							(const void *)p, thread->tid);
			}
		}
}

void gcdune_verify_marked(void)
{
	struct gcdune_marker m = {
		.white = heap->white, .young = heap->color, .black = heap->black, .segment = gcdune_segment_take()};

	if (!m.segment)
		return; /* no memory to check with */
	m.top = m.segment->entries;
	gcdune_worklist_helpers(0); /* nothing here is to be shared */
	/* What threads hold in reserve looks like objects: out of the way for the walk. */
	for (struct gcdune_thread *thread = gcdune_threads; thread; thread = thread->next)
		gcdune_thread_color(thread, GCDUNE_COLOR_FREE);
	each_block(check_block, &m);
	for (struct gcdune_thread *thread = gcdune_threads; thread; thread = thread->next)
		gcdune_thread_color(thread, heap->color);
	gcdune_segment_give(m.segment);
	if (m.spare)
		gcdune_segment_give(m.spare);
	check_threads();
	gcdune_roots_verify();
	gcdune_finalize_verify();
}

void gcdune_verify_swept(void)
{
	gcdune_block_verify();
	for (unsigned list = 0; list < GCDUNE_ROOMS * GCDUNE_KIND_MAX * GCDUNE_CLASSES; list++) {
		unsigned cls = list % GCDUNE_CLASSES, kind = list / GCDUNE_CLASSES % GCDUNE_KIND_MAX;
		unsigned room = list / GCDUNE_CLASSES / GCDUNE_KIND_MAX;

		if (kind >= heap->nkinds)
			continue;
		for (uint32_t i = heap->sweep[room][kind][cls]; i != GCDUNE_NO_BLOCK; i = heap->spans[i].next)
			if (heap->blocks[i].use != GCDUNE_USE_SMALL || heap->blocks[i].kind != kind ||
			    heap->spans[i].cls != cls || !(heap->blocks[i].flags & GCDUNE_BLOCK_LISTED) ||
			    heap->blocks[i].flags & GCDUNE_BLOCK_OPEN)
				gcdune_panic("verify: block %u is on the wrong sweep list", i);
	}
}
