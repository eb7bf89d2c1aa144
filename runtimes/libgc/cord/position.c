/* position.c - positions in cords (cord_pos.h): the path from the root to a leaf, changed as little as moving needs. */
#include "cord.h"

#include <string.h>

#undef CORD_pos_fetch
#undef CORD_next
#undef CORD_prev
#undef CORD_pos_to_index
#undef CORD_pos_to_cord
#undef CORD_pos_valid

/* Goes down from path[path_len], which holds cur_pos, to its leaf. */
static void descend(struct CORD_Pos *p)
{
	struct CORD_pe *at = &p->path[p->path_len];

	while (!CORD_IS_STRING(at->pe_cord) && cord_node(at->pe_cord)->kind == CORD_CONCATENATION) {
		const struct cord *node = cord_node(at->pe_cord);
		size_t start = at->pe_start_pos;

		if (++p->path_len > MAX_DEPTH)
			cord_panic("a cord is deeper than cords can be");
		at++;
		if (p->cur_pos < start + node->left_length) {
			at->pe_cord = node->left;
			at->pe_start_pos = start;
		} else {
			at->pe_cord = node->right;
			at->pe_start_pos = start + node->left_length;
		}
	}
	if (CORD_IS_STRING(at->pe_cord)) {
		p->cur_leaf = at->pe_cord;
		p->cur_start = at->pe_start_pos;
		p->cur_end = at->pe_start_pos + strlen(at->pe_cord);
	} else {
		p->cur_end = 0;
	}
}

/* The position behind the last character of path[i]. */
static size_t end_of(const struct CORD_Pos *p, int i)
{
	return p->path[i].pe_start_pos + CORD_len(p->path[i].pe_cord);
}

static void invalidate(struct CORD_Pos *p)
{
	p->path_len = CORD_POS_INVALID;
	p->cur_end = 0;
}

void CORD_set_pos(CORD_pos p, CORD x, size_t i)
{
	p->path[0].pe_cord = x;
	p->path[0].pe_start_pos = 0;
	p->path_len = 0;
	p->cur_pos = i;
	p->cur_end = 0;
	if (i >= CORD_len(x))
		invalidate(p);
	else
		descend(p);
}

/* cur_pos has left the leaf: up to what holds it, and down again. */
static void find_leaf(struct CORD_Pos *p)
{
	p->cur_end = 0;
	while (p->path_len >= 0 && (p->cur_pos >= end_of(p, p->path_len) || p->cur_pos < p->path[p->path_len].pe_start_pos))
		p->path_len--;
	if (p->path_len < 0)
		invalidate(p);
	else
		descend(p);
}

/* A piece of a function's characters, the current one in it. */
static void fill(struct CORD_Pos *p)
{
	const struct CORD_pe *leaf = &p->path[p->path_len];
	size_t offset = p->cur_pos - leaf->pe_start_pos, length = CORD_len(leaf->pe_cord);
	size_t begin = offset / FUNCTION_BUF_SZ * FUNCTION_BUF_SZ, n = length - begin;

	if (n > FUNCTION_BUF_SZ)
		n = FUNCTION_BUF_SZ;
	for (size_t i = 0; i < n; i++)
		p->function_buf[i] = cord_leaf_fetch(cord_node(leaf->pe_cord), begin + i);
	p->cur_leaf = p->function_buf;
	p->cur_start = leaf->pe_start_pos + begin;
	p->cur_end = p->cur_start + n;
}

static void check(const struct CORD_Pos *p)
{
	if (p->path_len == CORD_POS_INVALID)
		cord_panic("a position that is not valid");
}

char CORD__pos_fetch(CORD_pos p)
{
	check(p);
	if (!p->cur_end)
		fill(p);
	return p->cur_leaf[p->cur_pos - p->cur_start];
}

void CORD__next(CORD_pos p)
{
	check(p);
	p->cur_pos++;
	if (p->cur_pos < end_of(p, p->path_len)) {
		if (p->cur_pos >= p->cur_end)
			p->cur_end = 0; /* a function's next piece, when it is asked for */
		return;
	}
	find_leaf(p);
}

void CORD__prev(CORD_pos p)
{
	check(p);
	if (p->cur_pos == 0) {
		invalidate(p);
		return;
	}
	p->cur_pos--;
	if (p->cur_pos >= p->path[p->path_len].pe_start_pos) {
		if (p->cur_end && p->cur_pos < p->cur_start)
			p->cur_end = 0;
		return;
	}
	find_leaf(p);
}

char CORD_pos_fetch(CORD_pos p)
{
	return CORD__pos_fetch(p);
}

void CORD_next(CORD_pos p)
{
	CORD__next(p);
}

void CORD_prev(CORD_pos p)
{
	CORD__prev(p);
}

size_t CORD_pos_to_index(CORD_pos p)
{
	return p->cur_pos;
}

CORD CORD_pos_to_cord(CORD_pos p)
{
	return p->path[0].pe_cord;
}

int CORD_pos_valid(CORD_pos p)
{
	return p->path_len != CORD_POS_INVALID;
}
