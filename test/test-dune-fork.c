/* test-dune-fork.c - processes in Dune mode: fork, vfork, posix_spawn, exec, system, popen; fork of a process with
 * threads in any state; what a child inherits (memory, mask, handlers, alternate stack, thread-local storage, vector
 * state); how it ends; grandchildren; the monitor's descriptors, which the program can neither close nor replace.
 *
 * TEST-FLAGS: link=dune asan=no tsan=no short=yes timeout=300 */
#include "dune-check.h"

#include <sched.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/syscall.h>

extern char **environ;
static __thread int local = 3;
static volatile int stop;

static void *busy(void *argument)
{
	size_t me = (size_t)argument;

	while (!stop) {
		void *p = malloc(100);
		char *at = map_pages(3);

		at[0] = 1;
		memset(p, 1, 100);
		free(p);
		munmap(at, 3 * PAGE);
		if (me == 1)
			usleep(10);
	}
	return NULL;
}

static volatile int hits;
static void on_signal(int sig)
{
	hits++;
}

static void inherits(void)
{
	static char altstack[65536];
	stack_t stack = { .ss_sp = altstack, .ss_size = sizeof(altstack) }, got;
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK };
	sigset_t mask;
	volatile double x = 1.5;
	pid_t pid, parent = getpid();

	CHECK(!sigaltstack(&stack, NULL));
	sigaction(SIGUSR2, &action, NULL);
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	local = 44;
	pid = fork();
	if (!pid) {
		sigprocmask(0, NULL, &mask);
		CHECK(sigismember(&mask, SIGUSR1));
		CHECK(!sigaltstack(NULL, &got) && got.ss_sp == altstack && !got.ss_flags);
		CHECK_EQ(local, 44);
		CHECK(x * 2 == 3.0);
		CHECK(getpid() != parent && getppid() == parent && gettid() == getpid());
		hits = 0;
		raise(SIGUSR2);
		CHECK_EQ(hits, 1);
		CHECK(dune_is_active());
		_exit(42);
	}
	CHECK_EQ(wait_for(pid), 42 << 8);
	sigemptyset(&mask);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	stack.ss_flags = SS_DISABLE;
	CHECK(!sigaltstack(&stack, NULL));
}

