/* cells.c - how much memory a program of 16-byte cells takes.
 *
 * CELLS cells of two pointers, in lists of 64 whose heads are in a table. "build" only makes them; "churn" then
 * replaces lists at random until three times as many cells have been made again, so that garbage and the room a
 * collector leaves for it count too. The figure is the peak RSS, which the driver sees.
 *
 * Usage: cells build|churn [CELLS]
 */
#include "backend.h"
#include "program.h"

#include <string.h>

enum { CELLS_LIST = 64 };

struct cells_cell {
	struct cells_cell *next;
	struct cells_cell *item;
};

static struct cells_cell *cells_list_new(void)
{
	struct cells_cell *list = NULL;

	for (int i = 0; i < CELLS_LIST; i++) {
		struct cells_cell *cell = backend_alloc(sizeof(*cell));

		cell->next = list;
		cell->item = list;
		list = cell;
	}
	return list;
}

static void cells_list_drop(struct cells_cell *list)
{
	while (backend_frees && list) {
		struct cells_cell *next = list->next;

		backend_free(list);
		list = next;
	}
}

int main(int argc, char **argv)
{
	uint32_t lists = (uint32_t)(program_number(argc, argv, 2, 16000000) / CELLS_LIST);
	uint64_t state = 6;
	uint64_t cells = 0;
	struct cells_cell **table;

	backend_init();
	table = backend_alloc_zeroed(lists * sizeof(struct cells_cell *));
	for (uint32_t i = 0; i < lists; i++)
		table[i] = cells_list_new();
	if (argc > 1 && strcmp(argv[1], "churn") == 0) {
		for (uint32_t i = 0; i < 3 * lists; i++) {
			uint32_t slot = program_random_below(&state, lists);

			cells_list_drop(table[slot]);
			table[slot] = cells_list_new();
		}
	}
	for (uint32_t i = 0; i < lists; i++) {
		for (struct cells_cell *cell = table[i]; cell; cell = cell->next)
			cells++;
	}
	return program_finish("cells", cells);
}
