/* A collection that finds every block full leaves nothing for threads to look through: the blocks that are taken to make
 * a few more objects are few, not all of those that live. Counted by what the statistics call lost to blocks.
 *
 * TEST-FLAGS: timeout=60
 */
#include "check.h"

enum { OBJECTS = 400000, SIZE = 64, MORE = 4000 };

ROOT void **live;

static long blocks_taken(void)
{
	char path[] = "/tmp/test-full-blocks.XXXXXX", text[1 << 16];
	int fd = mkstemp(path);

	CHECK(fd >= 0);
	CHECK(gcdune_stats_write(path) == 0);
	close(fd);
	fd = open(path, O_RDONLY);
	CHECK(fd >= 0);
	ssize_t n = read(fd, text, sizeof(text) - 1);
	CHECK(n > 0);
	text[n] = 0;
	close(fd);
	unlink(path);
	char *lost = strstr(text, "\"lost\""), *block = lost ? strstr(lost, "\"block\"") : NULL;
	char *times = block ? strstr(block, "\"times\": ") : NULL;

	CHECK(times);
	return strtol(times + 9, NULL, 10);
}

int main(void)
{
	live = gcdune_alloc(OBJECTS * sizeof(*live));
	for (int i = 0; i < OBJECTS; i++)
		live[i] = gcdune_alloc(SIZE);
	gcdune_collect();
	gcdune_collect();
	gcdune_disable();
	long before = blocks_taken();

	for (int i = 0; i < MORE; i++)
		CHECK(gcdune_alloc(SIZE));
	long taken = blocks_taken() - before, blocks = OBJECTS / (65536 / SIZE);

	CHECKF(taken <= blocks / 4, "%ld blocks were taken for %d objects, where %ld are full", taken, MORE, blocks);
	return 0;
}
