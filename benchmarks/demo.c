/* demo.c - gcdune-demo: runs every program on every back end, in turn, several times, and prints one table.
 *
 * Owns options, the order of runs and the progress shown. A round runs every pair once, the back ends of one program
 * right after each other and in an order that moves on by one each round, so that a slow minute of the machine falls
 * on all of them. Rounds go on while another one fits in the time; Boehm's collector comes first in the first round,
 * so its output is the one expected. Progress goes to stderr, the table to stdout and to the build folder.
 */
#define _GNU_SOURCE
#include "demo.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DEMO_DEFAULT_ROUNDS = 5, DEMO_DEFAULT_BUDGET_S = 310 };

static struct demo_results demo_results;
static double demo_began;
static int demo_repeats; /* 0: as many as fit */
static double demo_budget_s = DEMO_DEFAULT_BUDGET_S;

static const char demo_usage[] =
	"Usage: gcdune-demo [OPTION]...\n"
	"Compares gcdune with Boehm's collector and with malloc/free, in one interleaved run.\n\n"
	"  --only=PROGRAM[,...]   run these programs (see --list)\n"
	"  --backends=NAME[,...]  run these back ends (default gcdune,boehm,jemalloc,mimalloc)\n"
	"  --repeats=N            run everything N times (default: up to 5 times, as the budget allows)\n"
	"  --budget=SECONDS       begin no round that would end later than this (default 310)\n"
	"  --list                 list programs and back ends\n"
	"  --help                 this text\n\n"
	"Writes results.txt and results.json to the folder demo beside its own. Exit status 1 if a run failed.\n";

static void demo_list(void)
{
	printf("Programs:\n");
	for (size_t p = 0; p < demo_programs_count; p++)
		printf("  %-17s%s\n", demo_programs[p].name, demo_programs[p].what);
	printf("Back ends:\n");
	for (enum demo_backend b = 0; b < DEMO_BACKENDS; b++)
		printf("  %-17s%s\n", demo_backend_name(b), b > DEMO_MIMALLOC ? "only when asked for" : "");
}

static void demo_select_program(const char *name)
{
	for (size_t p = 0; p < demo_programs_count; p++) {
		if (strcmp(name, demo_programs[p].name) == 0) {
			demo_results.programs[p] = true;
			return;
		}
	}
	fprintf(stderr, "gcdune-demo: no program '%s'; --list shows them\n", name);
	exit(2);
}

static void demo_select_backend(const char *name)
{
	for (enum demo_backend b = 0; b < DEMO_BACKENDS; b++) {
		if (strcmp(name, demo_backend_name(b)) == 0) {
			demo_results.backends[b] = true;
			return;
		}
	}
	fprintf(stderr, "gcdune-demo: no back end '%s'; --list shows them\n", name);
	exit(2);
}

static void demo_select(char *names, void (*take)(const char *))
{
	char *rest;

	for (char *name = strtok_r(names, ",", &rest); name; name = strtok_r(NULL, ",", &rest))
		take(name);
}

static int demo_count(const char *option, const char *text, long maximum)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (*end || end == text || value < 1 || value > maximum) {
		fprintf(stderr, "gcdune-demo: --%s takes a number from 1 to %ld, not '%s'\n", option, maximum, text);
		exit(2);
	}
	return (int)value;
}

static void demo_options(int argc, char **argv)
{
	static const struct option options[] = {
		{"only", required_argument, NULL, 'o'},
		{"backends", required_argument, NULL, 'b'},
		{"repeats", required_argument, NULL, 'r'},
		{"budget", required_argument, NULL, 't'},
		{"list", no_argument, NULL, 'l'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	bool some_programs = false;
	bool some_backends = false;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'o':
			demo_select(optarg, demo_select_program);
			some_programs = true;
			break;
		case 'b':
			demo_select(optarg, demo_select_backend);
			some_backends = true;
			break;
		case 'r':
			demo_repeats = demo_count("repeats", optarg, DEMO_MAX_RUNS);
			break;
		case 't':
			demo_budget_s = demo_count("budget", optarg, 86400);
			break;
		case 'l':
			demo_list();
			exit(0);
		case 'h':
			fputs(demo_usage, stdout);
			exit(0);
		default:
			fputs(demo_usage, stderr);
			exit(2);
		}
	}
	if (optind < argc) {
		fputs(demo_usage, stderr);
		exit(2);
	}
	for (size_t p = 0; p < demo_programs_count && !some_programs; p++)
		demo_results.programs[p] = true;
	for (enum demo_backend b = 0; b <= DEMO_MIMALLOC && !some_backends; b++)
		demo_results.backends[b] = true;
}

