/* linked-list.c - long singly linked lists: map, filter, reverse, sort, and a queue that moves through the heap.
 *
 * A list is the worst shape for a marker: one object leads to the next, there is nothing to do at once or to fetch
 * ahead, and a recursive marker overflows its stack. After sorting by value, neighbours in the list are far apart in
 * memory. The queue lives as long as the program while every one of its cells is soon dropped.
 *
 * Usage: linked-list [LENGTH [ROUNDS]]
 */
#include "backend.h"
#include "program.h"

struct list_cell {
	struct list_cell *next;
	uint64_t value;
};

static struct list_cell *list_cell_new(uint64_t value, struct list_cell *next)
{
	struct list_cell *cell = backend_alloc(sizeof(*cell));

	cell->next = next;
	cell->value = value;
	return cell;
}

static void list_drop(struct list_cell *list)
{
	if (!backend_frees)
		return;
	while (list) {
		struct list_cell *next = list->next;

		backend_free(list);
		list = next;
	}
}

/* A new list of mixed values, in reverse order. */
static struct list_cell *list_map(const struct list_cell *list)
{
	struct list_cell *result = NULL;

	for (; list; list = list->next)
		result = list_cell_new(program_mix(list->value), result);
	return result;
}

/* A new list of the values whose lowest three bits are not all zero. */
static struct list_cell *list_filter(const struct list_cell *list)
{
	struct list_cell *result = NULL;

	for (; list; list = list->next) {
		if (list->value & 7)
			result = list_cell_new(list->value, result);
	}
	return result;
}

static struct list_cell *list_merge(struct list_cell *a, struct list_cell *b)
{
	struct list_cell *head = NULL;
	struct list_cell **tail = &head;

	while (a && b) {
		struct list_cell **least = a->value <= b->value ? &a : &b;

		*tail = *least;
		tail = &(*least)->next;
		*least = (*least)->next;
	}
	*tail = a ? a : b;
	return head;
}

/* Merge sort without recursion: runs[i] holds a sorted list of 2^i cells or nothing, like the bits of a counter. */
static struct list_cell *list_sort(struct list_cell *list)
{
	struct list_cell *runs[64] = {NULL};
	struct list_cell *result = NULL;

	while (list) {
		struct list_cell *run = list;
		int i = 0;

		list = list->next;
		run->next = NULL;
		for (; runs[i]; i++) {
			run = list_merge(runs[i], run);
			runs[i] = NULL;
		}
		runs[i] = run;
	}
	for (int i = 0; i < 64; i++)
		result = list_merge(runs[i], result);
	return result;
}

static uint64_t list_checksum(const struct list_cell *list)
{
	uint64_t sum = 0;

	for (uint64_t i = 1; list; list = list->next, i++)
		sum += list->value * i;
	return sum;
}

int main(int argc, char **argv)
{
	long length = program_number(argc, argv, 1, 400000);
	long rounds = program_number(argc, argv, 2, 6);
	uint64_t state = 1;
	uint64_t checksum = 0;

	backend_init();

	struct list_cell *list = NULL;
	for (long i = 0; i < length; i++)
		list = list_cell_new(program_random(&state), list);

	for (long round = 0; round < rounds; round++) {
		struct list_cell *mapped = list_map(list);
		struct list_cell *filtered = list_filter(mapped);

		list_drop(mapped);
		filtered = list_sort(filtered);
		checksum = program_checksum(checksum, list_checksum(filtered));

		/* Back to full length, old and new cells mixed. */
		list_drop(list);
		list = filtered;
		for (long i = length / 8; i > 0; i--)
			list = list_cell_new(program_random(&state), list);

		struct list_cell *head = list;
		struct list_cell *tail = list;
		while (tail->next)
			tail = tail->next;
		for (long i = 0; i < 20 * length; i++) {
			struct list_cell *first = head;

			tail->next = list_cell_new(first->value + (uint64_t)i, NULL);
			tail = tail->next;
			head = first->next;
			backend_free(first);
		}
		list = head;
	}
	checksum = program_checksum(checksum, list_checksum(list));
	list_drop(list);
	return program_finish("linked-list", checksum);
}
