/* dune-micro.c - the micro-benchmarks of the OSDI 2012 paper on Dune (getpid, page fault, page walk, intercepted
 * system call, trap, appel1, appel2), natively and in Dune mode side by side, with the exits to the host that each
 * operation takes; then what people ask for: entering, fork, fork and exec, threads; compute, pointer chasing by
 * working set, first touch; harvesting and flushing.
 *
 *	dune-micro [--quick] [NAME...]
 *	dune-micro --harvest
 *
 * Rows whose name contains one of the NAMEs; --quick leaves out the slow ones. --harvest: what it takes to read and clear all
 * dirty bits, by the size of memory and the part of it that is dirty, by one thread and by two with half of it each.
 * Each row runs in a child, once natively and once in Dune mode. Times are the best of several runs, in ns, unless a
 * unit is given. On a software KVM they say nothing about hardware; exits per operation are the same everywhere. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include <dune.h>

#define PAGE 4096UL

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static char *pages(size_t n, int flags)
{
	char *at = mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1,
			0);

	if (at == MAP_FAILED)
		exit(2);
	return at;
}

/* Each returns ns for each operation, and how many operations there were; < 0: not possible in this mode. */
struct count {
	double operations;
};

static double row_getpid(struct count *c)
{
	double begin = now();

	c->operations = 2000;
	for (int i = 0; i < 2000; i++)
		syscall(SYS_getppid);
	return (now() - begin) / 2000;
}

/* An exit to the monitor and back, with nothing done there: a call that only the monitor knows (layout.h). */
static double row_exit(struct count *c)
{
	double begin = now();

	if (!dune_is_active())
		return -1;
	c->operations = 2000;
	for (int i = 0; i < 2000; i++)
		syscall(0x44554e00);
	return (now() - begin) / 2000;
}

/* First touch of memory. Natively these are small pages unless the system is set to transparent_hugepage=always; in Dune
 * mode the host may have huge pages behind them (ahead.c), or not if the program says so. */
static double touch(struct count *c, bool small)
{
	size_t n = 4096;
	char *at = pages(n, 0);
	double begin;

	if (small)
		madvise(at, n * PAGE, MADV_NOHUGEPAGE);
	begin = now();
	c->operations = (double)n;
	for (size_t i = 0; i < n; i++)
		at[i * PAGE] = 1;
	begin = (now() - begin) / (double)n;
	munmap(at, n * PAGE);
	return begin;
}

static double row_touch(struct count *c) { return touch(c, false); }
static double row_touch_small(struct count *c) { return touch(c, true); }

/* A page walk: access by access to more pages than the TLB holds. */
static double row_walk(struct count *c)
{
	size_t n = 65536, at = 0;
	static char *memory;
	double begin;

	if (!memory) {
		memory = pages(n, 0);
		for (size_t i = 0; i < n; i++)
			*(size_t *)(memory + i * PAGE + i % 64 * 64) = (i * 40503 + 1) % n;
	}
	for (size_t i = 0; i < n; i++)
		at = *(volatile size_t *)(memory + at * PAGE + at % 64 * 64);
	begin = now();
	c->operations = (double)n;
	for (size_t i = 0; i < n; i++)
		at = *(volatile size_t *)(memory + at * PAGE + at % 64 * 64);
	return (now() - begin) / (double)n;
}

static char *range;
static size_t range_pages = 512;
static volatile long faults;

static int on_fault(const struct dune_fault *fault, void *argument)
{
	faults++;
	return dune_protect((void *)fault->address, 1, DUNE_READ | DUNE_WRITE);
}

static void on_segv(int sig, siginfo_t *info, void *context)
{
	faults++;
	mprotect((void *)((uintptr_t)info->si_addr & ~(PAGE - 1)), PAGE, PROT_READ | PROT_WRITE);
}

static void protect(char *at, size_t n, bool writable)
{
	if (dune_is_active())
		dune_protect(at, n * PAGE, writable ? DUNE_READ | DUNE_WRITE : DUNE_READ);
	else
		mprotect(at, n * PAGE, writable ? PROT_READ | PROT_WRITE : PROT_READ);
}

