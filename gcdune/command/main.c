/* main.c - gcdune(1): finds the subcommand; --help and --version. */
#include "command.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "gcdune.h"

static const struct {
	const char *name;
	int (*main)(int argc, char **argv);
	const char *help;
} commands[] = {
	{"run", command_run,
	 "Usage: gcdune run [OPTION]... [--] PROGRAM [ARGUMENT]...\n"
	 "Run PROGRAM, which is not rebuilt, on gcdune: in place of libgc if it uses that, else of malloc.\n"
	 "\n"
	 "  --mode=MODE        auto, concurrent, stw or generational\n"
	 "  --dirty=SOURCE     auto, uffd, softdirty, mprotect, always or dune: how written pages are found\n"
	 "  --dune             run PROGRAM in Dune mode\n"
	 "  --heap-limit=SIZE  the most that the heap may hold, such as 512M\n"
	 "  --stats[=FILE]     statistics at exit, on standard error or as JSON in FILE\n"
	 "  --trace=FILE       what the collector did when, in the Trace Event format\n"
	 "  --live             let `gcdune top' look at it\n"
	 "  --malloc[=MODE]    take the place of malloc too: free (default), collect or leak;\n"
	 "                     of a program that uses libgc only free\n"
	 "  -n, --dry-run      print the environment that PROGRAM would get\n"
	 "  -q, --quiet        do not say what was done\n"
	 "      --help         display this help and exit\n"
	 "\n"
	 "Exit status: PROGRAM's; 125 if gcdune itself fails, 126 if PROGRAM cannot be served, 127 if it is not found.\n"},
	{"probe", command_probe,
	 "Usage: gcdune probe [OPTION]...\n"
	 "Say what this machine offers a collector, what was chosen and why, with measured costs.\n"
	 "\n"
	 "      --help         display this help and exit\n"},
	{"report", command_report,
	 "Usage: gcdune report [OPTION]... FILE\n"
	 "Show statistics (GCDUNE_STATS=FILE) or a trace (GCDUNE_TRACE=FILE) as text or as a page with pictures.\n"
	 "\n"
	 "  --html[=OUT]       one self-contained HTML page, to standard output or to the file OUT\n"
	 "      --help         display this help and exit\n"},
	{"top", command_top,
	 "Usage: gcdune top [OPTION]... PID\n"
	 "Watch a running program that was started by `gcdune run --live' or with GCDUNE_LIVE=1.\n"
	 "\n"
	 "  -d, --delay=SECONDS  time between two views; default 1\n"
	 "  -n, --count=NUMBER   end after NUMBER views\n"
	 "      --help           display this help and exit\n"},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

int command_error(int status, const char *format, ...)
{
	va_list args;

	fputs("gcdune: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return status;
}

int command_usage(const char *subcommand)
{
	fprintf(stderr, "Try 'gcdune %s%s--help' for more information.\n", subcommand, *subcommand ? " " : "");
	return COMMAND_USAGE;
}

static void help(void)
{
	fputs("Usage: gcdune COMMAND [OPTION]...\n"
	      "Garbage collection for programs that are not rebuilt, and a look at it.\n"
	      "\n"
	      "  run       run a program on gcdune in place of libgc or malloc\n"
	      "  probe     what this machine offers, and what it costs\n"
	      "  report    statistics or a trace as text or HTML\n"
	      "  top       watch a running program\n"
	      "\n"
	      "      --help     display this help and exit; also after a COMMAND\n"
	      "      --version  output version information and exit\n",
	      stdout);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return command_error(COMMAND_USAGE, "a command is missing"), command_usage("");
	if (!strcmp(argv[1], "--help"))
		return help(), 0;
	if (!strcmp(argv[1], "--version")) {
		printf("gcdune %s\n", gcdune_version());
		return 0;
	}
	for (int i = 0; i < COMMANDS; i++) {
		if (strcmp(argv[1], commands[i].name))
			continue;
		if (argc > 2 && !strcmp(argv[2], "--help")) {
			fputs(commands[i].help, stdout);
			return 0;
		}
		return commands[i].main(argc - 1, argv + 1);
	}
	command_error(COMMAND_USAGE, "no such command: %s", argv[1]);
	return command_usage("");
}
