/* html.c - the report as one HTML page with pictures in SVG; it needs nothing from elsewhere. */
#define _GNU_SOURCE
#include <math.h>
#include <string.h>

#include "report.h"

enum { WIDTH = 860, HEIGHT = 260, LEFT = 70, RIGHT = 20, TOP = 16, BOTTOM = 40 };
static const double plot_width = WIDTH - LEFT - RIGHT, plot_height = HEIGHT - TOP - BOTTOM;

static void escaped(FILE *f, const char *text)
{
	for (; *text; text++)
		switch (*text) {
		case '<':
			fputs("&lt;", f);
			break;
		case '&':
			fputs("&amp;", f);
			break;
		case '"':
			fputs("&quot;", f);
			break;
		default:
			fputc(*text, f);
		}
}

static void begin_picture(FILE *f, const char *id, const char *title, const char *x_label)
{
	fprintf(f, "<h2>%s</h2>\n<svg id=\"%s\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">\n", title, id, WIDTH, HEIGHT, title);
	fprintf(f, "<rect x=\"%d\" y=\"%d\" width=\"%.0f\" height=\"%.0f\" class=\"frame\"/>\n", LEFT, TOP, plot_width, plot_height);
	fprintf(f, "<text x=\"%.0f\" y=\"%d\" class=\"axis\" text-anchor=\"middle\">%s</text>\n", LEFT + plot_width / 2, HEIGHT - 4,
		x_label);
}

static void mark_x(FILE *f, double share, const char *text)
{
	double x = LEFT + share * plot_width;

	fprintf(f, "<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%.0f\" class=\"grid\"/>", x, TOP, x, TOP + plot_height);
	fprintf(f, "<text x=\"%.1f\" y=\"%.0f\" class=\"axis\" text-anchor=\"middle\">%s</text>\n", x, TOP + plot_height + 14, text);
}

static void mark_y(FILE *f, double share, const char *text)
{
	double y = TOP + (1 - share) * plot_height;

	fprintf(f, "<line x1=\"%d\" y1=\"%.1f\" x2=\"%.0f\" y2=\"%.1f\" class=\"grid\"/>", LEFT, y, LEFT + plot_width, y);
	fprintf(f, "<text x=\"%d\" y=\"%.1f\" class=\"axis\" text-anchor=\"end\">%s</text>\n", LEFT - 6, y + 4, text);
}

/* A round number of which 2 to 5 fit. */
static double step(double range)
{
	double power = pow(10, floor(log10(range)));

	return range / power >= 5 ? power * 2 : range / power >= 2 ? power : power / 2;
}

/* How many pauses had which length, in half decades. */
static void distribution(const struct report *report, FILE *f)
{
	enum { FROM = -3, TO = 4, PER = 4, BARS = (TO - FROM) * PER };
	size_t counts[BARS] = {0}, most = 1;
	char text[32];

	for (size_t i = 0; i < report->pauses_count; i++) {
		double ms = report->pauses[i].length_ms;
		int bar = ms > 0 ? (int)floor((log10(ms) - FROM) * PER) : 0;

		bar = bar < 0 ? 0 : bar >= BARS ? BARS - 1 : bar;
		if (++counts[bar] > most)
			most = counts[bar];
	}
	begin_picture(f, "distribution", "How long the pauses were", "length of a pause, ms (logarithmic)");
	for (int power = FROM; power <= TO; power++) {
		snprintf(text, sizeof text, "%g", pow(10, power));
		mark_x(f, (double)(power - FROM) / (TO - FROM), text);
	}
	double by = most < 5 ? 1 : step((double)most);

	for (double n = by; n <= (double)most; n += by) {
		snprintf(text, sizeof text, "%.0f", n);
		mark_y(f, n / (double)most * .95, text);
	}
	for (int i = 0; i < BARS; i++) {
		double height = (double)counts[i] / (double)most * .95 * plot_height;

		if (counts[i])
			fprintf(f, "<rect class=\"bar\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"><title>%zu pauses of %.4g to %.4g ms</title></rect>\n",
				LEFT + plot_width * i / BARS + 1, TOP + plot_height - height, plot_width / BARS - 2, height, counts[i],
				pow(10, FROM + (double)i / PER), pow(10, FROM + (double)(i + 1) / PER));
	}
	fputs("</svg>\n", f);
}

/* Minimum mutator utilization (Cheng and Blelloch 2001). */
static void utilization(const struct report *report, FILE *f)
{
	enum { FROM = -1, TO = 4, POINTS = 60 };
	char text[32];

	begin_picture(f, "utilization", "The least share of any window that was the program's", "length of the window, ms (logarithmic)");
	for (int power = FROM; power <= TO; power++) {
		snprintf(text, sizeof text, "%g", pow(10, power));
		mark_x(f, (double)(power - FROM) / (TO - FROM), text);
	}
	for (int percent = 0; percent <= 100; percent += 25) {
		snprintf(text, sizeof text, "%d %%", percent);
		mark_y(f, percent / 100.0, text);
	}
	fputs("<polyline class=\"line\" points=\"", f);
	for (int i = 0; i <= POINTS; i++) {
		double ms = pow(10, FROM + (double)i * (TO - FROM) / POINTS), u = report_utilization(report, ms / 1e3);

		fprintf(f, "%.1f,%.1f ", LEFT + plot_width * i / POINTS, TOP + (1 - u) * plot_height);
	}
	fputs("\"/>\n</svg>\n", f);
}

/* Seconds below, UNIT up to MOST at the side. */
static void axes(FILE *f, double seconds, double most, const char *unit)
{
	char text[32];

	for (double s = 0, by = step(seconds); s <= seconds; s += by) {
		snprintf(text, sizeof text, "%g", s);
		mark_x(f, s / seconds, text);
	}
	for (double v = 0, by = step(most); v <= most; v += by) {
		snprintf(text, sizeof text, "%g %s", v, unit);
		mark_y(f, v / most * .95, text);
	}
}

static void heap(const struct report *report, FILE *f)
{
	double most = 0;

	for (size_t i = 0; i < report->pauses_count; i++)
		most = fmax(most, fmax(report->pauses[i].heap_mib, report->pauses[i].live_mib));
	if (most <= 0 || report->run_s <= 0)
		return;
	begin_picture(f, "heap", "The heap over time, and what of it lived", "seconds");
	axes(f, report->run_s, most, "MiB");
	for (int live = 0; live < 2; live++) {
		fprintf(f, "<polyline class=\"line%s\" points=\"", live ? " second" : "");
		for (size_t i = 0; i < report->pauses_count; i++) {
			const struct pause *p = &report->pauses[i];
			double mib = live ? p->live_mib : p->heap_mib;

			if (mib > 0)
				fprintf(f, "%.1f,%.1f ", LEFT + plot_width * fmin(1, p->start_s / report->run_s),
					TOP + (1 - mib / most * .95) * plot_height);
		}
		fputs("\"/>\n", f);
	}
	fprintf(f, "<text x=\"%d\" y=\"%d\" class=\"key\">heap</text><text x=\"%d\" y=\"%d\" class=\"key second\">live</text>\n</svg>\n",
		LEFT + 10, TOP + 16, LEFT + 60, TOP + 16);
}

static void over_time(const struct report *report, FILE *f)
{
	double most = report_quantile(report, 1);

	if (report->run_s <= 0 || most <= 0)
		return;
	begin_picture(f, "pauses", "When the pauses were", "seconds");
	axes(f, report->run_s, most, "ms");
	for (size_t i = 0; i < report->pauses_count; i++) {
		double x = LEFT + plot_width * fmin(1, report->pauses[i].start_s / report->run_s);

		fprintf(f, "<line class=\"pause\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.0f\" y2=\"%.1f\"/>\n", x, x, TOP + plot_height,
			TOP + (1 - report->pauses[i].length_ms / most * .95) * plot_height);
	}
	fputs("</svg>\n", f);
}

static void row(FILE *f, const char *name, double value, const char *unit)
{
	fprintf(f, "<tr><th>%s</th><td>%.6g %s</td></tr>\n", name, value, unit);
}

void report_html(const struct report *report, FILE *f)
{
	const struct json *stats = report->stats;

	fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>gcdune: ", f);
	escaped(f, report->file);
	fputs("</title>\n<style>\n"
	      "body { font: 15px/1.5 sans-serif; max-width: 54rem; margin: 2rem auto; padding: 0 1rem; color: #222; background: #fff }\n"
	      "svg { width: 100%; height: auto } h2 { font-size: 1.1rem; margin: 1.5rem 0 .3rem }\n"
	      "th { text-align: left; font-weight: normal; padding-right: 2rem } td { text-align: right }\n"
	      ".frame { fill: none; stroke: #999 } .grid { stroke: #ddd } .axis { font-size: 11px; fill: #555 }\n"
	      ".bar { fill: #2a6f97 } .line { fill: none; stroke: #2a6f97; stroke-width: 2 } .pause { stroke: #2a6f97 }\n"
	      ".second { stroke: #bc4b24 } .key { font-size: 12px; fill: #2a6f97 } .key.second { fill: #bc4b24; stroke: none }\n"
	      "@media (prefers-color-scheme: dark) { body { color: #ddd; background: #1b1b1b } .axis { fill: #aaa } .grid { stroke: #333 }\n"
	      "  .bar, .key { fill: #6cb4dc } .line, .pause { stroke: #6cb4dc } .line.second { stroke: #e58a63 } .key.second { fill: #e58a63 } }\n"
	      "</style>\n</head>\n<body>\n<h1>", f);
	escaped(f, report->file);
	fputs("</h1>\n<table>\n", f);
	row(f, stats ? "ran" : "trace", report->run_s, "s");
	if (stats) {
		row(f, "collections", json_number(stats, "collections"), "");
		row(f, "allocated", json_number(stats, "bytes_allocated") / 1048576, "MiB");
		row(f, "largest heap", json_number(stats, "bytes_heap_peak") / 1048576, "MiB");
		row(f, "live at the end", json_number(stats, "bytes_live") / 1048576, "MiB");
	}
	row(f, "pauses", (double)report->pauses_count, "");
	row(f, "median pause", report_quantile(report, .5), "ms");
	row(f, "99 % of pauses up to", report_quantile(report, .99), "ms");
	row(f, "longest pause", report_quantile(report, 1), "ms");
	fputs("</table>\n", f);
	distribution(report, f);
	utilization(report, f);
	heap(report, f);
	over_time(report, f);
	if (report->spans_count) {
		fputs("<h2>What took the time</h2>\n<table>\n<tr><th></th><td>times</td><td>ms in all</td><td>longest, ms</td></tr>\n", f);
		for (size_t i = 0; i < report->spans_count; i++) {
			fputs("<tr><th>", f);
			escaped(f, report->spans[i].name);
			fprintf(f, "</th><td>%zu</td><td>%.3f</td><td>%.3f</td></tr>\n", report->spans[i].count, report->spans[i].total_ms,
				report->spans[i].max_ms);
		}
		fputs("</table>\n", f);
	}
	fputs("</body>\n</html>\n", f);
}
