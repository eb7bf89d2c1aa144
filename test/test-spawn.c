/* Programs started by vfork and exec, posix_spawn, system and popen while other threads allocate and collect: they
 * run, inherit neither a blocked nor an ignored signal of the collector's, and the heap stays whole.
 *
 * TEST-FLAGS: timeout=120 torture=yes tsan=no
 */
#include <spawn.h>

#include "check.h"

static volatile int stop;	/* not bool: gcc 12 with -fsanitize=bool reads a volatile one only once */

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

/* What the started program says of its signals; and what this one had from the start. */
static const char script[] = "grep -E '^Sig(Blk|Ign):' /proc/self/status";
static unsigned long long at_start[2];
static bool know_start;

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
	char text[64] = "";
	unsigned long long now[2];
	pid_t pid;

	CHECK(pipe(ends) == 0);
	pid = start(ends[1]);
	CHECK(pid > 0);
	close(ends[1]);
	for (size_t n = 0; (size_t)n < sizeof(text) - 1;) {
		ssize_t got = read(ends[0], text + n, sizeof(text) - 1 - n);

		CHECK(got >= 0);
		if (!got)
			break;
		n += (size_t)got;
	}
	close(ends[0]);
	CHECK_EQ(child_wait(pid), 0);
	CHECK(sscanf(text, "SigBlk: %llx SigIgn: %llx", &now[0], &now[1]) == 2);
	for (int i = 0; i < 2; i++) {
		/* libc keeps signals 32 and 33 to itself, and treats them differently in its two ways. */
		now[i] &= ~0x180000000ull;
		if (!know_start)
			at_start[i] = now[i];
		CHECKF(now[i] == at_start[i], "signals %s in the child: %llx, at the start: %llx",
		       i ? "ignored" : "blocked", now[i], at_start[i]);
	}
	know_start = true;
}

int main(void)
{
	pthread_t threads[2];

	/* Before anything of the collector's. */
	with_output(by_spawn);
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
