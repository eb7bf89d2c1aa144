/* With next to no pause goal, stops that have more to mark than a few objects are given up: short collections of the stopped
 * program are abandoned and begun anew beside it, last pauses become one more look at stacks, and nothing is lost. The heap
 * is small enough for collections of what is new, and their survivors so many that there is something to give up.
 *
 * TEST-FLAGS: timeout=120 tsan=no env:GCDUNE_MODE=auto env:GCDUNE_PAUSE_GOAL=1 env:GCDUNE_GROWTH=1000 env:GCDUNE_VERIFY=2
 */
#include "churn.h"

#include <stdio.h>
#include <string.h>

struct cell {
	struct cell *next;
	struct target *target;
	uint64_t id;
	uint64_t filler[5];
};

enum { LISTS = 64, CHANGING = 8, LENGTH = 200, ROUNDS = 5000 };

ROOT struct cell **lists;
static uint64_t next_id = 1, firsts[LISTS];

static NOINLINE void make(size_t i)
{
	lists[i] = NULL;
	firsts[i] = next_id;
	for (size_t n = 0; n < LENGTH; n++) {
		struct cell *cell = gcdune_alloc(sizeof(*cell));

		cell->id = next_id++;
		cell->target = target_new(cell->id);
		cell->next = lists[i];
		lists[i] = cell;
	}
}

static NOINLINE void check(size_t i)
{
	uint64_t id = firsts[i] + LENGTH;
	size_t n = 0;

	for (const struct cell *cell = lists[i]; cell; cell = cell->next, n++) {
		CHECK_EQ(cell->id, --id);
		TARGET_CHECK(cell->target, id);
	}
	CHECK_EQ(n, LENGTH);
}

/* How many stops there were of which nothing came. */
static size_t given_up(void)
{
	size_t n = 0;
	char path[] = "/tmp/gcdune-give-up-XXXXXX", line[4096];
	int fd = mkstemp(path);

	CHECK(fd >= 0 && gcdune_stats_write(path) == 0);
	FILE *f = fdopen(fd, "r");

	CHECK(f != NULL);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, "\"nothing\"") != NULL;
	fclose(f);
	unlink(path);
	return n;
}

int main(void)
{
	setenv("GCDUNE_STATS", "/dev/null", 0); /* all stops are kept */
	CHECK_EQ(gcdune_init(), 0);
	lists = gcdune_alloc(LISTS * sizeof(*lists));
	churn(LISTS, CHANGING, ROUNDS, make, check);
	size_t n = given_up();

	printf("%zu stops given up\n", n);
	if (!n) { /* on a slow machine, or with a sanitizer, none is begun that would be */
		printf("SKIP: nothing was lost, but no stop was given up\n");
		return 77;
	}
	return 0;
}
