/* binary-trees.c - many short-lived binary trees beside one long-lived tree, in cells of two pointers.
 *
 * After the known benchmark that descends from GCBench: perfect trees of every even depth are built, walked and
 * dropped, so that each depth allocates about the same. The cells have 16 bytes, the smallest that holds two
 * pointers.
 *
 * Usage: binary-trees [MAXDEPTH]
 */
#include "backend.h"
#include "program.h"

enum { TREES_MIN_DEPTH = 4 };

struct trees_cell {
	struct trees_cell *left;
	struct trees_cell *right;
};

static struct trees_cell *trees_make(int depth)
{
	struct trees_cell *cell = backend_alloc(sizeof(*cell));

	cell->left = depth > 0 ? trees_make(depth - 1) : NULL;
	cell->right = depth > 0 ? trees_make(depth - 1) : NULL;
	return cell;
}

static uint64_t trees_count(const struct trees_cell *cell)
{
	return cell->left ? 1 + trees_count(cell->left) + trees_count(cell->right) : 1;
}

static void trees_drop(struct trees_cell *cell)
{
	if (!backend_frees || !cell)
		return;
	trees_drop(cell->left);
	trees_drop(cell->right);
	backend_free(cell);
}

/* Makes, counts and drops one tree. */
PROGRAM_OWN_FRAME static uint64_t trees_one(int depth)
{
	struct trees_cell *tree = trees_make(depth);
	uint64_t count = trees_count(tree);

	trees_drop(tree);
	return count;
}

int main(int argc, char **argv)
{
	int max_depth = (int)program_number(argc, argv, 1, 18);
	uint64_t checksum = 0;

	if (max_depth < TREES_MIN_DEPTH + 2 || max_depth > 26) {
		fprintf(stderr, "usage: binary-trees [MAXDEPTH (6-26)]\n");
		return 2;
	}
	backend_init();

	checksum = program_checksum(checksum, trees_one(max_depth + 1));
	struct trees_cell *long_lived = trees_make(max_depth);

	for (int depth = TREES_MIN_DEPTH; depth <= max_depth; depth += 2) {
		uint64_t n = UINT64_C(1) << (max_depth - depth + TREES_MIN_DEPTH);
		uint64_t cells = 0;

		for (uint64_t i = 0; i < n; i++)
			cells += trees_one(depth);
		checksum = program_checksum(checksum, cells);
	}
	checksum = program_checksum(checksum, trees_count(long_lived));
	trees_drop(long_lived);
	return program_finish("binary-trees", checksum);
}
