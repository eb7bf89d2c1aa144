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
		else
			CHECK(!"a known mode");
		return 0;
	}
	in_child("limited", "GC_MAXIMUM_HEAP_SIZE", "30000000");
	in_child("limited", "GC_MAXIMUM_HEAP_SIZE", "30M");
	in_child("limited", "GC_MAXIMUM_HEAP_SIZE", "30000k");
	in_child("not-collecting", "GC_DONT_GC", "1");
	in_child("large", "GC_INITIAL_HEAP_SIZE", "48M");
	in_child("divisor", "GC_FREE_SPACE_DIVISOR", "9");
	return 0;
}
