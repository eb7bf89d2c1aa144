/* micro.c - gcdune-micro: runs the micro-benchmarks and compares them with what they should reach.
 *
 * Owns which micro-benchmarks there are, on which back ends, and the goals. Runs are interleaved as in the demo, every
 * run is a process of its own; a ratio is the median over the rounds of the ratios within a round, so that a slow
 * minute falls on both sides of it. Uses demo-run.c and demo_median.
 */
#define _GNU_SOURCE
#include "demo.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MICRO_BACKENDS = 6, MICRO_MAX_ROUNDS = 99 };

enum micro_backend { MICRO_BOEHM, MICRO_FUNCTIONS, MICRO_GCDUNE, MICRO_JEMALLOC, MICRO_MIMALLOC, MICRO_GLIBC };

static const char *const micro_backend_names[MICRO_BACKENDS] = {"boehm",    "gcdune-functions", "gcdune",
								"jemalloc", "mimalloc",		"glibc"};

enum {
	MICRO_ALL = 0x3f,
	MICRO_COLLECTORS = 1 << MICRO_BOEHM | 1 << MICRO_GCDUNE,
};

struct micro_case {
	const char *name;
	const char *unit;
	const char *program;
	const char *args[3];
	unsigned backends;
	bool one_marker;
	bool rss; /* the figure is the peak RSS, not what the program prints */
};

enum micro_case_index {
	ALLOC_1,
	ALLOC_2,
	TREE_ORDERED,
	TREE_SHUFFLED,
	TABLE_ORDERED,
	TABLE_SHUFFLED,
	CELLS_BUILD,
	CELLS_CHURN,
	MICRO_CASES
};

static const struct micro_case micro_cases[MICRO_CASES] = {
	[ALLOC_1] = {"allocate 32 B, 1 thread", "ns", "micro-alloc", {"1"}, MICRO_ALL, false, false},
	[ALLOC_2] = {"allocate 32 B, 2 threads", "ns", "micro-alloc", {"2"}, MICRO_ALL, false, false},
	[TREE_ORDERED] =
		{"mark tree, in address order", "ns", "micro-mark", {"tree", "ordered"}, MICRO_COLLECTORS, true, false},
	[TREE_SHUFFLED] =
		{"mark tree, shuffled", "ns", "micro-mark", {"tree", "shuffled"}, MICRO_COLLECTORS, true, false},
	[TABLE_ORDERED] = {"mark table, in address order",
			   "ns",
			   "micro-mark",
			   {"table", "ordered"},
			   MICRO_COLLECTORS,
			   true,
			   false},
	[TABLE_SHUFFLED] =
		{"mark table, shuffled", "ns", "micro-mark", {"table", "shuffled"}, MICRO_COLLECTORS, true, false},
	[CELLS_BUILD] = {"peak RSS, 16-byte cells",
			 "MiB",
			 "micro-cells",
			 {"build"},
			 MICRO_ALL & ~(1 << MICRO_FUNCTIONS),
			 false,
			 true},
	[CELLS_CHURN] = {"the same, with churn",
			 "MiB",
			 "micro-cells",
			 {"churn"},
			 MICRO_ALL & ~(1 << MICRO_FUNCTIONS),
			 false,
			 true},
};

/* A goal: figure (case_a, a) over figure (case_b, b) is at least LIMIT, or at most if AT_MOST. */
struct micro_goal {
	const char *what;
	enum micro_case_index case_a;
	enum micro_backend a;
	enum micro_case_index case_b;
	enum micro_backend b;
	double limit;
	bool at_most;
};

static const struct micro_goal micro_goals[] = {
	{"allocation rate of the function / Boehm's", ALLOC_1, MICRO_BOEHM, ALLOC_1, MICRO_FUNCTIONS, 3.0, false},
	{"allocation rate inline / Boehm's", ALLOC_1, MICRO_BOEHM, ALLOC_1, MICRO_GCDUNE, 5.0, false},
	{"allocation rate, 2 threads / 1, function", ALLOC_1, MICRO_FUNCTIONS, ALLOC_2, MICRO_FUNCTIONS, 1.8, false},
	{"allocation rate, 2 threads / 1, inline", ALLOC_1, MICRO_GCDUNE, ALLOC_2, MICRO_GCDUNE, 1.8, false},
	{"mark rate / Boehm's, tree, shuffled", TREE_SHUFFLED, MICRO_BOEHM, TREE_SHUFFLED, MICRO_GCDUNE, 3.0, false},
	{"mark rate / Boehm's, tree, in address order", TREE_ORDERED, MICRO_BOEHM, TREE_ORDERED, MICRO_GCDUNE, 1.3,
	 false},
	{"mark rate / Boehm's, table, shuffled", TABLE_SHUFFLED, MICRO_BOEHM, TABLE_SHUFFLED, MICRO_GCDUNE, 3.0, false},
	{"mark rate / Boehm's, table, in address order", TABLE_ORDERED, MICRO_BOEHM, TABLE_ORDERED, MICRO_GCDUNE, 1.3,
	 false},
	{"peak RSS with 16-byte cells / Boehm's", CELLS_BUILD, MICRO_GCDUNE, CELLS_BUILD, MICRO_BOEHM, 0.65, true},
	{"the same, with churn", CELLS_CHURN, MICRO_GCDUNE, CELLS_CHURN, MICRO_BOEHM, 0.65, true},
};

