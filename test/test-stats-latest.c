/* What is kept of pauses. Without GCDUNE_STATS gcdune_stats_write knows the latest ones only, the oldest first, but counts
 * all and says how long they were; with it, all are there. So a program that runs for long does not grow by what no one
 * asked for. And the steps in which lengths are counted: each length belongs to one, whose end is at most a 16th more.
 *
 * TEST-FLAGS: timeout=60 link=internal torture=no
 */
#include "check.h"

#include "stats-parts.h"

enum { COLLECTIONS = 1000, MOST = 200 };

static unsigned long long number(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	CHECKF(at, "%s is not there", name);
	return strtoull(at + strlen(name), NULL, 10);
}

static char *write_and_read(void)
{
	static char text[1 << 20];
	char path[] = "/tmp/test-stats-latest.XXXXXX";
	int fd = mkstemp(path);

	CHECK(fd >= 0);
	CHECK(gcdune_stats_write(path) == 0);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	CHECK(n > 0);
	text[n] = 0;
	close(fd);
	unlink(path);
	return text;
}

/* The rows of the first list behind NAME, which begin with when that was: each later than the one before. */
static size_t rows(const char *text, const char *name, unsigned long long *last)
{
	const char *at = strstr(text, name);
	size_t n = 0;

	CHECK(at);
	at = strstr(at, "\"list\": [");
	CHECK(at);
	*last = 0;
	for (at += strlen("\"list\": ["); (at = strpbrk(at, "[]")) && *at == '['; at = strchr(at, ']') + 1, n++) {
		unsigned long long start = strtoull(at + 1, NULL, 10);

		CHECKF(start > *last, "row %zu begins at %llu, the one before at %llu", n, start, *last);
		*last = start;
	}
	return n;
}

static void check_steps(uint64_t ns)
{
	unsigned step = gcdune_stats_step(ns);
	uint64_t end = gcdune_stats_step_end(step);

	CHECKF(step < GCDUNE_STATS_LENGTHS, "%llu is in step %u", (unsigned long long)ns, step);
	CHECKF(end >= ns && end - ns <= ns / 16, "%llu is in a step to %llu", (unsigned long long)ns, (unsigned long long)end);
	CHECK(step == 0 || gcdune_stats_step_end(step - 1) < ns);
}

int main(int argc, char **argv)
{
	unsigned long long pause, cycle;
	bool all = argc > 1;

	if (!all) {
		unsetenv("GCDUNE_STATS");
		for (uint64_t ns = 0; ns < 100000; ns++)
			check_steps(ns);
		for (unsigned bit = 0; bit < 64; bit++) {
			check_steps((uint64_t)1 << bit);
			check_steps(((uint64_t)1 << bit) - 1);
			check_steps(((uint64_t)1 << bit) / 16 * 31);
		}
		check_steps(UINT64_MAX);
	}
	for (int i = 0; i < COLLECTIONS; i++)
		gcdune_collect();
	char *text = write_and_read();
	unsigned long long count = number(text, "\"pauses\": {\"count\": "), most = number(text, "\"max_ns\": ");
	unsigned long long p50 = number(text, "\"p50_ns\": "), p90 = number(text, "\"p90_ns\": "), p99 = number(text, "\"p99_ns\": ");
	size_t pauses = rows(text, "\"pauses\"", &pause), cycles = rows(text, "\"cycles\": {\"fields\"", &cycle);

	printf("%llu pauses, %zu and %zu kept\n", count, pauses, cycles);
	CHECK(count >= COLLECTIONS);
	CHECK(0 < p50 && p50 <= p90 && p90 <= p99 && p99 <= most);
	if (all) {
		CHECK_EQ(pauses, count);
		CHECK(cycles >= COLLECTIONS);
		return 0;
	}
	CHECKF(pauses <= MOST && cycles <= MOST, "%zu pauses and %zu cycles are kept that no one asked for", pauses, cycles);
	CHECK(pauses >= 64 && cycles >= 64);
	/* The latest: the record ends with the last collection. */
	gcdune_collect();
	text = write_and_read();
	unsigned long long later_pause, later_cycle;

	rows(text, "\"pauses\"", &later_pause);
	rows(text, "\"cycles\": {\"fields\"", &later_cycle);
	CHECK(later_pause > pause && later_cycle > cycle);

	setenv("GCDUNE_STATS", "/dev/null", 1);
	execl("/proc/self/exe", argv[0], "all", NULL);
	CHECK(!"executed");
}
