/* print.c - printf with cords. Each conversion but %r and %n is done by libc's vasprintf, with its own piece of the format. */
#define _GNU_SOURCE
#include "cord.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#pragma GCC diagnostic ignored "-Wformat-nonliteral"

struct conversion {
	char text[80];	     /* of the format, with widths and precisions filled in */
	int width, precision; /* -1: none */
	int left;
	int size; /* of an integer: -2 char, -1 short, 0 int, 1 long, 2 long long; 3 long double */
	char type;
};

/* A format's conversion from *AT on, behind the %. 0, or -1. */
static int parse(const char **at, struct conversion *c, va_list *args)
{
	const char *s = *at;
	char flags[8] = "", length[4] = "";
	size_t n = 0;

	*c = (struct conversion){ .width = -1, .precision = -1 };
	for (; *s && strchr("-+ #0'", *s) && n < sizeof flags - 1; s++) {
		c->left |= *s == '-';
		flags[n++] = *s;
	}
	if (*s == '*') {
		c->width = va_arg(*args, int);
		if (c->width < 0) {
			c->left = 1;
			if (n < sizeof flags - 1)
				flags[n++] = '-';
			c->width = -c->width;
		}
		s++;
	} else if (*s >= '0' && *s <= '9') {
		c->width = (int)strtol(s, (char **)(uintptr_t)&s, 10);
	}
	if (*s == '.') {
		s++;
		if (*s == '*') {
			c->precision = va_arg(*args, int);
			s++;
		} else {
			c->precision = (int)strtol(s, (char **)(uintptr_t)&s, 10);
		}
		if (c->precision < 0)
			c->precision = -1;
	}
	for (n = 0; *s && strchr("hljztqL", *s) && n < sizeof length - 1; s++)
		length[n++] = *s;
	if (length[0] == 'L')
		c->size = 3;
	else if (!strcmp(length, "ll") || length[0] == 'q')
		c->size = 2;
	else if (length[0] == 'h')
		c->size = length[1] == 'h' ? -2 : -1;
	else if (length[0])
		c->size = 1; /* l, j, z, t: all as wide as long here */
	c->type = *s;
	if (!*s)
		return -1;
	*at = s + 1;
	char width[16] = "", precision[16] = "";

	if (c->width >= 0)
		snprintf(width, sizeof width, "%d", c->width);
	if (c->precision >= 0)
		snprintf(precision, sizeof precision, ".%d", c->precision);
	snprintf(c->text, sizeof c->text, "%%%s%s%s%s%c", flags, width, precision, length, c->type);
	return 0;
}

/* A cord with width and precision as a string has them. */
static CORD fit(CORD x, const struct conversion *c)
{
	size_t length;

	if (c->precision >= 0)
		x = CORD_substr(x, 0, (size_t)c->precision);
	length = CORD_len(x);
	if (c->width < 0 || (size_t)c->width <= length)
		return x;
	CORD blanks = CORD_chars(' ', (size_t)c->width - length);

	return c->left ? CORD_cat(x, blanks) : CORD_cat(blanks, x);
}

/* What libc makes of it; NULL: it cannot. */
static char *by_libc(const struct conversion *c, va_list *args)
{
	char *out = NULL;
	int n = -1;

	switch (c->type) {
	case 'd':
	case 'i':
	case 'o':
	case 'u':
	case 'x':
	case 'X':
		n = c->size == 2   ? asprintf(&out, c->text, va_arg(*args, long long))
		    : c->size == 1 ? asprintf(&out, c->text, va_arg(*args, long))
				   : asprintf(&out, c->text, va_arg(*args, int));
		break;
	case 'c':
		n = asprintf(&out, c->text, va_arg(*args, int));
		break;
	case 'a':
	case 'A':
	case 'e':
	case 'E':
	case 'f':
	case 'F':
	case 'g':
	case 'G':
		n = c->size == 3 ? asprintf(&out, c->text, va_arg(*args, long double)) : asprintf(&out, c->text, va_arg(*args, double));
		break;
	case 's':
	case 'S':
	case 'C':
	case 'p':
		n = asprintf(&out, c->text, va_arg(*args, void *));
		break;
	case 'm':
		n = asprintf(&out, "%m");
		break;
	}
	return n < 0 ? NULL : out;
}

/* What %n says. */
static void store(void *place, int size, size_t length)
{
	switch (size) {
	case -2:
		*(signed char *)place = (signed char)length;
		break;
	case -1:
		*(short *)place = (short)length;
		break;
	case 0:
		*(int *)place = (int)length;
		break;
	case 1:
		*(long *)place = (long)length;
		break;
	default:
		*(long long *)place = (long long)length;
	}
}

static int format_into(CORD_ec x, CORD format_cord, va_list *args)
{
	const char *format = CORD_to_const_char_star(format_cord);

	while (*format) {
		struct conversion c;

		if (*format != '%') {
			CORD_ec_append(x, *format++);
			continue;
		}
		format++;
		if (*format == '%') {
			CORD_ec_append(x, *format++);
			continue;
		}
		if (parse(&format, &c, args))
			return -1;
		if (c.type == 'r') {
			CORD_ec_append_cord(x, fit(va_arg(*args, CORD), &c));
		} else if (c.type == 'n') {
			CORD_ec_flush_buf(x);
			store(va_arg(*args, void *), c.size, CORD_len(x->ec_cord));
		} else if (c.type == 'c' && c.width < 0) {
			int character = va_arg(*args, int);

			if (character)
				CORD_ec_append(x, (char)character);
			else
				CORD_ec_append_cord(x, CORD_nul(1));
		} else {
			char *text = by_libc(&c, args);

			if (!text)
				return -1;
			for (const char *s = text; *s; s++)
				CORD_ec_append(x, *s);
			free(text);
		}
	}
	return 0;
}

int CORD_vsprintf(CORD *out, CORD format, va_list args)
{
	va_list copy;
	CORD_ec x;
	int failed;

	CORD_ec_init(x);
	va_copy(copy, args);
	failed = format_into(x, format, &copy);
	va_end(copy);
	if (failed)
		return -1;
	*out = CORD_balance(CORD_ec_to_cord(x));
	return (int)CORD_len(*out);
}

int CORD_sprintf(CORD *out, CORD format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = CORD_vsprintf(out, format, args);
	va_end(args);
	return n;
}

int CORD_vfprintf(FILE *f, CORD format, va_list args)
{
	CORD out = CORD_EMPTY;
	int n = CORD_vsprintf(&out, format, args);

	return n < 0 || (n > 0 && CORD_put(out, f) == EOF) ? -1 : n;
}

int CORD_fprintf(FILE *f, CORD format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = CORD_vfprintf(f, format, args);
	va_end(args);
	return n;
}

int CORD_vprintf(CORD format, va_list args)
{
	return CORD_vfprintf(stdout, format, args);
}

int CORD_printf(CORD format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = CORD_vfprintf(stdout, format, args);
	va_end(args);
	return n;
}
