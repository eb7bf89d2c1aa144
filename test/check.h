/* check.h - what the test programs share: checks that say what was expected and where, and the few
 * tricks that testing a conservative collector takes.
 *
 * "This object is alive and intact" must hold always, so it is checked object by object. "This object is
 * dead" cannot: a stale word on a stack or in a register may keep any one object. Deaths are therefore
 * counted over many objects (struct watch), made in a thread that has ended and with collections off, so that none
 * takes the place of another (make_in_thread), and a test asks that at least 95 % of them are gone (CHECK_DEAD). Under
 * torture collections stay on and deaths are not counted: that pass is for what must live.
 *
 * A program ends with 0 (passed), 77 (skipped, the reason on the last line) or anything else (failed). */
#ifndef CHECK_H
#define CHECK_H

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <gcdune.h>

#ifdef __SANITIZE_THREAD__
#define THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREAD_SANITIZER 1
#endif
#endif

#define NOINLINE __attribute__((noinline))
/* A static variable that the test's objects hang on. "used": the compiler sees only that nobody reads it, and would take
 * the stores away. */
#define ROOT static __attribute__((used))

#define MAYBE_UNUSED __attribute__((unused))

MAYBE_UNUSED __attribute__((noreturn, format(printf, 3, 4)))
static void check_fail(const char *file, int line, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	/* One write, so that lines of several threads and processes stay whole. */
	dprintf(STDERR_FILENO, "%s:%d: FAILED: %s\n", file, line, text);
	_exit(1);
}

