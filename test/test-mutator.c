/* A random mutator against a shadow model: several threads change a graph of objects of many kinds and sizes that
 * hangs on globals, stacks, thread-local storage, large arrays, typed and callback-marked objects; what the model
 * says must be reachable is checked edge by edge and byte by byte. The largest single test of "nothing is lost".
 *
 * TEST-FLAGS: timeout=240 torture=yes static=yes short=yes tsan=no
 */
#include "check.h"
#include "gcdune-inline.h"

#define THREADS 3
#define SLOTS 96	/* a thread's own roots, in four places */
#define SHARED 64
#define EDGES 6

/* Every object begins with this. Its edges are words; which of them the collector sees is its kind's matter, but the
 * mutator uses only those. */
struct object {
	uint64_t id;
	uint64_t check;		/* of id, size, kind */
	uint32_t size, kind;
	struct object *edges[EDGES];	/* for the callback kind: complemented */
	uint64_t edge_ids[EDGES];	/* the model: what each edge must lead to; 0: nothing */
	unsigned char filler[];
};

enum { PLAIN, INLINED, TYPED, CALLBACK, LARGE, LEAF, KINDS };

static gcdune_layout layout;
static gcdune_kind callback_kind;
static uint64_t next_id = 1;

static void mark_object(void *p, size_t size, void *arg, struct gcdune_marker *marker)
{
	struct object *o = p;

	for (int i = 0; i < EDGES; i++)
		if (o->edges[i])
			gcdune_mark(marker, GCDUNE_REVEAL(o->edges[i]));
}

static uint64_t check_of(const struct object *o)
{
	return mix(o->id ^ ((uint64_t)o->size << 32) ^ o->kind);
}

static void NOINLINE object_check(const struct object *o, uint64_t id)
{
	CHECKF(gcdune_base(o) == o, "object %llu at %p was lost", (unsigned long long)id, (const void *)o);
	CHECKF(o->id == id, "an edge to object %llu leads to %llu", (unsigned long long)id, (unsigned long long)o->id);
	CHECK(o->check == check_of(o));
	for (size_t i = 0; i < o->size - sizeof(*o); i += i < 64 ? 1 : 509)
		CHECKF(o->filler[i] == (unsigned char)((id + i) | 1), "byte %zu of object %llu changed", i,
		       (unsigned long long)id);
}

static struct object *edge(const struct object *o, size_t i)
{
	if (!o->edges[i])
		return NULL;
	return o->kind == CALLBACK ? GCDUNE_REVEAL(o->edges[i]) : o->edges[i];
}

static void edge_set(struct object *o, size_t i, struct object *to)
{
	if (o->kind == LEAF)
		return;
	o->edge_ids[i] = to ? to->id : 0;
	o->edges[i] = to && o->kind == CALLBACK ? GCDUNE_HIDE(to) : to;
}

static struct object *object_new(uint64_t *random)
{
	uint64_t r = random_next(random);
	unsigned kind = r % 64 < 60 ? r % 4 : r % 64 < 61 ? LARGE : LEAF;
	size_t size = sizeof(struct object) + (r >> 8) % 300;
	struct object *o = NULL;

	switch (kind) {
	case PLAIN:
		o = gcdune_alloc(size);
		break;
	case INLINED:
		o = gcdune_alloc_inline(size);
		break;
	case TYPED:
		o = gcdune_alloc_typed(size, layout);
		break;
	case CALLBACK:
		o = gcdune_alloc_kind(size, callback_kind);
		break;
	case LARGE:
		size += 20000 + (r >> 20) % 200000;
		o = gcdune_alloc(size);
		break;
	case LEAF:
		o = gcdune_alloc_leaf(size);
		memset(o, 0, sizeof(*o));
		break;
	}
	CHECKF(o != NULL, "no memory for %zu bytes", size);
	CHECK(o->id == 0 && o->check == 0 && o->edges[EDGES - 1] == NULL && o->edge_ids[0] == 0);
	o->id = __atomic_fetch_add(&next_id, 1, __ATOMIC_RELAXED);
	o->size = (uint32_t)size;
	o->kind = kind;
	o->check = check_of(o);
	for (size_t i = 0; i < size - sizeof(*o); i++)
		o->filler[i] = (unsigned char)((o->id + i) | 1);
	return o;
}

/* ---- Places that hold objects: words, and beside them the model in malloc's memory ---- */

struct places {
	struct object *volatile *words;
	uint64_t *ids;
	size_t n;
};

ROOT struct object *shared[SHARED];
static uint64_t shared_ids[SHARED];
static pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER;
ROOT struct object *globals[THREADS][SLOTS / 4];
static __thread struct object *volatile in_tls[SLOTS / 4];

static struct object *take(struct places *places, uint64_t *random)
{
	struct places *p = &places[random_next(random) % 4];
	size_t i = random_next(random) % p->n;

	if (p->words[i])
		object_check(p->words[i], p->ids[i]);
	return p->words[i];
}

static void put(struct places *places, uint64_t *random, struct object *o)
{
	struct places *p = &places[random_next(random) % 4];
	size_t i = random_next(random) % p->n;

	p->words[i] = o;
	p->ids[i] = o ? o->id : 0;
}