static char *demo_command_line(int argc, char **argv)
{
	size_t size = 1;
	char *line;

	for (int i = 0; i < argc; i++)
		size += strlen(argv[i]) + 1;
	line = calloc(1, size);
	for (int i = 0; line && i < argc; i++)
		strcat(strcat(line, i ? " " : ""), argv[i]);
	return line;
}

/* One updating line on a terminal, a line for each run otherwise. RUN is NULL before the run. */
static void demo_progress(const struct demo_program *program, enum demo_backend backend, const struct demo_run *run)
{
	bool terminal = isatty(2);
	char result[256] = "...";

	if (run && run->finished && run->output_ok)
		snprintf(result, sizeof(result), "%.2f s", run->wall_s);
	else if (run)
		snprintf(result, sizeof(result), "FAILED, %s", run->detail);
	if (!terminal && !run)
		return;
	fprintf(stderr, "%s[%3.0f s, round %d] %s on %s: %s%s", terminal ? "\r\033[K" : "", demo_now() - demo_began,
		demo_results.rounds + 1, program->name, demo_backend_name(backend), result,
		terminal && (!run || run->output_ok) ? "" : "\n");
}

static void demo_pair(size_t program, enum demo_backend backend)
{
	struct demo_cell *cell = &demo_results.cells[program][backend];
	struct demo_run *run = &cell->runs[cell->count];

	/* A pair that hung once would hang again and eat the time of the others. */
	if (cell->count && !cell->runs[cell->count - 1].finished)
		return;
	demo_progress(&demo_programs[program], backend, NULL);
	demo_measure(&demo_programs[program], backend, run);
	cell->count++;
	demo_progress(&demo_programs[program], backend, run);
}

static void demo_round(void)
{
	for (size_t p = 0; p < demo_programs_count; p++) {
		for (int i = 0; demo_results.programs[p] && i < DEMO_BACKENDS; i++) {
			enum demo_backend b =
				(enum demo_backend)((DEMO_BOEHM + demo_results.rounds + i) % DEMO_BACKENDS);

			if (demo_results.backends[b] && demo_pair_exists(&demo_programs[p], b))
				demo_pair(p, b);
		}
	}
	demo_results.rounds++;
}

static bool demo_selected(const char *name)
{
	for (size_t p = 0; p < demo_programs_count; p++) {
		if (strcmp(name, demo_programs[p].name) == 0)
			return demo_results.programs[p];
	}
	return false;
}

static int demo_finish(void)
{
	char path[DEMO_PATH];
	FILE *file;
	int failures = demo_report_table(stdout, &demo_results);

	snprintf(path, sizeof(path), "%s/results.txt", demo_folder());
	file = fopen(path, "we");
	if (file)
		demo_report_table(file, &demo_results);
	if (!file || fclose(file)) {
		perror(path);
		return 1;
	}
	printf("\nTable: %s\n", path);
	snprintf(path, sizeof(path), "%s/results.json", demo_folder());
	if (!demo_report_json(path, &demo_results)) {
		perror(path);
		return 1;
	}
	printf("Data:  %s\n", path);
	return failures ? 1 : 0;
}

int main(int argc, char **argv)
{
	double slowest = 0;

	demo_results.command_line = demo_command_line(argc, argv);
	demo_options(argc, argv);
	demo_began = demo_now();
	if (!demo_prepare(demo_selected("guile-run"), demo_selected("w3m")))
		return 2;
	for (;;) {
		double round_began = demo_now();

		demo_round();
		if (demo_now() - round_began > slowest)
			slowest = demo_now() - round_began;
		if (demo_repeats ? demo_results.rounds >= demo_repeats
				 : demo_results.rounds >= DEMO_DEFAULT_ROUNDS ||
					   demo_now() - demo_began + slowest > demo_budget_s)
			break;
	}
	demo_results.seconds = demo_now() - demo_began;
	if (isatty(2))
		fputs("\r\033[K", stderr);
	return demo_finish();
}
