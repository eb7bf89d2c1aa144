/* demo.h - the parts of gcdune-demo, the driver that compares gcdune with other memory managers in one run.
 *
 * demo.c         options, the order of the runs, progress
 * demo-programs.c  what there is to run: programs, back ends, the command for each pair
 * demo-run.c     runs one command and measures it
 * demo-report.c  medians, ratios, the table, results.json
 * demo-page.c    the page that w3m gets
 *
 * Invariant: every figure in the report comes from a run of this very process, and a run that failed leaves a failure
 * in the report and no figure.
 */
#ifndef BENCHMARKS_DEMO_H
#define BENCHMARKS_DEMO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum {
	DEMO_MAX_PROGRAMS = 16,
	DEMO_MAX_RUNS = 99,
	DEMO_MAX_ARGS = 12,
	DEMO_PATH = 512,
	DEMO_TIMEOUT_S = 60,
};

enum demo_backend {
	DEMO_GCDUNE,
	DEMO_BOEHM,
	DEMO_JEMALLOC,
	DEMO_MIMALLOC,
	DEMO_FUNCTIONS, /* gcdune without the inline fast path; only when asked for */
	DEMO_GLIBC, /* only when asked for */
	DEMO_BACKENDS
};

/* ---- demo-run.c ---- */

/* What came of one run. DETAIL says why it failed, empty if it did not. A figure that does not exist is negative. */
struct demo_run {
	double wall_s;
	double cpu_s;
	double rss_kib;
	double collections;
	double pause_ms;
	bool finished; /* ended by itself with status 0 */
	bool output_ok;
	char detail[160];
};

/* A command, ready to run. SETTINGS are NAME=VALUE, added to the environment. */
struct demo_command {
	char *argv[DEMO_MAX_ARGS + 1];
	char *settings[DEMO_MAX_ARGS + 1];
	char stdout_path[DEMO_PATH];
	char stderr_path[DEMO_PATH];
	unsigned timeout_s;
};

void demo_command_add(struct demo_command *command, const char *format, ...) __attribute__((format(printf, 2, 3)));
void demo_command_set(struct demo_command *command, const char *format, ...) __attribute__((format(printf, 2, 3)));
void demo_command_clear(struct demo_command *command);

/* Runs COMMAND to its end or to its timeout and fills the times, the peak RSS, `finished` and `detail`. */
void demo_run(const struct demo_command *command, struct demo_run *run);

double demo_now(void);

/* Median of N values, which it sorts; NAN of none. */
double demo_median(double *values, int n);

/* ---- demo-programs.c ---- */

struct demo_program {
	const char *name;
	const char *binary; /* our program, built per back end; NULL: a real program that is not rebuilt */
	const char *args[3];
	const char *what;
};

extern const struct demo_program demo_programs[];
extern const size_t demo_programs_count;

const char *demo_backend_name(enum demo_backend backend);

/* Whether the pair exists, such as a real program on malloc does not. */
bool demo_pair_exists(const struct demo_program *program, enum demo_backend backend);

/* Finds the build folder from the path of this executable and makes the files that the programs need. Returns false
 * after a message. */
bool demo_prepare(bool guile, bool w3m);
const char *demo_folder(void);

/* Runs the pair once: figures, statistics of the collector, output compared with that of the first run. */
void demo_measure(const struct demo_program *program, enum demo_backend backend, struct demo_run *run);

/* The library and version that the runs on Boehm's collector reported, or NULL. */
const char *demo_boehm_found(void);

/* ---- demo-report.c ---- */

struct demo_cell {
	struct demo_run runs[DEMO_MAX_RUNS];
	int count;
};

struct demo_results {
	bool programs[DEMO_MAX_PROGRAMS];
	bool backends[DEMO_BACKENDS];
	struct demo_cell cells[DEMO_MAX_PROGRAMS][DEMO_BACKENDS];
	int rounds;
	double seconds;
	char *command_line;
};

/* Prints the table to FILE. Returns the number of pairs that failed. */
int demo_report_table(FILE *file, const struct demo_results *results);
bool demo_report_json(const char *path, const struct demo_results *results);

/* ---- demo-page.c ---- */

/* 0 or a negative errno. */
int demo_page_write(const char *path);

#endif
