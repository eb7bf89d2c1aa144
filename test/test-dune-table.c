/* test-dune-table.c - the program's own page tables: protections, views of memory at a second address, removal, lookup,
 * walk; that the kernel's changes win; the costs in exits; further tables.
 *
 * TEST-FLAGS: link=dune asan=no tsan=no short=yes */
#include "dune-check.h"

#include <setjmp.h>

static sigjmp_buf back;
static volatile uintptr_t fault_address;
static volatile int code;

static void on_segv(int sig, siginfo_t *info, void *context)
{
	fault_address = (uintptr_t)info->si_addr;
	code = info->si_code;
	siglongjmp(back, 1);
}

#define FAULTS(access, address, why)                                          \
	do {                                                                  \
		fault_address = 0;                                            \
		if (!sigsetjmp(back, 1)) {                                    \
			access;                                               \
		}                                                             \
		CHECK_EQ(fault_address, (uintptr_t)(address));                \
		CHECK_EQ(code, why);                                          \
	} while (0)

static int count(const struct dune_entry *entry, void *argument)
{
	size_t *n = argument;

	n[0]++;
	n[1] += !!entry->dirty;
	n[2] += !!(entry->rights & DUNE_WRITE);
	return n[0] == n[3];
}

static char *secret;
static volatile int phase;

/* With table 0, while the first thread uses another. */
static void *other_thread(void *argument)
{
	while (phase == 0)
		;
	secret[0] = 2; /* it may */
	phase = 2;
	return NULL;
}

static void clones(void)
{
	enum { N = 700 };
	pthread_t thread;
	char *base = map_pages(N), *late;
	int table, status, fds[2];
	pid_t pid;

	secret = map_pages(2);
	memset(secret, 1, 2 * PAGE);
	dune_dirty_track(base, N * PAGE);
	CHECK_EQ(dune_table_use(1), -ENOENT);
	CHECK_EQ(dune_table_free(0), -EBUSY);
	table = dune_table_clone();
	CHECK(table > 0);
	phase = 0;
	CHECK(!pthread_create(&thread, NULL, other_thread, NULL));
	CHECK_EQ(dune_table_use(table), 0);
	CHECK_EQ(dune_table_free(table), -EBUSY);
	CHECK_EQ(dune_protect(secret, 2 * PAGE, 0), 0);
	FAULTS(*(volatile char *)secret, secret, SEGV_ACCERR);
	phase = 1;
	while (phase != 2)
		;
	pthread_join(thread, NULL);
	/* Dirty bits of its own; the kernel marks in all. */
	dune_dirty_take(base, N * PAGE, NULL);
	base[3 * PAGE] = 1;
	CHECK(!pipe(fds) && write(fds[1], "abc", 3) == 3 && read(fds[0], base + 5 * PAGE, 3) == 3);
	CHECK_EQ(dune_dirty_take(base, N * PAGE, NULL), 2);
	/* What is mapped later is there in each, what is unmapped in none. */
	late = map_pages(3);
	late[PAGE] = 7;
	CHECK_EQ(dune_table_use(0), 0);
	CHECK_EQ(secret[0], 2);
	CHECK_EQ(late[PAGE], 7);
	CHECK_EQ(dune_dirty_take(base, N * PAGE, NULL), 1);
	CHECK(!munmap(late, 3 * PAGE));
	CHECK_EQ(dune_table_use(table), 0);
	FAULTS(late[PAGE] = 1, late + PAGE, SEGV_MAPERR);
	pid = fork();
	if (!pid) {
		FAULTS(*(volatile char *)secret, secret, SEGV_ACCERR);
		CHECK_EQ(dune_table_use(0), 0);
		_exit(secret[0] == 2 ? 8 : 9);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 8 << 8);
	CHECK_EQ(dune_table_use(0), 0);
	CHECK_EQ(dune_table_free(table), 0);
	/* Tables are used again: whatever KVM remembers of them must not matter. */
	for (int i = 0; i < 20; i++) {
		char *at = map_pages(N);

		table = dune_table_clone();
		CHECK(table > 0 && !dune_table_use(table));
		for (int j = 0; j < N; j++)
			at[j * PAGE] = (char)(i + j);
		CHECK(!dune_table_use(0));
		for (int j = 0; j < N; j++)
			CHECK_EQ(at[j * PAGE], (char)(i + j));
		CHECK_EQ(dune_table_free(table), 0);
		CHECK(!munmap(at, N * PAGE));
	}
	munmap(base, N * PAGE);
	munmap(secret, 2 * PAGE);
}