#define CHECK(cond)                                                                                                 \
	do {                                                                                                        \
		if (!(cond))                                                                                        \
			check_fail(__FILE__, __LINE__, "expected %s", #cond);                                       \
	} while (0)

/* With a message of its own, for values that help to understand. */
#define CHECKF(cond, ...)                                                                                           \
	do {                                                                                                        \
		if (!(cond))                                                                                        \
			check_fail(__FILE__, __LINE__, __VA_ARGS__);                                                \
	} while (0)

#define CHECK_EQ(actual, expected)                                                                                  \
	do {                                                                                                        \
		long long check_a = (long long)(actual), check_e = (long long)(expected);                           \
		if (check_a != check_e)                                                                             \
			check_fail(__FILE__, __LINE__, "%s is %lld, expected %lld (%s)", #actual, check_a, check_e, \
				   #expected);                                                                      \
	} while (0)

/* At most 5 % of COUNT objects may have been kept by stale words. */
#define CHECK_DEAD(live, count)                                                                                     \
	do {                                                                                                        \
		size_t check_l = (live), check_c = (count);                                                         \
		if (check_l > check_c / 20 && !tortured())                                                          \
			check_fail(__FILE__, __LINE__, "%zu of %zu objects are still there (%s), expected <= %zu",  \
				   check_l, check_c, #live, check_c / 20);                                          \
	} while (0)

MAYBE_UNUSED __attribute__((noreturn))
static void skip(const char *reason)
{
	printf("SKIP: %s\n", reason);
	exit(77);
}

/* Under GCDUNE_TORTURE every few allocations collect: do less of the same. */
MAYBE_UNUSED static bool tortured(void)
{
	return getenv("GCDUNE_TORTURE") != NULL;
}

MAYBE_UNUSED static size_t rounds(size_t normal, size_t under_torture)
{
	/* A cycle that runs beside the program does not hold it up. TEST_ROUNDS multiplies, TEST_LESS divides. */
	const char *mode = getenv("GCDUNE_MODE"), *more = getenv("TEST_ROUNDS"), *less = getenv("TEST_LESS");
	bool slow = tortured() && !(mode && (!strcmp(mode, "concurrent") || !strcmp(mode, "generational")));

	return (slow ? under_torture : normal) * (more ? (size_t)atol(more) : 1) / (less ? (size_t)atol(less) : 1);
}

MAYBE_UNUSED static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Until a moment, not for a time: that which a thread spends stopped would not count, and where another does nothing but
 * collect there is no other. */
MAYBE_UNUSED static void sleep_ms(unsigned ms)
{
	uint64_t end = now_ns() + ms * (uint64_t)1000000;
	struct timespec t = { (time_t)(end / 1000000000), (long)(end % 1000000000) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

/* splitmix64: the same numbers in every run, and a hash of an identity at once. */
MAYBE_UNUSED static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

MAYBE_UNUSED static uint64_t random_next(uint64_t *state)
{
	return mix((*state)++);
}

/* Overwrites what earlier calls left on the stack. */
MAYBE_UNUSED static NOINLINE void wipe_stack(void)
{
	volatile char junk[96 * 1024];

	for (size_t i = 0; i < sizeof(junk); i++)
		junk[i] = 0;
	__asm__ volatile("" : : "r"(junk) : "memory");
}

MAYBE_UNUSED static NOINLINE void wipe_and_collect(void)
{
	wipe_stack();
	gcdune_collect();
}

MAYBE_UNUSED static struct gcdune_stats stats_now(void)
{
	struct gcdune_stats stats;

	gcdune_stats_get(&stats, sizeof(stats));
	return stats;
}

/* Keeps the compiler from dropping or moving what it thinks is a last use. */
#define KEEP_ALIVE(p) __asm__ volatile("" : : "g"(p) : "memory")

/* ---- A set of addresses that does not keep the objects there ---- */

struct watch {
	size_t count, room;
	uintptr_t *hidden; /* malloc's memory is no root; hidden all the same, for copies of it */
};

MAYBE_UNUSED static NOINLINE void watch_add(struct watch *w, const void *object)
{
	if (w->count == w->room) {
		w->room = w->room ? 2 * w->room : 1024;
		w->hidden = realloc(w->hidden, w->room * sizeof(*w->hidden));
		if (!w->hidden)
			abort();
	}
	w->hidden[w->count++] = ~(uintptr_t)object;
}

/* How many of them the collector still takes for live. Nothing must be allocated after the collection
 * and before this: a new object at the same address would count. */
MAYBE_UNUSED static NOINLINE size_t watch_live(const struct watch *w)
{
	size_t live = 0;

	for (size_t i = 0; i < w->count; i++)
		live += gcdune_base((void *)~w->hidden[i]) != NULL;
	return live;
}

MAYBE_UNUSED static void watch_reset(struct watch *w)
{
	free(w->hidden);
	*w = (struct watch){ 0 };
}

/* ---- An object that knows what it should contain ---- */

struct target {
	uint64_t id, check;
};

MAYBE_UNUSED static NOINLINE struct target *target_new(uint64_t id)
{
	struct target *t = gcdune_alloc(sizeof(*t));

	CHECK(t != NULL);
	CHECK(t->id == 0 && t->check == 0);
	t->id = id;
	t->check = mix(id);
	return t;
}

#define TARGET_CHECK(object, number) target_check(__FILE__, __LINE__, object, number)

MAYBE_UNUSED static NOINLINE void target_check(const char *file, int line, const struct target *t, uint64_t number)
{
	unsigned long long n = number;

	if (gcdune_base(t) != t)
		check_fail(file, line, "object %llu at %p was lost", n, (const void *)t);
	if (t->id != number || t->check != mix(number))
		check_fail(file, line, "object at %p holds %llx %llx, expected that of number %llu", (const void *)t,
			   (unsigned long long)t->id, (unsigned long long)t->check, n);
}

/* ---- Threads and processes ---- */

struct thread_call {
	void (*fn)(void *);
	void *arg;
};

MAYBE_UNUSED static void *thread_call_run(void *p)
{
	struct thread_call *call = p;

	call->fn(call->arg);
	return NULL;
}

/* Runs FN(ARG) in a thread of its own, so that nothing of it stays on the caller's stack. TSan holds signals back from a
 * thread that waits for another, and the world would not stop: there it is a deep call and a wiped stack. */
MAYBE_UNUSED static NOINLINE void in_thread(void (*fn)(void *), void *arg)
{
#ifdef THREAD_SANITIZER
	volatile char deep[16 * 1024];

	deep[0] = 0;
	KEEP_ALIVE(deep);
	fn(arg);
	KEEP_ALIVE(deep);
	wipe_stack();
#else
	struct thread_call call = { fn, arg };
	pthread_t thread;

	CHECK_EQ(pthread_create(&thread, NULL, thread_call_run, &call), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
#endif
}

/* The same for an FN that makes what is watched. */
MAYBE_UNUSED static NOINLINE void make_in_thread(void (*fn)(void *), void *arg)
{
	if (!tortured())
		gcdune_disable();
	in_thread(fn, arg);
	if (!tortured())
		CHECK_EQ(gcdune_enable(), 0);
}

/* From here on the kernel answers the system call NUMBER of this process with ERROR. False: not on this machine. */
MAYBE_UNUSED static bool refuse_call(unsigned number, unsigned error)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(*filter), filter };

	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) && !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

MAYBE_UNUSED static pthread_t thread_start(void *(*fn)(void *), void *arg)
{
	pthread_t thread;

	CHECK_EQ(pthread_create(&thread, NULL, fn, arg), 0);
	return thread;
}

/* Waits for PID and returns its exit status, or 128 + the signal that ended it. */
MAYBE_UNUSED static int child_wait(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		CHECK(errno == EINTR);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Runs this same program again with MODE as its only argument and the NULL-terminated ENV settings
 * ("NAME=value", or "NAME" to unset) added, and stores what it writes to stderr (and what it writes to
 * stdout, which comes along) in OUTPUT. Returns as child_wait does. */
MAYBE_UNUSED static int child_exec(const char *mode, const char *const *env, char *output, size_t room)
{
	int ends[2];
	size_t used = 0;
	ssize_t n;
	pid_t pid;

	CHECK(pipe(ends) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		dup2(ends[1], STDOUT_FILENO);
		dup2(ends[1], STDERR_FILENO);
		close(ends[0]);
		close(ends[1]);
		for (; env && *env; env++) {
			if (strchr(*env, '='))
				putenv((char *)(uintptr_t)*env);
			else
				unsetenv(*env);
		}
		execl("/proc/self/exe", "test-child", mode, (char *)NULL);
		_exit(126);
	}
	close(ends[1]);
	while (used + 1 < room && (n = read(ends[0], output + used, room - 1 - used)) != 0) {
		if (n > 0)
			used += (size_t)n;
		else
			CHECK(errno == EINTR);
	}
	output[used] = 0;
	close(ends[0]);
	return child_wait(pid);
}

MAYBE_UNUSED static size_t count_lines(const char *text)
{
	size_t lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

/* The path of the shared object built from test/lib-NAME.c, which lies beside this program. */
MAYBE_UNUSED static const char *lib_path(const char *name)
{
	static char path[PATH_MAX + 64];
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	CHECK(n > 0);
	self[n] = 0;
	snprintf(path, sizeof(path), "%s/lib-%s.so", dirname(self), name);
	return path;
}

#endif
