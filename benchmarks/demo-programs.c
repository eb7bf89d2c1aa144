/* demo-programs.c - what the demo runs: the programs, the back ends, and the command for each pair.
 *
 * Owns build/demo (outputs, the page for w3m, the home folder of the real programs). Real programs run with that
 * folder as home and cache, so that nothing outside the build folder is read or changed. The first output of a
 * program is what all its later runs, on whatever back end, must repeat byte by byte.
 */
#define _GNU_SOURCE
#include "demo.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

const struct demo_program demo_programs[] = {
	{"gcbench", "gcbench", {"1"}, "short- and long-lived trees (Ellis, Kovac, Boehm)"},
	{"gcbench-mt2", "gcbench", {"2"}, "the same work divided among 2 threads"},
	{"gcbench-mt4", "gcbench", {"4"}, "the same work divided among 4 threads"},
	{"binary-trees", "binary-trees", {NULL}, "trees of 16-byte cells"},
	{"linked-list", "linked-list", {NULL}, "long lists, sorting, a queue"},
	{"hash-map", "hash-map", {NULL}, "string keys, mixed values, churn"},
	{"xml-parse", "xml-parse", {NULL}, "expat and a document tree, both on the heap"},
	{"live-cache", "live-cache", {NULL}, "1 GiB live, random replacement"},
	{"guile-compile", NULL, {NULL}, "Debian's Guile compiles guile-alloc.scm"},
	{"guile-run", NULL, {NULL}, "Debian's Guile runs it"},
	{"w3m", NULL, {NULL}, "Debian's w3m lays out a page of 9 MB"},
};
const size_t demo_programs_count = sizeof(demo_programs) / sizeof(demo_programs[0]);

static const char *const demo_backend_names[DEMO_BACKENDS] = {
	[DEMO_GCDUNE] = "gcdune",
	[DEMO_BOEHM] = "boehm",
	[DEMO_JEMALLOC] = "jemalloc",
	[DEMO_MIMALLOC] = "mimalloc",
	[DEMO_FUNCTIONS] = "gcdune-functions",
	[DEMO_GLIBC] = "glibc",
};

static char demo_build[DEMO_PATH - 128];
static char demo_output[DEMO_PATH - 64];
static char demo_boehm[DEMO_PATH];

const char *demo_backend_name(enum demo_backend backend)
{
	return demo_backend_names[backend];
}

const char *demo_folder(void)
{
	return demo_output;
}

const char *demo_boehm_found(void)
{
	return demo_boehm[0] ? demo_boehm : NULL;
}

bool demo_pair_exists(const struct demo_program *program, enum demo_backend backend)
{
	return program->binary || backend == DEMO_GCDUNE || backend == DEMO_BOEHM;
}

static bool demo_is_gcdune(enum demo_backend backend)
{
	return backend == DEMO_GCDUNE || backend == DEMO_FUNCTIONS;
}

/* Real programs: which libgc, and nothing of the user's. */
static void demo_command_real(struct demo_command *command, enum demo_backend backend)
{
	demo_command_set(command, "HOME=%s/home", demo_output);
	demo_command_set(command, "XDG_CACHE_HOME=%s/home", demo_output);
	demo_command_set(command, "GUILE_AUTO_COMPILE=0");
	demo_command_set(command, "LC_ALL=C.UTF-8");
	if (backend == DEMO_GCDUNE)
		demo_command_set(command, "LD_LIBRARY_PATH=%s/lib", demo_build);
	else
		demo_command_set(command, "LD_PRELOAD=%s/bench/observe-bdw.so", demo_build);
}

/* The compiler runs several times in one process, as a build does; start-up would dominate otherwise. */
static void demo_command_guile_compile(struct demo_command *command, const char *output, int times)
{
	demo_command_add(command, "guile");
	demo_command_add(command, "--no-auto-compile");
	demo_command_add(command, "-c");
	demo_command_add(
		command,
		"(use-modules (system base compile))"
		"(do ((i 0 (+ i 1))) ((= i %d)) (compile-file \"%s/bench/guile-alloc.scm\" #:output-file \"%s\"))",
		times, demo_build, output);
}

