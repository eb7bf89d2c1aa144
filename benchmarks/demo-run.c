/* demo-run.c - runs one command and measures it.
 *
 * Owns the child from fork to wait. Wall time is taken around the life of the child, CPU time and peak RSS are the
 * kernel's account of it and of what it waited for itself. The child dies with the driver, and its whole process
 * group dies at the timeout, so that nothing goes on in the background and disturbs the next run.
 */
#define _GNU_SOURCE
#include "demo.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

double demo_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int run_compare(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

double demo_median(double *values, int n)
{
	if (n == 0)
		return NAN;
	qsort(values, (size_t)n, sizeof(*values), run_compare);
	return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

__attribute__((format(printf, 2, 0))) static void run_append(char **list, const char *format, va_list args)
{
	size_t n = 0;

	while (list[n])
		n++;
	if (n == DEMO_MAX_ARGS || vasprintf(&list[n], format, args) < 0) {
		fprintf(stderr, "gcdune-demo: command too long\n");
		exit(2);
	}
	list[n + 1] = NULL;
}

void demo_command_add(struct demo_command *command, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	run_append(command->argv, format, args);
	va_end(args);
}

void demo_command_set(struct demo_command *command, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	run_append(command->settings, format, args);
	va_end(args);
}

void demo_command_clear(struct demo_command *command)
{
	for (size_t i = 0; command->argv[i]; i++)
		free(command->argv[i]);
	for (size_t i = 0; command->settings[i]; i++)
		free(command->settings[i]);
	*command = (struct demo_command){.timeout_s = DEMO_TIMEOUT_S};
}

static void run_redirect(const char *path, int to)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);

	if (fd < 0 || dup2(fd, to) < 0)
		_exit(126);
	close(fd);
}

static _Noreturn void run_child(const struct demo_command *command, pid_t parent)
{
	int null = open("/dev/null", O_RDONLY);

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(126);
	if (null >= 0)
		dup2(null, 0);
	run_redirect(command->stderr_path, 2);
	run_redirect(command->stdout_path, 1);
	for (size_t i = 0; command->settings[i]; i++)
		putenv(command->settings[i]);
	execvp(command->argv[0], command->argv);
	fprintf(stderr, "%s: %s\n", command->argv[0], strerror(errno));
	_exit(127);
}

/* The last line that the run wrote to stderr: mostly the reason. */
static void run_last_words(const char *path, char *detail, size_t size)
{
	FILE *file = fopen(path, "re");
	char line[256];
	char last[256] = "";
	size_t used = strlen(detail);

	if (!file)
		return;
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0])
			memcpy(last, line, sizeof(last));
	}
	fclose(file);
	if (last[0])
		snprintf(detail + used, size - used, ": %s", last);
}

void demo_run(const struct demo_command *command, struct demo_run *run)
{
	struct rusage usage;
	pid_t parent = getpid();
	int status = 0;

	*run = (struct demo_run){.collections = -1, .pause_ms = -1};
	fflush(NULL);

	double began = demo_now();
	pid_t pid = fork();

	if (pid == 0)
		run_child(command, parent);
	if (pid < 0) {
		snprintf(run->detail, sizeof(run->detail), "fork: %s", strerror(errno));
		return;
	}

	struct pollfd end = {.fd = pidfd_open(pid, 0), .events = POLLIN};
	bool timed_out = end.fd >= 0 && poll(&end, 1, (int)command->timeout_s * 1000) == 0;

	if (timed_out)
		kill(-pid, SIGKILL);
	while (wait4(pid, &status, 0, &usage) < 0 && errno == EINTR)
		;
	run->wall_s = demo_now() - began;
	if (end.fd >= 0)
		close(end.fd);

	run->cpu_s = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
		     (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
	run->rss_kib = (double)usage.ru_maxrss;
	run->finished = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	if (run->finished)
		return;
	if (timed_out)
		snprintf(run->detail, sizeof(run->detail), "did not end in %u s", command->timeout_s);
	else if (WIFSIGNALED(status))
		snprintf(run->detail, sizeof(run->detail), "crashed, signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else
		snprintf(run->detail, sizeof(run->detail), "exit status %d", WEXITSTATUS(status));
	run_last_words(command->stderr_path, run->detail, sizeof(run->detail));
}
