/* test-dune-memory.c - address spaces: reservations of 100 GiB, sparsely used; more chunks of addresses than there
 * are memory slots, one after the other (DUNE_MAX_SLOTS makes them few); stacks that grow; shared files, and what
 * one mapping writes another one reads; MAP_FIXED over what is in use; MADV_DONTFORK; System V shared memory; brk.
 *
 * TEST-FLAGS: link=dune asan=no tsan=no short=yes timeout=120 env:DUNE_MAX_SLOTS=60 */
#include "dune-check.h"

#include <setjmp.h>
#include <sys/shm.h>

static sigjmp_buf back;
static volatile int code;
static void on_segv(int sig, siginfo_t *info, void *context)
{
	code = info->si_code;
	siglongjmp(back, 1);
}

static void large_reservation(void)
{
	size_t size = 100UL << 30;
	char *at = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	CHECK(at != MAP_FAILED);
	CHECK(!mprotect(at, size, PROT_READ | PROT_WRITE));
	CHECK_EQ(dune_dirty_take(at, size, NULL), 0);
	for (size_t i = 0; i < 10; i++)
		*(size_t *)(at + i * (10UL << 30) + i * 5 * PAGE) = i + 1;
	for (size_t i = 0; i < 10; i++)
		CHECK_EQ(*(size_t *)(at + i * (10UL << 30) + i * 5 * PAGE), i + 1);
	CHECK_EQ(dune_dirty_take(at, size, NULL), 10);
	CHECK(!munmap(at, size));
}

/* Far more chunks than slots, but few at a time. */
static void many_chunks(void)
{
	char *keep = map_pages(1);

	*keep = 9;
	for (size_t i = 1; i < 200; i++) {
		char *at = mmap((void *)(0x100000000000UL + i * (1UL << 30)), 4 * PAGE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

		CHECK(at != MAP_FAILED);
		CHECK_EQ(at[PAGE], 0);
		at[PAGE] = (char)i;
		CHECK_EQ(at[PAGE], (char)i);
		CHECK_EQ(dune_dirty_take(at, 4 * PAGE, NULL), 1);
		CHECK(!munmap(at, 4 * PAGE));
		CHECK_EQ(*keep, 9);
	}
}

static int deeper(int n)
{
	volatile char room[4096];

	memset((void *)room, n, sizeof(room));
	return n ? deeper(n - 1) + room[5] - (char)n : 0;
}

static void files(void)
{
	char path[] = "/tmp/dune-memory-XXXXXX";
	int fd = mkstemp(path), status;
	volatile char *a, *b;
	pid_t pid;
	char byte;

	CHECK(fd >= 0 && !unlink(path) && !ftruncate(fd, 10 * (off_t)PAGE));
	a = mmap(NULL, 10 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	b = mmap(NULL, 10 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	a[3 * PAGE] = 'x';
	CHECK_EQ(b[3 * PAGE], 'x');
	CHECK(pread(fd, &byte, 1, 3 * (off_t)PAGE) == 1 && byte == 'x');
	CHECK(pwrite(fd, "y", 1, 4 * (off_t)PAGE) == 1 && a[4 * PAGE] == 'y');
	pid = fork();
	if (!pid) {
		a[5 * PAGE] = 'z';
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0 && b[5 * PAGE] == 'z');
	CHECK(!msync((void *)a, 10 * PAGE, MS_SYNC));
	/* A private mapping keeps its own. */
	munmap((void *)b, 10 * PAGE);
	b = mmap(NULL, 10 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	b[3 * PAGE] = 'p';
	CHECK_EQ(a[3 * PAGE], 'x');
	/* Over a part of it. */
	CHECK(mmap((void *)(b + 3 * PAGE), PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 4 * (off_t)PAGE) ==
	      b + 3 * PAGE);
	CHECK_EQ(b[3 * PAGE], 'y');
	if (!sigsetjmp(back, 1)) {
		b[3 * PAGE] = 1;
		CHECK(!"reached");
	}
	CHECK_EQ(code, SEGV_ACCERR);
	munmap((void *)a, 10 * PAGE);
	munmap((void *)b, 10 * PAGE);
	close(fd);
}

static void not_inherited(void)
{
	char *at = map_pages(4);
	int status;
	pid_t pid;

	at[0] = at[PAGE] = 5;
	CHECK(!madvise(at, PAGE, MADV_DONTFORK));
	CHECK(!madvise(at + PAGE, PAGE, MADV_WIPEONFORK));
	pid = fork();
	if (!pid) {
		CHECK_EQ(at[PAGE], 0);
		if (!sigsetjmp(back, 1)) {
			at[0] = 1;
			_exit(1);
		}
		_exit(code == SEGV_MAPERR ? 0 : 2);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK_EQ(at[0], 5);
	munmap(at, 4 * PAGE);
}

static void segments(void)
{
	int id = shmget(IPC_PRIVATE, 3 * PAGE, 0600);
	char *a, *b;

	if (id < 0)
		return; /* not in this kernel, or not in this container */
	a = shmat(id, NULL, 0);
	b = shmat(id, NULL, SHM_RDONLY);
	shmctl(id, IPC_RMID, NULL);
	CHECK(a != (void *)-1 && b != (void *)-1);
	a[2 * PAGE] = 4;
	CHECK_EQ(b[2 * PAGE], 4);
	CHECK(!shmdt(a));
	if (!sigsetjmp(back, 1)) {
		a[0] = 1;
		CHECK(!"reached");
	}
	CHECK_EQ(b[2 * PAGE], 4);
	CHECK(!shmdt(b));
}

static void brk_moves(void)
{
	char *end = sbrk(0);

	CHECK(sbrk(50 * PAGE) == end);
	end[49 * PAGE] = 1;
	CHECK(sbrk(-20 * (long)PAGE) != (void *)-1);
	if (!sigsetjmp(back, 1)) {
		end[45 * PAGE] = 1;
		CHECK(!"reached");
	}
	CHECK(sbrk(20 * PAGE) != (void *)-1);
	CHECK_EQ(end[49 * PAGE], 0);
	CHECK(sbrk(-50 * (long)PAGE) != (void *)-1);
}

int main(void)
{
	struct sigaction action = { .sa_sigaction = on_segv, .sa_flags = SA_SIGINFO | SA_NODEFER };

	enter_or_skip();
	sigaction(SIGSEGV, &action, NULL);
	large_reservation();
	many_chunks();
	CHECK_EQ(deeper(1000), 0);
	files();
	not_inherited();
	segments();
	brk_moves();
	return 0;
}
