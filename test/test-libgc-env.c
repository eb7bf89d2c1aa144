/* libgc-env - the environment variables of Boehm's library. The program starts itself again with each.
 *
 * TEST-FLAGS: link=libgc asan=no tsan=no timeout=120 */
#include "libgc-check.h"

#include <sys/wait.h>

static void in_child(const char *mode, const char *variable, const char *value)
{
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		setenv(variable, value, 1);
		execl("/proc/self/exe", "libgc-env", mode, (char *)NULL);
		_exit(126);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	if (status != 0)
		dprintf(2, "%s=%s\n", variable, value);
	CHECK_EQ(status, 0);
}

static void *volatile keep;

static void limited(void)
{
	GC_set_warn_proc(GC_ignore_warn_proc);
	CHECK(GC_MALLOC_ATOMIC(100 << 20) == NULL);
	CHECK(GC_MALLOC_ATOMIC(1 << 20) != NULL);
}

static void not_collecting(void)
{
	GC_word before = GC_get_gc_no();

	CHECK(GC_is_disabled());
	GC_gcollect();
	for (int i = 0; i < 300000; i++)
		keep = GC_MALLOC(64);
	CHECK_EQ(GC_get_gc_no(), before);
}

static void refused(void)
{
	GC_enable_incremental();
	CHECK_EQ(GC_is_incremental_mode(), 0);
}

/* What MODE prints to stderr holds TEXT. */
static void prints(const char *mode, const char *variable, const char *text)
{
	static char output[1 << 20];
	size_t size = 0;
	ssize_t got;
	int ends[2], status;
	pid_t pid;

	CHECK(pipe(ends) == 0);
	pid = fork();
	if (pid == 0) {
		dup2(ends[1], 2);
		setenv(variable, "1", 1);
		execl("/proc/self/exe", "libgc-env", mode, (char *)NULL);
		_exit(126);
	}
	close(ends[1]);
	while ((got = read(ends[0], output + size, sizeof output - 1 - size)) > 0)
		size += (size_t)got;
	output[size] = 0;
	close(ends[0]);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(strstr(output, text));
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		GC_INIT();
		if (strcmp(argv[1], "limited") == 0)
			limited();
		else if (strcmp(argv[1], "not-collecting") == 0)
			not_collecting();
		else if (strcmp(argv[1], "large") == 0)
			CHECK(GC_get_heap_size() >= 48 << 20);
		else if (strcmp(argv[1], "divisor") == 0)
			CHECK_EQ(GC_get_free_space_divisor(), 9);
		else if (strcmp(argv[1], "incremental") == 0)
			CHECK_EQ(GC_is_incremental_mode(), 1);
		else if (strcmp(argv[1], "never-incremental") == 0)
			refused();
		else if (strcmp(argv[1], "address-map") == 0)
			GC_gcollect();
		else if (strcmp(argv[1], "limit") == 0)
			CHECK_EQ(GC_get_time_limit(), 25);
		else
			CHECK(!"a known mode");
		return 0;
	}
	in_child("limited", "GC_MAXIMUM_HEAP_SIZE", "30000000");
	in_child("limited", "GC_MAXIMUM_HEAP_SIZE", "30M");
	in_child("limited", "GC_MAXIMUM_HEAP_SIZE", "30000k");
	in_child("not-collecting", "GC_DONT_GC", "1");
	in_child("large", "GC_INITIAL_HEAP_SIZE", "48M");
	if (getenv("GCDUNE_MODE") == NULL)
		in_child("incremental", "GC_ENABLE_INCREMENTAL", "1");
	in_child("never-incremental", "GC_DISABLE_INCREMENTAL", "1");
	in_child("limit", "GC_PAUSE_TIME_TARGET", "25");
	prints("address-map", "GC_PRINT_ADDRESS_MAP", "[stack]");
	in_child("divisor", "GC_FREE_SPACE_DIVISOR", "9");
	return 0;
}
