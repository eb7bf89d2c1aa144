/* mark-burst.h - the inner loop of all markers, as text: mark-loop.c includes it for any processor, mark-wide.c for those
 * with wide vectors. Who includes it says what to put before each function (BURST_TARGET) and defines burst_scan.
 *
 * A burst of entries is taken from the stack (fetch): the slot that each means is found, the memory is asked for the
 * slot's state and contents, and it is put into a queue. What has been there for a burst is tested, marked and scanned
 * (visit), by when its cache lines have arrived (Cher, Hosking and Vitek, "Software prefetching for mark-sweep garbage
 * collection", ASPLOS 2004; entries are tested after the queue, not before, as in Garner, Blackburn and Frampton,
 * "Effective prefetch for mark-sweep garbage collection", ISMM 2007).
 *
 * Where all is in the cache, time goes into branches that no one can foretell: whether a slot is marked already, how long
 * an object is, whether a word is an address, whether an object has any. None of these is a branch here: a burst is
 * first tested as a whole, and those that were white are counted up and marked by moves that depend on a comparison;
 * then these are scanned. Where there is one only, as in a list, all that counts is how soon the next is known.
 *
 * Several markers may meet at an object: each may find it white, each stores the same black, and it is scanned twice.
 * That costs time, never an object. All other writes while marking are by one thread or idempotent (block colour,
 * OVERFLOW). A store of black may also follow a gcdune_free of the object, which then stays taken for a cycle; nothing
 * is stored over a state that was not white or young. What is black here and not scanned yet is in the half of the queue
 * that is being visited, and no marker lets go of that: it is scanned before the marker looks at anything else. */

enum { SHARE_EVERY = 64, SMALL_GRANULES = 32 };

/* Takes up to a burst of addresses off the stack, in a loop as short as can be: the processor has only so many instructions
 * in flight, and so only that many misses at a time. False: the stack is empty. */
static BURST_TARGET bool fetch(struct gcdune_marker *m)
{
	struct gcdune_ref *ref = m->queue[m->half], *end = ref + GCDUNE_BURST;
	uint64_t *top = m->top;
	bool more = true;

	while (ref < end) {
		if (top == m->segment->entries) {
			m->top = top;
			more = m->below && gcdune_marker_below(m);
			if (!more)
				break;
			top = m->top;
		}
		uint64_t entry = *--top;

		if (__builtin_expect(entry >> 63, 0)) {
			m->top = top;
			if (m->assist && entry & GCDUNE_ENTRY_DIRTY) {
				m->top++; /* takes too long */
				more = false;
				break;
			}
			gcdune_mark_slice(m, entry);
			top = m->top;
			end -= m->assist; /* who assists looks at the clock: all the slices may hold nothing */
			continue;
		}
		uintptr_t address = entry & ~GCDUNE_ENTRY_ROOT;

		if (!gcdune_resolve(address, ref))
			continue;
		if (__builtin_expect(gcdune_heap.strict_interior, 0) && !(entry & GCDUNE_ENTRY_ROOT) &&
		    !gcdune_displacement_valid(address - (uintptr_t)ref->object))
			continue;
		__builtin_prefetch(ref->state, 1);
		__builtin_prefetch(ref->object, 0);
		ref++;
	}
	if (more)
		m->top = top;
	m->count[m->half] = (unsigned)(ref - m->queue[m->half]);
	m->half ^= 1;
	return more;
}

/* Marks what is in a half of the queue. How many were not marked before, and which: WHITES, in the order of the queue. */
static inline BURST_TARGET unsigned blacken(struct gcdune_marker *m, const struct gcdune_ref *queue, unsigned count,
					    const struct gcdune_ref **whites)
{
	uint8_t white = m->white, black = m->black, young = m->young, nowhere;
	unsigned n = 0;

	for (const struct gcdune_ref *ref = queue; ref < queue + count; ref++) {
		uint8_t state = __atomic_load_n(ref->state, __ATOMIC_RELAXED), *where = &nowhere;

		whites[n] = ref;
		if (__builtin_expect((state == young) | (state == GCDUNE_COLOR_KEY), 0)) {
			if (gcdune_mark_odd(m, ref, state)) {
				__atomic_store_n(ref->state, black, __ATOMIC_RELAXED);
				n++;
			}
			continue;
		}
		where = state == white ? ref->state : where;
		__atomic_store_n(where, black, __ATOMIC_RELAXED);
		n += state == white;
	}
	return n;
}

static BURST_TARGET void visit(struct gcdune_marker *m)
{
	const struct gcdune_ref *whites[GCDUNE_BURST];
	unsigned n = blacken(m, m->queue[m->half], m->count[m->half], whites);
	uint64_t objects = m->objects, bytes = 0, leaf_bytes = 0;

	m->count[m->half] = 0;
	m->objects += n;
	for (unsigned i = 0; i < n; i++) {
		const struct gcdune_ref *ref = whites[i];
		struct gcdune_block *block = ref->block;

		if (__builtin_expect(__atomic_load_n(&block->color, __ATOMIC_RELAXED) != m->black, 0)) {
			if (!gcdune_mark_state.stopped)
				gcdune_remark_first((uint32_t)(block - gcdune_heap.blocks), !m->assist);
			__atomic_store_n(&block->color, m->black, __ATOMIC_RELAXED);
		}
		unsigned flags = block->flags;
		size_t granules = block->granules;

		m->source = block;
		if (__builtin_expect(flags & (GCDUNE_BLOCK_WORDS | GCDUNE_BLOCK_LEAF), 1)) {
			size_t scanned = granules & -gcdune_opaque(flags / GCDUNE_BLOCK_WORDS & 1);

			bytes += granules * GCDUNE_GRANULE;
			leaf_bytes += (granules - scanned) * GCDUNE_GRANULE;
			if (__builtin_expect(scanned <= SMALL_GRANULES, 1) && gcdune_marker_has_room(m, 2 * SMALL_GRANULES))
				m->top = n == 1 ? gcdune_marker_granules(m->top, (const uintptr_t *)ref->object, scanned)
						: burst_scan(m->top, (const uintptr_t *)ref->object, scanned);
			else
				gcdune_marker_words(m, (uintptr_t *)ref->object, (uintptr_t *)ref->object + scanned * 2, 0);
			continue;
		}
		size_t size = gcdune_ref_size(ref);

		bytes += size;
		if (gcdune_kind_is_leaf(block->kind))
			leaf_bytes += size;
		else
			gcdune_scan_object(m, ref);
	}
	m->bytes += bytes;
	m->leaf_bytes += leaf_bytes;
	if (!((objects ^ m->objects) & ~(uint64_t)(SHARE_EVERY - 1)))
		return;
	if (gcdune_worklist_wanted())
		gcdune_marker_share(m);
	if (!gcdune_mark_state.stopped)
		gcdune_place_look();
	gcdune_mark_look_at_clock();
	if (__builtin_expect(m->young_bytes != m->young_seen || m->serial, 0))
		gcdune_mark_look_for_chase(m);
}

/* Until stack and queue are empty, or enough has been done in this stop. */
static inline BURST_TARGET void loop(struct gcdune_marker *m)
{
	while (!atomic_load_explicit(&gcdune_mark_state.enough, memory_order_relaxed)) {
		bool more = fetch(m);

		if (m->count[m->half])
			visit(m);
		else if (!more && !m->count[m->half ^ 1])
			return;
	}
}
