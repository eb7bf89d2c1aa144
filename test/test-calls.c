/* What an allocation call must not wait for: that the table of descriptors grows while there are several threads, which is a
 * grace period of the kernel's. So there is room for the collector's descriptors before it has threads, and they are where
 * that room is. And the dirty source is tried out by another thread than the one that allocates.
 *
 * TEST-FLAGS: env:GCDUNE_MODE=concurrent short=yes tsan=no
 */
#include "check.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { HIGH = 900 };

static long table_size(void)
{
	char line[256];
	long size = 0;
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "FDSize: %ld", &size) == 1)
			break;
	if (f)
		fclose(f);
	return size;
}

/* Of descriptors that are neither the program's own nor high. */
static unsigned count_low(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *e;
	unsigned n = 0;

	while (dir && (e = readdir(dir))) {
		int fd = atoi(e->d_name);

		n += fd > 2 && fd < HIGH && fd != dirfd(dir);
	}
	if (dir)
		closedir(dir);
	return n;
}

int main(void)
{
	struct rlimit limit;

	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	if (limit.rlim_cur <= HIGH + 8) {
		printf("SKIP: no more than %ld descriptors\n", (long)limit.rlim_cur);
		return 77;
	}
	unsigned low = count_low();

	CHECK(gcdune_init() == 0);
	long size = table_size();

	CHECK(size > HIGH);
	void **chain = NULL;

	for (int i = 0; i < 1000000; i++) {
		void **cell = gcdune_alloc(32);

		cell[0] = i % 100 ? NULL : chain;
		if (i % 100 == 0)
			chain = cell;
	}
	gcdune_collect();
	CHECK(table_size() == size);
	CHECK(count_low() == low);
	CHECK(chain && chain[0]);
	return 0;
}
