/* The marker's work list overflows (option mark_segments bounds it): wide arrays, deep lists, bushy graphs and
 * ephemerons are still marked completely, by one marker and by several.
 *
 * TEST-FLAGS: timeout=180 torture=yes tsan=no
 */
#include "check.h"

struct node {
	struct node *edges[4];
	uint64_t id, check;
};

ROOT struct node **array;	/* all nodes hang on it, or only the first */

static struct node *node_new(uint64_t id)
{
	struct node *n = gcdune_alloc(sizeof(*n));

	CHECK(n != NULL);
	n->id = id;
	n->check = mix(id);
	return n;
}

/* One array of N pointers: N entries at once. */
static void wide(size_t n)
{
	array = gcdune_alloc(n * sizeof(*array));
	for (size_t i = 0; i < n; i++)
		array[i] = node_new(i);
	wipe_and_collect();
	for (size_t i = 0; i < n; i++)
		CHECKF(gcdune_base(array[i]) == array[i] && array[i]->check == mix(i), "node %zu was lost", i);
	array = NULL;
}

/* A tree with four children each, in random order of creation, reachable from its root only. */
static void bushy(size_t n)
{
	ROOT struct node *root;
	struct node **all = malloc(n * sizeof(*all));
	uint64_t random = 6;

	gcdune_disable();
	for (size_t i = 0; i < n; i++)
		all[i] = node_new(i);
	for (size_t i = n - 1; i > 0; i--) {
		size_t k = random_next(&random) % (i + 1);
		struct node *swap = all[i];

		all[i] = all[k];
		all[k] = swap;
	}
	for (size_t i = 1; i < n; i++)
		all[(i - 1) / 4]->edges[(i - 1) % 4] = all[i];
	root = all[0];
	gcdune_enable();
	for (int i = 0; i < 2; i++)
		wipe_and_collect();
	for (size_t i = 0; i < 1000; i++)
		KEEP_ALIVE(node_new(~i));
	for (size_t i = 0; i < n; i++) {
		CHECKF(gcdune_base(all[i]) == all[i], "node %zu was lost", i);
		CHECK(all[i]->check == mix(all[i]->id));
	}
	CHECK(root == all[0]);
	free(all);
	root = NULL;
}

/* Many arrays at once, each too large for one slice. */
static void arrays_of_arrays(size_t n, size_t words)
{
	ROOT void ***top;

	top = gcdune_alloc(n * sizeof(*top));
	for (size_t i = 0; i < n; i++) {
		top[i] = gcdune_alloc(words * 8);
		for (size_t k = 0; k < words; k += 97)
			top[i][k] = target_new(i * words + k);
	}
	wipe_and_collect();
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < words; k += 97)
			TARGET_CHECK(top[i][k], i * words + k);
	top = NULL;
}

/* Finalizable objects and ephemerons are found after the first marking: more may overflow there. */
static unsigned finalized;

static void finalizer(void *object, void *data)
{
	struct node *n = object;

	for (uint64_t i = n->id; n; n = n->edges[0], i++)
		CHECK(n->id == i && n->check == mix(i));
	finalized++;
}

static void make_finalizable(void *arg)
{
	for (uint64_t i = 0; i < 200; i++) {
		struct node *list = NULL;

		for (uint64_t k = 100; k-- > 0;) {
			struct node *n = node_new(k);

			n->edges[0] = list;
			list = n;
		}
		CHECK_EQ(gcdune_finalizer_set(list, finalizer, NULL, GCDUNE_FINALIZE_UNORDERED, NULL, NULL), 0);
	}
}

static void later_phases(void)
{
	ROOT struct target *keys[500];
	ROOT gcdune_ephemeron *ephemerons[500];

	in_thread(make_finalizable, NULL);
	wipe_and_collect();
	wipe_and_collect();
	CHECK(finalized >= 190 && finalized <= 200);
	for (size_t i = 0; i < 500; i++) {
		struct node *list = NULL;

		keys[i] = target_new(i);
		for (uint64_t k = 0; k < 20; k++) {
			struct node *n = node_new(k);

			n->edges[3] = list;
			list = n;
		}
		ephemerons[i] = gcdune_ephemeron_new(keys[i], list);
		CHECK(ephemerons[i] != NULL);
	}
	wipe_and_collect();
	for (size_t i = 0; i < 500; i++) {
		struct node *n = gcdune_ephemeron_value(ephemerons[i]);

		for (uint64_t k = 20; k-- > 0; n = n->edges[3])
			CHECK(n->id == k && n->check == mix(k));
		CHECK(n == NULL);
	}
}

int main(int argc, char **argv)
{
	static const char *const markers[] = { "1", "2", "4" };
	static const char *const segments[] = { "1", "2", "4", "64" };

	if (argc == 1) {
		for (size_t m = 0; m < 3; m++)
			for (size_t s = 0; s < 4; s++) {
				char mode[32], output[4096];
				int status;

				snprintf(mode, sizeof(mode), "%s %s", markers[m], segments[s]);
				status = child_exec(mode, NULL, output, sizeof(output));
				CHECKF(status == 0, "markers %s, segments %s: status %d, \"%s\"", markers[m],
				       segments[s], status, output);
			}
		return 0;
	}
	CHECK_EQ(gcdune_option_set("markers", (char[]){ argv[1][0], 0 }), 0);
	if (gcdune_option_set("mark_segments", argv[1] + 2) == -ENOENT)
		CHECKF(false, "there is no option mark_segments");
	wide(rounds(300000, 2000));
	bushy(rounds(300000, 5000));
	arrays_of_arrays(rounds(40, 4), 20000);
	later_phases();
	return 0;
}
