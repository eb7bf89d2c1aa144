/* extra.c - what can be said with trees and positions: iteration, comparison, search, conversion, files. */
#include "cord.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int CORD_iter5(CORD x, size_t i, CORD_iter_fn f1, CORD_batched_iter_fn f2, void *data)
{
	CORD_pos p;

	if (!x)
		return 0;
	CORD_set_pos(p, x, i);
	while (CORD_pos_valid(p)) {
		/* A string leaf, from here to its end, is a C string. */
		if (f2 && p->cur_end && p->cur_leaf != p->function_buf) {
			if (f2(CORD_pos_cur_char_addr(p), data))
				return 1;
			p->cur_pos = p->cur_end - 1;
		} else if (f1(CORD_pos_fetch(p), data)) {
			return 1;
		}
		CORD_next(p);
	}
	return 0;
}

#undef CORD_iter
int CORD_iter(CORD x, CORD_iter_fn f1, void *data)
{
	return CORD_iter5(x, 0, f1, CORD_NO_FN, data);
}

int CORD_riter4(CORD x, size_t i, CORD_iter_fn f1, void *data)
{
	CORD_pos p;

	if (!x)
		return 0;
	for (CORD_set_pos(p, x, i); CORD_pos_valid(p); CORD_prev(p))
		if (f1(CORD_pos_fetch(p), data))
			return 1;
	return 0;
}

int CORD_riter(CORD x, CORD_iter_fn f1, void *data)
{
	size_t length = CORD_len(x);

	return length ? CORD_riter4(x, length - 1, f1, data) : 0;
}

void cord_copy(CORD x, size_t start, size_t n, char *to)
{
	CORD_pos p;

	for (CORD_set_pos(p, x, start); n; n--, CORD_next(p))
		*to++ = CORD_pos_fetch(p);
}

CORD CORD_catn(int n, ...)
{
	CORD result = CORD_EMPTY;
	va_list args;

	va_start(args, n);
	while (n-- > 0)
		result = CORD_cat(result, va_arg(args, CORD));
	va_end(args);
	return result;
}

CORD CORD_cat_char(CORD x, char c)
{
	char *string;

	if (!c)
		return CORD_cat(x, CORD_nul(1));
	string = cord_alloc_string(1);
	string[0] = c;
	string[1] = '\0';
	return CORD_cat_char_star(x, string, 1);
}

static char same(size_t i, void *data)
{
	(void)i;
	return (char)(size_t)data;
}

CORD CORD_chars(char c, size_t n)
{
	return CORD_from_fn(same, (void *)(size_t)(unsigned char)c, n);
}

char CORD_fetch(CORD x, size_t i)
{
	CORD_pos p;

	CORD_set_pos(p, x, i);
	if (!CORD_pos_valid(p))
		cord_panic("CORD_fetch: behind the end");
	return CORD_pos_fetch(p);
}

int CORD_ncmp(CORD x, size_t x_start, CORD y, size_t y_start, size_t n)
{
	CORD_pos a, b;

	CORD_set_pos(a, x, x_start);
	CORD_set_pos(b, y, y_start);
	for (; n; n--) {
		if (!CORD_pos_valid(a))
			return CORD_pos_valid(b) ? -1 : 0;
		if (!CORD_pos_valid(b))
			return 1;
		unsigned char c = (unsigned char)CORD_pos_fetch(a), d = (unsigned char)CORD_pos_fetch(b);

		if (c != d)
			return c < d ? -1 : 1;
		CORD_next(a);
		CORD_next(b);
	}
	return 0;
}

int CORD_cmp(CORD x, CORD y)
{
	return CORD_ncmp(x, 0, y, 0, (size_t)-1);
}

size_t CORD_chr(CORD x, size_t i, int c)
{
	CORD_pos p;

	for (CORD_set_pos(p, x, i); CORD_pos_valid(p); CORD_next(p))
		if (CORD_pos_fetch(p) == (char)c)
			return CORD_pos_to_index(p);
	return CORD_NOT_FOUND;
}

size_t CORD_rchr(CORD x, size_t i, int c)
{
	CORD_pos p;

	for (CORD_set_pos(p, x, i); CORD_pos_valid(p); CORD_prev(p))
		if (CORD_pos_fetch(p) == (char)c)
			return CORD_pos_to_index(p);
	return CORD_NOT_FOUND;
}

