/* micro-suite-collect.c - what collecting costs: marking by shape and order of the heap, sweeping, stopping threads, finalizers,
 * disappearing links. For collectors; on malloc there is nothing to measure.
 *
 * Times are given by hand, divided by the number of objects, in a fixed number of iterations: "ns" is for each object. */
#include "backend.h"
#include "figures.h"
#include "gbench.h"
#include "micro-suite.h"
#include "program.h"

#include <stdatomic.h>

enum shape { TREE, TABLE, LIST };
enum { FEWER = 1 << 20, MORE = 1 << 23, HANDLED = 50000, ROUNDS = 5, STOP_MAX = 8 };

struct object {
	struct object *left, *right;
	uint64_t number, unused;
};

static struct object **table, *root;
static uint32_t objects;

static double since(uint64_t began)
{
	return (double)(figures_now() - began) / 1e9;
}

static struct object *object_new(uint64_t number)
{
	struct object *object = backend_alloc(sizeof(*object));

	*object = (struct object){.number = number};
	return object;
}

static void table_new(bool shuffled)
{
	uint64_t state = 5;

	table = backend_alloc_zeroed(objects * sizeof(*table));
	for (uint32_t i = 0; i < objects; i++)
		table[i] = object_new(i);
	for (uint32_t i = objects - 1; i > 0 && shuffled; i--) {
		uint32_t j = program_random_below(&state, i + 1);
		struct object *object = table[i];

		table[i] = table[j];
		table[j] = object;
	}
}

/* Links [first, first + count) of the table to a tree in the order of a depth-first walk. */
static struct object *tree_link(uint32_t first, uint32_t count)
{
	struct object *object = table[first];
	uint32_t left = (count - 1) / 2;

	if (left)
		object->left = tree_link(first + 1, left);
	if (count - 1 - left)
		object->right = tree_link(first + 1 + left, count - 1 - left);
	return object;
}

PROGRAM_OWN_FRAME static void heap_new(enum shape shape, bool shuffled)
{
	table_new(shuffled);
	if (shape == TABLE)
		return;
	if (shape == TREE) {
		root = tree_link(0, objects);
	} else {
		for (uint32_t i = 0; i + 1 < objects; i++)
			table[i]->left = table[i + 1];
		root = table[0];
	}
	table = NULL;
}

static void heap_drop(void)
{
	table = NULL;
	root = NULL;
	backend_collect();
}

static void mark(struct gbench_state *state, void *data)
{
	unsigned what = (unsigned)(uintptr_t)data;

	objects = (uint32_t)gbench_range_of(state, 0);
	heap_new((enum shape)(what >> 1), what & 1);
	backend_collect();
	while (gbench_running(state)) {
		uint64_t began = figures_now();

		backend_collect();
		gbench_time(state, since(began) / objects);
	}
	program_use(root);
	program_use(table);
	heap_drop();
}

/* Every second object of a table is dropped, found dead, and its slot used again. */
static void sweep(struct gbench_state *state, void *data)
{
	objects = FEWER;
	table_new(false);
	while (gbench_running(state)) {
		for (uint32_t i = 0; i < objects; i += 2)
			table[i] = NULL;
		backend_collect();

		uint64_t began = figures_now();

		for (uint32_t i = 0; i < objects; i += 2)
			table[i] = object_new(i);
		gbench_time(state, since(began) / (objects / 2));
	}
	heap_drop();
}

static atomic_bool threads_end;
static atomic_int threads_ready;

static void *busy(void *arg)
{
	uint64_t **mine = backend_alloc_zeroed(sizeof(*mine));

	atomic_fetch_add(&threads_ready, 1);
	while (!atomic_load_explicit(&threads_end, memory_order_relaxed))
		backend_safepoint();
	program_use(mine);
	return NULL;
}

/* A collection of next to nothing, while so many threads (this one included) are there and compute. */
static void stop(struct gbench_state *state, void *data)
{
	int threads = (int)gbench_range_of(state, 0);
	pthread_t ids[STOP_MAX];

	threads_end = false;
	threads_ready = 0;
	for (int i = 1; i < threads; i++)
		backend_thread_create(&ids[i], busy, NULL);
	while (threads_ready < threads - 1)
		;
	while (gbench_running(state))
		backend_collect();
	threads_end = true;
	for (int i = 1; i < threads; i++)
		backend_thread_join(ids[i]);
}

static void finalize(void *object, void *data)
{
	((struct object *)object)->number++;
}

/* From libc: neither to be scanned nor, as an array in a data segment would be, a root that every collection looks through. */
static void **links;

PROGRAM_OWN_FRAME static void handled_new(bool link)
{
	for (uint32_t i = 0; i < HANDLED; i++) {
		struct object *object = object_new(i);

		if (link)
			backend_link(&links[i], object);
		else
			backend_finalizer(object, finalize);
	}
}

/* Registering included: a finalizer or a link from the beginning to the end. */
static void handled(struct gbench_state *state, void *data)
{
	links = links ? links : calloc(HANDLED, sizeof(*links));
	if (!links)
		backend_out_of_memory(HANDLED * sizeof(*links));
	while (gbench_running(state)) {
		uint64_t began = figures_now();

		handled_new(data);
		backend_collect();
		gbench_time(state, since(began) / HANDLED);
	}
}

static struct gbench *manual(const char *name, gbench_fn fn, uintptr_t data)
{
	struct gbench *bench = gbench_new_manual(name, fn, (void *)data);

	gbench_iterations(bench, ROUNDS);
	return bench;
}

void micro_suite_collect(void)
{
	/* By enum shape, in address order and shuffled. */
	static const char *const shapes[] = {"mark/tree/ordered",   "mark/tree/shuffled", "mark/table/ordered",
					     "mark/table/shuffled", "mark/list/ordered",  "mark/list/shuffled"};

	if (backend_frees)
		return;
	for (unsigned i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		struct gbench *bench = manual(shapes[i], mark, i);

		gbench_arg(bench, FEWER);
		gbench_arg(bench, MORE);
	}
	manual("sweep/half", sweep, 0);
	manual("finalizer", handled, 0);
	manual("link", handled, 1);
	gbench_range(gbench_new("stop", stop, NULL), 1, STOP_MAX, 2);
}
