/* cord_pos.h - positions in cords, for cord.h; nothing here is for programs but by the names that cord.h explains. */
#ifndef CORD_POSITION_H
#define CORD_POSITION_H

#ifdef __cplusplus
extern "C" {
#endif

/* No cord is deeper than this. */
#define MAX_DEPTH 48

struct CORD_pe {
	CORD pe_cord;
	size_t pe_start_pos;
};

/* The way from the root to the leaf that holds the current character. */
typedef struct CORD_Pos {
	size_t cur_pos;
	int path_len; /* path[path_len] is the leaf */
#define CORD_POS_INVALID (0x55555555)
	const char *cur_leaf; /* the leaf's characters, or some of them in function_buf */
	size_t cur_start;     /* the position of cur_leaf[0] */
	size_t cur_end;	      /* behind the last of them; 0: none are there */
	struct CORD_pe path[MAX_DEPTH + 1];
#define FUNCTION_BUF_SZ 8
	char function_buf[FUNCTION_BUF_SZ];
} CORD_pos[1];

CORD_API CORD CORD_pos_to_cord(CORD_pos p);
CORD_API size_t CORD_pos_to_index(CORD_pos p);
CORD_API char CORD_pos_fetch(CORD_pos p);
CORD_API void CORD_set_pos(CORD_pos p, CORD x, size_t i);
CORD_API void CORD_next(CORD_pos p);
CORD_API void CORD_prev(CORD_pos p);
CORD_API int CORD_pos_valid(CORD_pos p);

/* What the macros fall back on. */
CORD_API char CORD__pos_fetch(CORD_pos);
CORD_API void CORD__next(CORD_pos);
CORD_API void CORD__prev(CORD_pos);

#define CORD_pos_fetch(p) \
	((p)[0].cur_end != 0 ? (p)[0].cur_leaf[(p)[0].cur_pos - (p)[0].cur_start] : CORD__pos_fetch(p))
#define CORD_next(p) ((p)[0].cur_pos + 1 < (p)[0].cur_end ? (p)[0].cur_pos++ : (CORD__next(p), 0))
#define CORD_prev(p) \
	((p)[0].cur_end != 0 && (p)[0].cur_pos > (p)[0].cur_start ? (p)[0].cur_pos-- : (CORD__prev(p), 0))
#define CORD_pos_to_index(p) ((p)[0].cur_pos)
#define CORD_pos_to_cord(p) ((p)[0].path[0].pe_cord)
#define CORD_pos_valid(p) ((p)[0].path_len != CORD_POS_INVALID)

/* Characters at hand from the current one on (none if not positive), their address, and going on by 0 < n < as many. */
#define CORD_pos_chars_left(p) ((long)((p)[0].cur_end) - (long)((p)[0].cur_pos))
#define CORD_pos_cur_char_addr(p) ((p)[0].cur_leaf + ((p)[0].cur_pos - (p)[0].cur_start))
#define CORD_pos_advance(p, n) ((p)[0].cur_pos += (n)-1, CORD_next(p))

#ifdef __cplusplus
}
#endif
#endif
