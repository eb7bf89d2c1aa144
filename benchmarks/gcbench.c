/* gcbench.c - GCBench, after the published description by Ellis, Kovac and Boehm.
 *
 * Trees of many sizes are built top-down (old objects are made to point at new ones) and bottom-up (new objects point
 * at old ones) and dropped, while one large tree and one large array of doubles stay. The same number of nodes is
 * allocated for each tree depth. With THREADS above 1 the short-lived trees are divided among that many threads, so
 * that the work in total is the same.
 *
 * Usage: gcbench [THREADS [MAXDEPTH]]
 */
#include "backend.h"
#include "program.h"

enum { GCBENCH_MIN_DEPTH = 4, GCBENCH_MAX_THREADS = 64 };

struct gcbench_node {
	struct gcbench_node *left;
	struct gcbench_node *right;
	int depth;
	int mark;
};

struct gcbench_share {
	pthread_t thread;
	int max_depth;
	int index;
	int threads;
	uint64_t nodes;
};

static uint64_t gcbench_tree_size(int depth)
{
	return (UINT64_C(1) << (depth + 1)) - 1;
}

static struct gcbench_node *gcbench_node_new(struct gcbench_node *left, struct gcbench_node *right, int depth)
{
	struct gcbench_node *node = backend_alloc(sizeof(*node));

	node->left = left;
	node->right = right;
	node->depth = depth;
	node->mark = depth & 3;
	return node;
}

static void gcbench_populate(struct gcbench_node *node, int depth)
{
	if (depth == 0)
		return;
	node->left = gcbench_node_new(NULL, NULL, depth - 1);
	node->right = gcbench_node_new(NULL, NULL, depth - 1);
	gcbench_populate(node->left, depth - 1);
	gcbench_populate(node->right, depth - 1);
}

static struct gcbench_node *gcbench_bottom_up(int depth)
{
	if (depth == 0)
		return gcbench_node_new(NULL, NULL, 0);

	struct gcbench_node *left = gcbench_bottom_up(depth - 1);
	struct gcbench_node *right = gcbench_bottom_up(depth - 1);

	return gcbench_node_new(left, right, depth);
}

static void gcbench_drop(struct gcbench_node *node)
{
	if (!backend_frees || !node)
		return;
	gcbench_drop(node->left);
	gcbench_drop(node->right);
	backend_free(node);
}

static uint64_t gcbench_sum(const struct gcbench_node *node)
{
	if (!node)
		return 0;
	return (uint64_t)(node->depth + node->mark) + gcbench_sum(node->left) + gcbench_sum(node->right);
}

/* The stretch tree is two levels deeper than the largest tree; each depth gets twice its nodes. */
static uint64_t gcbench_iterations(int depth, int max_depth)
{
	return 2 * gcbench_tree_size(max_depth + 2) / gcbench_tree_size(depth);
}

static void *gcbench_short_lived(void *arg)
{
	struct gcbench_share *share = arg;

	for (int depth = GCBENCH_MIN_DEPTH; depth <= share->max_depth; depth += 2) {
		uint64_t n = gcbench_iterations(depth, share->max_depth);

		for (uint64_t i = (uint64_t)share->index; i < n; i += (uint64_t)share->threads) {
			struct gcbench_node *top_down = gcbench_node_new(NULL, NULL, depth);

			gcbench_populate(top_down, depth);
			share->nodes += (uint64_t)top_down->left->depth + 1;
			gcbench_drop(top_down);
		}
		for (uint64_t i = (uint64_t)share->index; i < n; i += (uint64_t)share->threads) {
			struct gcbench_node *bottom_up = gcbench_bottom_up(depth);

			share->nodes += (uint64_t)bottom_up->right->depth + 1;
			gcbench_drop(bottom_up);
		}
	}
	return NULL;
}

/* One large tree, dropped at once, so that the heap has its size early. */
PROGRAM_OWN_FRAME static uint64_t gcbench_stretch(int depth)
{
	/* Keeps the frames below from being those of what main calls next, which may never write all of theirs. */
	volatile char room[4096];

	room[0] = 0;
	struct gcbench_node *tree = gcbench_bottom_up(depth);
	uint64_t sum = gcbench_sum(tree);

	gcbench_drop(tree);
	return sum + (uint64_t)room[0];
}

int main(int argc, char **argv)
{
	int threads = (int)program_number(argc, argv, 1, 1);
	int max_depth = (int)program_number(argc, argv, 2, 19);
	static struct gcbench_share shares[GCBENCH_MAX_THREADS];
	uint64_t checksum = 0;

	if (threads < 1 || threads > GCBENCH_MAX_THREADS || max_depth < GCBENCH_MIN_DEPTH || max_depth > 24) {
		fprintf(stderr, "usage: gcbench [THREADS (1-%d) [MAXDEPTH (4-24)]]\n", GCBENCH_MAX_THREADS);
		return 2;
	}
	backend_init();

	checksum = program_checksum(checksum, gcbench_stretch(max_depth + 2));

	struct gcbench_node *long_lived = gcbench_node_new(NULL, NULL, max_depth);
	gcbench_populate(long_lived, max_depth);

	size_t array_length = (size_t)gcbench_tree_size(max_depth + 2);
	double *array = backend_alloc_leaf(array_length * sizeof(*array));
	for (size_t i = 0; i < array_length; i++)
		array[i] = 1.0 / (double)(i + 1);

	for (int i = 0; i < threads; i++)
		shares[i] = (struct gcbench_share){.max_depth = max_depth, .index = i, .threads = threads};
	for (int i = 1; i < threads; i++)
		backend_thread_create(&shares[i].thread, gcbench_short_lived, &shares[i]);
	gcbench_short_lived(&shares[0]);
	for (int i = 1; i < threads; i++)
		backend_thread_join(shares[i].thread);

	uint64_t nodes = 0;
	for (int i = 0; i < threads; i++)
		nodes += shares[i].nodes;
	checksum = program_checksum(checksum, nodes);
	checksum = program_checksum(checksum, gcbench_sum(long_lived));
	checksum = program_checksum(checksum, (uint64_t)(array[999] * 1e12));
	gcbench_drop(long_lived);
	backend_free(array);
	return program_finish("gcbench", checksum);
}
