/* test-dune-tidy.c - page-table pages of addresses that were unmapped are used again: far more ranges of 2 MiB than there
 * are to be tables for (DUNE_TIDY_AT makes them few), one after the other. What stays mapped in between keeps its contents,
 * its dirty bits and its protections, also while other threads look at dirty bits, mark them and run into faults.
 *
 * TEST-FLAGS: link=dune asan=no tsan=no short=yes timeout=120 env:DUNE_TIDY_AT=64 */
#include "dune-check.h"

#define RANGE (2UL << 20)
enum { KEPT = 16, BUSY = 64 };
static char *kept[KEPT], *busy;
static volatile int stop;

static void *map_at(uintptr_t at)
{
	char *got = mmap((void *)at, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	CHECK_EQ((uintptr_t)got, at);
	return got;
}

/* N ranges, one after the other; every so often one stays. */
static uint64_t ranges(uintptr_t base, size_t n)
{
	struct dune_statistics s;

	for (size_t i = 0; i < n; i++) {
		char *at = map_at(base + i * RANGE);

		CHECK_EQ(at[PAGE], 0);
		dune_dirty_take(at, 4 * PAGE, NULL);
		at[2 * PAGE] = (char)i;
		CHECK_EQ(dune_dirty_peek(at, 4 * PAGE, NULL), 1);
		if (i % (n / KEPT)) {
			CHECK_EQ(at[2 * PAGE], (char)i);
			CHECK_EQ(munmap(at, 4 * PAGE), 0);
		} else {
			kept[i / (n / KEPT)] = at;
			CHECK_EQ(dune_protect(at, PAGE, DUNE_READ), 0);
		}
	}
	for (size_t i = 0; i < KEPT; i++) {
		struct dune_entry entry;

		CHECK_EQ(kept[i][2 * PAGE], (char)(i * (n / KEPT)));
		CHECK_EQ(dune_dirty_take(kept[i], 4 * PAGE, NULL), 1);
		CHECK_EQ(dune_lookup(kept[i], &entry), 0);
		CHECK_EQ(entry.rights, DUNE_READ);
		CHECK_EQ(munmap(kept[i], 4 * PAGE), 0);
	}
	CHECK_EQ(dune_statistics(&s), 0);
	return s.tables;
}

/* Dirty bits of memory of its own are exact; bits of all ranges are looked at meanwhile. */
static void *harvest(void *base)
{
	static uint64_t bits[BUSY / 64];
	uint64_t seed = 7;
	int fd = open("/dev/zero", O_RDONLY);

	dune_dirty_take(busy, BUSY * PAGE, NULL);
	for (int round = 0; !stop; round++) {
		uint64_t expected = 0;

		for (int i = 0; i < 10; i++) {
			size_t page = random_next(&seed) % BUSY;

			expected |= 1UL << page;
			if (i % 2)
				busy[page * PAGE]++;
			else
				CHECK_EQ(read(fd, busy + page * PAGE, 10), 10);
		}
		dune_dirty_take(busy, BUSY * PAGE, bits);
		CHECK_EQ(bits[0], expected);
		if (round % 64 == 0)
			dune_dirty_peek(base, 4096 * RANGE, NULL);
	}
	close(fd);
	return NULL;
}

int main(void)
{
	uintptr_t base = 0x200000000000UL;
	size_t n = (size_t)repetitions(200) * KEPT;
	uint64_t tables;
	pthread_t thread;
	pid_t pid;

	enter_or_skip();
	/* Those that there are at the limit; what is kept, with its chunks; and the ways to tables. */
	tables = ranges(base, n);
	if (tables > 64 + 4 * KEPT + 16) {
		dprintf(2, "%lu tables for %zu ranges\n", tables, n);
		return 1;
	}
	busy = map_pages(BUSY);
	CHECK_EQ(dune_dirty_track(busy, BUSY * PAGE), 0);
	CHECK_EQ(pthread_create(&thread, NULL, harvest, (void *)base), 0);
	ranges(base, n);
	pid = fork();
	if (!pid) {
		ranges(base, n);
		_exit(0);
	}
	CHECK_EQ(wait_for(pid), 0);
	stop = 1;
	CHECK_EQ(pthread_join(thread, NULL), 0);
	ranges(base, n);
	return 0;
}
