/* json.c - see json.h. RFC 8259 but for surrogate pairs, which come out as two question marks. */
#include "json.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct reader {
	char *start, *at;
	unsigned depth;
	bool failed;
};

static void skip(struct reader *r)
{
	r->at += strspn(r->at, " \t\r\n");
}

static bool eat(struct reader *r, char c)
{
	skip(r);
	if (*r->at != c)
		return false;
	r->at++;
	return true;
}

static void fail(struct reader *r)
{
	r->failed = true;
}

/* In place: what is read is never shorter than what comes out. */
static const char *read_string(struct reader *r)
{
	char *out = r->at, *result = out;

	while (*r->at && *r->at != '"') {
		char c = *r->at++;

		if (c == '\\') {
			c = *r->at ? *r->at++ : '\0';
			switch (c) {
			case 'n':
				c = '\n';
				break;
			case 't':
				c = '\t';
				break;
			case 'r':
				c = '\r';
				break;
			case 'b':
				c = '\b';
				break;
			case 'f':
				c = '\f';
				break;
			case 'u': {
				char digits[5] = {0};

				strncpy(digits, r->at, 4);
				r->at += strlen(digits);
				unsigned long code = strtoul(digits, NULL, 16);

				c = code < 128 ? (char)code : '?';
				break;
			}
			case '\0':
				fail(r);
				return "";
			}
		}
		*out++ = c;
	}
	if (*r->at != '"') {
		fail(r);
		return "";
	}
	r->at++;
	*out = '\0';
	return result;
}

static void read_value(struct reader *r, struct json *value);

static struct json *append(struct json *value, size_t *room)
{
	if (value->count == *room) {
		*room = *room ? *room * 2 : 8;
		value->items = realloc(value->items, *room * sizeof *value->items);
		if (!value->items)
			abort();
	}
	memset(&value->items[value->count], 0, sizeof *value->items);
	return &value->items[value->count++];
}

static void read_items(struct reader *r, struct json *value, char end)
{
	size_t room = 0;

	if (++r->depth > 100) {
		fail(r);
		return;
	}
	if (eat(r, end)) {
		r->depth--;
		return;
	}
	do {
		struct json *item = append(value, &room);

		if (end == '}') {
			if (!eat(r, '"')) {
				fail(r);
				return;
			}
			item->name = read_string(r);
			if (r->failed || !eat(r, ':')) {
				fail(r);
				return;
			}
		}
		read_value(r, item);
	} while (!r->failed && eat(r, ','));
	if (!r->failed && !eat(r, end))
		fail(r);
	r->depth--;
}

static void read_value(struct reader *r, struct json *value)
{
	skip(r);
	if (eat(r, '{')) {
		value->type = JSON_OBJECT;
		read_items(r, value, '}');
	} else if (eat(r, '[')) {
		value->type = JSON_ARRAY;
		read_items(r, value, ']');
	} else if (eat(r, '"')) {
		value->type = JSON_STRING;
		value->string = read_string(r);
	} else if (!strncmp(r->at, "true", 4) || !strncmp(r->at, "null", 4)) {
		value->type = *r->at == 't' ? JSON_BOOL : JSON_NULL;
		value->number = *r->at == 't';
		r->at += 4;
	} else if (!strncmp(r->at, "false", 5)) {
		value->type = JSON_BOOL;
		r->at += 5;
	} else {
		char *end;

		value->type = JSON_NUMBER;
		value->number = strtod(r->at, &end);
		if (end == r->at)
			fail(r);
		r->at = end;
	}
}

struct json *json_parse(char *text, size_t *where)
{
	struct reader r = {text, text, 0, false};
	struct json *root = calloc(1, sizeof *root);

	if (!root)
		abort();
	read_value(&r, root);
	skip(&r);
	if (!r.failed && *r.at)
		fail(&r);
	*where = (size_t)(r.at - r.start);
	return r.failed ? NULL : root;
}

const struct json *json_get(const struct json *object, const char *name)
{
	for (size_t i = 0; object && object->type == JSON_OBJECT && i < object->count; i++)
		if (!strcmp(object->items[i].name, name))
			return &object->items[i];
	return NULL;
}

double json_number(const struct json *object, const char *name)
{
	const struct json *value = json_get(object, name);

	return value && value->type == JSON_NUMBER ? value->number : 0;
}

int json_index(const struct json *array, const char *string)
{
	for (size_t i = 0; array && array->type == JSON_ARRAY && i < array->count; i++)
		if (array->items[i].type == JSON_STRING && !strcmp(array->items[i].string, string))
			return (int)i;
	return -1;
}