static void prepare(void)
{
	struct sigaction action = { .sa_sigaction = on_segv, .sa_flags = SA_SIGINFO | SA_NODEFER };

	if (range)
		return;
	range = pages(range_pages, 0);
	memset(range, 1, range_pages * PAGE);
	if (dune_is_active()) {
		dune_dirty_track(range, range_pages * PAGE);
		dune_fault_handler(range, range_pages * PAGE, on_fault, NULL);
		dune_protect(range, PAGE, DUNE_READ);
		range[0] = 1;
	} else {
		sigaction(SIGSEGV, &action, NULL);
	}
}

/* Trap: one fault to the program's handler and back, the protection changed in it. */
static double row_trap(struct count *c)
{
	double sum = 0;

	prepare();
	protect(range, range_pages, false);
	sum = now();
	for (size_t i = 0; i < range_pages; i++)
		range[i * PAGE] = 1;
	c->operations = (double)range_pages;
	return (now() - sum) / (double)range_pages;
}

static int skip_ud2(const struct dune_exception *e, void *argument)
{
	e->registers->rip += 2;
	return 0;
}

static void on_sigill(int sig, siginfo_t *info, void *context)
{
	((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 2;
}

/* An exception that is no page fault, to the program's handler and back. */
static double row_exception(struct count *c)
{
	struct sigaction action = { .sa_sigaction = on_sigill, .sa_flags = SA_SIGINFO };
	double begin;

	if (dune_is_active())
		dune_exception_handler(6, skip_ud2, NULL);
	else
		sigaction(SIGILL, &action, NULL);
	begin = now();
	for (int i = 0; i < 500; i++)
		__asm__ volatile("ud2");
	c->operations = 500;
	return (now() - begin) / 500;
}

/* appel1: a fault on a protected page; the handler unprotects it, and protects another. */
static double row_appel1(struct count *c)
{
	double begin;

	prepare();
	protect(range, range_pages, false);
	begin = now();
	for (size_t i = 0; i < range_pages; i++) {
		range[i * PAGE] = 1;
		protect(range + (i + range_pages / 2) % range_pages * PAGE, 1, false);
	}
	c->operations = (double)range_pages;
	return (now() - begin) / (double)range_pages;
}

/* appel2: protect 100 pages at once, fault on each, unprotect it in the handler. */
static double row_appel2(struct count *c)
{
	double begin;

	prepare();
	begin = now();
	for (int round = 0; round < 5; round++) {
		protect(range, 100, false);
		for (size_t i = 0; i < 100; i++)
			range[i * PAGE] = 1;
	}
	c->operations = 500;
	return (now() - begin) / 500;
}

static double row_protect(struct count *c)
{
	double begin;

	prepare();
	begin = now();
	for (int i = 0; i < 500; i++)
		protect(range + PAGE, 1, i % 2);
	c->operations = 500;
	return (now() - begin) / 500;
}

static double row_harvest(struct count *c)
{
	size_t n = 16384;
	static char *at;
	double begin;

	if (!dune_is_active())
		return -1;
	if (!at)
		at = pages(n, 0);
	dune_dirty_track(at, n * PAGE);
	for (size_t i = 0; i < n; i++)
		at[i * PAGE] = 1;
	begin = now();
	dune_dirty_take(at, n * PAGE, NULL);
	c->operations = (double)n;
	return (now() - begin) / (double)n;
}

static double row_rewrite(struct count *c)
{
	size_t n = 16384;
	static char *at;
	double begin;

	if (!dune_is_active())
		return -1;
	if (!at)
		at = pages(n, 0);
	for (size_t i = 0; i < n; i++)
		at[i * PAGE] = 1;
	dune_dirty_take(at, n * PAGE, NULL);
	begin = now();
	for (size_t i = 0; i < n; i++)
		at[i * PAGE] = 1;
	c->operations = (double)n;
	return (now() - begin) / (double)n;
}

static double row_flush(struct count *c)
{
	double begin;

	if (!dune_is_active())
		return -1;
	begin = now();
	for (int i = 0; i < 500; i++)
		dune_flush_local();
	c->operations = 500;
	return (now() - begin) / 500;
}

/* A system call of a child that its tracer sees: what interception costs without Dune. */
static double row_ptrace(struct count *c)
{
	int status, fds[2];
	double ns;
	pid_t pid;

	if (dune_is_active() || pipe(fds))
		return -1;
	pid = fork();
	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		ns = now();
		for (int i = 0; i < 500; i++)
			syscall(SYS_getppid);
		ns = (now() - ns) / 500;
		_exit(write(fds[1], &ns, sizeof(ns)) != sizeof(ns));
	}
	waitpid(pid, &status, 0);
	while (!WIFEXITED(status)) {
		ptrace(PTRACE_SYSCALL, pid, 0, 0);
		if (waitpid(pid, &status, 0) < 0)
			break;
	}
	c->operations = 500;
	return read(fds[0], &ns, sizeof(ns)) == sizeof(ns) ? ns : -1;
}

static double row_fork(struct count *c)
{
	double begin = now();

	c->operations = 10;
	for (int i = 0; i < 10; i++) {
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		waitpid(pid, NULL, 0);
	}
	return (now() - begin) / 10;
}

static double row_exec(struct count *c)
{
	double begin = now();

	c->operations = 10;
	for (int i = 0; i < 10; i++) {
		pid_t pid = fork();

		if (!pid) {
			execl("/bin/true", "true", NULL);
			_exit(1);
		}
		waitpid(pid, NULL, 0);
	}
	return (now() - begin) / 10;
}

/* dune_enter alone, in a new process each time: there only it is the first. */
static double row_enter(struct count *c)
{
	double *shared, sum = 0;

	if (dune_is_active())
		return -1;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	c->operations = 1;
	for (int i = 0; i < 5; i++) {
		pid_t pid;

		*shared = -1;
		pid = fork();
		if (!pid) {
			double begin = now();
			int error = dune_enter();
			double end = now();

			*shared = error ? -1 : end - begin;
			_exit(0);
		}
		waitpid(pid, NULL, 0);
		if (*shared < 0)
			return -1;
		sum += *shared;
	}
	munmap(shared, sizeof(*shared));
	return sum / 5;
}

static void *nothing(void *argument)
{
	return argument;
}

static double row_thread(struct count *c)
{
	double begin;
	pthread_t thread;

	pthread_create(&thread, NULL, nothing, NULL);
	pthread_join(thread, NULL);
	begin = now();
	c->operations = 50;
	for (int i = 0; i < 50; i++) {
		pthread_create(&thread, NULL, nothing, NULL);
		pthread_join(thread, NULL);
	}
	return (now() - begin) / 50;
}

static void on_usr1(int sig)
{
}

static double row_signal(struct count *c)
{
	double begin;

	signal(SIGUSR1, on_usr1);
	begin = now();
	c->operations = 200;
	for (int i = 0; i < 200; i++)
		raise(SIGUSR1);
	return (now() - begin) / 200;
}

static double row_compute(struct count *c)
{
	volatile double x = 1;
	double begin = now(), y = 1;

	for (int i = 0; i < 20000000; i++)
		y = y * 1.0000001 + 0.5 / (y + 1);
	x = y;
	c->operations = 20000000;
	return (now() - begin) / 20000000 + 0 * x;
}

/* A chase through a random cycle over `megabytes`. */
static double chase(struct count *c, size_t megabytes, bool huge)
{
	size_t n = (megabytes << 20) / 64, step, at = 0;
	static char *memory;
	static size_t size;
	uint64_t seed = 88172645463325252UL;
	double begin;

	if (size != megabytes) {
		size_t *order = malloc(n * sizeof(*order));

		memory = pages((megabytes << 20) / PAGE + 512, 0);
		memory = (char *)(((uintptr_t)memory + (2UL << 20) - 1) & ~((2UL << 20) - 1));
		madvise(memory, megabytes << 20, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
		size = megabytes;
		for (size_t i = 0; i < n; i++)
			order[i] = i;
		for (size_t i = n - 1; i > 0; i--) {
			size_t j, t = order[i];

			seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
			j = seed % i;
			order[i] = order[j], order[j] = t;
		}
		for (size_t i = 0; i < n; i++)
			*(size_t *)(memory + order[i] * 64) = order[(i + 1) % n];
		free(order);
	}
	step = 2000000;
	begin = now();
	for (size_t i = 0; i < step; i++)
		at = *(volatile size_t *)(memory + at * 64);
	c->operations = (double)step;
	return (now() - begin) / (double)step + 0 * (double)at;
}
static double row_chase_1(struct count *c) { return chase(c, 1, false); }
static double row_chase_16(struct count *c) { return chase(c, 16, false); }
static double row_chase_64(struct count *c) { return chase(c, 64, false); }
static double row_chase_512(struct count *c) { return chase(c, 512, false); }
static double row_chase_512_huge(struct count *c) { return chase(c, 512, true); }

static const struct row {
	const char *name;
	double (*fn)(struct count *);
	bool slow;
} rows[] = {
	{ "getpid (forwarded system call)", row_getpid, false },
	{ "exit and resume, nothing done", row_exit, false },
	{ "page fault (first touch, 4 KiB)", row_touch, false },
	{ "first touch, MADV_NOHUGEPAGE", row_touch_small, false },
	{ "page walk (TLB miss)", row_walk, false },
	{ "system call seen by a ptrace tracer", row_ptrace, false },
	{ "trap (fault handled by the program)", row_trap, false },
	{ "exception handled by the program (ud2)", row_exception, false },
	{ "appel1 (trap, unprotect, protect)", row_appel1, false },
	{ "appel2 (protect 100, trap, unprotect)", row_appel2, false },
	{ "protection change, one page", row_protect, false },
	{ "dirty harvest, per dirty page", row_harvest, false },
	{ "first write after a harvest", row_rewrite, false },
	{ "flush", row_flush, false },
	{ "signal to itself", row_signal, false },
	{ "thread create + join", row_thread, false },
	{ "fork + exit + wait", row_fork, false },
	{ "fork + exec + wait (/bin/true)", row_exec, false },
	{ "dune_enter", row_enter, false },
	{ "compute (dependent flops)", row_compute, false },
	{ "pointer chase 1 MiB", row_chase_1, true },
	{ "pointer chase 16 MiB", row_chase_16, true },
	{ "pointer chase 64 MiB", row_chase_64, true },
	{ "pointer chase 512 MiB", row_chase_512, true },
	{ "pointer chase 512 MiB, huge pages", row_chase_512_huge, true },
};

struct result {
	double ns, exits;
};

static struct result measure(const struct row *row, bool dune)
{
	struct result result = { -1, 0 };
	int fds[2], status;
	pid_t pid;

	if (pipe(fds))
		exit(2);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		if (dune && dune_enter())
			_exit(1);
		for (int i = 0; i < (row->slow ? 3 : 7); i++) {
			struct dune_statistics before = { 0 }, after = { 0 };
			struct count c = { 1 };
			double ns;

			dune_statistics(&before);
			ns = row->fn(&c);
			dune_statistics(&after);
			if (ns >= 0 && (result.ns < 0 || ns < result.ns)) {
				result.ns = ns;
				result.exits = (double)(after.exits - before.exits) / c.operations;
			}
		}
		_exit(write(fds[1], &result, sizeof(result)) != sizeof(result));
	}
	close(fds[1]);
	if (read(fds[0], &result, sizeof(result)) != sizeof(result))
		result.ns = -2;
	close(fds[0]);
	waitpid(pid, &status, 0);
	return result;
}

static bool is_wanted(const struct row *row, int names, char **name)
{
	for (int i = 0; i < names; i++)
		if (strstr(row->name, name[i]))
			return true;
	return !names;
}

static void cell(double ns)
{
	if (ns < 0)
		printf(" %12s |", ns == -1 ? "-" : "failed");
	else if (ns >= 100000)
		printf(" %9.1f us |", ns / 1000);
	else
		printf(" %9.1f ns |", ns);
}

/* ---- Harvests by one thread and by two ----------------------------------------------------------------------------- */

/* Processor time, waiting for locks of KVM's included: others on the machine must not show. */
static double now_thread(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static struct half {
	char *at;
	size_t length;
	double ns;
	pthread_barrier_t *together;
} halves[2];

static void *take_half(void *argument)
{
	struct half *half = argument;

	pthread_barrier_wait(half->together);
	half->ns = now_thread();
	dune_dirty_take(half->at, half->length, NULL);
	half->ns = now_thread() - half->ns;
	return NULL;
}

/* What the slower one took, in ns. */
static double take_by(char *at, size_t n, unsigned threads)
{
	pthread_barrier_t together;
	pthread_t thread[2];
	double ns = 0;

	pthread_barrier_init(&together, NULL, threads);
	for (unsigned i = 0; i < threads; i++) {
		halves[i] = (struct half){ at + i * (n / threads) * PAGE, n / threads * PAGE, 0, &together };
		pthread_create(&thread[i], NULL, take_half, &halves[i]);
	}
	for (unsigned i = 0; i < threads; i++) {
		pthread_join(thread[i], NULL);
		ns = halves[i].ns > ns ? halves[i].ns : ns;
	}
	pthread_barrier_destroy(&together);
	return ns;
}

static int harvests(void)
{
	static const size_t megabytes[] = { 64, 256, 1024 };
	static const unsigned percents[] = { 0, 1, 10, 50, 100 };

	if (dune_enter())
		return 1;
	printf("| %5s | %6s | %12s | %12s | %6s |\n", "MiB", "dirty", "1 thread, us", "2 threads", "gain");
	printf("|-------|--------|--------------|--------------|--------|\n");
	for (size_t m = 0; m < sizeof(megabytes) / sizeof(*megabytes); m++) {
		size_t n = (megabytes[m] << 20) / PAGE;
		char *at = pages(n, 0);

		madvise(at, n * PAGE, MADV_NOHUGEPAGE);
		dune_dirty_track(at, n * PAGE);
		memset(at, 1, n * PAGE);
		for (size_t p = 0; p < sizeof(percents) / sizeof(*percents); p++) {
			double best[3] = { 0 };

			for (int round = 0; round < 10; round++) {
				unsigned threads = 1 + round % 2;
				uint64_t seed = 88172645463325252UL;
				double ns;

				dune_dirty_take(at, n * PAGE, NULL);
				for (size_t i = 0; i < n; i++) {
					seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
					if (seed % 100 < percents[p])
						at[i * PAGE]++;
				}
				ns = take_by(at, n, threads);
				if (!best[threads] || ns < best[threads])
					best[threads] = ns;
			}
			printf("| %5zu | %4u %% | %12.0f | %12.0f | %5.2fx |\n", megabytes[m], percents[p], best[1] / 1000,
			       best[2] / 1000, best[1] / best[2]);
			fflush(stdout);
		}
		munmap(at, n * PAGE);
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct dune_probe probe;
	bool slow = argc < 2 || strcmp(argv[1], "--quick");
	bool harvest = argc > 1 && !strcmp(argv[1], "--harvest");
	int names = argc - 1 - !slow;

	if (dune_probe(&probe)) {
		printf("no Dune mode here: %s\n", probe.reason);
		return 77;
	}
	printf("KVM: %s. Best of %s.\n\n",
	       probe.software_kvm ? "software (PVM): not evidence for hardware"
				  : "not PVM (what is below it, this program cannot tell)",
	       harvest ? "5 runs" : "7 runs (3 for the chases)");
	if (harvest)
		return harvests();
	printf("| %-38s | %12s | %12s | %7s | %10s |\n", "operation", "native", "Dune mode", "ratio", "exits/op");
	printf("|----------------------------------------|--------------|--------------|---------|------------|\n");
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct result native, dune;

		if ((rows[i].slow && !slow) || !is_wanted(&rows[i], names, argv + argc - names))
			continue;
		native = measure(&rows[i], false);
		dune = measure(&rows[i], true);
		printf("| %-38s |", rows[i].name);
		cell(native.ns);
		cell(dune.ns);
		if (native.ns > 0 && dune.ns > 0)
			printf(" %7.2f |", dune.ns / native.ns);
		else
			printf(" %7s |", "");
		if (dune.ns >= 0)
			printf(" %10.3f |\n", dune.exits);
		else
			printf(" %10s |\n", "");
	}
	return 0;
}
