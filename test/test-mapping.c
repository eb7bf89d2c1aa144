/* gcdune_os_mapping says what /proc/self/maps does, whichever way it asks: of stacks, code, data, memory between guard pages, and
 * where nothing is; and with no descriptor to be had it says so.
 *
 * TEST-FLAGS: timeout=60 link=internal torture=no
 */
#include "check.h"

#include "os.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

/* As a program would that knows nothing better. */
static bool expected(uintptr_t address, uintptr_t *low, uintptr_t *high)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];
	bool found = false;

	CHECK(maps != NULL);
	while (!found && fgets(line, sizeof line, maps)) {
		unsigned long from, to;

		if (sscanf(line, "%lx-%lx", &from, &to) == 2 && from <= address && address < to) {
			*low = from;
			*high = to;
			found = true;
		}
	}
	fclose(maps);
	return found;
}

static void check_at(uintptr_t address)
{
	uintptr_t low = 1, high = 1, low_there = 1, high_there = 1;
	int error = gcdune_os_mapping(address, &low, &high);

	if (!expected(address, &low_there, &high_there)) {
		CHECK_EQ(error, -ENOENT);
		return;
	}
	CHECK_EQ(error, 0);
	CHECK_EQ(low, low_there);
	CHECK_EQ(high, high_there);
}

static int data = 1;

/* From now on no mapping can be asked for, as with an older kernel: PROCMAP_QUERY is number 17 of 'f'. */
static bool refuse_query(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xffff),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 'f' << 8 | 17, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOTTY),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof filter / sizeof *filter, filter};

	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) && !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static void check_all(void)
{
	enum { PAGE = 4096, PAGES = 64 };
	int local = 0;
	char *memory = mmap(NULL, PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(memory != MAP_FAILED);
	for (int i = 1; i < PAGES; i += 4)
		CHECK_EQ(mprotect(memory + i * PAGE, 2 * PAGE, PROT_READ | PROT_WRITE), 0);
	CHECK_EQ(munmap(memory + 30 * PAGE, 3 * PAGE), 0);
	check_at((uintptr_t)check_at);
	check_at((uintptr_t)&data);
	check_at((uintptr_t)printf);
	check_at(0);
	check_at(UINTPTR_MAX - 4095);
	for (int i = -2; i < PAGES + 2; i++) {
		check_at((uintptr_t)memory + (uintptr_t)(i * PAGE));
		check_at((uintptr_t)memory + (uintptr_t)(i * PAGE) + PAGE - 1);
	}
	/* The stack grows while this is asked: its end does not. */
	uintptr_t low, high, low_there, high_there;

	CHECK_EQ(gcdune_os_mapping((uintptr_t)&local, &low, &high), 0);
	CHECK(expected((uintptr_t)&local, &low_there, &high_there) && high == high_there && low <= (uintptr_t)&local);

	CHECK_EQ(munmap(memory, PAGES * PAGE), 0);
}

int main(void)
{
	struct rlimit limit, none;
	uintptr_t low, high;

	check_all();
	CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = 0;
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
	CHECK_EQ(gcdune_os_mapping((uintptr_t)&data, &low, &high), -EMFILE);
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
	if (refuse_query())
		check_all();
	else
		puts("no filter of system calls here: only one of the ways was tried");
	return 0;
}