/* NAN: did not run, or failed. */
static double micro_figures[MICRO_CASES][MICRO_BACKENDS][MICRO_MAX_ROUNDS];
static char micro_build[DEMO_PATH - 64];
static int micro_failures;

static double micro_printed(const char *path)
{
	FILE *file = fopen(path, "re");
	double value = NAN;

	if (file && fscanf(file, "%lf", &value) != 1)
		value = NAN;
	if (file)
		fclose(file);
	return value;
}

static double micro_measure(const struct micro_case *test, enum micro_backend backend)
{
	struct demo_command command = {.timeout_s = DEMO_TIMEOUT_S};
	struct demo_run run;
	double figure = NAN;

	snprintf(command.stdout_path, sizeof(command.stdout_path), "%s/bench/micro.out", micro_build);
	snprintf(command.stderr_path, sizeof(command.stderr_path), "%s/bench/micro.err", micro_build);
	demo_command_add(&command, "%s/bench/%s-%s", micro_build, test->program, micro_backend_names[backend]);
	for (int i = 0; i < 3 && test->args[i]; i++)
		demo_command_add(&command, "%s", test->args[i]);
	if (test->one_marker) {
		demo_command_set(&command, "GC_MARKERS=1");
		demo_command_set(&command, "GCDUNE_MARKERS=1");
	}
	demo_run(&command, &run);
	if (run.finished)
		figure = test->rss ? run.rss_kib / 1024 : micro_printed(command.stdout_path);
	if (isnan(figure)) {
		micro_failures++;
		fprintf(stderr, "%s on %s FAILED: %s\n", test->name, micro_backend_names[backend], run.detail);
	}
	demo_command_clear(&command);
	return figure;
}

/* The median of A[i] / B[i] over the rounds in which both are there. B NULL: of A[i]. */
static double micro_median(const double *a, const double *b, int rounds)
{
	double values[MICRO_MAX_ROUNDS];
	int n = 0;

	for (int i = 0; i < rounds; i++) {
		double value = b ? a[i] / b[i] : a[i];

		if (!isnan(value))
			values[n++] = value;
	}
	return demo_median(values, n);
}

static void micro_report(int rounds)
{
	printf("medians of %d interleaved runs; x Boehm: median of the ratios within each round, below 1 is better\n",
	       rounds);
	printf("marking: whole forced collections, one marker on either side, 8 million objects of 32 bytes\n\n");
	for (int c = 0; c < MICRO_CASES; c++) {
		const char *name = micro_cases[c].name;

		for (int b = 0; b < MICRO_BACKENDS; b++) {
			if (!(micro_cases[c].backends >> b & 1))
				continue;
			printf("%-30s%-18s%9.2f %-4s  x Boehm %5.2f\n", name, micro_backend_names[b],
			       micro_median(micro_figures[c][b], NULL, rounds), micro_cases[c].unit,
			       micro_median(micro_figures[c][b], micro_figures[c][MICRO_BOEHM], rounds));
			name = "";
		}
	}
	printf("\nGoals\n");
	for (size_t i = 0; i < sizeof(micro_goals) / sizeof(micro_goals[0]); i++) {
		const struct micro_goal *goal = &micro_goals[i];
		double ratio = micro_median(micro_figures[goal->case_a][goal->a], micro_figures[goal->case_b][goal->b],
					    rounds);
		bool met = goal->at_most ? ratio <= goal->limit : ratio >= goal->limit;

		printf("%-48s%6.2f  %s %.2f: %s\n", goal->what, ratio, goal->at_most ? "at most" : "at least",
		       goal->limit, met ? "met" : "MISSED");
	}
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 5;
	ssize_t length = readlink("/proc/self/exe", micro_build, sizeof(micro_build) - 1);

	if (argc > 2 || rounds < 1 || rounds > MICRO_MAX_ROUNDS || length < 0) {
		fprintf(stderr, "usage: gcdune-micro [ROUNDS (1-%d)]\n", MICRO_MAX_ROUNDS);
		return 2;
	}
	for (int i = 0; i < 2; i++)
		*strrchr(micro_build, '/') = '\0';
	for (int c = 0; c < MICRO_CASES; c++) {
		for (int b = 0; b < MICRO_BACKENDS; b++) {
			for (int i = 0; i < rounds; i++)
				micro_figures[c][b][i] = NAN;
		}
	}
	for (int i = 0; i < rounds; i++) {
		for (int c = 0; c < MICRO_CASES; c++) {
			for (int k = 0; k < MICRO_BACKENDS; k++) {
				int b = (k + i) % MICRO_BACKENDS;

				if (micro_cases[c].backends >> b & 1)
					micro_figures[c][b][i] = micro_measure(&micro_cases[c], (enum micro_backend)b);
			}
			fprintf(stderr, "round %d of %d: %s\n", i + 1, rounds, micro_cases[c].name);
		}
	}
	micro_report(rounds);
	return micro_failures ? 1 : 0;
}
