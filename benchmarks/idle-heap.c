/* idle-heap.c - a large heap that nobody touches while a little is allocated now and then: it should cost nothing.
 *
 * Builds a cache of MEBIBYTES in small objects, waits for half a second, and then for SECONDS wakes up a
 * hundred times a second and allocates 2 KiB of short-lived objects each time. The figure is the processor time of
 * that second part in percent of one processor: what a desktop program or a server at night would pay.
 *
 * Usage: idle-heap [MEBIBYTES [SECONDS]]
 */
#include "backend.h"
#include "figures.h"
#include "program.h"

#include <time.h>

enum { IDLE_SIZE = 64, IDLE_HZ = 100, IDLE_EACH = 32 };

struct idle_object {
	struct idle_object *next;
	uint64_t value[IDLE_SIZE / 8 - 1];
};

static void idle_wait(long ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

static uint64_t idle_tick(uint64_t n)
{
	struct idle_object *list = NULL;
	uint64_t sum = 0;

	for (uint64_t i = 0; i < IDLE_EACH; i++) {
		struct idle_object *object = backend_alloc(sizeof(*object));

		object->next = list;
		object->value[0] = n + i;
		list = object;
	}
	while (list) {
		struct idle_object *next = list->next;

		sum += list->value[0];
		backend_free(list);
		list = next;
	}
	return sum;
}

int main(int argc, char **argv)
{
	uint64_t count = ((uint64_t)program_number(argc, argv, 1, 512) << 20) / IDLE_SIZE;
	long seconds = program_number(argc, argv, 2, 4);
	struct idle_object **table;
	uint64_t checksum = 0;

	backend_init();
	table = backend_alloc_zeroed(1024 * sizeof(struct idle_object *));
	for (uint64_t i = 0; i < count; i++) {
		struct idle_object *object = backend_alloc(sizeof(*object));

		object->next = table[i % 1024];
		object->value[0] = i;
		table[i % 1024] = object;
	}
	idle_wait(500); /* what is under way ends */

	double cpu = figures_cpu();
	uint64_t began = figures_now();

	for (uint64_t i = 0; i < (uint64_t)seconds * IDLE_HZ; i++) {
		checksum = program_checksum(checksum, idle_tick(i));
		idle_wait(1000 / IDLE_HZ);
	}
	figures_set("idle_cpu_percent", (figures_cpu() - cpu) * 1e11 / (double)(figures_now() - began));
	for (int i = 0; i < 1024; i++) {
		for (struct idle_object *object = table[i], *next; object; object = next) {
			next = object->next;
			checksum += object->value[0];
			backend_free(object);
		}
	}
	backend_free(table);
	return figures_finish() ? program_finish("idle-heap", checksum) : 1;
}
