/* demo-report.c - what the demo found: medians and ratios, as a table and as JSON.
 *
 * Invariant: all runs of a pair that ended well, with the right output, count, none is picked; a ratio is that of two
 * medians of this run; what did not work and what was lost is printed as plainly as the rest.
 */
#define _GNU_SOURCE
#include "demo.h"

#include <gcdune.h>

#include <cjson/cJSON.h>
#include <expat.h>
#include <jemalloc/jemalloc.h>
#include <math.h>
#include <mimalloc.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

/* Medians of one pair; NAN where there is no figure. */
struct report_row {
	double wall;
	double cpu;
	double rss;
	double collections;
	double pause;
	double spread; /* of wall time: (maximum - minimum) / median */
	bool good; /* every run ended well, with the right output */
	const char *detail;
};

/* The median over good runs of the double at OFFSET in struct demo_run; negative means "does not exist". */
static double report_figure(const struct demo_cell *cell, size_t offset, double *spread)
{
	double values[DEMO_MAX_RUNS];
	int n = 0;

	for (int i = 0; i < cell->count; i++) {
		double value = *(const double *)((const char *)&cell->runs[i] + offset);

		if (cell->runs[i].finished && cell->runs[i].output_ok && value >= 0)
			values[n++] = value;
	}
	double median = demo_median(values, n);
	if (spread)
		*spread = n ? (values[n - 1] - values[0]) / median : NAN;
	return median;
}

static struct report_row report_row(const struct demo_cell *cell)
{
	struct report_row row = {.good = cell->count > 0, .detail = ""};

	row.wall = report_figure(cell, offsetof(struct demo_run, wall_s), &row.spread);
	row.cpu = report_figure(cell, offsetof(struct demo_run, cpu_s), NULL);
	row.rss = report_figure(cell, offsetof(struct demo_run, rss_kib), NULL);
	row.collections = report_figure(cell, offsetof(struct demo_run, collections), NULL);
	row.pause = report_figure(cell, offsetof(struct demo_run, pause_ms), NULL);
	for (int i = 0; i < cell->count && row.good; i++) {
		row.good = cell->runs[i].finished && cell->runs[i].output_ok;
		row.detail = cell->runs[i].detail;
	}
	return row;
}

static bool report_has(const struct demo_results *results, size_t program, enum demo_backend backend)
{
	return results->programs[program] && results->cells[program][backend].count > 0;
}

static void report_first_line(FILE *file, const char *label, const char *command)
{
	FILE *pipe = popen(command, "re");
	char line[160];

	if (pipe && fgets(line, sizeof(line), pipe))
		fprintf(file, "%-12s%.*s\n", label, (int)strcspn(line, ",\n"), line);
	if (pipe)
		pclose(pipe);
}

static void report_machine(FILE *file)
{
	struct utsname name;
	cpu_set_t set;
	FILE *info = fopen("/proc/cpuinfo", "re");
	char line[256];
	const char *model = "unknown processor";
	double load = 0;

	while (info && fgets(line, sizeof(line), info)) {
		if (strncmp(line, "model name", 10) == 0 && strchr(line, ':')) {
			line[strcspn(line, "\n")] = '\0';
			model = strchr(line, ':') + 2;
			break;
		}
	}
	if (info)
		fclose(info);
	uname(&name);
	sched_getaffinity(0, sizeof(set), &set);
	if (getloadavg(&load, 1) < 0)
		load = NAN;
	fprintf(file, "machine     %d cores, %s; Linux %s; load average at the end %.2f\n", CPU_COUNT(&set), model,
		name.release, load);
}

extern char **environ;

/* Settings of the user's that change what is measured. */
static void report_environment(FILE *file)
{
	static const char *const prefixes[] = {"GCDUNE_", "GC_", "MALLOC_", "MIMALLOC_", "GUILE_", "LD_"};

	for (char **entry = environ; *entry; entry++) {
		for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
			if (strncmp(*entry, prefixes[i], strlen(prefixes[i])) == 0)
				fprintf(file, "NOTE: the environment sets %s\n", *entry);
		}
	}
}

