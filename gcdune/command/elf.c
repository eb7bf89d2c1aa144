/* elf.c - what can be told of a program from its file: static or not, set-uid, a script, and which libraries it loads. The
 * libraries are what the dynamic linker itself lists. */
#define _GNU_SOURCE
#include "command.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int find(const char *name, char *path, size_t size)
{
	const char *dirs = getenv("PATH");

	if (strchr(name, '/') || !dirs) {
		snprintf(path, size, "%s", name);
		return access(path, F_OK);
	}
	for (const char *dir = dirs; *dir;) {
		size_t n = strcspn(dir, ":");

		snprintf(path, size, "%.*s/%s", (int)(n ? n : 1), n ? dir : ".", name);
		if (access(path, X_OK) == 0)
			return 0;
		dir += n + (dir[n] == ':');
	}
	return -1;
}

/* What libraries are loaded, one a line, from the dynamic linker. */
static void look_at_libraries(const char *loader, struct program *program)
{
	int out[2];
	pid_t pid;

	if (pipe(out))
		return;
	pid = fork();
	if (pid == 0) {
		dup2(out[1], 1);
		close(out[0]);
		unsetenv("LD_PRELOAD");
		execl(loader, loader, "--list", program->path, NULL);
		_exit(127);
	}
	close(out[1]);
	FILE *f = fdopen(out[0], "r");
	char line[4096];

	while (f && fgets(line, sizeof line, f)) {
		if (strstr(line, "libgc.so.1"))
			program->uses_libgc = 1;
		if (strstr(line, "libc.so.6"))
			program->uses_malloc = 1;
		if (strstr(line, "libjli.so") || strstr(line, "libjvm.so"))
			program->moving = "the Java virtual machine";
		if (strstr(line, "libhostfxr.so") || strstr(line, "libcoreclr.so"))
			program->moving = ".NET";
	}
	if (f)
		fclose(f);
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

static int has_section(const unsigned char *image, size_t size, const char *name)
{
	const Elf64_Ehdr *header = (const void *)image;

	if (header->e_shoff == 0 || header->e_shoff + (size_t)header->e_shnum * sizeof(Elf64_Shdr) > size ||
	    header->e_shstrndx >= header->e_shnum)
		return 0;
	const Elf64_Shdr *sections = (const void *)(image + header->e_shoff);
	const Elf64_Shdr *names = &sections[header->e_shstrndx];

	for (unsigned i = 0; i < header->e_shnum; i++) {
		size_t at = names->sh_offset + sections[i].sh_name;

		if (at + strlen(name) + 1 <= size && !strcmp((const char *)image + at, name))
			return 1;
	}
	return 0;
}

static int look_at_elf(const unsigned char *image, size_t size, struct program *program)
{
	const Elf64_Ehdr *header = (const void *)image;
	char loader[4096] = "";

	if (size < sizeof *header || memcmp(image, ELFMAG, SELFMAG))
		return command_error(COMMAND_CANNOT, "%s: neither a program nor a script with an interpreter", program->path);
	if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_machine != EM_X86_64)
		return command_error(COMMAND_CANNOT, "%s: not a program for x86-64", program->path);
	if (header->e_phoff + (size_t)header->e_phnum * sizeof(Elf64_Phdr) > size)
		return command_error(COMMAND_CANNOT, "%s: its program headers are beyond its end", program->path);
	const Elf64_Phdr *segments = (const void *)(image + header->e_phoff);

	for (unsigned i = 0; i < header->e_phnum; i++)
		if (segments[i].p_type == PT_INTERP && segments[i].p_filesz < sizeof loader &&
		    segments[i].p_offset + segments[i].p_filesz <= size)
			memcpy(loader, image + segments[i].p_offset, segments[i].p_filesz);
	if (has_section(image, size, ".go.buildinfo"))
		program->moving = "the Go runtime";
	program->is_static = !*loader;
	if (*loader)
		look_at_libraries(loader, program);
	return 0;
}

/* "#! interpreter argument": the kernel loads the interpreter. */
static int interpreter(const char *image, size_t size, char *path, size_t room)
{
	char line[4096], word[4096] = "", second[4096] = "";
	size_t n = size < sizeof line - 1 ? size : sizeof line - 1;

	memcpy(line, image, n);
	line[n] = '\0';
	line[strcspn(line, "\n")] = '\0';
	if (sscanf(line + 2, " %4095s %4095s", word, second) < 1)
		return -1;
	const char *base = strrchr(word, '/');

	/* The program that env looks up is the one that matters. */
	if (base && !strcmp(base, "/env") && *second && *second != '-')
		return find(second, path, room);
	snprintf(path, room, "%s", word);
	return 0;
}

int program_look(const char *name, struct program *program)
{
	int status = 0;

	memset(program, 0, sizeof *program);
	if (find(name, program->path, sizeof program->path))
		return command_error(COMMAND_NOT_FOUND, "%s: %s", name, strchr(name, '/') ? strerrordesc_np(errno) : "not found in PATH");
	for (int depth = 0; depth < 4; depth++) {
		int fd = open(program->path, O_RDONLY | O_CLOEXEC);
		struct stat st;

		if (fd < 0 || fstat(fd, &st)) {
			status = command_error(errno == ENOENT ? COMMAND_NOT_FOUND : COMMAND_CANNOT, "%s: %s", program->path,
					       strerrordesc_np(errno));
		} else if (!S_ISREG(st.st_mode)) {
			status = command_error(COMMAND_CANNOT, "%s: not a file", program->path);
		}
		if (status)
			return close(fd), status;
		/* The dynamic linker ignores our variables there; run by their owner they are programs like others. */
		program->is_setuid |= (st.st_mode & S_ISUID && st.st_uid != geteuid()) ||
				      (st.st_mode & S_ISGID && st.st_gid != getegid());
		unsigned char *image = st.st_size ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
		size_t size = (size_t)st.st_size;

		close(fd);
		if (image == MAP_FAILED)
			return command_error(COMMAND_CANNOT, "%s: empty, or cannot be read", program->path);
		if (size > 2 && image[0] == '#' && image[1] == '!') {
			char path[4096];

			if (!*program->script)
				memcpy(program->script, program->path, sizeof program->script);
			if (interpreter((const char *)image, size, path, sizeof path))
				status = command_error(COMMAND_CANNOT, "%s: its interpreter is not found", program->path);
			memcpy(program->path, path, sizeof path);
			munmap(image, size);
			if (status)
				return status;
			continue;
		}
		/* Libraries beside it are found from where it really is. */
		char real[PATH_MAX];

		if (realpath(program->path, real))
			snprintf(program->path, sizeof program->path, "%s", real);
		status = look_at_elf(image, size, program);
		munmap(image, size);
		return status;
	}
	return command_error(COMMAND_CANNOT, "%s: scripts that are interpreted by scripts", name);
}
