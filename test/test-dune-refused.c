/* test-dune-refused.c - what Dune mode refuses, call by call, with the errno that docs/dune.md gives; that the page and
 * dune-run(1) name each of these calls; and that what is next to them works: reading /proc/self/mem, a key of -1, descriptors
 * and memory that are not the monitor's. Most of the calls would be possible natively, with these arguments.
 *
 * TEST-FLAGS: link=dune asan=no tsan=no short=yes */
#include "dune-check.h"

#include <setjmp.h>
#include <sys/shm.h>
#include <sys/syscall.h>

#define AREA ((long)area)
static _Alignas(4096) char area[2 * 4096];
static struct {
	uint64_t flags, mode, resolve;
} how = { O_WRONLY, 0, 0 };
static char path[] = "/proc/self/mem";

static const struct refused {
	const char *name; /* as the documentation has it */
	long number;
	int error;
	const char *word; /* its line there */
	long a[6];
} calls[] = {
	{ "io_uring_setup", 425, ENOSYS, "ENOSYS", { 8, AREA } },
	{ "io_uring_enter", 426, ENOSYS, "ENOSYS", { -1, 0, 0, 0, 0, 0 } },
	{ "io_uring_register", 427, ENOSYS, "ENOSYS", { -1, 0, 0, 0 } },
	{ "io_setup", SYS_io_setup, ENOSYS, "ENOSYS", { 8, AREA } },
	{ "io_submit", SYS_io_submit, ENOSYS, "ENOSYS", { 0, 0, AREA } },
	{ "io_getevents", SYS_io_getevents, ENOSYS, "ENOSYS", { 0, 0, 1, AREA, 0 } },
	{ "io_pgetevents", 333, ENOSYS, "ENOSYS", { 0, 0, 1, AREA, 0, 0 } },
	{ "userfaultfd", SYS_userfaultfd, ENOSYS, "ENOSYS", { 1 /* UFFD_USER_MODE_ONLY */ } },
	{ "memfd_secret", 447, ENOSYS, "ENOSYS", { 0 } },
	{ "rseq", 334, ENOSYS, "ENOSYS", { AREA, 32, 0, 0x53053053 } },
	{ "clone3", 435, ENOSYS, "ENOSYS", { AREA, 64 } },
	{ "seccomp", SYS_seccomp, ENOSYS, "ENOSYS", { 0 /* SECCOMP_SET_MODE_STRICT */, 0, 0 } },
	{ "modify_ldt", SYS_modify_ldt, ENOSYS, "ENOSYS", { 0, AREA, 64 } },
	{ "map_shadow_stack", 453, ENOSYS, "ENOSYS", { 0, 4096, 0 } },
	{ "bpf", SYS_bpf, EPERM, "EPERM", { 0, AREA, 72 } },
	{ "iopl", SYS_iopl, EPERM, "EPERM", { 0 } },
	{ "ioperm", SYS_ioperm, EPERM, "EPERM", { 0x80, 1, 0 } },
	{ "pkey_alloc", 330, ENOSPC, "ENOSPC", { 0, 0 } },
	{ "pkey_mprotect", 329, EINVAL, "EINVAL", { AREA, 4096, PROT_READ | PROT_WRITE, 0 } },
	{ "PR_SET_SECCOMP", SYS_prctl, EINVAL, "EINVAL", { 22, 1, 0 } },
	{ "SHM_REMAP", SYS_shmat, EINVAL, "EINVAL", { -1, AREA, 040000 } },
	{ "ARCH_REQ_XCOMP_PERM", SYS_arch_prctl, EINVAL, "EINVAL", { 0x1023, 18 } },
	{ "open", SYS_open, EACCES, "EACCES", { (long)path, O_RDWR, 0 } },
	{ "openat", SYS_openat, EACCES, "EACCES", { -100, (long)path, O_WRONLY, 0 } },
	{ "openat2", 437, EACCES, "EACCES", { -100, (long)path, (long)&how, sizeof(how) } },
};