static void report_header(FILE *file, const struct demo_results *results)
{
	fprintf(file, "gcdune demo: medians of %d interleaved run%s, %.0f s in all\n\n", results->rounds,
		results->rounds == 1 ? "" : "s", results->seconds);
	fprintf(file, "command     %s\n", results->command_line);
	report_machine(file);
	fprintf(file, "gcdune      %d.%d.%d, compiler %s\n", GCDUNE_VERSION_MAJOR, GCDUNE_VERSION_MINOR,
		GCDUNE_VERSION_PATCH, __VERSION__);
	if (demo_boehm_found())
		fprintf(file, "boehm       %s, default settings\n", demo_boehm_found());
	fprintf(file, "malloc      jemalloc %.5s, mimalloc %d.%d.%d\n", JEMALLOC_VERSION, MI_MALLOC_VERSION / 100,
		MI_MALLOC_VERSION / 10 % 10, MI_MALLOC_VERSION % 10);
	fprintf(file, "expat       %d.%d.%d\n", XML_MAJOR_VERSION, XML_MINOR_VERSION, XML_MICRO_VERSION);
	for (size_t p = 0; p < demo_programs_count; p++) {
		if (results->programs[p] && strcmp(demo_programs[p].name, "guile-run") == 0)
			report_first_line(file, "guile", "guile --version 2>/dev/null");
		if (results->programs[p] && strcmp(demo_programs[p].name, "w3m") == 0)
			report_first_line(file, "w3m", "w3m -version 2>/dev/null");
	}
	report_environment(file);
	fprintf(file, "\nGCs: collections. pause: the longest stop of all threads. +-: (maximum - minimum) / median of "
		      "wall time.\n"
		      "x Boehm: this median divided by Boehm's; below 1 is better than Boehm.\n\n");
}

static void report_number(FILE *file, int width, int decimals, double value)
{
	if (isnan(value))
		fprintf(file, "%*s", width, "-");
	else
		fprintf(file, "%*.*f", width, decimals, value);
}

static void report_row_print(FILE *file, const char *program, enum demo_backend backend, const struct report_row *row,
			     const struct report_row *boehm)
{
	fprintf(file, "%-14s%-17s", program, demo_backend_name(backend));
	report_number(file, 7, 2, row->wall);
	report_number(file, 7, 2, row->cpu);
	report_number(file, 9, 1, row->rss / 1024);
	report_number(file, 6, 0, row->collections);
	report_number(file, 9, 2, row->pause);
	report_number(file, 5, 0, row->spread * 100);
	fputs("%  |", file);
	report_number(file, 6, 2, row->wall / boehm->wall);
	report_number(file, 6, 2, row->cpu / boehm->cpu);
	report_number(file, 6, 2, row->rss / boehm->rss);
	fprintf(file, "   %s\n", row->good ? "same" : row->detail);
}

struct report_means {
	double wall;
	double cpu;
	double rss;
	int count;
};

/* Geometric means of A's figures relative to B's, over the programs that both have run well. */
static struct report_means report_means(const struct demo_results *results, enum demo_backend a, enum demo_backend b)
{
	struct report_means means = {0};

	for (size_t p = 0; p < demo_programs_count; p++) {
		if (!report_has(results, p, a) || !report_has(results, p, b))
			continue;
		struct report_row x = report_row(&results->cells[p][a]);
		struct report_row y = report_row(&results->cells[p][b]);
		if (!x.good || !y.good)
			continue;
		means.wall += log(x.wall / y.wall);
		means.cpu += log(x.cpu / y.cpu);
		means.rss += log(x.rss / y.rss);
		means.count++;
	}
	means.wall = exp(means.wall / means.count);
	means.cpu = exp(means.cpu / means.count);
	means.rss = exp(means.rss / means.count);
	return means;
}

static void report_means_print(FILE *file, const struct demo_results *results)
{
	fprintf(file, "\nGeometric means                              wall    CPU    RSS   programs\n");
	for (enum demo_backend a = 0; a < DEMO_BACKENDS; a++) {
		for (enum demo_backend b = 0; b < DEMO_BACKENDS; b++) {
			struct report_means means;

			if (a == b || (b != DEMO_BOEHM && a != DEMO_GCDUNE))
				continue;
			means = report_means(results, a, b);
			if (means.count)
				fprintf(file, "%-16s relative to %-14s%7.2f%7.2f%7.2f%7d\n", demo_backend_name(a),
					demo_backend_name(b), means.wall, means.cpu, means.rss, means.count);
		}
	}
}

