/* report.c - gcdune report: reads statistics or a trace and prints them as text. */
#define _GNU_SOURCE
#include "report.h"

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

static char *read_file(const char *path)
{
	FILE *f = strcmp(path, "-") ? fopen(path, "re") : stdin;
	size_t size = 0, room = 65536, n;
	char *text = malloc(room);

	if (!f || !text)
		return NULL;
	while ((n = fread(text + size, 1, room - size - 1, f)) > 0) {
		size += n;
		if (room - size < 2) {
			text = realloc(text, room *= 2);
			if (!text)
				return NULL;
		}
	}
	text[size] = '\0';
	if (f != stdin)
		fclose(f);
	return text;
}

static void add_pause(struct report *report, struct pause pause)
{
	static size_t room;

	if (report->pauses_count == room) {
		room = room ? room * 2 : 1024;
		report->pauses = realloc(report->pauses, room * sizeof *report->pauses);
		if (!report->pauses)
			abort();
	}
	report->pauses[report->pauses_count++] = pause;
}

static int by_start(const void *a_, const void *b_)
{
	const struct pause *a = a_, *b = b_;

	return a->start_s < b->start_s ? -1 : a->start_s > b->start_s;
}

static double cell(const struct json *row, int column)
{
	return column >= 0 && (size_t)column < row->count ? row->items[column].number : 0;
}

static bool read_stats(struct report *report, const struct json *root)
{
	const struct json *pauses = json_get(root, "pauses"), *fields = json_get(pauses, "fields"), *list = json_get(pauses, "list");

	if (!pauses || !fields || !list)
		return false;
	int start = json_index(fields, "start_ns"), heap = json_index(fields, "heap_bytes"), live = json_index(fields, "live_bytes");

	report->stats = root;
	report->run_s = json_number(root, "run_ns") / 1e9;
	for (size_t i = 0; i < list->count; i++) {
		const struct json *row = &list->items[i];
		double length = 0;

		/* The phases' columns are those that end in _ns. */
		for (size_t k = 0; k < fields->count && k < row->count; k++) {
			size_t n = strlen(fields->items[k].string);

			if ((int)k != start && n > 3 && !strcmp(fields->items[k].string + n - 3, "_ns"))
				length += row->items[k].number;
		}
		add_pause(report, (struct pause){cell(row, start) / 1e9, length / 1e6, cell(row, heap) / 1048576,
						 cell(row, live) / 1048576});
	}
	return true;
}

static void add_span(struct report *report, const char *name, double ms)
{
	size_t i = 0;

	while (i < report->spans_count && strcmp(report->spans[i].name, name))
		i++;
	if (i == sizeof report->spans / sizeof *report->spans)
		return;
	if (i == report->spans_count)
		report->spans[report->spans_count++].name = name;
	report->spans[i].count++;
	report->spans[i].total_ms += ms;
	if (ms > report->spans[i].max_ms)
		report->spans[i].max_ms = ms;
}

/* Spans of the collector from a stop to its release are one pause. */
static bool read_trace(struct report *report, const struct json *root)
{
	static const char *const in_pause[] = {"stop", "roots", "mark", "finalize", "verify", "sweep", "release"};
	const struct json *events = root->type == JSON_ARRAY ? root : json_get(root, "traceEvents");
	struct pause pause = {0};
	bool open = false;

	if (!events || events->type != JSON_ARRAY)
		return false;
	for (size_t i = 0; i < events->count; i++) {
		const struct json *event = &events->items[i], *name = json_get(event, "name"), *kind = json_get(event, "ph");
		double start = json_number(event, "ts") / 1e6, ms = json_number(event, "dur") / 1e3;

		if (!name || !name->string || !kind || !kind->string || strcmp(kind->string, "X"))
			continue;
		add_span(report, name->string, ms);
		if (start + ms / 1e3 > report->run_s)
			report->run_s = start + ms / 1e3;
		if (!strcmp(name->string, "stop")) {
			pause = (struct pause){.start_s = start};
			open = true;
		}
		for (size_t k = 0; open && k < sizeof in_pause / sizeof *in_pause; k++)
			if (!strcmp(name->string, in_pause[k]))
				pause.length_ms += ms;
		if (open && !strcmp(name->string, "release")) {
			add_pause(report, pause);
			open = false;
		}
	}
	return true;
}

static int by_length(const void *a_, const void *b_)
{
	const struct pause *a = a_, *b = b_;

	return a->length_ms < b->length_ms ? -1 : a->length_ms > b->length_ms;
}

double report_quantile(const struct report *report, double share)
{
	static struct pause *sorted;
	static const struct report *of;
	size_t n = report->pauses_count;

	if (!n)
		return 0;
	if (of != report) {
		sorted = malloc(n * sizeof *sorted);
		if (!sorted)
			abort();
		memcpy(sorted, report->pauses, n * sizeof *sorted);
		qsort(sorted, n, sizeof *sorted, by_length);
		of = report;
	}
	size_t i = (size_t)(share * (double)n + 0.999999);

	return sorted[i ? i - 1 : 0].length_ms;
}

