/* log.c - where messages go: the three printing functions that Boehm's library exports, and the log's descriptor.
 *
 * Each writes its line at once, without stdio, whose lock a stopped thread may hold. */
#include "libgc.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#pragma GCC diagnostic ignored "-Wformat-nonliteral"

static int log_fd = 2, out_fd = 1, err_fd = 2;

void GC_set_log_fd(int fd)
{
	log_fd = fd;
}

#define PRINT(fd)                           \
	do {                                \
		va_list args;               \
		va_start(args, format);     \
		vdprintf(fd, format, args); \
		va_end(args);               \
	} while (0)

void GC_printf(const char *format, ...)
{
	PRINT(out_fd);
}

void GC_err_printf(const char *format, ...)
{
	PRINT(err_fd);
}

void GC_log_printf(const char *format, ...)
{
	PRINT(log_fd);
}

/* GC_LOG_FILE: all that these functions print, unless GC_ONLY_LOG_TO_FILE. */
void libgc_log_open(const char *path, bool only_log)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		GC_err_printf("the file named by GC_LOG_FILE cannot be written; the log goes to stderr\n");
	else
		log_fd = fd;
	if (fd >= 0 && !only_log)
		out_fd = err_fd = fd;
}
