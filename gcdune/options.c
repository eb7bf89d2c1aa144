/* options.c - owns gcdune_options. One table names every option, its environment variable (GCDUNE_ and the name in
 * capitals) and its parser; gcdune_init and gcdune_option_set call in here. */
#define _GNU_SOURCE
#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "heap.h"
#include "os.h"
#include "pacer.h"

extern char **environ;

struct gcdune_options gcdune_options = {
	.reserve = (size_t)512 << 30,
	.growth = GCDUNE_GROWTH_DEFAULT,
	.pause_goal = 1000,
	.signal = SIGPWR,
	.hugepages = GCDUNE_HUGE_AUTO,
	.release = 1,
	.dirty = "auto",
	.wide = 1,
};

enum type { FLAG, LEVEL, COUNT, NUMBER, SIZE, PERCENT, SIGNAL, HUGE_PAGES, MODE, SOURCE, TEXT };

static const struct option {
	const char *name;
	enum type type;
	void *value;
	bool early; /* has no effect once the heap exists */
	const char *wants;
} table[] = {
	{"stats", TEXT, &gcdune_options.stats, false, "1 or a file name"},
	{"trace", TEXT, &gcdune_options.trace, true, "a file name"},
	{"mode", MODE, &gcdune_options.mode, true, "auto, concurrent, stw or generational"},
	{"dirty", SOURCE, &gcdune_options.dirty, true, "auto, uffd, softdirty, mprotect, dune, dune-fault or always"},
	{"write_cost", COUNT, &gcdune_options.write_cost, false, "nanoseconds, 0 to measure"},
	{"dirty_plant", FLAG, &gcdune_options.dirty_plant, true, "0 or 1"},
	{"stretch", COUNT, &gcdune_options.stretch, false, "microseconds"},
	{"settle", COUNT, &gcdune_options.settle, false, "microseconds"},
	{"torture", NUMBER, &gcdune_options.torture, true, "a number of allocations, 0 for none"},
	{"verify", LEVEL, &gcdune_options.verify, false, "0, 1, 2 or 3"},
	{"verify_plant", FLAG, &gcdune_options.verify_plant, false, "0 or 1"},
	{"heap_limit", SIZE, &gcdune_options.heap_limit, false, "a size such as 512M"},
	{"heap_initial", SIZE, &gcdune_options.heap_initial, true, "a size such as 64M"},
	{"reserve", SIZE, &gcdune_options.reserve, true, "a size such as 64G"},
	{"growth", PERCENT, &gcdune_options.growth, false, "a percentage from 10 to 1000"},
	{"pause_goal", COUNT, &gcdune_options.pause_goal, false, "microseconds"},
	{"markers", COUNT, &gcdune_options.markers, false, "a number of threads from 1 to 64, 0 to choose"},
	{"mark_segments", COUNT, &gcdune_options.mark_segments, true, "a number, 0 for no bound"},
	{"signal", SIGNAL, &gcdune_options.signal, true, "a signal's number or name such as SIGPWR"},
	{"hugepages", HUGE_PAGES, &gcdune_options.hugepages, true, "auto, on or off"},
	{"live", FLAG, &gcdune_options.live, false, "0 or 1"},
	{"malloc", TEXT, &gcdune_options.malloc, true, "free, collect or leak"},
	{"leak_report", TEXT, &gcdune_options.leak_report, false, "a file name"},
	{"release", FLAG, &gcdune_options.release, false, "on or off"},
	{"wide", FLAG, &gcdune_options.wide, true, "on or off"},
};

static const char *const source_names[] = {"auto", "uffd", "softdirty", "mprotect", "dune", "dune-fault", "always"};

static int parse_size(const char *text, size_t *size)
{
	char *end;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	unsigned long long value = strtoull(text, &end, 0);
	unsigned shift = 0;

	if (errno || end == text)
		return -EINVAL;
	switch (toupper((unsigned char)*end)) {
	case 'T':
		shift += 10; /* fall through */
	case 'G':
		shift += 10; /* fall through */
	case 'M':
		shift += 10; /* fall through */
	case 'K':
		shift += 10;
		end++;
	}
	if (*end || (shift && value >> (64 - shift)))
		return -EINVAL;
	*size = (size_t)value << shift;
	return 0;
}

static int parse_number(const char *text, uint64_t most, uint64_t *number)
{
	char *end;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	*number = strtoull(text, &end, 10);
	return errno || *end || *number > most ? -EINVAL : 0;
}

