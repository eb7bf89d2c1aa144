/* backtrace.c - owns the table of remembered stacks.
 *
 * Each distinct stack is stored once, in one growing array of words (count, then frames), and known by its place there. A
 * hash table of places finds an equal one. Nothing is ever removed. Programs allocate from few places: the table stays
 * small. The array's memory is our own and not scanned; return addresses are no heap addresses anyway.
 *
 * Symbols are looked up only to print. libdw is loaded by dlopen at that moment, so that no program needs it to run. */
#define _GNU_SOURCE
#include "backtrace.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <unwind.h>

#include "config.h"
#include "os.h"

#ifdef HAVE_LIBDW
#include <elfutils/libdwfl.h>
#endif

/* ---- Remembering ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uintptr_t *words; /* [place] count, [place + 1...] frames */
static size_t words_used = 1, words_room;
static uint32_t *places; /* hash table, 0: free */
static size_t places_used, places_room;

struct walk {
	uintptr_t frames[GCDUNE_BACKTRACE_MAX];
	uintptr_t caller; /* nothing is noted before it is met; then 0 */
	unsigned count;
};

static _Unwind_Reason_Code note(struct _Unwind_Context *context, void *arg)
{
	struct walk *walk = arg;
	uintptr_t pc = _Unwind_GetIP(context);

	if (!pc)
		return _URC_END_OF_STACK;
	if (walk->caller && walk->caller != pc)
		return _URC_NO_REASON;
	walk->caller = 0;
	walk->frames[walk->count++] = pc;
	return walk->count == GCDUNE_BACKTRACE_MAX ? _URC_END_OF_STACK : _URC_NO_REASON;
}

static uint64_t hash(const struct walk *walk)
{
	uint64_t h = walk->count;

	for (unsigned i = 0; i < walk->count; i++)
		h = (h ^ walk->frames[i]) * 0x9e3779b97f4a7c15u, h ^= h >> 29;
	return h;
}

static bool equal(uint32_t place, const struct walk *walk)
{
	return words[place] == walk->count && !memcmp(&words[place + 1], walk->frames, walk->count * sizeof *words);
}

static uint32_t *slot(const struct walk *walk, uint64_t h)
{
	size_t i = h & (places_room - 1);

	while (places[i] && !equal(places[i], walk))
		i = (i + 1) & (places_room - 1);
	return &places[i];
}

static bool grow_places(void)
{
	size_t old_room = places_room, room = old_room ? old_room * 2 : 4096;
	uint32_t *old = places, *new = gcdune_os_map(room * sizeof *new);

	if (!new)
		return false;
	places = new;
	places_room = room;
	for (size_t i = 0; i < old_room; i++) {
		struct walk walk;

		if (!old[i])
			continue;
		walk.count = (unsigned)words[old[i]];
		memcpy(walk.frames, &words[old[i] + 1], walk.count * sizeof *words);
		*slot(&walk, hash(&walk)) = old[i];
	}
	if (old)
		gcdune_os_unmap(old, old_room * sizeof *old);
	return true;
}

static uint32_t remember(const struct walk *walk)
{
	if (places_used * 2 >= places_room && !grow_places())
		return 0;
	uint32_t *place = slot(walk, hash(walk));

	if (*place)
		return *place;
	if (words_used + walk->count + 1 > words_room) {
		size_t room = words_room ? words_room * 2 : 65536;
		uintptr_t *new = words ? gcdune_os_remap(words, words_room * sizeof *words, room * sizeof *words)
				       : gcdune_os_map(room * sizeof *words);

		if (!new || room > 1u << 24) /* numbers fit in 24 bits */
			return 0;
		words = new;
		words_room = room;
	}
	*place = (uint32_t)words_used;
	words[words_used++] = walk->count;
	memcpy(&words[words_used], walk->frames, walk->count * sizeof *words);
	words_used += walk->count;
	places_used++;
	return *place;
}

uint32_t gcdune_backtrace_take(const void *caller)
{
	struct walk walk = {.caller = (uintptr_t)caller};
	uint32_t place;

	_Unwind_Backtrace(note, &walk);
	if (!walk.count)
		return 0;
	pthread_mutex_lock(&lock);
	place = remember(&walk);
	pthread_mutex_unlock(&lock);
	return place;
}

size_t gcdune_backtrace_frames(uint32_t stack, uintptr_t frames[GCDUNE_BACKTRACE_MAX])
{
	size_t count = 0;

	pthread_mutex_lock(&lock);
	if (stack && stack < words_used) {
		count = words[stack];
		memcpy(frames, &words[stack + 1], count * sizeof *words);
	}
	pthread_mutex_unlock(&lock);
	return count;
}

