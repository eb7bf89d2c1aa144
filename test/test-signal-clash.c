/* A program that takes over the signal that stops threads keeps it, and another takes its place, without a word; one that
 * ignores it or sets it back, as autogen does with all signals at its end, is stopped by it all the same. A program that
 * leaves none, because it has handlers for all or blocks them, gets one clear line, and no hang; but one that had them for all
 * before, as autogen has, loses the one.
 *
 * TEST-FLAGS: timeout=120 tsan=no
 */
#include "check.h"

static volatile int stop;	/* not bool: gcc 12 with -fsanitize=bool reads a volatile one only once */
static unsigned started;

static void *thread(void *arg)
{
	void *volatile object = target_new(5);
	sigset_t set;

	if (arg) {
		sigfillset(&set);
		pthread_sigmask(SIG_BLOCK, &set, NULL); /* all but the one that stops threads */
	}
	__atomic_store_n(&started, 1, __ATOMIC_RELEASE);
	while (!stop)
		KEEP_ALIVE(object);
	TARGET_CHECK(object, 5);
	return NULL;
}

static volatile int handled;

static void handler(int number)
{
	handled = number;
}

static void all(void (*function)(int))
{
	for (int i = 1; i < NSIG; i++)
		if (i != SIGALRM && i != SIGSEGV && i != SIGABRT)
			signal(i, function);
}

static int clash(const char *mode)
{
	struct sigaction action = { .sa_handler = handler };
	pthread_t t;

	alarm(20);	/* the hang that must not be */
	if (!strcmp(mode, "before"))
		sigaction(SIGPWR, &action, NULL);
	else if (!strcmp(mode, "all before") || !strcmp(mode, "all and back"))
		all(handler);
	CHECK_EQ(gcdune_init(), 0);
	t = thread_start(thread, strcmp(mode, "blocked") ? NULL : thread);
	while (!__atomic_load_n(&started, __ATOMIC_ACQUIRE))
		sleep_ms(1);
	if (!strcmp(mode, "sigaction") || !strcmp(mode, "blocked"))
		sigaction(gcdune_signal_get(), &action, NULL);
	else if (!strcmp(mode, "signal"))
		signal(gcdune_signal_get(), handler);
	else if (!strcmp(mode, "ignore"))
		signal(gcdune_signal_get(), SIG_IGN);
	else if (!strcmp(mode, "default"))
		signal(gcdune_signal_get(), SIG_DFL);
	else if (!strcmp(mode, "all"))
		all(handler);
	else if (!strcmp(mode, "all and back"))
		all(SIG_DFL);
	for (int i = 0; i < 5; i++)
		gcdune_collect();
	stop = true;
	pthread_join(t, NULL);
	if (!strcmp(mode, "before") || !strcmp(mode, "sigaction")) {
		CHECK(gcdune_signal_get() != SIGPWR && !handled);
		raise(SIGPWR);
		CHECK_EQ(handled, SIGPWR);
	} else {
		CHECK_EQ(gcdune_signal_get(), strcmp(mode, "signal") ? SIGPWR : SIGSTKFLT);
	}
	return 0;
}

int main(int argc, char **argv)
{
	static const char *const modes[] = { "none", "sigaction", "signal", "ignore", "default", "before", "all before",
					     "all and back" };
	static const char *const hopeless[] = { "all", "blocked" };
	static const char *const env[] = { "GCDUNE_SIGNAL", NULL };
	char output[4096];
	int status;

	if (argc > 1)
		return clash(argv[1]);
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		status = child_exec(modes[i], env, output, sizeof(output));
		CHECKF(status == 0 && output[0] == 0, "%s: status %d, \"%s\"", modes[i], status, output);
	}
	for (size_t i = 0; i < sizeof(hopeless) / sizeof(*hopeless); i++) {
		status = child_exec(hopeless[i], env, output, sizeof(output));
		CHECKF(status != 128 + SIGALRM, "%s: it hangs; output \"%s\"", hopeless[i], output);
		CHECKF(status == 128 + SIGABRT, "%s: status %d; output \"%s\"", hopeless[i], status, output);
		CHECKF(count_lines(output) == 1 && strstr(output, "gcdune") && strcasestr(output, "signal"),
		       "%s: expected one line on the signal, got \"%s\"", hopeless[i], output);
	}
	return 0;
}