/* Where gcdune is behind, so that nobody has to search the table for it. */
static void report_losses(FILE *file, const struct demo_results *results)
{
	int losses = 0;
	int compared = 0;

	fprintf(file, "\nWhere gcdune is behind Boehm (wall, CPU time, longest pause; peak RSS by more than 5 %%):\n");
	for (size_t p = 0; p < demo_programs_count; p++) {
		if (!report_has(results, p, DEMO_GCDUNE) || !report_has(results, p, DEMO_BOEHM))
			continue;
		struct report_row x = report_row(&results->cells[p][DEMO_GCDUNE]);
		struct report_row y = report_row(&results->cells[p][DEMO_BOEHM]);
		if (!x.good || !y.good)
			continue;
		compared++;
		if (!(x.wall > y.wall) && !(x.cpu > y.cpu) && !(x.rss > 1.05 * y.rss) && !(x.pause > y.pause))
			continue;
		losses++;
		fprintf(file, "  %-14s", demo_programs[p].name);
		if (x.wall > y.wall)
			fprintf(file, "  wall x %.2f", x.wall / y.wall);
		if (x.cpu > y.cpu)
			fprintf(file, "  CPU x %.2f", x.cpu / y.cpu);
		if (x.rss > 1.05 * y.rss)
			fprintf(file, "  RSS x %.2f", x.rss / y.rss);
		if (x.pause > y.pause)
			fprintf(file, "  longest pause x %.2f", x.pause / y.pause);
		fputs("\n", file);
	}
	if (!losses)
		fprintf(file, "  nowhere in the %d programs that ran well on both\n", compared);
}

int demo_report_table(FILE *file, const struct demo_results *results)
{
	int failures = 0;

	report_header(file, results);
	fprintf(file, "%-14s%-17s%7s%7s%9s%6s%9s%6s  |%18s   output\n", "", "", "wall", "CPU", "peak RSS", "GCs",
		"pause", "+-", "x Boehm");
	fprintf(file, "%-14s%-17s%7s%7s%9s%6s%9s%6s  |%6s%6s%6s\n", "program", "back end", "s", "s", "MiB", "", "ms",
		"", "wall", "CPU", "RSS");
	for (size_t p = 0; p < demo_programs_count; p++) {
		struct report_row boehm = report_row(&results->cells[p][DEMO_BOEHM]);
		const char *name = demo_programs[p].name;

		if (!results->programs[p])
			continue;
		fputs("\n", file);
		for (enum demo_backend b = 0; b < DEMO_BACKENDS; b++) {
			if (!report_has(results, p, b))
				continue;
			struct report_row row = report_row(&results->cells[p][b]);
			report_row_print(file, name, b, &row, &boehm);
			failures += !row.good;
			name = "";
		}
	}
	report_means_print(file, results);
	if (results->backends[DEMO_GCDUNE] && results->backends[DEMO_BOEHM])
		report_losses(file, results);
	if (failures)
		fprintf(file, "\n%d FAILED: see the last column\n", failures);
	return failures;
}

static void report_json_number(cJSON *object, const char *name, double value)
{
	if (isnan(value))
		cJSON_AddNullToObject(object, name);
	else
		cJSON_AddNumberToObject(object, name, value);
}

bool demo_report_json(const char *path, const struct demo_results *results)
{
	cJSON *array = cJSON_CreateArray();
	FILE *file = fopen(path, "we");
	bool written = false;

	for (size_t p = 0; p < demo_programs_count; p++) {
		for (enum demo_backend b = 0; b < DEMO_BACKENDS; b++) {
			if (!report_has(results, p, b))
				continue;
			struct report_row row = report_row(&results->cells[p][b]);
			cJSON *object = cJSON_CreateObject();

			cJSON_AddStringToObject(object, "program", demo_programs[p].name);
			cJSON_AddStringToObject(object, "backend", demo_backend_name(b));
			report_json_number(object, "wall_s", row.wall);
			report_json_number(object, "cpu_s", row.cpu);
			report_json_number(object, "peak_rss_kib", row.rss);
			report_json_number(object, "collections", row.collections);
			report_json_number(object, "longest_pause_ms", row.pause);
			cJSON_AddBoolToObject(object, "output_ok", row.good);
			report_json_number(object, "wall_spread", row.spread);
			cJSON_AddNumberToObject(object, "runs", results->cells[p][b].count);
			cJSON_AddStringToObject(object, "failure", row.detail);
			cJSON_AddItemToArray(array, object);
		}
	}
	char *text = cJSON_Print(array);
	if (file && text)
		written = fprintf(file, "%s\n", text) > 0;
	if (file && fclose(file))
		written = false;
	free(text);
	cJSON_Delete(array);
	return written;
}
