/* cord.h - strings that are concatenated, cut and compared without being copied: trees whose leaves are C strings or
 * functions. They are immutable and collected. Link with -lcord -lgc.
 *
 * The empty cord is 0 (CORD_EMPTY). A nonempty C string that does not change is a cord. */
#ifndef CORD_H
#define CORD_H

#include <stddef.h>
#include <stdio.h>

#ifndef CORD_API
#define CORD_API extern
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef const char *CORD;
#define CORD_EMPTY 0
/* Whether a nonempty cord is a C string. */
#define CORD_IS_STRING(s) (*(s) != '\0')

CORD_API CORD CORD_cat(CORD x, CORD y);
/* The LENY characters at Y, a C string that is kept. */
CORD_API CORD CORD_cat_char_star(CORD x, const char *y, size_t leny);
CORD_API CORD CORD_catn(int n, /* CORD */...);
CORD_API CORD CORD_cat_char(CORD x, char c);
CORD_API size_t CORD_len(CORD x);

/* A cord whose character I is FN(I, DATA), which must always give the same. */
typedef char (*CORD_fn)(size_t i, void *client_data);
CORD_API CORD CORD_from_fn(CORD_fn fn, void *client_data, size_t len);
/* N times C, in little space. */
CORD_API CORD CORD_chars(char c, size_t n);
#define CORD_nul(i) CORD_chars('\0', (i))

/* At most N characters from I on. */
CORD_API CORD CORD_substr(CORD x, size_t i, size_t n);
/* The same cord as a tree of logarithmic depth. */
CORD_API CORD CORD_balance(CORD x);

/* F1 for each character from I on, until one call returns not 0: then that is 1, else 0. F2, if not CORD_NO_FN, gets whole C
 * strings instead where that can be. */
typedef int (*CORD_iter_fn)(char c, void *client_data);
typedef int (*CORD_batched_iter_fn)(const char *s, void *client_data);
#define CORD_NO_FN ((CORD_batched_iter_fn)0)
CORD_API int CORD_iter5(CORD x, size_t i, CORD_iter_fn f1, CORD_batched_iter_fn f2, void *client_data);
CORD_API int CORD_iter(CORD x, CORD_iter_fn f1, void *client_data);
#define CORD_iter(x, f1, cd) CORD_iter5(x, 0, f1, CORD_NO_FN, cd)
/* Backwards, from I. */
CORD_API int CORD_riter4(CORD x, size_t i, CORD_iter_fn f1, void *client_data);
CORD_API int CORD_riter(CORD x, CORD_iter_fn f1, void *client_data);

#ifdef __cplusplus
}
#endif

/* A position is a cord and an index; going from one to the next is cheap. CORD_pos p; CORD_set_pos(p, x, i);
 * CORD_pos_fetch(p), CORD_next(p) and CORD_prev(p), after which CORD_pos_valid(p) tells whether it is still in the cord;
 * CORD_pos_to_index(p), CORD_pos_to_cord(p). */
#include "cord_pos.h"
#define CORD_FOR(pos, cord) for (CORD_set_pos(pos, cord, 0); CORD_pos_valid(pos); CORD_next(pos))

#ifdef __cplusplus
extern "C" {
#endif

/* Called when memory has run out; must not return. NULL: a message, and abort. */
extern void (*CORD_oom_fn)(void);
/* Prints how X is made. */
CORD_API void CORD_dump(CORD x);

CORD_API char CORD_fetch(CORD x, size_t i);
/* Negative, 0 or positive, as strcmp; CORD_ncmp: of at most LEN characters from these positions on. */
CORD_API int CORD_cmp(CORD x, CORD y);
CORD_API int CORD_ncmp(CORD x, size_t x_start, CORD y, size_t y_start, size_t len);
/* Where S, or the character C, is in X, at START or later; CORD_rchr: at I or before. */
#define CORD_NOT_FOUND ((size_t)(-1))
CORD_API size_t CORD_str(CORD x, size_t start, CORD s);
CORD_API size_t CORD_chr(CORD x, size_t i, int c);
CORD_API size_t CORD_rchr(CORD x, size_t i, int c);

/* The contents of F, which is closed when it is no longer needed: at once, or read as it is asked for. */
CORD_API CORD CORD_from_file(FILE *f);
CORD_API CORD CORD_from_file_eager(FILE *f);
CORD_API CORD CORD_from_file_lazy(FILE *f);
/* 1, or EOF after an error. */
CORD_API int CORD_put(CORD x, FILE *f);

/* A C string of its own; one that may share; a cord that does not share. */
CORD_API char *CORD_to_char_star(CORD x);
CORD_API const char *CORD_to_const_char_star(CORD x);
CORD_API CORD CORD_from_char_star(const char *s);

#ifdef __cplusplus
}
#endif

#ifndef CORD_NO_IO
#include <stdarg.h>
#ifdef __cplusplus
extern "C" {
#endif
/* As printf and its kin, with %r for a cord, which is not copied; the format is a cord. CORD_sprintf stores the result at
 * OUT. The number of characters, or -1. */
CORD_API int CORD_sprintf(CORD *out, CORD format, ...);
CORD_API int CORD_vsprintf(CORD *out, CORD format, va_list args);
CORD_API int CORD_fprintf(FILE *f, CORD format, ...);
CORD_API int CORD_vfprintf(FILE *f, CORD format, va_list args);
CORD_API int CORD_printf(CORD format, ...);
CORD_API int CORD_vprintf(CORD format, va_list args);
#ifdef __cplusplus
}
#endif
#endif

#endif
