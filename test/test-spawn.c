/* Programs started by vfork and exec, posix_spawn, system and popen while other threads allocate and collect: they
 * run, inherit neither a blocked nor an ignored signal of the collector's, and the heap stays whole.
 *
 * TEST-FLAGS: timeout=120 torture=yes tsan=no
 */
#include <spawn.h>

#include "check.h"

static volatile bool stop;

static void *works(void *arg)
{
	struct target *kept[50] = { 0 };

	for (uint64_t n = 0; !stop; n++) {
		kept[n % 50] = target_new(n);
		if (n % 5000 == 0)
			gcdune_collect();
		if (n >= 50)
			TARGET_CHECK(kept[(n + 1) % 50], n - 49);
	}
	return NULL;
}

/* What the started program says of its signals: nothing blocked, nothing ignored. */
static const char script[] = "grep -c -E '^Sig(Blk|Ign):.0000000000000000$' /proc/self/status";

static pid_t NOINLINE by_vfork(int output)
{
	pid_t pid = vfork();

	if (pid == 0) {
		dup2(output, STDOUT_FILENO);
		execl("/bin/sh", "sh", "-c", script, (char *)NULL);
		_exit(127);
	}
	return pid;
}

static pid_t by_spawn(int output)
{
	posix_spawn_file_actions_t actions;
	char *const argv[] = { (char[]){ "sh" }, (char[]){ "-c" }, (char *)(uintptr_t)script, NULL };
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
	CHECK_EQ(posix_spawn(&pid, "/bin/sh", &actions, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	return pid;
}

static void with_output(pid_t (*start)(int))
{
	int ends[2];
	char text[16] = "";
	pid_t pid;

	CHECK(pipe(ends) == 0);
	pid = start(ends[1]);
	CHECK(pid > 0);
	close(ends[1]);
	CHECK(read(ends[0], text, sizeof(text) - 1) > 0);
	close(ends[0]);
	CHECK_EQ(child_wait(pid), 0);
	CHECKF(!strcmp(text, "2\n"), "expected neither blocked nor ignored signals in the child, got %s", text);
}

int main(void)
{
	pthread_t threads[2];

	signal(SIGPIPE, SIG_DFL);
	threads[0] = thread_start(works, NULL);
	threads[1] = thread_start(works, NULL);
	for (size_t i = 0; i < rounds(30, 5); i++) {
		FILE *file;
		char line[32] = "";

		with_output(by_vfork);
		with_output(by_spawn);
		CHECK_EQ(system("exit 3"), 3 << 8);
		file = popen("echo hello", "r");
		CHECK(file != NULL);
		CHECK(fgets(line, sizeof(line), file) && !strcmp(line, "hello\n"));
		CHECK_EQ(pclose(file), 0);
	}
	stop = true;
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
