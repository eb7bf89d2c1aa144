/* tree.c - nodes of cords: making, joining, cutting and balancing them. */
#include "cord.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void (*CORD_oom_fn)(void);

void cord_panic(const char *message)
{
	fprintf(stderr, "libcord: %s\n", message);
	abort();
}

static void *checked(void *memory)
{
	if (!memory) {
		if (CORD_oom_fn)
			CORD_oom_fn();
		cord_panic("out of memory");
	}
	return memory;
}

void *cord_alloc(size_t size)
{
	return checked(GC_MALLOC(size));
}

char *cord_alloc_string(size_t size)
{
	return checked(GC_MALLOC_ATOMIC(size + 1));
}

size_t CORD_len(CORD x)
{
	return !x ? 0 : CORD_IS_STRING(x) ? strlen(x) : cord_node(x)->length;
}

static unsigned depth(CORD x)
{
	return !x || CORD_IS_STRING(x) ? 0 : cord_node(x)->depth;
}

static CORD join(CORD x, size_t x_length, CORD y, size_t y_length)
{
	unsigned deep = depth(x) > depth(y) ? depth(x) : depth(y);
	struct cord *node = cord_alloc(sizeof *node);

	node->kind = CORD_CONCATENATION;
	node->depth = (unsigned char)(deep + 1);
	node->length = x_length + y_length;
	node->left = x;
	node->right = y;
	node->left_length = x_length;
	return node->depth < MAX_DEPTH ? (CORD)node : CORD_balance((CORD)node);
}

/* Two short strings are one: what is built character by character would otherwise be all nodes. */
static CORD merge(CORD x, size_t x_length, CORD y, size_t y_length)
{
	char *both = cord_alloc_string(x_length + y_length);

	memcpy(both, x, x_length);
	memcpy(both + x_length, y, y_length);
	both[x_length + y_length] = '\0';
	return both;
}

CORD CORD_cat_char_star(CORD x, const char *y, size_t length)
{
	size_t x_length;

	if (!y || length == 0 || !*y)
		return x;
	if (!x)
		return y;
	x_length = CORD_len(x);
	if (CORD_IS_STRING(x)) {
		if (x_length + length <= CORD_SHORT)
			return merge(x, x_length, y, length);
	} else if (cord_node(x)->kind == CORD_CONCATENATION) {
		const struct cord *node = cord_node(x);
		size_t right = x_length - node->left_length;

		if (node->right && CORD_IS_STRING(node->right) && right + length <= CORD_SHORT)
			return join(node->left, node->left_length, merge(node->right, right, y, length), right + length);
	}
	return join(x, x_length, y, length);
}

CORD CORD_cat(CORD x, CORD y)
{
	if (!x)
		return y;
	if (!y)
		return x;
	if (CORD_IS_STRING(y))
		return CORD_cat_char_star(x, y, strlen(y));
	return join(x, CORD_len(x), y, CORD_len(y));
}

CORD CORD_from_fn(CORD_fn fn, void *data, size_t length)
{
	if (!length)
		return CORD_EMPTY;
	if (length <= CORD_SHORT) {
		char *string = cord_alloc_string(length);
		size_t i;

		for (i = 0; i < length && (string[i] = fn(i, data)); i++)
			;
		/* A string cannot hold a 0. */
		if (i == length) {
			string[length] = '\0';
			return string;
		}
	}
	struct cord *node = cord_alloc(sizeof *node);

	node->kind = CORD_FUNCTION;
	node->length = length;
	node->fn = fn;
	node->data = data;
	return (CORD)node;
}

char cord_leaf_fetch(const struct cord *node, size_t i)
{
	if (node->kind == CORD_SUBSTRING) {
		i += node->start;
		node = cord_node(node->of);
	}
	return node->fn(i, node->data);
}