static int parse_signal(const char *text, int *signal)
{
	uint64_t number;

	if (parse_number(text, 64, &number)) {
		if (!strncasecmp(text, "SIG", 3))
			text += 3;
		number = 0;
		for (int s = 1; s < 32; s++) {
			const char *name = sigabbrev_np(s);

			if (name && !strcasecmp(name, text))
				number = (uint64_t)s;
		}
	}
	if (!number || number == SIGKILL || number == SIGSTOP || number == SIGSEGV || number == SIGBUS ||
	    number == 32 || number == 33)
		return -EINVAL;
	*signal = (int)number;
	return 0;
}

static int parse_flag(const char *text, unsigned *flag)
{
	if (!strcmp(text, "1") || !strcasecmp(text, "on") || !strcasecmp(text, "yes"))
		*flag = 1;
	else if (!strcmp(text, "0") || !strcasecmp(text, "off") || !strcasecmp(text, "no") || !*text)
		*flag = 0;
	else
		return -EINVAL;
	return 0;
}

static int set(const struct option *option, const char *text)
{
	uint64_t number;

	switch (option->type) {
	case FLAG:
		return parse_flag(text, option->value);
	case LEVEL:
		if (!strcmp(text, "2") || !strcmp(text, "3")) {
			*(unsigned *)option->value = (unsigned)(*text - '0');
			return 0;
		}
		return parse_flag(text, option->value);
	case COUNT:
		if (parse_number(text, 1u << 20, &number) || (option->value == &gcdune_options.markers && number > 64))
			return -EINVAL;
		*(unsigned *)option->value = (unsigned)number;
		return 0;
	case NUMBER:
		return parse_number(text, UINT64_MAX, option->value);
	case SIZE:
		return parse_size(text, option->value);
	case PERCENT:
		if (parse_number(text, 1000, &number) || number < 10)
			return -EINVAL;
		*(unsigned *)option->value = (unsigned)number;
		return 0;
	case SIGNAL:
		return parse_signal(text, option->value);
	case HUGE_PAGES:
		if (!strcasecmp(text, "auto"))
			*(int *)option->value = GCDUNE_HUGE_AUTO;
		else if (!strcasecmp(text, "on"))
			*(int *)option->value = GCDUNE_HUGE_ON;
		else if (!strcasecmp(text, "off"))
			*(int *)option->value = GCDUNE_HUGE_OFF;
		else
			return -EINVAL;
		return 0;
	case MODE:
		if (!strcasecmp(text, "auto"))
			*(int *)option->value = GCDUNE_MODE_AUTO;
		else if (!strcasecmp(text, "concurrent"))
			*(int *)option->value = GCDUNE_MODE_CONCURRENT;
		else if (!strcasecmp(text, "generational"))
			*(int *)option->value = GCDUNE_MODE_GENERATIONAL;
		else if (!strcasecmp(text, "stw"))
			*(int *)option->value = GCDUNE_MODE_STW;
		else
			return -EINVAL;
		return 0;
	case SOURCE:
		for (size_t i = 0; i < sizeof source_names / sizeof *source_names; i++)
			if (!strcmp(text, source_names[i])) {
				*(const char **)option->value = source_names[i];
				return 0;
			}
		return -EINVAL;
	case TEXT:
		*(const char **)option->value = !*text || !strcmp(text, "0") ? NULL : text;
		return 0;
	}
	return -EINVAL;
}

static const struct option *find(const char *name, size_t length)
{
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (strlen(table[i].name) == length && !strncasecmp(table[i].name, name, length))
			return &table[i];
	return NULL;
}

void gcdune_options_init(void)
{
	for (char **variable = environ; variable && *variable; variable++) {
		if (strncmp(*variable, "GCDUNE_", 7))
			continue;
		const char *name = *variable + 7;
		size_t length = strcspn(name, "=");

		if (!name[length])
			continue;
		const struct option *option = find(name, length);

		if (!option)
			gcdune_warn("GCDUNE_%.*s is not an option of this version; ignored", (int)length, name);
		else if (set(option, name + length + 1))
			gcdune_warn("GCDUNE_%.*s=%s is ignored: it wants %s", (int)length, name, name + length + 1,
				    option->wants);
	}
}

int gcdune_option_set(const char *name, const char *value)
{
	const struct option *option = find(name, strlen(name));

	if (!option)
		return -ENOENT;
	if (option->early && gcdune_heap.ready)
		return -EBUSY;
	if (option->type == TEXT) {
		/* The program's string need not last; this one is never freed. */
		value = strdup(value);
		if (!value)
			return -ENOMEM;
	}
	int error = set(option, value);

	if (!error && option->value == &gcdune_options.heap_limit)
		gcdune_heap_limit_set(gcdune_options.heap_limit);
	return error;
}
