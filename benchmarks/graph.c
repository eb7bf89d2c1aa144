/* graph.c - a large graph whose edges are changed at random places all over the heap: as hard as it gets for a collector
 * that learns of changes by pages, since each store is likely to be the first one to its page.
 *
 * The graph has levels, nodes point to nodes of the next level only, so that counting references is exact and programs
 * on malloc can free. The counts are kept on all back ends: they are the program's own.
 *
 * Usage: graph [NODES [STORES]]
 */
#include "backend.h"
#include "program.h"

enum { GRAPH_LEVELS = 8, GRAPH_EDGES = 6, GRAPH_NEW_EVERY = 16 };

struct graph_node {
	struct graph_node *edges[GRAPH_EDGES];
	uint32_t references;
	uint32_t level;
	uint64_t key;
};

static struct graph_node **graph_level[GRAPH_LEVELS];
static uint32_t graph_width;

static void graph_release(struct graph_node *node)
{
	if (!node || --node->references)
		return;
	for (int i = 0; i < GRAPH_EDGES; i++)
		graph_release(node->edges[i]);
	backend_free(node);
}

static void graph_point(struct graph_node *node, uint32_t edge, struct graph_node *to)
{
	struct graph_node *old = node->edges[edge];

	to->references++;
	node->edges[edge] = to;
	graph_release(old);
}

static struct graph_node *graph_random(uint64_t *state, uint32_t level)
{
	return graph_level[level][program_random_below(state, graph_width)];
}

static void graph_replace(uint64_t *state, uint32_t level, uint32_t at)
{
	struct graph_node *node = backend_alloc(sizeof(*node));
	struct graph_node *old = graph_level[level][at];

	*node = (struct graph_node){.references = 1, .level = level, .key = program_random(state)};
	for (uint32_t i = 0; i < GRAPH_EDGES && level + 1 < GRAPH_LEVELS; i++)
		graph_point(node, i, graph_random(state, level + 1));
	graph_level[level][at] = node;
	graph_release(old);
}

int main(int argc, char **argv)
{
	uint32_t nodes = (uint32_t)program_number(argc, argv, 1, 1600000);
	long stores = program_number(argc, argv, 2, 8000000);
	uint64_t state = 9;
	uint64_t checksum = 0;

	graph_width = nodes / GRAPH_LEVELS;
	if (graph_width < 2) {
		fprintf(stderr, "usage: graph [NODES (16 or more) [STORES]]\n");
		return 2;
	}
	backend_init();
	for (uint32_t level = GRAPH_LEVELS; level-- > 0;) {
		graph_level[level] = backend_alloc_zeroed(graph_width * sizeof(struct graph_node *));
		for (uint32_t i = 0; i < graph_width; i++)
			graph_replace(&state, level, i);
	}
	for (long i = 0; i < stores; i++) {
		uint32_t level = program_random_below(&state, GRAPH_LEVELS - 1);

		if (i % GRAPH_NEW_EVERY == 0)
			graph_replace(&state, level, program_random_below(&state, graph_width));
		else
			graph_point(graph_random(&state, level), program_random_below(&state, GRAPH_EDGES),
				    graph_random(&state, level + 1));
	}
	for (uint32_t level = 0; level < GRAPH_LEVELS; level++) {
		for (uint32_t i = 0; i < graph_width; i++) {
			const struct graph_node *node = graph_level[level][i];

			if (node->level != level)
				return 1;
			checksum = program_checksum(checksum, node->key + node->references);
		}
	}
	for (uint32_t level = 0; level < GRAPH_LEVELS && backend_frees; level++) {
		for (uint32_t i = 0; i < graph_width; i++)
			graph_release(graph_level[level][i]);
		backend_free(graph_level[level]);
	}
	return program_finish("graph", checksum);
}