/* Fills COMMAND; what the run produces, on stdout or otherwise, is in OUTPUT afterwards. */
static void demo_command_make(const struct demo_program *program, enum demo_backend backend, const char *output,
			      struct demo_command *command)
{
	snprintf(command->stdout_path, sizeof(command->stdout_path), "%s", output);
	snprintf(command->stderr_path, sizeof(command->stderr_path), "%s/stderr", demo_output);
	if (program->binary) {
		demo_command_add(command, "%s/bench/%s-%s", demo_build, program->binary, demo_backend_name(backend));
		for (int i = 0; i < 3 && program->args[i]; i++)
			demo_command_add(command, "%s", program->args[i]);
		return;
	}
	demo_command_real(command, backend);
	if (strcmp(program->name, "guile-compile") == 0) {
		snprintf(command->stdout_path, sizeof(command->stdout_path), "/dev/null");
		demo_command_guile_compile(command, output, 3);
	} else if (strcmp(program->name, "guile-run") == 0) {
		demo_command_add(command, "guile");
		demo_command_add(command, "--no-auto-compile");
		demo_command_add(command, "-c");
		demo_command_add(command, "(load-compiled \"%s/guile-alloc.go\")", demo_output);
	} else {
		demo_command_add(command, "w3m");
		demo_command_add(command, "-dump");
		demo_command_add(command, "-T");
		demo_command_add(command, "text/html");
		demo_command_add(command, "-cols");
		demo_command_add(command, "100");
		demo_command_add(command, "%s/page.html", demo_output);
	}
}

static bool demo_folder_make(const char *path)
{
	if (mkdir(path, 0777) == 0 || errno == EEXIST)
		return true;
	perror(path);
	return false;
}

