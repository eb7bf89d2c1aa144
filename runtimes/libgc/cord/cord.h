/* cord.h - what the files of libcord.so.1 share: tree (nodes, concatenation, substrings, balance), position, extra (what can
 * be said with those), print (printf).
 *
 * A cord that is no C string points to a node, whose first byte is 0. Nodes do not change. Lengths and depths are stored, so
 * that they cost nothing; a concatenation that would be deeper than MAX_DEPTH is balanced at once. */
#ifndef LIBCORD_H
#define LIBCORD_H

#include "gc/gc.h"
#include "gc/cord.h"
#include "gc/ec.h"

enum cord_kind { CORD_CONCATENATION = 1, CORD_FUNCTION, CORD_SUBSTRING };

struct cord {
	char null; /* 0 */
	char kind; /* enum cord_kind */
	unsigned char depth;
	size_t length;
	union {
		struct {
			CORD left, right;
			size_t left_length;
		};
		struct {
			CORD_fn fn;
			void *data;
		};
		struct {
			CORD of; /* a function's node */
			size_t start;
		};
	};
};

/* Strings up to this length are joined by copying. */
enum { CORD_SHORT = 15 };

static inline const struct cord *cord_node(CORD x)
{
	return (const struct cord *)(const void *)x;
}

/* Memory with pointers, or without; does not return NULL. */
void *cord_alloc(size_t size);
char *cord_alloc_string(size_t size);
_Noreturn void cord_panic(const char *message);
/* Copies N characters from START on; they are there. */
void cord_copy(CORD x, size_t start, size_t n, char *to);
/* The character of a leaf that is a function or a part of one. */
char cord_leaf_fetch(const struct cord *node, size_t i);

#endif
