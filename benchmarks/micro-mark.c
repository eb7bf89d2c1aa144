/* micro-mark.c - what marking one object costs.
 *
 * COUNT objects of 32 bytes, all live, no garbage, reached either as a binary tree (each object leads to two others)
 * or through a table of pointers (the collector sees them all at once), and laid out either in the order in which a
 * depth-first walk meets them or shuffled. After one collection to settle, five are forced and timed as a whole:
 * stop, roots, marking, and what sweeping the collector does before it returns. Prints the median in nanoseconds per
 * object.
 *
 * Usage: micro-mark tree|table ordered|shuffled [COUNT]
 */
#include "backend.h"
#include "program.h"

#include <string.h>
#include <time.h>

enum { MARK_ROUNDS = 5 };

struct mark_object {
	struct mark_object *left;
	struct mark_object *right;
	uint64_t number;
	uint64_t unused;
};

static struct mark_object **mark_table;
static struct mark_object *mark_root;

static double mark_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static struct mark_object *mark_object_new(uint64_t number)
{
	struct mark_object *object = backend_alloc(sizeof(*object));

	*object = (struct mark_object){.number = number};
	return object;
}

static void mark_table_make(uint32_t count, bool shuffled)
{
	uint64_t state = 5;

	mark_table = backend_alloc_zeroed(count * sizeof(struct mark_object *));
	for (uint32_t i = 0; i < count; i++)
		mark_table[i] = mark_object_new(i);
	for (uint32_t i = count - 1; i > 0 && shuffled; i--) {
		uint32_t j = program_random_below(&state, i + 1);
		struct mark_object *object = mark_table[i];

		mark_table[i] = mark_table[j];
		mark_table[j] = object;
	}
}

/* Links table entries [first, first + count) to a tree in the order of a depth-first walk; returns its root. */
static struct mark_object *mark_tree_link(uint32_t first, uint32_t count)
{
	struct mark_object *object = mark_table[first];
	uint32_t left = (count - 1) / 2;

	if (left)
		object->left = mark_tree_link(first + 1, left);
	if (count - 1 - left)
		object->right = mark_tree_link(first + 1 + left, count - 1 - left);
	return object;
}

static int mark_compare(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	uint32_t count = (uint32_t)program_number(argc, argv, 3, 8000000);
	double times[MARK_ROUNDS];

	if (argc < 3)
		return 2;
	backend_init();
	mark_table_make(count, strcmp(argv[2], "shuffled") == 0);
	if (strcmp(argv[1], "tree") == 0) {
		mark_root = mark_tree_link(0, count);
		mark_table = NULL;
	}
	backend_collect();
	for (int i = 0; i < MARK_ROUNDS; i++) {
		double began = mark_now();

		backend_collect();
		times[i] = (mark_now() - began) / count;
	}
	qsort(times, MARK_ROUNDS, sizeof(times[0]), mark_compare);
	printf("%.3f\n", times[MARK_ROUNDS / 2]);
	program_use(mark_root);
	program_use(mark_table);
	return 0;
}
