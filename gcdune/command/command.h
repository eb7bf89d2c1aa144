/* command.h - what the files of the command `gcdune' share. Each subcommand is one file: run, probe, report (with html), top. */
#ifndef GCDUNE_COMMAND_H
#define GCDUNE_COMMAND_H

#include <stddef.h>

/* Exit statuses, by env(1)'s conventions: ours are above 124. */
enum { COMMAND_USAGE = 125, COMMAND_CANNOT = 126, COMMAND_NOT_FOUND = 127 };

int command_run(int argc, char **argv);
int command_probe(int argc, char **argv);
int command_report(int argc, char **argv);
int command_top(int argc, char **argv);

/* "gcdune: " and the message to stderr; returns STATUS. */
int command_error(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same for a wrong option: says where help is. */
int command_usage(const char *subcommand);

/* elf.c: what can be told of a program without running it. */
struct program {
	char path[4096];   /* of what the kernel will load: for a script, the interpreter */
	char script[4096]; /* empty if there is none */
	int is_static, is_setuid, uses_libgc, uses_malloc;
	const char *moving; /* the runtime with a moving heap of its own, or NULL */
};
/* 0, or an exit status after a message. */
int program_look(const char *name, struct program *program);

#endif
