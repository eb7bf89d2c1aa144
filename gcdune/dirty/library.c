/* library.c - finds libdune and enters Dune mode by it.
 *
 * libdune is loaded at run time and only if it is asked for: the collector works everywhere, and programs that do not
 * want Dune mode have nothing of it in them. It is, in this order: what the program is linked with (also statically) or
 * dune-run has preloaded; what somebody has loaded already, under whatever path: two of them in a process would not know
 * of each other; the file beside this library, or where it is from there in a build tree or an installation; what the
 * dynamic linker finds. It stays loaded. Callers: load.c, init.c, dune.c, dune-fault.c, stats.c, the command. */
#define _GNU_SOURCE
#include "library.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../os.h"

#define WEAK(name) extern __typeof__(dune_##name) dune_##name __attribute__((weak));
GCDUNE_DUNE_FUNCTIONS(WEAK)

struct gcdune_dune gcdune_dune;
bool gcdune_dune_loaded;
static bool told;

static const char file[] = "libdune.so.0";

static void *beside(void)
{
	static const char *const places[] = {"", "/..", "/../lib"};
	char path[PATH_MAX];
	Dl_info info;

	if (!dladdr(&gcdune_dune, &info) || !info.dli_fname || !strrchr(info.dli_fname, '/'))
		return NULL;
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		snprintf(path, sizeof path, "%.*s%s/%s", (int)(strrchr(info.dli_fname, '/') - info.dli_fname), info.dli_fname,
			 places[i], file);
		if (access(path, R_OK) == 0)
			return dlopen(path, RTLD_NOW | RTLD_LOCAL);
	}
	return NULL;
}

static bool resolve(void *handle)
{
	struct gcdune_dune found;
	bool all = true;

#define FIND(name)                                                                                                     \
	*(void **)&found.name = handle ? dlsym(handle, "dune_" #name) : (void *)dune_##name;                           \
	all = all && found.name;
	GCDUNE_DUNE_FUNCTIONS(FIND)
	if (all)
		gcdune_dune = found;
	return all;
}

static bool find(void)
{
	void *handle;

	if (gcdune_dune.enter || resolve(NULL))
		return true;
	handle = dlopen(file, RTLD_NOW | RTLD_NOLOAD);
	if (!handle)
		handle = beside();
	if (!handle)
		handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
	return handle && resolve(handle);
}

/* No dlopen here: locks of ours may be held, and it allocates. */
bool gcdune_dune_active(void)
{
	return (gcdune_dune.enter || resolve(NULL)) && gcdune_dune.is_active();
}

bool gcdune_dune_fault_stack(uintptr_t sp, uintptr_t *end, uintptr_t *interrupted)
{
	/* No look for libdune: a libc's lock may be held. Whoever has such a stack has been asked before. */
	return gcdune_dune.fault_stack &&
	       gcdune_dune.fault_stack((void *)sp, (const void **)end, (const void **)interrupted);
}

int gcdune_dune_enter(char *why, size_t size)
{
	const char *text;
	int error;

	if (!find()) {
		text = dlerror();
		snprintf(why, size, "%s", text ? text : "a libdune.so.0 of another version is loaded");
		return -ENOENT;
	}
	if (gcdune_dune.is_active())
		return 0;
	error = gcdune_dune.enter();
	if (error)
		snprintf(why, size, "%s", *gcdune_dune.error() ? gcdune_dune.error() : strerrordesc_np(-error));
	return error;
}

bool gcdune_dune_is_wanted(const char *name)
{
	return name && (!strcmp(name, "dune") || !strcmp(name, "dune-fault"));
}

void gcdune_dune_begin(const char *name)
{
	char why[512];

	if (!gcdune_dune_is_wanted(name) || told || !gcdune_dune_enter(why, sizeof why))
		return;
	told = true;
	gcdune_warn("GCDUNE_DIRTY=%s cannot be had (%s): the next source is taken", name, why);
}
