/* exec while the heap is marked beside the program: the signal that stops threads must not be pending when the program is
 * replaced, for the new one would end by it. By each of libc's functions; one that fails leaves all as it was; in the child
 * of a vfork.
 *
 * TEST-FLAGS: timeout=120 asan=no tsan=no env:GCDUNE_MODE=concurrent env:GCDUNE_TORTURE=1
 */
#define _GNU_SOURCE
#include "check.h"

static const char name[] = "/bin/true";

static void replace(int how)
{
	char *argv[] = { (char *)(uintptr_t)name, NULL };
	int fd;

	switch (how) {
	case 0: execve(name, argv, environ); break;
	case 1: execv(name, argv); break;
	case 2: execvp("true", argv); break;
	case 3: execvpe("true", argv, environ); break;
	case 4: execl(name, "true", "1", "2", "3", (char *)NULL); break;
	case 5: execlp("true", "true", (char *)NULL); break;
	case 6: execle(name, "true", (char *)NULL, environ); break;
	case 7:
		fd = open(name, O_RDONLY);
		fexecve(fd, argv, environ);
		break;
	}
}

int main(void)
{
	char *none[] = { NULL };

	for (int i = 0; i < 160; i++) {
		pid_t pid = fork();

		CHECK(pid >= 0);
		if (pid == 0) {
			for (int k = 0; k < 50; k++)
				KEEP_ALIVE(target_new((uint64_t)k));
			CHECK(execve("/nonexistent", none, none) == -1 && errno == ENOENT);
			replace(i % 8);
			_exit(99);
		}
		int status = child_wait(pid);

		CHECKF(status == 0, "function %d: the new program ended with %d", i % 8, status);
	}
	for (int i = 0; i < 20; i++) {
		struct target *t = target_new(1);
		pid_t pid = vfork();

		if (pid == 0) {
			execl(name, "true", (char *)NULL);
			_exit(99);
		}
		CHECK_EQ(child_wait(pid), 0);
		TARGET_CHECK(t, 1);
	}
	return 0;
}
