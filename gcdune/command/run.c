/* run.c - gcdune run: sets the environment of a program so that the dynamic linker gives it our libraries, and becomes it. */
#define _GNU_SOURCE
#include "command.h"

#include <errno.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gcdune.h"

static bool dry;

static void set(const char *name, const char *value)
{
	if (dry)
		printf("%s=%s\n", name, value);
	setenv(name, value, 1);
}

static void prepend(const char *name, const char *value, char separator)
{
	const char *old = getenv(name);
	char *text = NULL;

	if (asprintf(&text, old && *old ? "%s%c%s" : "%s", value, separator, old) < 0)
		abort();
	set(name, text);
	free(text);
}

/* The directory of this program, and beside it, in the build tree or where it is installed, that of FILE. */
static bool place_of(const char *file, char *dir, size_t size)
{
	static const char *const places[] = {"/../lib", "/../lib/gcdune", "/../lib/x86_64-linux-gnu/gcdune",
					     "/../lib/x86_64-linux-gnu"};
	char self[PATH_MAX] = "", path[PATH_MAX + 256];

	if (readlink("/proc/self/exe", self, sizeof self - 1) < 0)
		return false;
	char *base = dirname(self);

	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		char real[PATH_MAX];

		snprintf(path, sizeof path, "%s%s/%s", base, places[i], file);
		if (access(path, R_OK))
			continue;
		snprintf(path, sizeof path, "%s%s", base, places[i]);
		if (realpath(path, real)) {
			snprintf(dir, size, "%s", real);
			return true;
		}
	}
	return false;
}

static const struct option options[] = {
	{"dirty", required_argument, NULL, 'D'},      {"dune", no_argument, NULL, 'u'},
	{"mode", required_argument, NULL, 'm'},	      {"heap-limit", required_argument, NULL, 'l'},
	{"stats", optional_argument, NULL, 's'},      {"trace", required_argument, NULL, 't'},
	{"malloc", optional_argument, NULL, 'M'},     {"live", no_argument, NULL, 'L'},
	{"quiet", no_argument, NULL, 'q'},	      {"dry-run", no_argument, NULL, 'n'},
	{0},
};

static bool one_of(const char *value, const char *const *values)
{
	for (; *values; values++)
		if (!strcmp(value, *values))
			return true;
	return false;
}

/* A file that the program may write after it has changed its directory. */
static void set_file(const char *name, const char *file)
{
	char cwd[PATH_MAX], *path = NULL;

	if (*file == '/' || !getcwd(cwd, sizeof cwd) || asprintf(&path, "%s/%s", cwd, file) < 0) {
		set(name, file);
		return;
	}
	set(name, path);
	free(path);
}

