/* report.h - what report.c has read of a file, for the text and for the page (html.c). */
#ifndef GCDUNE_REPORT_H
#define GCDUNE_REPORT_H

#include <stddef.h>
#include <stdio.h>

#include "json.h"

/* A stop of the program, or in a trace anything that kept a thread from going on. */
struct pause {
	double start_s, length_ms;
	double heap_mib, live_mib; /* 0: not known */
};

struct report {
	const char *file;
	const struct json *stats; /* NULL: the file is a trace */
	struct pause *pauses;	  /* by start */
	size_t pauses_count;
	double run_s;
	/* Trace: spans by name. */
	struct span {
		const char *name;
		size_t count;
		double total_ms, max_ms;
	} spans[64];
	size_t spans_count;
};

/* The share of the worst window of LENGTH_S that was the program's; 1: all of it. */
double report_utilization(const struct report *report, double length_s);
/* The smallest length that at least that share of the pauses does not exceed. */
double report_quantile(const struct report *report, double share);
void report_html(const struct report *report, FILE *out);

#endif
