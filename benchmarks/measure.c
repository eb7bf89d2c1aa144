/* measure.c - runs one command and says what it took: wall and processor time, peak memory, page faults.
 *
 *	measure [-t SECONDS] [-o STDOUT] [-e STDERR] COMMAND...
 *
 * Prints one line of JSON. Small on purpose: a process that is made by fork starts out with the peak memory of the one that
 * forked, so that a driver with an interpreter in it would add its own to every small program. A command that does not
 * end in time is killed with all of its process group. Exit status 0 if there is a line. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void redirect(const char *path, int fd)
{
	int file = open(path ? path : "/dev/null", fd ? O_WRONLY | O_CREAT | O_TRUNC : O_RDONLY, 0644);

	if (file < 0 || dup2(file, fd) < 0)
		_exit(126);
	close(file);
}

int main(int argc, char **argv)
{
	const char *out = NULL, *err = NULL;
	unsigned limit = 600;
	int option, status, timed_out = 0;
	struct rusage usage;
	sigset_t set;

	while ((option = getopt(argc, argv, "+t:o:e:")) != -1) {
		if (option == 't')
			limit = (unsigned)strtoul(optarg, NULL, 10);
		else if (option == 'o')
			out = optarg;
		else if (option == 'e')
			err = optarg;
		else
			return 2;
	}
	if (optind == argc) {
		fputs("usage: measure [-t SECONDS] [-o STDOUT] [-e STDERR] COMMAND...\n", stderr);
		return 2;
	}
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);

	double began = now();
	pid_t pid = fork();

	if (pid < 0) {
		perror("fork");
		return 1;
	}
	if (!pid) {
		sigprocmask(SIG_UNBLOCK, &set, NULL);
		setpgid(0, 0);
		redirect(NULL, 0);
		redirect(out, 1);
		redirect(err, 2);
		execvp(argv[optind], argv + optind);
		_exit(127);
	}
	setpgid(pid, pid);
	for (;;) {
		struct timespec left;
		double rest = began + limit - now();

		if (rest <= 0 && !timed_out) {
			kill(-pid, SIGKILL);
			timed_out = 1;
		}
		if (timed_out || wait4(pid, &status, WNOHANG, &usage) == pid)
			break;
		left.tv_sec = (time_t)rest;
		left.tv_nsec = (long)((rest - (double)left.tv_sec) * 1e9);
		option = sigtimedwait(&set, NULL, &left);
		if (option > 0 && option != SIGCHLD) {
			kill(-pid, SIGKILL);
			return 1;
		}
	}
	if (timed_out && wait4(pid, &status, 0, &usage) != pid)
		return 1;

	double wall = now() - began;

	kill(-pid, SIGKILL); /* what it may have left behind would disturb the next run */
	printf("{\"wall_s\":%.6f,\"user_s\":%.6f,\"system_s\":%.6f,\"rss_kib\":%ld,"
	       "\"minor_faults\":%ld,\"major_faults\":%ld,\"switches\":%ld,\"preempted\":%ld,\"status\":%d,\"signal\":%d,\"timed_out\":%s}\n",
	       wall, seconds(usage.ru_utime), seconds(usage.ru_stime), usage.ru_maxrss, usage.ru_minflt,
	       usage.ru_majflt, usage.ru_nvcsw, usage.ru_nivcsw, WIFEXITED(status) ? WEXITSTATUS(status) : -1,
	       WIFSIGNALED(status) ? WTERMSIG(status) : 0, timed_out ? "true" : "false");
	return fflush(stdout) ? 1 : 0;
}
