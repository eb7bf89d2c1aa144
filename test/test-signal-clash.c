/* A program that takes over the signal that stops threads gets one clear line, and no hang: with a handler, by
 * ignoring it, through sigaction and through signal; a program whose own handler was there before gets one too.
 *
 * TEST-FLAGS: timeout=120 tsan=no
 */
#include "check.h"

static volatile int stop;	/* not bool: gcc 12 with -fsanitize=bool reads a volatile one only once */
static unsigned started;

static void *thread(void *arg)
{
	void *volatile object = target_new(5);

	__atomic_store_n(&started, 1, __ATOMIC_RELEASE);
	while (!stop)
		KEEP_ALIVE(object);
	TARGET_CHECK(object, 5);
	return NULL;
}

static void handler(int number)
{
}

static int clash(const char *mode)
{
	struct sigaction action = { .sa_handler = handler };
	pthread_t t;

	alarm(20);	/* the hang that must not be */
	if (!strcmp(mode, "before"))
		sigaction(SIGPWR, &action, NULL);
	CHECK_EQ(gcdune_init(), 0);
	t = thread_start(thread, NULL);
	while (!__atomic_load_n(&started, __ATOMIC_ACQUIRE))
		sleep_ms(1);
	if (!strcmp(mode, "sigaction"))
		sigaction(gcdune_signal_get(), &action, NULL);
	else if (!strcmp(mode, "signal"))
		signal(gcdune_signal_get(), handler);
	else if (!strcmp(mode, "ignore"))
		signal(gcdune_signal_get(), SIG_IGN);
	else if (!strcmp(mode, "default"))
		signal(gcdune_signal_get(), SIG_DFL);
	for (int i = 0; i < 5; i++)
		gcdune_collect();
	stop = true;
	pthread_join(t, NULL);
	return 0;
}

int main(int argc, char **argv)
{
	static const char *const modes[] = { "sigaction", "signal", "ignore", "default", "before" };
	static const char *const env[] = { "GCDUNE_SIGNAL", NULL };
	char output[4096];
	int status;

	if (argc > 1)
		return clash(argv[1]);
	status = child_exec("none", env, output, sizeof(output));
	CHECKF(status == 0 && output[0] == 0, "without a clash: status %d, \"%s\"", status, output);
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		status = child_exec(modes[i], env, output, sizeof(output));
		CHECKF(status != 128 + SIGALRM, "%s: it hangs; output \"%s\"", modes[i], output);
		CHECKF(status < 128 || status == 128 + SIGABRT, "%s: ended by signal %d; output \"%s\"", modes[i],
		       status - 128, output);
		CHECKF(count_lines(output) == 1 && strstr(output, "gcdune") && strcasestr(output, "signal"),
		       "%s: expected one line on the signal, got \"%s\"", modes[i], output);
	}
	return 0;
}
