/* test-dune-walkers.c - page-table pages are not used again while ring 3 looks at them: who does is counted, and whoever
 * takes out empty tables reads that count (tables.c: tables_tidy). A look at page tables is stopped in its middle, by its
 * callback or by a signal; meanwhile what it looks at is unmapped, and as many new ranges are mapped as use up all tables
 * that could have been freed. Then it goes on. If it stands in a table that is another's now, it reports bits or entries
 * that are not there, or changes those of the others.
 *
 * Then all again in a process that does not read the count (DUNE_TIDY_BLIND): each kind of look must be seen to go wrong.
 *
 * TEST-FLAGS: link=dune asan=no tsan=no short=yes timeout=120 env:DUNE_TIDY_AT=64 */
#include <dlfcn.h>
#include <link.h>
#include <sched.h>
#include <ucontext.h>

#include "dune-check.h"

#define RANGE (2UL << 20)
enum { LOOKED_AT = 32, WALK, PEEK, TAKE, PROTECT, SET, KINDS, WRONG };
static const char *const names[] = { [WALK] = "dune_walk", [PEEK] = "dune_dirty_peek", [TAKE] = "dune_dirty_take",
				     [PROTECT] = "dune_protect_take", [SET] = "dune_dirty_set" };

static char *looked_at, *const others = (char *)0x300000000000UL;
static size_t others_number;
static volatile int held, go, wrong, stop, looks, kind;
static size_t tables_in_use; /* before anything of this */

/* What is looked at: all in the page tables, clean. */
static void map_looked_at(void)
{
	char *at = mmap(looked_at, LOOKED_AT * RANGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

	CHECK(at == looked_at);
	CHECK_EQ(dune_dirty_track(at, LOOKED_AT * RANGE), 0);
}

/* It goes, and its tables are needed by others: as many as are free, and more. Their pages are dirty, but for SET. */
static void reuse(void)
{
	struct dune_statistics s;

	CHECK_EQ(munmap(looked_at, LOOKED_AT * RANGE), 0);
	CHECK_EQ(dune_statistics(&s), 0);
	others_number = s.tables - tables_in_use + 4 * LOOKED_AT;
	for (size_t i = 0; i < others_number; i++) {
		char *at = mmap(others + i * RANGE, RANGE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

		CHECK(at == others + i * RANGE);
		CHECK_EQ(dune_dirty_track(at, RANGE), 0);
		if (kind != SET)
			CHECK_EQ(dune_dirty_set(at, RANGE), 0);
	}
}

/* Are they as they were? */
static void look_at_others(void)
{
	for (size_t i = 0; i < others_number; i++)
		wrong += dune_dirty_peek(others + i * RANGE, RANGE, NULL) != (kind == SET ? 0 : (long)(RANGE / PAGE));
	CHECK_EQ(munmap(others, others_number * RANGE), 0);
	others_number = 0;
}

/* ---- A look with a callback ---------------------------------------------------------------------------------------- */

static int on_entry(const struct dune_entry *entry, void *argument)
{
	int *calls = argument;

	if (!(*calls)++)
		reuse();
	return 0;
}

static void walk(void)
{
	int calls = 0;

	map_looked_at();
	CHECK_EQ(dune_walk(looked_at, LOOKED_AT * RANGE, on_entry, &calls), 0);
	wrong += calls != 1;
	look_at_others();
}

/* ---- Looks that are stopped by a signal ---------------------------------------------------------------------------- */

/* dune_dirty_set looks twice, first whether all is there, which under emulation takes seven times as long: only the second
 * look leaves something behind. Not the second: another signal. */
static uintptr_t set_begin, set_end;
static volatile int elsewhere;

static void find_set(void)
{
	const ElfW(Sym) *symbol;
	Dl_info info;

	set_begin = (uintptr_t)dune_dirty_set;
	CHECK(dladdr1((void *)set_begin, &info, (void **)&symbol, RTLD_DL_SYMENT) && symbol);
	set_end = set_begin + symbol->st_size;
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
	uintptr_t at = (uintptr_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];

	if (kind == SET && (at < set_begin || at >= set_end)) {
		elsewhere = 1;
		return;
	}
	held = 1;
	while (!go)
		sched_yield();
	held = 0;
}

static void *look(void *argument)
{
	for (; !stop; looks++) {
		switch (kind) {
		case PEEK:
			wrong += dune_dirty_peek(looked_at, LOOKED_AT * RANGE, NULL) != 0;
			break;
		case TAKE:
			dune_dirty_take(looked_at, LOOKED_AT * RANGE, NULL);
			break;
		case PROTECT:
			dune_protect_take(looked_at, LOOKED_AT * RANGE, NULL);
			break;
		case SET:
			dune_dirty_set(looked_at, LOOKED_AT * RANGE);
			break;
		}
	}
	return NULL;
}

static void stopped_by_signal(void)
{
	pthread_t thread;

	map_looked_at();
	stop = go = 0;
	CHECK_EQ(pthread_create(&thread, NULL, look, NULL), 0);
	while (!looks)
		sched_yield();
	do {
		elsewhere = 0;
		CHECK_EQ(pthread_kill(thread, SIGUSR1), 0);
		while (!held && !elsewhere)
			sched_yield();
	} while (!held);
	reuse();
	stop = go = 1;
	CHECK_EQ(pthread_join(thread, NULL), 0);
	looks = 0;
	look_at_others();
}

/* ---- */

/* 0, or WRONG. */
static int all_of_kind(int which, int rounds)
{
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	struct dune_statistics s;

	enter_or_skip();
	sigaction(SIGUSR1, &action, NULL);
	find_set();
	kind = which;
	CHECK_EQ(dune_statistics(&s), 0);
	tables_in_use = s.tables;
	if (kind == WALK)
		walk();
	/* Stopped between two tables, or before it is sure that all are there, nothing is wrong. */
	for (int round = 0; kind != WALK && round < rounds && !wrong; round++)
		stopped_by_signal();
	return wrong ? WRONG : 0;
}

static int child(int which, bool blind)
{
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid) {
		if (blind) {
			setenv("DUNE_TIDY_BLIND", "1", 1);
			dup2(open("/dev/null", O_WRONLY), 2);
		}
		/* That a round goes wrong is likely, not certain: with shadow paging and one processor it is one in six. */
		_exit(all_of_kind(which, blind ? 120 : 10));
	}
	status = wait_for(pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(void)
{
	int bad = 0;

	looked_at = others - 2 * LOOKED_AT * RANGE;
	/* Under dune-run this process is in Dune mode already, and so are its children. */
	for (int i = WALK; i < KINDS; i++) {
		int result = child(i, false);

		if (result == 77)
			return 77;
		if (result)
			dprintf(2, "%s: stood in a table that is another's (%d)\n", names[i], result), bad++;
		if (dune_is_active())
			continue;
		result = child(i, true);
		printf("%s, not counted: %d\n", names[i], result);
		if (result != WRONG)
			dprintf(2, "%s: that nobody reads the count was not noticed\n", names[i]), bad++;
	}
	return bad != 0;
}
