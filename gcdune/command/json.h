/* json.h - reading the JSON that gcdune writes (json.c): values as a tree, everything alive until the end. */
#ifndef GCDUNE_JSON_H
#define GCDUNE_JSON_H

#include <stddef.h>

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json {
	enum json_type type;
	double number;
	const char *string; /* JSON_STRING */
	const char *name;   /* in an object */
	struct json *items; /* ARRAY, OBJECT */
	size_t count;
};

/* NULL: not JSON; *WHERE is then the number of the byte where it is not. TEXT is changed, and must stay. */
struct json *json_parse(char *text, size_t *where);
/* The member NAME of an object, or NULL. */
const struct json *json_get(const struct json *object, const char *name);
/* A number, 0 if there is none. */
double json_number(const struct json *object, const char *name);
/* The place of STRING in an array of strings, or -1. */
int json_index(const struct json *array, const char *string);

#endif