/* The worst window begins with a pause or ends with one. */
double report_utilization(const struct report *report, double length_s)
{
	const struct pause *p = report->pauses;
	size_t n = report->pauses_count;
	double worst = 0;

	for (size_t i = 0; i < n; i++) {
		double windows[2] = {p[i].start_s, p[i].start_s + p[i].length_ms / 1e3 - length_s};

		for (int w = 0; w < 2; w++) {
			double begin = windows[w], end = begin + length_s, lost = 0;

			for (size_t k = i; k < n && p[k].start_s < end; k++) {
				double to = p[k].start_s + p[k].length_ms / 1e3, from = p[k].start_s;

				lost += (to < end ? to : end) - (from > begin ? from : begin);
			}
			for (size_t k = i; k-- > 0 && p[k].start_s + p[k].length_ms / 1e3 > begin;) {
				double to = p[k].start_s + p[k].length_ms / 1e3, from = p[k].start_s;

				lost += (to < end ? to : end) - (from > begin ? from : begin);
			}
			if (lost > worst)
				worst = lost;
		}
	}
	return worst >= length_s ? 0 : 1 - worst / length_s;
}

static void print_object(const char *title, const struct json *object, double scale, const char *unit)
{
	if (!object || object->type != JSON_OBJECT || !object->count)
		return;
	printf("%-13s", title);
	for (size_t i = 0; i < object->count; i++)
		printf("%s%s %.6g%s", i ? ", " : "", object->items[i].name, object->items[i].number * scale, unit);
	printf("\n");
}

static void print_text(const struct report *report)
{
	const struct json *stats = report->stats;
	double total = 0;

	for (size_t i = 0; i < report->pauses_count; i++)
		total += report->pauses[i].length_ms;
	if (stats) {
		const struct json *source = json_get(stats, "dirty_source");

		printf("process      %.0f, ran %.3f s\n", json_number(stats, "pid"), report->run_s);
		printf("collections  %.0f\n", json_number(stats, "collections"));
		printf("allocated    %.1f MiB\n", json_number(stats, "bytes_allocated") / 1048576);
		printf("heap         %.1f MiB at the end, %.1f MiB at most; %.1f MiB live\n", json_number(stats, "bytes_heap") / 1048576,
		       json_number(stats, "bytes_heap_peak") / 1048576, json_number(stats, "bytes_live") / 1048576);
		printf("released     %.1f MiB\n", json_number(stats, "bytes_released") / 1048576);
		if (source && source->string)
			printf("dirty pages  by %s\n", source->string);
		print_object("reasons", json_get(stats, "reasons"), 1, "");
		print_object("phases", json_get(stats, "phases_ns"), 1e-6, " ms");
		print_object("beside", json_get(stats, "concurrent"), 1, "");
		const struct json *lost = json_get(stats, "lost");

		for (size_t i = 0; lost && lost->type == JSON_OBJECT && i < lost->count; i++)
			printf("%s%s %.0f times, %.3f ms in all, longest %.3f ms\n", i ? "             " : "lost to      ", lost->items[i].name,
			       json_number(&lost->items[i], "times"), json_number(&lost->items[i], "total_ns") / 1e6,
			       json_number(&lost->items[i], "max_ns") / 1e6);
	} else {
		printf("trace        %.3f s\n", report->run_s);
		for (size_t i = 0; i < report->spans_count; i++)
			printf("  %-16s %7zu times, %10.3f ms in all, longest %8.3f ms\n", report->spans[i].name, report->spans[i].count,
			       report->spans[i].total_ms, report->spans[i].max_ms);
	}
	printf("pauses       %zu, %.3f ms in all\n", report->pauses_count, total);
	if (!report->pauses_count)
		return;
	printf("             p50 %.3f, p90 %.3f, p99 %.3f, p99.9 %.3f, longest %.3f ms\n", report_quantile(report, .5),
	       report_quantile(report, .9), report_quantile(report, .99), report_quantile(report, .999), report_quantile(report, 1));
	printf("utilization  the least in any");
	for (double ms = 1; ms <= 1000; ms *= 10)
		printf("%s %.0f ms: %.1f %%", ms > 1 ? "," : "", ms, 100 * report_utilization(report, ms / 1e3));
	printf("\n");
}

int command_report(int argc, char **argv)
{
	static const struct option options[] = {{"html", optional_argument, NULL, 'h'}, {0}};
	struct report report = {0};
	const char *out = NULL;
	bool html = false;
	size_t where;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option != 'h')
			return command_usage("report");
		html = true;
		out = optarg;
	}
	if (argc - optind != 1)
		return command_error(COMMAND_USAGE, "report: one file is wanted"), command_usage("report");
	report.file = argv[optind];
	char *text = read_file(report.file);

	if (!text)
		return command_error(1, "%s: %s", report.file, strerrordesc_np(errno));
	struct json *root = json_parse(text, &where);

	if (!root)
		return command_error(1, "%s: not JSON, at byte %zu", report.file, where);
	if (!read_stats(&report, root) && !read_trace(&report, root))
		return command_error(1, "%s: neither statistics (GCDUNE_STATS=FILE) nor a trace (GCDUNE_TRACE=FILE)", report.file);
	if (report.pauses_count)
		qsort(report.pauses, report.pauses_count, sizeof *report.pauses, by_start);
	if (!html) {
		print_text(&report);
		return 0;
	}
	FILE *f = out ? fopen(out, "we") : stdout;

	if (!f)
		return command_error(1, "%s: %s", out, strerrordesc_np(errno));
	report_html(&report, f);
	if (fflush(f) || ferror(f) || (out && fclose(f)))
		return command_error(1, "%s: %s", out ? out : "standard output", strerrordesc_np(errno));
	return 0;
}
