/* Threads of the collector's keep off the processors that the program's run on, by a change of their affinity that is over at
 * once: afterwards each may run wherever it might before. A thread that leaves is elsewhere then, if there is an elsewhere.
 *
 * TEST-FLAGS: link=internal env:GCDUNE_MODE=concurrent env:GCDUNE_GROWTH=20 tsan=no timeout=120
 */
#include "check.h"

#include <dirent.h>
#include <sched.h>
#include <sys/syscall.h>

#include "os.h"

enum { CELLS = 400000 };

static cpu_set_t allowed;
static void **table;

/* Calls FN for each other thread of the process. */
static unsigned each_other(bool (*fn)(int tid))
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *e;
	unsigned n = 0;

	CHECK(dir != NULL);
	while ((e = readdir(dir))) {
		int tid = atoi(e->d_name);

		n += tid && tid != (int)syscall(SYS_gettid) && fn(tid);
	}
	closedir(dir);
	return n;
}

static bool has_all(int tid)
{
	cpu_set_t now;

	return sched_getaffinity(tid, sizeof now, &now) || CPU_EQUAL(&now, &allowed);
}

static bool any(int tid)
{
	(void)tid;
	return true;
}

static void work(unsigned steps)
{
	static unsigned seed = 1;

	for (unsigned i = 0; i < steps; i++) {
		seed = seed * 1103515245 + 12345;
		void **cell = gcdune_alloc(48);

		cell[0] = table[seed / 16 % CELLS] ? *(void **)table[seed / 16 % CELLS] : NULL;
		cell[1] = cell;
		table[seed / 16 % CELLS] = cell;
	}
}

static unsigned here;

static bool is_here(unsigned processor)
{
	return processor == here;
}

static bool is_any(unsigned processor)
{
	(void)processor;
	return true;
}

static void leave(void)
{
	cpu_set_t now;

	CHECK(!gcdune_os_leave(is_any));
	/* The system may bring it back at once, but not for ever. */
	for (unsigned tries = 0;; tries++) {
		here = gcdune_os_processor();
		bool left = gcdune_os_leave(is_here);

		CHECK(left == (CPU_COUNT(&allowed) > 1));
		if (!left || gcdune_os_processor() != here)
			break;
		CHECK(tries < 1000);
	}
	CHECK(sched_getaffinity(0, sizeof now, &now) == 0 && CPU_EQUAL(&now, &allowed));
}

int main(void)
{
	cpu_set_t one;

	CHECK(sched_getaffinity(0, sizeof allowed, &allowed) == 0);
	leave();
	CHECK(gcdune_init() == 0);
	table = gcdune_alloc(CELLS * sizeof *table);
	work(2 * CELLS);
	/* Wherever the program goes, and however often. */
	for (unsigned round = 0; round < 3; round++)
		for (int cpu = 0; cpu < CPU_SETSIZE && cpu < 8; cpu++) {
			if (!CPU_ISSET(cpu, &allowed))
				continue;
			CPU_ZERO(&one);
			CPU_SET(cpu, &one);
			CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
			work(CELLS);
			CHECK(sched_setaffinity(0, sizeof allowed, &allowed) == 0);
		}
	CHECK(each_other(any) > 0); /* or nothing was tried */
	/* One may be under way between its two changes just now. */
	for (unsigned tries = 0; each_other(has_all) != each_other(any); tries++) {
		CHECK(tries < 1000);
		usleep(10000);
	}
	for (unsigned i = 0; i < CELLS; i++)
		CHECK(!table[i] || ((void **)table[i])[1] == table[i]);
	return 0;
}