void gcdune_backtrace_lock(void)
{
	pthread_mutex_lock(&lock);
}

void gcdune_backtrace_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

/* ---- Printing ---- */

struct symbol {
	const char *function, *file, *object;
	int line;
	uintptr_t offset; /* in the function, or in the object if there is no function */
};

#ifdef HAVE_LIBDW

#define DW(name) __typeof__(name) *name
static struct {
	DW(dwfl_begin);
	DW(dwfl_linux_proc_report);
	DW(dwfl_linux_proc_find_elf);
	DW(dwfl_standard_find_debuginfo);
	DW(dwfl_report_end);
	DW(dwfl_addrmodule);
	DW(dwfl_module_addrinfo);
	DW(dwfl_module_getsrc);
	DW(dwfl_lineinfo);
	DW(dwfl_end);
} dw;

static Dwfl *dwfl;

static bool dw_load(void)
{
	static const char *const names[] = {"dwfl_begin", "dwfl_linux_proc_report", "dwfl_linux_proc_find_elf",
					    "dwfl_standard_find_debuginfo", "dwfl_report_end", "dwfl_addrmodule",
					    "dwfl_module_addrinfo", "dwfl_module_getsrc", "dwfl_lineinfo", "dwfl_end"};
	static int state; /* 1: loaded, -1: not to be had */
	void *library, **functions = (void **)&dw;

	if (state)
		return state > 0;
	state = -1;
	library = dlopen("libdw.so.1", RTLD_NOW | RTLD_LOCAL);
	for (size_t i = 0; library && i < sizeof names / sizeof *names; i++) {
		functions[i] = dlsym(library, names[i]);
		if (!functions[i])
			return false;
	}
	if (library)
		state = 1;
	return state > 0;
}

/* Libraries come and go: what is mapped is read again each time. */
static void dw_open(void)
{
	static Dwfl_Callbacks callbacks;

	if (!dw_load())
		return;
	callbacks.find_elf = dw.dwfl_linux_proc_find_elf;
	callbacks.find_debuginfo = dw.dwfl_standard_find_debuginfo;
	dwfl = dw.dwfl_begin(&callbacks);
	if (dwfl && (dw.dwfl_linux_proc_report(dwfl, getpid()) || dw.dwfl_report_end(dwfl, NULL, NULL))) {
		dw.dwfl_end(dwfl);
		dwfl = NULL;
	}
}

static void dw_close(void)
{
	if (dwfl)
		dw.dwfl_end(dwfl);
	dwfl = NULL;
}

static void dw_find(uintptr_t pc, struct symbol *symbol)
{
	Dwfl_Module *module = dwfl ? dw.dwfl_addrmodule(dwfl, pc) : NULL;
	GElf_Off offset = 0;
	GElf_Sym elf_symbol;

	if (!module)
		return;
	const char *name = dw.dwfl_module_addrinfo(module, pc, &offset, &elf_symbol, NULL, NULL, NULL);
	Dwfl_Line *line = dw.dwfl_module_getsrc(module, pc);

	if (name) {
		symbol->function = name;
		symbol->offset = offset;
	}
	if (line)
		symbol->file = dw.dwfl_lineinfo(line, NULL, &symbol->line, NULL, NULL, NULL);
}

#else
static void dw_open(void)
{
}
static void dw_close(void)
{
}
static void dw_find(uintptr_t pc, struct symbol *symbol)
{
}
#endif

void gcdune_backtrace_print(int fd, uint32_t stack)
{
	uintptr_t frames[GCDUNE_BACKTRACE_MAX];
	size_t count = gcdune_backtrace_frames(stack, frames);
	static pthread_mutex_t printing = PTHREAD_MUTEX_INITIALIZER;

	if (!count)
		return;
	pthread_mutex_lock(&printing);
	dw_open();
	for (size_t i = 0; i < count; i++) {
		/* A return address: the call is the instruction before. */
		uintptr_t pc = frames[i] - 1;
		struct symbol symbol = {.object = "?"};
		Dl_info info;

		if (dladdr((void *)pc, &info)) {
			symbol.object = info.dli_fname;
			symbol.function = info.dli_sname;
			symbol.offset = pc - (uintptr_t)(info.dli_sname ? info.dli_saddr : info.dli_fbase);
		}
		dw_find(pc, &symbol);
		if (symbol.file)
			dprintf(fd, "    #%zu %s at %s:%d (%s)\n", i, symbol.function ? symbol.function : "?", symbol.file,
				symbol.line, symbol.object);
		else
			dprintf(fd, "    #%zu %s+0x%zx (%s)\n", i, symbol.function ? symbol.function : "", (size_t)symbol.offset,
				symbol.object);
	}
	dw_close();
	pthread_mutex_unlock(&printing);
}