static void ways(void)
{
	static char words[][8] = { "true", "sh", "-c", "exit 9", "echo", "spawned" };
	char *const nothing[] = { words[0], NULL }, *const sh[] = { words[1], words[2], words[3], NULL };
	char *const echo[] = { words[4], words[5], NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none;
	char line[100];
	FILE *file;
	pid_t pid;
	int fds[2];

	CHECK(!posix_spawnp(&pid, "true", NULL, NULL, nothing, environ));
	CHECK_EQ(wait_for(pid), 0);
	CHECK(!posix_spawnp(&pid, "sh", NULL, NULL, sh, environ));
	CHECK_EQ(wait_for(pid), 9 << 8);
	CHECK(posix_spawnp(&pid, "/does/not/exist", NULL, NULL, echo, environ) == ENOENT);
	CHECK(!pipe(fds));
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
	posix_spawnattr_init(&attr);
	sigemptyset(&none);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	CHECK(!posix_spawnp(&pid, "echo", &actions, &attr, echo, environ));
	CHECK_EQ(wait_for(pid), 0);
	CHECK_EQ(read(fds[0], line, sizeof(line)), 8);
	posix_spawn_file_actions_destroy(&actions);
	close(fds[0]), close(fds[1]);
	CHECK_EQ(system("exit 5"), 5 << 8);
	file = popen("echo from popen", "r");
	CHECK(file && fgets(line, sizeof(line), file) && !strcmp(line, "from popen\n"));
	CHECK_EQ(pclose(file), 0);
	/* vfork: the child runs first, in our memory. */
	hits = 0;
	pid = vfork();
	if (!pid) {
		hits = 5;
		_exit(6);
	}
	CHECK_EQ(hits, 5);
	CHECK_EQ(wait_for(pid), 6 << 8);
	/* A child that is killed. */
	pid = fork();
	if (!pid)
		for (;;)
			pause();
	kill(pid, SIGKILL);
	CHECK_EQ(wait_for(pid), SIGKILL);
	pid = fork();
	if (!pid)
		for (volatile int i = 0;; i++)
			;
	kill(pid, SIGTERM);
	CHECK_EQ(wait_for(pid), SIGTERM);
	/* Grandchildren, three deep. */
	pid = fork();
	if (!pid) {
		pid = fork();
		if (!pid) {
			pid = fork();
			if (!pid)
				_exit(1);
			_exit(2 + (wait_for(pid) >> 8));
		}
		_exit(4 + (wait_for(pid) >> 8));
	}
	CHECK_EQ(wait_for(pid), 7 << 8);
	/* A stack of its own, memory copied. */
	{
		static char stack[65536] __attribute__((aligned(16)));
		long clone_on(void *top);

		pid = (pid_t)clone_on(stack + sizeof(stack));
		CHECK_EQ(wait_for(pid), 11 << 8);
	}
}

/* clone(SIGCHLD, top): the child exits with 11, having used its stack. */
__asm__("	.text\n"
	"	.globl clone_on\n"
	"clone_on:\n"
	"	mov %rdi, %rsi; mov $17, %edi; xor %edx, %edx; xor %r10d, %r10d; xor %r8d, %r8d; mov $56, %eax; "
	"syscall\n"
	"	test %rax, %rax; jz 1f; ret\n"
	"1:	push $11; pop %rdi; mov $60, %eax; syscall\n");

/* Every descriptor above those that the program knows: ours are among them, and stay usable for us. */
static void descriptors(void)
{
	int own = open("/dev/null", O_RDONLY);
	struct rlimit limit;

	CHECK(!getrlimit(RLIMIT_NOFILE, &limit));
	for (int fd = own + 1; fd < 70000; fd++) {
		close(fd);
		if (fd > 16000 && fd % 7 == 0)
			dup2(own, fd), close(fd);
	}
	CHECK(!close_range((unsigned)own + 1, ~0U, 0));
	CHECK(system("true") == 0);
	CHECK_EQ(dup(own), own + 1);
	close(own + 1);
	close(own);
}

static void *forks(void *argument)
{
	pid_t pid = fork();

	if (!pid) {
		pthread_t thread;
		int status;

		pid = fork();
		if (!pid)
			_exit(20);
		CHECK(waitpid(pid, &status, 0) == pid);
		stop = 1;
		CHECK(!pthread_create(&thread, NULL, busy, NULL) && !pthread_join(thread, NULL));
		_exit((status >> 8) + 1);
	}
	return (void *)(size_t)wait_for(pid);
}

int main(void)
{
	pthread_t threads[4];

	enter_or_skip();
	for (int round = 0; round < (repetitions(200) + 9) / 10; round++) {
		inherits();
		ways();
	}
	descriptors();
	inherits();
	/* With threads: in a system call, in malloc, running. */
	for (size_t i = 0; i < 4; i++)
		CHECK(!pthread_create(&threads[i], NULL, busy, (void *)i));
	for (int i = 0; i < repetitions(200); i++) {
		pid_t pid = fork();

		if (!pid) {
			char *p = malloc(1000);

			memset(p, 1, 1000);
			free(p);
			if (i % 20 == 0) {
				pthread_t thread;

				stop = 1;
				CHECK(!pthread_create(&thread, NULL, busy, NULL));
				pthread_join(thread, NULL);
			}
			_exit(i % 100);
		}
		CHECK(pid > 0);
		CHECK_EQ(wait_for(pid), (i % 100) << 8);
	}
	/* From a thread that is not the first, whose vCPU is not the one that the child gets. */
	for (int i = 0; i < (repetitions(200) + 9) / 10; i++) {
		pthread_t thread;
		void *status;

		CHECK(!pthread_create(&thread, NULL, forks, NULL));
		CHECK(!pthread_join(thread, &status) && status == (void *)(size_t)(21 << 8));
	}
	stop = 1;
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	/* exec, at last: the environment goes along, Dune mode does not. */
	execlp("sh", "sh", "-c", "exit 0", NULL);
	return 1;
}
