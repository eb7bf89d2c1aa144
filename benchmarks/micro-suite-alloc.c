/* micro-suite-alloc.c - what allocating costs: by size, with and without pointers, from several threads, large, and growing;
 * and with each object freed soon, on collectors too.
 *
 * The last 64 objects are kept in a ring; on malloc, what falls out of it is freed, so that an iteration is a pair of malloc
 * and free there. Collections are part of the time. The first word of each object is written. */
#include "backend.h"
#include "gbench.h"
#include "micro-suite.h"

#include <string.h>

enum { RING = 64, LARGE_RING = 4, PAGE = 4096 };

/* Sizes are constants in programs, so that the compiler can make the size class one; a size that is an argument cannot show
 * that. Hence a loop for each size. */
#define ALLOC_LOOP(allocate, bytes)                                                                                    \
	case bytes:                                                                                                    \
		while (gbench_batch(state, RING)) {                                                                    \
			for (int i = 0; i < RING; i++) {                                                               \
				uint64_t *object = allocate(bytes);                                                    \
                                                                                                                       \
				*object = (uint64_t)i;                                                                 \
				backend_free(ring[i]);                                                                 \
				ring[i] = object;                                                                      \
			}                                                                                              \
		}                                                                                                      \
		break
#define ALLOC_SIZES(allocate)                                                                                          \
	ALLOC_LOOP(allocate, 16);                                                                                      \
	ALLOC_LOOP(allocate, 32);                                                                                      \
	ALLOC_LOOP(allocate, 64);                                                                                      \
	ALLOC_LOOP(allocate, 128);                                                                                     \
	ALLOC_LOOP(allocate, 512);                                                                                     \
	ALLOC_LOOP(allocate, 2048);                                                                                    \
	ALLOC_LOOP(allocate, 8192);

static void ring_drop(uint64_t **ring)
{
	for (int i = 0; i < RING; i++)
		backend_free(ring[i]);
	backend_free(ring);
}

static void alloc_scanned(struct gbench_state *state, void *data)
{
	uint64_t **ring;

	if (gbench_thread(state))
		backend_thread_attach();
	ring = backend_alloc_zeroed(RING * sizeof(*ring));
	switch (gbench_range_of(state, 0)) {
		ALLOC_SIZES(backend_alloc)
	}
	ring_drop(ring);
	if (gbench_thread(state))
		backend_thread_detach();
}

static void alloc_leaf(struct gbench_state *state, void *data)
{
	uint64_t **ring = backend_alloc_zeroed(RING * sizeof(*ring));

	switch (gbench_range_of(state, 0)) {
		ALLOC_SIZES(backend_alloc_leaf)
	}
	ring_drop(ring);
}

/* The last FEW are kept; the oldest is freed. */
enum { FEW = 8 };

#define FREE_LOOP(allocate, bytes)                                                                                     \
	case bytes:                                                                                                    \
		while (gbench_batch(state, FEW)) {                                                                     \
			for (int i = 0; i < FEW; i++) {                                                                \
				backend_free_at_once(ring[i]);                                                         \
				ring[i] = allocate(bytes);                                                             \
				*ring[i] = (uint64_t)i;                                                                \
			}                                                                                              \
		}                                                                                                      \
		break

static void freed_scanned(struct gbench_state *state, void *data)
{
	uint64_t *ring[FEW] = {NULL};

	switch (gbench_range_of(state, 0)) {
		FREE_LOOP(backend_alloc, 32);
		FREE_LOOP(backend_alloc, 128);
	}
	for (int i = 0; i < FEW; i++)
		backend_free_at_once(ring[i]);
}

static void freed_leaf(struct gbench_state *state, void *data)
{
	uint64_t *ring[FEW] = {NULL};

	switch (gbench_range_of(state, 0)) {
		FREE_LOOP(backend_alloc_leaf, 32);
		FREE_LOOP(backend_alloc_leaf, 128);
	}
	for (int i = 0; i < FEW; i++)
		backend_free_at_once(ring[i]);
}

/* One object of so many KiB, of which each page is written once. */
static void large(struct gbench_state *state, void *data)
{
	size_t size = (size_t)gbench_range_of(state, 0) << 10;
	char **ring = backend_alloc_zeroed(LARGE_RING * sizeof(*ring));
	unsigned i = 0;
	double bytes = 0;

	while (gbench_running(state)) {
		char *object = backend_alloc(size);

		for (size_t at = 0; at < size; at += PAGE)
			object[at] = 1;
		backend_free(ring[i]);
		ring[i] = object;
		i = (i + 1) % LARGE_RING;
		bytes += (double)size;
	}
	gbench_count(state, "bytes_per_s", bytes, true);
	for (i = 0; i < LARGE_RING; i++)
		backend_free(ring[i]);
	backend_free(ring);
}

/* A vector that is doubled from 64 bytes to so many KiB, and filled. */
static void grow(struct gbench_state *state, void *data)
{
	size_t most = (size_t)gbench_range_of(state, 0) << 10;

	while (gbench_running(state)) {
		size_t size = 64;
		char *vector = backend_alloc_leaf(size);

		memset(vector, 1, size);
		while (size < most) {
			vector = backend_realloc(vector, size * 2);
			memset(vector + size, 1, size);
			size *= 2;
		}
		backend_free(vector);
	}
	gbench_complexity_n(state, (int64_t)most);
}

void micro_suite_alloc(void)
{
	static const int64_t sizes[] = {16, 32, 64, 128, 512, 2048, 8192};
	struct gbench *scanned = gbench_new("alloc/scanned", alloc_scanned, NULL);
	struct gbench *leaf = gbench_new("alloc/leaf", alloc_leaf, NULL);
	struct gbench *threads = gbench_new("alloc/threads", alloc_scanned, NULL);

	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		gbench_arg(scanned, sizes[i]);
		gbench_arg(leaf, sizes[i]);
	}
	struct gbench *freed[] = {gbench_new("freed/scanned", freed_scanned, NULL), gbench_new("freed/leaf", freed_leaf, NULL)};

	for (unsigned i = 0; i < 2; i++) {
		gbench_arg(freed[i], 32);
		gbench_arg(freed[i], 128);
	}
	gbench_arg(threads, 32);
	for (int n = 1; n <= 4; n *= 2)
		gbench_threads(threads, n);
	gbench_range(gbench_new("large", large, NULL), 16, 4096, 4);

	struct gbench *growing = gbench_new("realloc", grow, NULL);

	gbench_range(growing, 16, 4096, 16);
	gbench_complexity(growing);
}
