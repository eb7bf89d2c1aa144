/* large-arrays.c - arrays from 16 KiB to 4 MiB, of pointers and of numbers, that are replaced at random and that grow.
 *
 * Half of them hold pointers to small objects (a marker has to go through all of each), half are numbers without pointers.
 * One array in eight begins small and is doubled to its length by realloc, as vectors are.
 *
 * Usage: large-arrays [ARRAYS [REPLACEMENTS]]
 */
#include "backend.h"
#include "program.h"

enum { ARRAYS_MIN_WORDS = 2048, ARRAYS_DOUBLINGS = 8, ARRAYS_EVERY = 64 };

struct arrays_item {
	uint64_t value;
	struct arrays_item *self;
};

struct arrays_array {
	uint32_t length;
	bool leaf;
	union {
		struct arrays_item **items;
		uint64_t *numbers;
	} u;
};

static void arrays_drop(struct arrays_array *array)
{
	if (!array || !backend_frees)
		return;
	for (uint32_t i = 0; !array->leaf && i < array->length; i += ARRAYS_EVERY)
		backend_free(array->u.items[i]);
	backend_free(array->u.numbers);
	backend_free(array);
}

static struct arrays_array *arrays_new(uint64_t *state)
{
	struct arrays_array *array = backend_alloc(sizeof(*array));
	uint64_t bits = program_random(state);
	uint32_t length = ARRAYS_MIN_WORDS << (bits % (ARRAYS_DOUBLINGS + 1));
	uint32_t first;

	length += (uint32_t)(bits >> 16) % (length / 2);
	first = bits >> 8 & 7 ? length : 64;
	array->u.numbers = NULL; /* so that a collection in the next line sees no rubbish */
	array->leaf = bits >> 12 & 1;
	array->length = length;
	if (array->leaf)
		array->u.numbers = backend_alloc_leaf(first * sizeof(uint64_t));
	else
		array->u.items = backend_alloc_zeroed(first * sizeof(struct arrays_item *));
	for (uint32_t have = first; have < length;) {
		uint32_t more = have * 2 < length ? have * 2 : length;

		array->u.numbers = backend_realloc(array->u.numbers, more * sizeof(uint64_t));
		for (uint32_t i = have; i < more && !array->leaf; i++)
			array->u.items[i] = NULL;
		have = more;
	}
	for (uint32_t i = 0; i < length; i += array->leaf ? 8 : ARRAYS_EVERY) {
		if (array->leaf) {
			array->u.numbers[i] = bits + i;
		} else {
			struct arrays_item *item = backend_alloc(sizeof(*item));

			item->value = bits + i;
			item->self = item;
			array->u.items[i] = item;
		}
	}
	return array;
}

static uint64_t arrays_sum(const struct arrays_array *array)
{
	uint64_t sum = array->length;

	for (uint32_t i = 0; i < array->length; i += ARRAYS_EVERY)
		sum += array->leaf ? array->u.numbers[i] : array->u.items[i]->self->value;
	return sum;
}

int main(int argc, char **argv)
{
	uint32_t count = (uint32_t)program_number(argc, argv, 1, 128);
	long replacements = program_number(argc, argv, 2, 6000);
	uint64_t state = 7;
	uint64_t checksum = 0;
	struct arrays_array **arrays;

	if (count < 1) {
		fprintf(stderr, "usage: large-arrays [ARRAYS [REPLACEMENTS]]\n");
		return 2;
	}
	backend_init();
	arrays = backend_alloc_zeroed(count * sizeof(struct arrays_array *));
	for (uint32_t i = 0; i < count; i++)
		arrays[i] = arrays_new(&state);
	for (long i = 0; i < replacements; i++) {
		uint32_t at = program_random_below(&state, count);

		checksum = program_checksum(checksum, arrays_sum(arrays[at]));
		arrays_drop(arrays[at]);
		arrays[at] = NULL;
		arrays[at] = arrays_new(&state);
	}
	for (uint32_t i = 0; i < count; i++) {
		checksum = program_checksum(checksum, arrays_sum(arrays[i]));
		arrays_drop(arrays[i]);
	}
	backend_free(arrays);
	return program_finish("large-arrays", checksum);
}