/* Walks from O along random edges, checking each object. Only the thread that owns O's graph comes here. */
static struct object *walk(struct object *o, uint64_t *random)
{
	for (int steps = (int)(random_next(random) % 20); o && steps > 0; steps--) {
		size_t i = random_next(random) % EDGES;
		struct object *next = edge(o, i);

		CHECK(!next == !o->edge_ids[i]);
		if (!next)
			break;
		object_check(next, o->edge_ids[i]);
		o = next;
	}
	return o;
}

static void step(struct places *places, uint64_t *random)
{
	struct object *a, *b;

	switch (random_next(random) % 16) {
	case 0: case 1: case 2: case 3: case 4:
		a = object_new(random);
		for (int i = 0; i < 2; i++)
			edge_set(a, random_next(random) % EDGES, take(places, random));
		put(places, random, a);
		break;
	case 5: case 6: case 7: case 8:
		a = walk(take(places, random), random);
		b = walk(take(places, random), random);
		if (a)
			edge_set(a, random_next(random) % EDGES, b);
		break;
	case 9: case 10:	/* two edges are swapped: for a moment, only a register holds one */
		a = take(places, random);
		b = take(places, random);
		if (a && b && a->kind != LEAF && b->kind != LEAF) {
			size_t i = random_next(random) % EDGES, k = random_next(random) % EDGES;
			struct object *x = edge(a, i), *y = edge(b, k);

			edge_set(a, i, NULL);
			edge_set(b, k, x);
			edge_set(a, i, y);
		}
		break;
	case 11: case 12:
		put(places, random, walk(take(places, random), random));
		break;
	case 13: case 14:
		put(places, random, NULL);
		break;
	default:		/* a leaf or a fresh graph goes to another thread by way of the shared table */
		a = object_new(random);
		b = object_new(random);
		edge_set(a, 0, b);
		pthread_mutex_lock(&shared_lock);
		size_t i = random_next(random) % SHARED;
		struct object *other = shared[i];
		uint64_t other_id = shared_ids[i];

		shared[i] = a;
		shared_ids[i] = a->id;
		a = b = NULL;
		pthread_mutex_unlock(&shared_lock);
		if (other) {
			object_check(other, other_id);
			walk(other, random);
			put(places, random, other);
		}
	}
}

/* All that one thread's roots lead to. Depth first, a mark being the id in a set of malloc's. */
static void check_reachable(struct places *places)
{
	size_t room = 1 << 16, n = 0, seen_room = 1 << 18;
	struct object **stack = malloc(room * sizeof(*stack));
	uint64_t *seen = calloc(seen_room, sizeof(*seen));
	size_t checked = 0;

	for (size_t p = 0; p < 4; p++)
		for (size_t i = 0; i < places[p].n; i++)
			if (places[p].words[i]) {
				object_check(places[p].words[i], places[p].ids[i]);
				stack[n++] = places[p].words[i];
			}
	while (n && checked < seen_room / 2) {
		struct object *o = stack[--n];
		size_t at = mix(o->id) % seen_room;

		while (seen[at] && seen[at] != o->id)
			at = (at + 1) % seen_room;
		if (seen[at])
			continue;
		seen[at] = o->id;
		checked++;
		for (size_t i = 0; i < EDGES; i++) {
			struct object *to = edge(o, i);

			CHECK(!to == !o->edge_ids[i]);
			if (!to)
				continue;
			object_check(to, o->edge_ids[i]);
			if (n < room)
				stack[n++] = to;
		}
	}
	free(stack);
	free(seen);
}

static void *mutator(void *arg)
{
	size_t me = (size_t)arg;
	struct object *volatile on_stack[SLOTS / 4] = { 0 };
	static __thread uint64_t ids[4][SLOTS / 4];
	ROOT struct object **arrays[THREADS];
	struct places places[4] = {
		{ on_stack, ids[0], SLOTS / 4 }, { in_tls, ids[1], SLOTS / 4 },
		{ globals[me], ids[2], SLOTS / 4 }, { NULL, ids[3], SLOTS / 4 },
	};
	uint64_t random = me << 40;

	/* The last quarter lies at the far end of a large array. */
	arrays[me] = gcdune_alloc(1 << 20);
	places[3].words = (struct object *volatile *)&arrays[me][(1 << 17) - SLOTS / 4];
	for (size_t i = 0; i < rounds(1500000, 6000); i++) {
		step(places, &random);
		if (i % 50000 == 49999)
			gcdune_collect();
		if (i % rounds(300000, 2000) == 0)
			check_reachable(places);
		/* Else the graph would grow into all of memory. */
		if (i % 20000 == 0)
			for (size_t k = 0; k < SLOTS; k++)
				if (mix(i + k) % 4)
					places[k % 4].words[k / 4] = NULL;
	}
	check_reachable(places);
	return NULL;
}

int main(void)
{
	pthread_t threads[THREADS];
	/* edges are words 3 to 8 */
	uint64_t bitmap = ((1u << EDGES) - 1) << offsetof(struct object, edges) / 8;

	layout = gcdune_layout_make(&bitmap, offsetof(struct object, edge_ids) / 8);
	callback_kind = (gcdune_kind)gcdune_kind_new(mark_object, NULL);
	for (size_t i = 0; i < THREADS; i++)
		threads[i] = thread_start(mutator, (void *)i);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
