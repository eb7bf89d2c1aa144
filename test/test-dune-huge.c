/* test-dune-huge.c - memory with huge pages: it is mapped by large entries, which become small ones when a part of
 * it is changed or its dirty bits are wanted; nothing is lost on the way, also while other threads write.
 *
 * TEST-FLAGS: link=dune asan=no tsan=no short=yes timeout=120 */
#include "dune-check.h"

#include <setjmp.h>

enum { LARGE = 512, N = 16 * LARGE };
static sigjmp_buf back;
static volatile int stop;

static void on_segv(int sig)
{
	siglongjmp(back, 1);
}

static char *huge(void)
{
	char *at = map_pages(N + LARGE);

	at = (char *)(((uintptr_t)at + LARGE * PAGE - 1) & ~(LARGE * PAGE - 1));
	madvise(at, N * PAGE, MADV_HUGEPAGE);
	return at;
}

static void fill(char *at)
{
	for (size_t i = 0; i < N; i++)
		*(size_t *)(at + i * PAGE + 16) = i + 1;
}

static void compare(char *at, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		CHECK_EQ(*(size_t *)(at + i * PAGE + 16), i + 1);
}

static void exact(char *at)
{
	static uint64_t bits[N / 64];
	uint64_t seed = 4;

	dune_dirty_take(at, N * PAGE, NULL);
	for (int round = 0; round < 3; round++) {
		static uint8_t expected[N];

		memset(expected, 0, sizeof(expected));
		for (int i = 0; i < 500; i++) {
			size_t page = random_next(&seed) % N;

			at[page * PAGE] = 1;
			expected[page] = 1;
		}
		dune_dirty_take(at, N * PAGE, bits);
		for (size_t i = 0; i < N; i++)
			CHECK_EQ(bits[i / 64] >> i % 64 & 1, expected[i]);
	}
}

static void *write_on(void *argument)
{
	char *at = argument;
	size_t n = 0;

	while (!stop)
		for (size_t i = 0; i < N && !stop; i += 3, n++)
			(*(volatile uint64_t *)(at + i * PAGE + 256))++;
	return (void *)n;
}

int main(void)
{
	struct dune_statistics before, after;
	struct dune_entry entry, next;
	struct sigaction action = { .sa_handler = on_segv, .sa_flags = SA_NODEFER };
	pthread_t threads[3];
	char *at, *moved;
	int status, fds[2];
	pid_t pid;
	void *count;
	uint64_t sum = 0, written = 0;

	enter_or_skip();
	sigaction(SIGSEGV, &action, NULL);
	dune_statistics(&before);
	at = huge();
	dune_statistics(&after);
	if (after.large - before.large < N / LARGE) {
		printf("SKIP: madvise(MADV_HUGEPAGE) does nothing here\n");
		return 77;
	}
	CHECK_EQ(dune_dirty_peek(at, N * PAGE, NULL), 0);
	fill(at);
	compare(at, 0, N);
	CHECK_EQ(dune_dirty_peek(at, N * PAGE, NULL), N);
	CHECK(!dune_lookup(at, &entry) && !dune_lookup(at + 5 * PAGE, &next));
	CHECK(entry.rights == (DUNE_READ | DUNE_WRITE) && next.physical == entry.physical + 5 * PAGE);
	dune_statistics(&after);
	CHECK(after.faults - before.faults < 100);
	/* The kernel's writes. */
	CHECK_EQ(dune_dirty_take(at, N * PAGE, NULL), N);
	CHECK_EQ(dune_dirty_take(at, N * PAGE, NULL), 0);
	CHECK(!pipe(fds) && write(fds[1], "abc", 3) == 3 && read(fds[0], at + 3 * LARGE * PAGE, 3) == 3);
	CHECK_EQ(dune_dirty_take(at, N * PAGE, NULL), LARGE);

	/* Small pages for the dirty bits, exactly. */
	CHECK_EQ(dune_dirty_track(at, N * PAGE), 0);
	compare(at, 0, N);
	exact(at);
	compare(at, 0, N);
	munmap(at, N * PAGE);

	/* Parts that change. */
	at = huge();
	fill(at);
	CHECK(!mprotect(at + 5 * PAGE, PAGE, PROT_READ));
	if (!sigsetjmp(back, 1)) {
		at[5 * PAGE] = 1;
		CHECK(!"reached");
	}
	at[4 * PAGE] = at[6 * PAGE] = 1;
	CHECK(!munmap(at + (LARGE + 7) * PAGE, 3 * PAGE));
	if (!sigsetjmp(back, 1)) {
		at[(LARGE + 8) * PAGE] = 1;
		CHECK(!"reached");
	}
	compare(at, 0, LARGE + 7);
	compare(at, LARGE + 10, N);
	CHECK(mmap(at + (LARGE + 7) * PAGE, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		   -1, 0) != MAP_FAILED);
	CHECK_EQ(at[(LARGE + 8) * PAGE + 16], 0);
	CHECK(!madvise(at + 3 * LARGE * PAGE, 2 * LARGE * PAGE, MADV_DONTNEED));
	CHECK_EQ(at[4 * LARGE * PAGE + 16], 0);
	compare(at, 5 * LARGE, N);
	moved = map_pages(N);
	moved = mremap(at + 8 * LARGE * PAGE, 4 * LARGE * PAGE, 4 * LARGE * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, moved);
	CHECK(moved != MAP_FAILED);
	for (size_t i = 0; i < 4 * LARGE; i++)
		CHECK_EQ(*(size_t *)(moved + i * PAGE + 16), 8 * LARGE + i + 1);
	if (!sigsetjmp(back, 1)) {
		at[9 * LARGE * PAGE] = 1;
		CHECK(!"reached");
	}
	pid = fork();
	if (!pid) {
		compare(at, 12 * LARGE, N);
		at[14 * LARGE * PAGE + 16] = 77;
		dune_dirty_track(at + 12 * LARGE * PAGE, 4 * LARGE * PAGE);
		_exit(at[14 * LARGE * PAGE + 16] == 77 ? 5 : 6);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 5 << 8);
	compare(at, 12 * LARGE, N);
	munmap(at, N * PAGE);

	/* Splitting while others write: all writes are there, and the bits are exact after it. */
	for (int round = 0; round < (getenv("DUNE_SMALL") ? 2 : repetitions(5)); round++) {
		at = huge();
		stop = 0;
		for (int i = 0; i < 3; i++)
			CHECK(!pthread_create(&threads[i], NULL, write_on, at + 8 * (size_t)i));
		usleep(2000);
		CHECK_EQ(dune_dirty_track(at, N * PAGE), 0);
		usleep(2000);
		stop = 1;
		written = sum = 0;
		for (int i = 0; i < 3; i++) {
			pthread_join(threads[i], &count);
			written += (size_t)count;
		}
		for (size_t i = 0; i < N; i++)
			for (int j = 0; j < 3; j++)
				sum += *(uint64_t *)(at + i * PAGE + 256 + 8 * j);
		CHECK_EQ(sum, written);
		exact(at);
		munmap(at, N * PAGE);
	}
	return 0;
}