int command_run(int argc, char **argv)
{
	static const char *const mallocs[] = {"free", "collect", "leak", NULL};
	const char *mode = NULL, *dirty = NULL, *limit = NULL, *stats = NULL, *trace = NULL, *malloc_mode = NULL;
	bool dune = false, live = false, quiet = false;
	int option;

	dry = false;
	while ((option = getopt_long(argc, argv, "+qn", options, NULL)) != -1)
		switch (option) {
		case 'D':
			dirty = optarg;
			break;
		case 'u':
			dune = true;
			break;
		case 'm':
			mode = optarg;
			break;
		case 'l':
			limit = optarg;
			break;
		case 's':
			stats = optarg ? optarg : "1";
			break;
		case 't':
			trace = optarg;
			break;
		case 'M':
			malloc_mode = optarg ? optarg : "free";
			break;
		case 'L':
			live = true;
			break;
		case 'q':
			quiet = true;
			break;
		case 'n':
			dry = true;
			break;
		default:
			return command_usage("run");
		}
	if (optind == argc)
		return command_error(COMMAND_USAGE, "run: a program is missing"), command_usage("run");
	/* The library of this build knows what it knows. */
	if (mode && gcdune_option_set("mode", mode))
		return command_error(COMMAND_USAGE, "run: no such mode: %s", mode), command_usage("run");
	if (dirty && gcdune_option_set("dirty", dirty))
		return command_error(COMMAND_USAGE, "run: no such source: %s", dirty), command_usage("run");
	if (limit && gcdune_option_set("heap_limit", limit))
		return command_error(COMMAND_USAGE, "run: not a size: %s", limit), command_usage("run");
	if (malloc_mode && !one_of(malloc_mode, mallocs))
		return command_error(COMMAND_USAGE, "run: no such mode of malloc: %s", malloc_mode), command_usage("run");

	struct program program;
	const char *name = argv[optind];
	int status = program_look(name, &program);

	if (status)
		return status;
	if (program.is_static && !program.moving)
		return command_error(COMMAND_CANNOT, "%s is linked statically: no library can take another's place", name);
	if (program.moving)
		return command_error(COMMAND_CANNOT, "%s allocates from %s, which has a collector of its own", name, program.moving);
	if (program.is_setuid)
		return command_error(COMMAND_CANNOT, "%s runs as another user (set-uid or set-gid): it takes no libraries from its caller",
				     name);
	if (!program.uses_libgc && !program.uses_malloc)
		return command_error(COMMAND_CANNOT, "%s uses neither libgc.so.1 nor libc's malloc", name);

	if (program.uses_libgc && malloc_mode && strcmp(malloc_mode, "free"))
		return command_error(COMMAND_CANNOT, "%s uses libgc: two collectors in a process could stop each other; only --malloc=free goes "
						     "with it", name);

	char gc_dir[PATH_MAX], malloc_dir[PATH_MAX], done[2 * PATH_MAX + 100] = "";
	bool with_malloc = malloc_mode || !program.uses_libgc;

	if (program.uses_libgc) {
		if (!place_of("libgc.so.1", gc_dir, sizeof gc_dir))
			return command_error(COMMAND_USAGE, "libgc.so.1 of gcdune is not installed beside this command");
		prepend("LD_LIBRARY_PATH", gc_dir, ':');
		snprintf(done, sizeof done, "%s uses libgc: %s/libgc.so.1 takes its place", name, gc_dir);
	}
	if (with_malloc) {
		char path[PATH_MAX + 32];

		if (!place_of("libgcdune-malloc.so", malloc_dir, sizeof malloc_dir))
			return command_error(COMMAND_USAGE, "libgcdune-malloc.so is not installed beside this command");
		snprintf(path, sizeof path, "%s/libgcdune-malloc.so", malloc_dir);
		prepend("LD_PRELOAD", path, ':');
		set("GCDUNE_MALLOC", malloc_mode ? malloc_mode : "free");
		size_t at = strlen(done);

		if (at)
			snprintf(done + at, sizeof done - at, "; malloc too, mode %s", malloc_mode);
		else
			snprintf(done, sizeof done, "%s uses malloc only: %s takes its place, mode %s", name, path,
				 malloc_mode ? malloc_mode : "free");
	}
	if (mode)
		set("GCDUNE_MODE", mode);
	if (dirty)
		set("GCDUNE_DIRTY", dirty);
	if (limit)
		set("GCDUNE_HEAP_LIMIT", limit);
	if (stats && strcmp(stats, "1"))
		set_file("GCDUNE_STATS", stats);
	else if (stats)
		set("GCDUNE_STATS", "1");
	if (trace)
		set_file("GCDUNE_TRACE", trace);
	if (live)
		set("GCDUNE_LIVE", "1");
	char runner[PATH_MAX + 16];

	if (dune) {
		char self[PATH_MAX] = "";

		if (readlink("/proc/self/exe", self, sizeof self - 1) < 0)
			self[0] = '\0';
		snprintf(runner, sizeof runner, "%s/dune-run", dirname(self));
		if (access(runner, X_OK))
			return command_error(COMMAND_USAGE, "--dune: this build has no Dune mode (no %s)", runner);
		if (!dirty)
			set("GCDUNE_DIRTY", "dune");
	}
	if (!quiet)
		fprintf(stderr, "gcdune: %s\n", done);
	if (dry)
		return 0;
	if (dune) {
		argv[optind - 1] = runner;
		execv(runner, argv + optind - 1);
		return command_error(COMMAND_USAGE, "%s: %s", runner, strerrordesc_np(errno));
	}
	execvp(name, argv + optind);
	return command_error(errno == ENOENT ? COMMAND_NOT_FOUND : COMMAND_CANNOT, "%s: %s", name, strerrordesc_np(errno));
}
