/* dune-run - runs an unmodified, dynamically linked program in Dune mode: it sets LD_PRELOAD to libdune.so.0 and
 * DUNE_RUN to 1, and libdune's constructor (enter.c) does the rest. What the program starts is in Dune mode too.
 * When that cannot work it says why, and exits with 125; 126 and 127 are as a shell's. */
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <dune.h>

static void fail(int status, const char *text, ...) __attribute__((noreturn, format(printf, 2, 3)));
static void fail(int status, const char *text, ...)
{
	va_list args;

	va_start(args, text);
	fputs("dune-run: ", stderr);
	vfprintf(stderr, text, args);
	fputc('\n', stderr);
	va_end(args);
	exit(status);
}

static void usage(FILE *to)
{
	fputs("usage: dune-run [--probe] PROGRAM [ARGUMENT...]\n"
	      "  --probe   says whether Dune mode is available here\n"
	      "Variables: DUNE_TRACE=FILE lists exits and system calls; DUNE_STATISTICS=FILE gets a line from each\n"
	      "process that ends or calls exec; DUNE_CRASH=0 prints no report of crashes.\n",
	      to);
}

/* As execvp looks for it. */
static const char *find(const char *name)
{
	static char path[PATH_MAX];
	const char *at = getenv("PATH");

	if (strchr(name, '/'))
		return access(name, F_OK) ? NULL : name;
	if (!at)
		at = "/usr/local/bin:/usr/bin:/bin";
	while (*at) {
		size_t length = strcspn(at, ":");

		snprintf(path, sizeof(path), "%.*s/%s", (int)length, length ? at : ".", name);
		if (!access(path, X_OK))
			return path;
		at += length + (at[length] == ':');
	}
	return NULL;
}

/* Whether the file can load libdune; follows #! once, as scripts of scripts are rare. */
static void examine(const char *path, bool script)
{
	char start[4096];
	Elf64_Ehdr *header = (Elf64_Ehdr *)start;
	Elf64_Phdr *program;
	struct stat s;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &s))
		return; /* exec will say */
	n = read(fd, start, sizeof(start) - 1);
	close(fd);
	if (n < (ssize_t)sizeof(*header))
		return;
	start[n] = 0;
	if (s.st_mode & S_ISUID && s.st_uid != geteuid())
		fail(125, "%s is set-user-ID: the system does not let libraries be loaded into it", path);
	if (s.st_mode & S_ISGID && s.st_mode & S_IXGRP && s.st_gid != getegid())
		fail(125, "%s is set-group-ID: the system does not let libraries be loaded into it", path);
	if (start[0] == '#' && start[1] == '!' && !script) {
		char *interpreter = start + 2 + strspn(start + 2, " \t");

		interpreter[strcspn(interpreter, " \t\n")] = 0;
		examine(interpreter, true);
		return;
	}
	if (memcmp(start, ELFMAG, SELFMAG))
		return;
	if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_machine != EM_X86_64)
		fail(125, "%s is not a 64-bit x86-64 program", path);
	program = (Elf64_Phdr *)(start + header->e_phoff);
	for (int i = 0; i < header->e_phnum && (char *)(program + i + 1) <= start + n; i++)
		if (program[i].p_type == PT_INTERP)
			return;
	fail(125, "%s is statically linked: there is no dynamic linker to load libdune into it", path);
}

int main(int argc, char **argv)
{
	struct dune_probe probe;
	const char *path, *preload = getenv("LD_PRELOAD");
	char *all;
	Dl_info info;

	if (argc < 2) {
		usage(stderr);
		return 125;
	}
	if (!strcmp(argv[1], "--help")) {
		usage(stdout);
		return 0;
	}
	if (dune_probe(&probe))
		fail(125, "Dune mode is not available: %s", probe.reason);
	if (!strcmp(argv[1], "--probe")) {
		printf("Dune mode is available: %s, %u threads, %s\n",
		       probe.software_kvm ? "a software KVM (PVM: right, but slow)" : "KVM", probe.max_threads,
		       probe.same_clock ? "the host's clock" : "a clock of its own (time comes by system calls)");
		return 0;
	}
	if (!strcmp(argv[1], "--"))
		argv++, argc--;
	path = argv[1] ? find(argv[1]) : NULL;
	if (!path)
		fail(127, "%s: not found", argv[1] ? argv[1] : "(no program)");
	examine(path, false);
	if (!dladdr((void *)dune_probe, &info) || !strstr(info.dli_fname, "libdune"))
		fail(125, "cannot find libdune.so.0 beside itself");
	all = realpath(info.dli_fname, NULL);
	if (!all)
		fail(125, "%s: %s", info.dli_fname, strerror(errno));
	if (preload && *preload && !strstr(preload, "libdune.so")) {
		char *both;

		if (asprintf(&both, "%s:%s", all, preload) < 0)
			fail(125, "no memory");
		all = both;
	}
	setenv("LD_PRELOAD", all, 1);
	setenv("DUNE_RUN", "1", 1);
	execv(path, argv + 1);
	fail(errno == ENOENT ? 127 : 126, "%s: %s", path, strerror(errno));
}