size_t CORD_str(CORD x, size_t start, CORD s)
{
	size_t x_length = CORD_len(x), length = CORD_len(s);

	if (length == 0)
		return start <= x_length ? start : CORD_NOT_FOUND;
	if (length > x_length || start > x_length - length)
		return CORD_NOT_FOUND;
	char *wanted = CORD_to_char_star(s);
	/* Knuth, Morris and Pratt: how much of the beginning each beginning ends with. */
	size_t *borders = cord_alloc(length * sizeof *borders), matched = 0;

	for (size_t i = 1; i < length; i++) {
		while (matched && wanted[i] != wanted[matched])
			matched = borders[matched - 1];
		matched += wanted[i] == wanted[matched];
		borders[i] = matched;
	}
	CORD_pos p;

	matched = 0;
	for (CORD_set_pos(p, x, start); CORD_pos_valid(p); CORD_next(p)) {
		char c = CORD_pos_fetch(p);

		while (matched && c != wanted[matched])
			matched = borders[matched - 1];
		matched += c == wanted[matched];
		if (matched == length)
			return CORD_pos_to_index(p) + 1 - length;
	}
	return CORD_NOT_FOUND;
}

char *CORD_to_char_star(CORD x)
{
	size_t length = CORD_len(x);
	char *string = cord_alloc_string(length);

	cord_copy(x, 0, length, string);
	string[length] = '\0';
	return string;
}

const char *CORD_to_const_char_star(CORD x)
{
	return !x ? "" : CORD_IS_STRING(x) ? x : CORD_to_char_star(x);
}

CORD CORD_from_char_star(const char *s)
{
	size_t length = strlen(s);
	char *string;

	if (!length)
		return CORD_EMPTY;
	string = cord_alloc_string(length);
	memcpy(string, s, length + 1);
	return string;
}

int CORD_put(CORD x, FILE *f)
{
	CORD_pos p;

	CORD_FOR(p, x) {
		if (putc(CORD_pos_fetch(p), f) == EOF)
			return EOF;
	}
	return 1;
}

/* ---- Files ---- */

CORD CORD_from_file_eager(FILE *f)
{
	CORD_ec x;
	int c;

	CORD_ec_init(x);
	while ((c = getc(f)) != EOF) {
		if (c)
			CORD_ec_append(x, (char)c);
		else
			CORD_ec_append_cord(x, CORD_nul(1));
	}
	fclose(f);
	return CORD_balance(CORD_ec_to_cord(x));
}

/* One block of the file at a time; a cord of a file is read by one thread at a time. */
enum { BLOCK = 4096 };

struct lazy {
	FILE *file;
	size_t begin, count;
	char block[BLOCK];
};

static char fetch_lazy(size_t i, void *data)
{
	struct lazy *lazy = data;

	if (i < lazy->begin || i - lazy->begin >= lazy->count) {
		lazy->begin = i / BLOCK * BLOCK;
		lazy->count = 0;
		if (fseek(lazy->file, (long)lazy->begin, SEEK_SET) == 0)
			lazy->count = fread(lazy->block, 1, BLOCK, lazy->file);
		if (i - lazy->begin >= lazy->count)
			cord_panic("a file that a cord is made of cannot be read, or has become shorter");
	}
	return lazy->block[i - lazy->begin];
}

static void close_lazy(void *object, void *data)
{
	(void)data;
	fclose(((struct lazy *)object)->file);
}

static CORD from_file_lazy(FILE *f, size_t length)
{
	struct lazy *lazy;

	if (!length) {
		fclose(f);
		return CORD_EMPTY;
	}
	lazy = cord_alloc(sizeof *lazy);
	lazy->file = f;
	GC_REGISTER_FINALIZER(lazy, close_lazy, NULL, NULL, NULL);
	return CORD_from_fn(fetch_lazy, lazy, length);
}

static long length_of(FILE *f)
{
	long length;

	if (fseek(f, 0, SEEK_END) || (length = ftell(f)) < 0 || fseek(f, 0, SEEK_SET))
		cord_panic("a file that a cord is made of cannot be searched");
	return length;
}

CORD CORD_from_file_lazy(FILE *f)
{
	return from_file_lazy(f, (size_t)length_of(f));
}

CORD CORD_from_file(FILE *f)
{
	long length = length_of(f);

	return length <= 128 * 1024 ? CORD_from_file_eager(f) : from_file_lazy(f, (size_t)length);
}

/* ---- ec.h ---- */

void CORD_ec_flush_buf(CORD_ec x)
{
	size_t length = (size_t)(x->ec_bufptr - x->ec_buf);
	char *string;

	if (!length)
		return;
	string = cord_alloc_string(length);
	memcpy(string, x->ec_buf, length);
	string[length] = '\0';
	x->ec_cord = CORD_cat_char_star(x->ec_cord, string, length);
	x->ec_bufptr = x->ec_buf;
}

void CORD_ec_append_cord(CORD_ec x, CORD s)
{
	CORD_ec_flush_buf(x);
	x->ec_cord = CORD_cat(x->ec_cord, s);
}
