/* libgc-child.h - for tests of what the environment does: the test's program once more, with one variable set. */
#ifndef LIBGC_CHILD_H
#define LIBGC_CHILD_H

#include "libgc-check.h"

#include <sys/wait.h>

static const char *child_name = "child"; /* argv[0] */

/* This program with argument MODE, and VARIABLE set to VALUE unless that is NULL. It must succeed. Returns what it prints to
 * stderr, until the next call. */
UNUSED static const char *child_prints(const char *mode, const char *variable, const char *value)
{
	static char output[1 << 20];
	size_t size = 0;
	ssize_t got;
	int ends[2], status;

	CHECK(pipe(ends) == 0);
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		dup2(ends[1], 2);
		if (value)
			setenv(variable, value, 1);
		execl("/proc/self/exe", child_name, mode, (char *)NULL);
		_exit(126);
	}
	close(ends[1]);
	while ((got = read(ends[0], output + size, sizeof output - 1 - size)) > 0)
		size += (size_t)got;
	output[size] = 0;
	close(ends[0]);
	CHECK(waitpid(pid, &status, 0) == pid);
	if (status)
		dprintf(2, "%s, %s=%s: %s\n", mode, variable, value ? value : "(not set)", output);
	CHECK_EQ(status, 0);
	return output;
}

#endif