/* Two demos at once would mix up their files, and disturb each other's figures. The lock lasts as long as the process. */
static bool demo_folder_lock(void)
{
	int fd = open(demo_output, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
		return true;
	fprintf(stderr, "gcdune-demo: %s: %s\n", demo_output,
		errno == EWOULDBLOCK ? "another gcdune-demo is at work here" : strerror(errno));
	return false;
}

bool demo_prepare(bool guile, bool w3m)
{
	char path[DEMO_PATH];
	ssize_t length = readlink("/proc/self/exe", demo_build, sizeof(demo_build) - 1);
	struct demo_command command = {.timeout_s = DEMO_TIMEOUT_S};
	struct demo_run run;

	for (int i = 0; length > 0 && i < 2; i++) {
		demo_build[length] = '\0';
		length = strrchr(demo_build, '/') - demo_build;
	}
	if (length <= 0) {
		fprintf(stderr, "gcdune-demo: cannot tell where the build folder is\n");
		return false;
	}
	demo_build[length] = '\0';
	snprintf(demo_output, sizeof(demo_output), "%s/demo", demo_build);
	snprintf(path, sizeof(path), "%s/home", demo_output);
	if (!demo_folder_make(demo_output) || !demo_folder_lock() || !demo_folder_make(path))
		return false;
	if (w3m) {
		snprintf(path, sizeof(path), "%s/page.html", demo_output);
		int error = demo_page_write(path);
		if (error) {
			fprintf(stderr, "gcdune-demo: %s: %s\n", path, strerror(-error));
			return false;
		}
	}
	if (!guile)
		return true;

	/* guile-run must run the same code on both, so it is compiled here, once, on Debian's library. */
	snprintf(path, sizeof(path), "%s/guile-alloc.go", demo_output);
	snprintf(command.stdout_path, sizeof(command.stdout_path), "/dev/null");
	snprintf(command.stderr_path, sizeof(command.stderr_path), "%s/stderr", demo_output);
	demo_command_real(&command, DEMO_BOEHM);
	demo_command_guile_compile(&command, path, 1);
	demo_run(&command, &run);
	demo_command_clear(&command);
	if (!run.finished)
		fprintf(stderr, "gcdune-demo: Guile cannot compile its script: %s\n", run.detail);
	return run.finished;
}

static char *demo_read(const char *path, size_t *size)
{
	FILE *file = fopen(path, "rbe");
	char *bytes = NULL;
	struct stat status;

	if (!file)
		return NULL;
	if (fstat(fileno(file), &status) == 0 && (bytes = malloc((size_t)status.st_size + 1))) {
		*size = fread(bytes, 1, (size_t)status.st_size, file);
		bytes[*size] = '\0';
	}
	fclose(file);
	return bytes;
}

/* The first output becomes the expected one; both are files, so that a difference can be looked at. */
static bool demo_output_matches(const char *output, const char *expected)
{
	size_t size = 0;
	size_t expected_size = 0;
	char *bytes = demo_read(output, &size);
	char *expected_bytes = demo_read(expected, &expected_size);
	bool same;

	if (bytes && !expected_bytes)
		same = size > 0 && rename(output, expected) == 0;
	else
		same = bytes && expected_bytes && size == expected_size && memcmp(bytes, expected_bytes, size) == 0;
	free(bytes);
	free(expected_bytes);
	return same;
}

static double demo_field(const cJSON *report, const char *name)
{
	const cJSON *field = cJSON_GetObjectItem(report, name);

	return cJSON_IsNumber(field) ? field->valuedouble : -1;
}

static void demo_statistics(const char *path, enum demo_backend backend, struct demo_run *run)
{
	size_t size;
	char *text = demo_read(path, &size);
	cJSON *report = text ? cJSON_Parse(text) : NULL;
	const cJSON *library = cJSON_GetObjectItem(report, "library");
	const cJSON *version = cJSON_GetObjectItem(report, "version");

	run->collections = demo_field(report, "collections");
	run->pause_ms = demo_field(report, "pause_max_ns") / 1e6;
	if (run->collections < 0 || run->pause_ms < 0) {
		run->finished = false;
		run->collections = run->pause_ms = -1;
		snprintf(run->detail, sizeof(run->detail), "left no statistics: did it run on the library meant?");
	}
	if (backend == DEMO_BOEHM && cJSON_IsString(library) && cJSON_IsString(version))
		snprintf(demo_boehm, sizeof(demo_boehm), "%s (%s)", version->valuestring, library->valuestring);
	cJSON_Delete(report);
	free(text);
}

void demo_measure(const struct demo_program *program, enum demo_backend backend, struct demo_run *run)
{
	struct demo_command command = {.timeout_s = DEMO_TIMEOUT_S};
	char output[DEMO_PATH];
	char expected[DEMO_PATH];
	char statistics[DEMO_PATH];
	static bool started[DEMO_MAX_PROGRAMS];

	snprintf(output, sizeof(output), "%s/%s-%s.out", demo_output, program->name, demo_backend_name(backend));
	snprintf(expected, sizeof(expected), "%s/%s.expected", demo_output, program->name);
	snprintf(statistics, sizeof(statistics), "%s/statistics.json", demo_output);
	unlink(output);
	unlink(statistics);
	if (!started[program - demo_programs])
		unlink(expected);
	started[program - demo_programs] = true;

	demo_command_make(program, backend, output, &command);
	if (demo_is_gcdune(backend))
		demo_command_set(&command, "GCDUNE_STATS=%s", statistics);
	else if (backend == DEMO_BOEHM)
		demo_command_set(&command, "BENCH_REPORT=%s", statistics);
	demo_run(&command, run);
	demo_command_clear(&command);
	if (!run->finished)
		return;
	run->output_ok = demo_output_matches(output, expected);
	if (!run->output_ok)
		snprintf(run->detail, sizeof(run->detail), "output differs: compare %s-%s.out with %s.expected",
			 program->name, demo_backend_name(backend), program->name);
	if (demo_is_gcdune(backend) || backend == DEMO_BOEHM)
		demo_statistics(statistics, backend, run);
}