int main(void)
{
	enum { N = 1200 };
	struct sigaction action = { .sa_sigaction = on_segv, .sa_flags = SA_SIGINFO | SA_NODEFER };
	struct dune_statistics before, after;
	struct dune_entry entry;
	size_t counts[4] = { 0, 0, 0, 0 };
	volatile char *base;
	char *view;

	enter_or_skip();
	sigaction(SIGSEGV, &action, NULL);
	base = map_pages(N);
	CHECK_EQ(dune_dirty_track((char *)base, N * PAGE), 0);
	CHECK_EQ(dune_lookup((void *)16, &entry), -ENOENT);
	CHECK_EQ(dune_lookup((char *)base + 5, &entry), 0);
	CHECK(entry.address == (uintptr_t)base && entry.rights == (DUNE_READ | DUNE_WRITE) && !entry.dirty &&
	      !entry.owned);
	base[0] = 1;
	CHECK(!dune_lookup((char *)base, &entry) && entry.dirty && entry.accessed);

	/* Rights: taken away, given back. */
	CHECK_EQ(dune_protect((char *)base, 10 * PAGE, DUNE_READ), 0);
	CHECK_EQ(base[0], 1);
	FAULTS(base[3 * PAGE] = 1, base + 3 * PAGE, SEGV_ACCERR);
	CHECK_EQ(dune_protect((char *)base, 10 * PAGE, 0), 0);
	FAULTS(base[4 * PAGE], base + 4 * PAGE, SEGV_ACCERR);
	CHECK_EQ(dune_protect((char *)base, 10 * PAGE, DUNE_READ | DUNE_WRITE), 0);
	base[4 * PAGE] = 7;
	FAULTS(((void (*)(void))(uintptr_t)base)(), base, SEGV_ACCERR);
	CHECK_EQ(dune_protect((char *)base, 1, 8), -EINVAL);
	CHECK_EQ(dune_protect((void *)(16 * PAGE), 1, DUNE_READ), -ENOMEM);

	/* No exits for any of it. */
	dune_statistics(&before);
	for (int i = 0; i < 200; i++) {
		dune_protect((char *)base, PAGE, DUNE_READ);
		dune_protect((char *)base, PAGE, DUNE_READ | DUNE_WRITE);
		base[0]++;
		dune_lookup((char *)base, &entry);
	}
	dune_statistics(&after);
	CHECK(after.exits - before.exits < 100);

	/* A second view. */
	view = mmap(NULL, N * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	FAULTS(*(volatile char *)view, view, SEGV_ACCERR);
	CHECK_EQ(dune_map(view, N * PAGE, (char *)base, DUNE_READ | DUNE_WRITE), 0);
	for (int i = 0; i < N; i++)
		base[i * PAGE + 9] = (char)i;
	for (int i = 0; i < N; i++)
		CHECK_EQ(view[i * PAGE + 9], (char)i);
	view[11 * PAGE] = 99;
	CHECK_EQ(base[11 * PAGE], 99);
	/* Each view has its own dirty bits. */
	dune_dirty_take((char *)base, N * PAGE, NULL);
	dune_dirty_take(view, N * PAGE, NULL);
	view[5 * PAGE] = 1;
	CHECK_EQ(dune_dirty_take((char *)base, N * PAGE, NULL), 0);
	CHECK_EQ(dune_dirty_take(view, N * PAGE, NULL), 1);
	CHECK_EQ(dune_unmap(view + 5 * PAGE, PAGE), 0);
	FAULTS(view[5 * PAGE] = 2, view + 5 * PAGE, SEGV_ACCERR);
	CHECK_EQ(base[5 * PAGE], 1);

	/* Walking. */
	dune_dirty_take((char *)base, N * PAGE, NULL);
	base[100 * PAGE] = 1;
	base[900 * PAGE] = 1;
	CHECK_EQ(dune_walk((char *)base, N * PAGE, count, counts), 0);
	CHECK(counts[0] == N && counts[1] == 2 && counts[2] == N);
	counts[0] = 0, counts[3] = 17;
	CHECK_EQ(dune_walk((char *)base, N * PAGE, count, counts), 1);
	CHECK_EQ(counts[0], 17);

	/* What the kernel changes is the kernel's again. */
	CHECK_EQ(dune_protect((char *)base, N * PAGE, DUNE_READ), 0);
	CHECK(!mprotect((char *)base, N * PAGE, PROT_READ | PROT_WRITE));
	for (int i = 0; i < N; i++)
		base[i * PAGE] = 3;
	CHECK_EQ(dune_protect((char *)base, 2 * PAGE, 0), 0);
	CHECK(mmap((char *)base, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
	      base);
	base[0] = 1;
	/* Unmapped memory cannot be given rights. */
	CHECK(!munmap(view, N * PAGE));
	FAULTS(*(volatile char *)view, view, SEGV_MAPERR);
	CHECK_EQ(dune_protect(view, PAGE, DUNE_READ), -ENOMEM);
	/* Nothing is left of a view whose addresses the kernel uses for something else. */
	for (int round = 0; round < 4; round++) {
		char *again = mmap(view, N * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		CHECK(again == view && !dune_map(view, N * PAGE, (char *)base, DUNE_READ));
		for (int i = 2; i < N; i++)
			CHECK_EQ(view[i * PAGE], 3);
		if (round % 2)
			CHECK(!munmap(view, N * PAGE));
		CHECK(mmap(view, N * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == view);
		for (int i = 0; i < N; i++)
			CHECK_EQ(view[i * PAGE], 0);
		CHECK(!munmap(view, N * PAGE));
	}
	clones();
	return 0;
}