static char *page_of(const char *file)
{
	static char text[131072];
	int fd = open(file, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	close(fd);
	if (n < 0)
		return NULL;
	text[n] = 0;
	return text;
}

/* A line of the table of limits has the call and the errno. */
static void documented(void)
{
	char *text = page_of("docs/dune.md"), *save, name[64];
	bool found[sizeof(calls) / sizeof(*calls)] = { 0 };

	/* Under QEMU there are no documents. */
	if (!text)
		return;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
			snprintf(name, sizeof(name), "%s", calls[i].name);
			if (*line == '|' && strstr(line, name) && strstr(line, calls[i].word))
				found[i] = true;
		}
	text = page_of("docs/man/dune-run.1");
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		if (!found[i] || (calls[i].error != EACCES && !(text && strstr(text, calls[i].name)))) {
			dprintf(2, "%s is not in docs/dune.md with %s, or not in dune-run(1)\n", calls[i].name, calls[i].word);
			_exit(1);
		}
}

static sigjmp_buf back;

static void on_signal(int sig)
{
	siglongjmp(back, 1);
}

/* PVM has no `int n', and says SIGILL. */
static void old_system_call(void)
{
	signal(SIGSEGV, on_signal);
	signal(SIGILL, on_signal);
	if (!sigsetjmp(back, 1)) {
		long number = 20 /* getpid */;

		__asm__ volatile("int $0x80" : "+a"(number) : : "memory", "r8", "r9", "r10", "r11");
		CHECK(false);
	}
	signal(SIGSEGV, SIG_DFL);
	signal(SIGILL, SIG_DFL);
}

/* What the monitor keeps open. */
static int monitors_descriptor(void)
{
	char link[64], target[64];

	for (int fd = 0; fd < 1 << 20; fd++) {
		ssize_t n;

		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = readlink(link, target, sizeof(target) - 1);
		target[n < 0 ? 0 : n] = 0;
		if (strstr(target, "kvm-vm"))
			return fd;
	}
	return -1;
}

/* In the middle of its largest mapping. */
static char *monitors_memory(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	unsigned long start, end, at = 0;
	char line[512];

	CHECK(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx", &start, &end) == 2 && end - start >= 1UL << 30 && !at)
			at = start + (end - start) / 2;
	fclose(f);
	return (char *)(at & ~(PAGE - 1));
}

static void fails(long result, int error)
{
	CHECK_EQ(result, -1);
	CHECK_EQ(errno, error);
}

static void the_monitors(void)
{
	int fd = monitors_descriptor(), null = open("/dev/null", O_RDWR);
	char *at = monitors_memory();

	CHECK(fd > 0);
	fails(close(fd), EBADF);
	fails(dup(fd), EBADF);
	fails(dup2(null, fd), EBADF);
	fails(dup2(fd, null), EBADF);
	fails(dup3(null, fd, O_CLOEXEC), EBADF);
	CHECK_EQ(fcntl(null, F_GETFD), 0);

	CHECK(at);
	fails(munmap(at, PAGE), EINVAL);
	fails(mprotect(at, PAGE, PROT_NONE), EINVAL);
	fails(madvise(at, PAGE, MADV_DONTNEED), EINVAL);
	CHECK(mremap(at, PAGE, 2 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED);
	CHECK_EQ(errno, EINVAL);
	CHECK(mmap(at, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED);
	CHECK_EQ(errno, ENOMEM);
	/* Next to it. */
	at = map_pages(2);
	CHECK(!mprotect(at, PAGE, PROT_READ) && !madvise(at, PAGE, MADV_DONTNEED) && !munmap(at, 2 * PAGE));
	CHECK(!close(null));
}

int main(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	int fd;

	documented();
	enter_or_skip();
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		const long *a = calls[i].a;
		long result = syscall(calls[i].number, a[0], a[1], a[2], a[3], a[4], a[5]);

		if (result != -1 || errno != calls[i].error) {
			dprintf(2, "%s: %ld, errno %d instead of %d\n", calls[i].name, result, errno, calls[i].error);
			return 1;
		}
	}
	old_system_call();
	/* libc does not take it for a signal. */
	CHECK_EQ(syscall(SYS_rt_sigaction, 64, &action, NULL, 8), -1);
	CHECK_EQ(errno, EINVAL);
	the_monitors();

	/* What is near these. */
	fd = open(path, O_RDONLY);
	CHECK(fd >= 0);
	CHECK_EQ(pread(fd, area + 100, sizeof(path), (off_t)(uintptr_t)path), sizeof(path));
	CHECK(!strcmp(area + 100, path));
	close(fd);
	CHECK_EQ(syscall(329, area, PAGE, PROT_READ | PROT_WRITE, -1), 0);
	area[0] = 1;
	CHECK_EQ(syscall(SYS_prctl, 21 /* PR_GET_SECCOMP */, 0, 0, 0, 0), 0);
	return 0;
}