static CORD cut_function(CORD x, size_t start, size_t length)
{
	const struct cord *of = cord_node(x);

	if (length <= CORD_SHORT) {
		char *string = cord_alloc_string(length);
		size_t i;

		for (i = 0; i < length && (string[i] = cord_leaf_fetch(of, start + i)); i++)
			;
		if (i == length) {
			string[length] = '\0';
			return string;
		}
	}
	struct cord *node = cord_alloc(sizeof *node);

	node->kind = CORD_SUBSTRING;
	node->length = length;
	node->start = of->kind == CORD_SUBSTRING ? of->start + start : start;
	node->of = of->kind == CORD_SUBSTRING ? of->of : x;
	return (CORD)node;
}

/* 0 < N, START + N <= the length. */
static CORD cut(CORD x, size_t length, size_t start, size_t n)
{
	if (start == 0 && n == length)
		return x;
	if (CORD_IS_STRING(x)) {
		if (start + n == length)
			return x + start; /* the end of a string is one */
		char *string = cord_alloc_string(n);

		memcpy(string, x + start, n);
		string[n] = '\0';
		return string;
	}
	const struct cord *node = cord_node(x);

	if (node->kind != CORD_CONCATENATION)
		return cut_function(x, start, n);
	size_t left = node->left_length;

	if (start >= left)
		return cut(node->right, length - left, start - left, n);
	if (start + n <= left)
		return cut(node->left, left, start, n);
	return CORD_cat(cut(node->left, left, start, left - start), cut(node->right, length - left, 0, start + n - left));
}

CORD CORD_substr(CORD x, size_t i, size_t n)
{
	size_t length = CORD_len(x);

	if (i >= length || n == 0)
		return CORD_EMPTY;
	return cut(x, length, i, n < length - i ? n : length - i);
}

/* ---- Balance: the leaves in order, then a tree over them, halved by number ---- */

struct leaves {
	CORD *items;
	size_t count, room;
};

static void gather(CORD x, struct leaves *leaves)
{
	/* To the left by recursion, to the right in a loop; no cord is deeper than MAX_DEPTH. */
	while (!CORD_IS_STRING(x) && cord_node(x)->kind == CORD_CONCATENATION) {
		gather(cord_node(x)->left, leaves);
		x = cord_node(x)->right;
	}
	if (leaves->count == leaves->room) {
		CORD *more = cord_alloc((leaves->room ? leaves->room * 2 : 64) * sizeof *more);

		if (leaves->count)
			memcpy(more, leaves->items, leaves->count * sizeof *more);
		leaves->room = leaves->room ? leaves->room * 2 : 64;
		leaves->items = more;
	}
	leaves->items[leaves->count++] = x;
}

static CORD over(const CORD *leaves, size_t count)
{
	if (count == 1)
		return leaves[0];
	CORD left = over(leaves, count / 2), right = over(leaves + count / 2, count - count / 2);

	return join(left, CORD_len(left), right, CORD_len(right));
}

CORD CORD_balance(CORD x)
{
	struct leaves leaves = { NULL, 0, 0 };

	if (!x || CORD_IS_STRING(x) || cord_node(x)->kind != CORD_CONCATENATION)
		return x;
	gather(x, &leaves);
	return over(leaves.items, leaves.count);
}

static void dump(CORD x, unsigned indent)
{
	printf("%*s", (int)indent * 2, "");
	if (!x) {
		puts("empty");
	} else if (CORD_IS_STRING(x)) {
		printf("string of %zu: %.40s%s\n", strlen(x), x, strlen(x) > 40 ? "..." : "");
	} else if (cord_node(x)->kind == CORD_CONCATENATION) {
		printf("concatenation of %zu, depth %u\n", cord_node(x)->length, cord_node(x)->depth);
		dump(cord_node(x)->left, indent + 1);
		dump(cord_node(x)->right, indent + 1);
	} else {
		printf("%s of %zu\n", cord_node(x)->kind == CORD_FUNCTION ? "function" : "part of a function", cord_node(x)->length);
	}
}

void CORD_dump(CORD x)
{
	dump(x, 0);
	fflush(stdout);
}
