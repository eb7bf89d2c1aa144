/* Options: gcdune_option_set tells unknown names, bad values and late calls apart; the environment's get one clear
 * line each, to stderr or to the warning handler, and the program goes on as if they were not there.
 *
 * TEST-FLAGS: timeout=120 tsan=no
 */
#include "check.h"

static char warning[1000];
static unsigned warnings;

static void warn(const char *message)
{
	warnings++;
	snprintf(warning, sizeof(warning), "%s", message);
}

static int child(const char *mode)
{
	if (!strcmp(mode, "handler"))
		CHECK(gcdune_warn_set(warn) == NULL);
	for (uint64_t i = 0; i < 1000; i++)
		TARGET_CHECK(target_new(i), i);
	gcdune_collect();
	if (!strcmp(mode, "handler")) {
		CHECK_EQ(warnings, 1);
		CHECKF(strstr(warning, "GCDUNE_TORTURE") != NULL, "the warning was \"%s\"", warning);
		CHECK(strchr(warning, '\n') == NULL);
	}
	puts("went on");
	return 0;
}

/* The one line must name the variable and, unless that is unknown, the value. */
static void malformed(const char *setting, bool unknown)
{
	const char *env[] = { setting, NULL };
	char output[4096], name[100], *line;
	const char *value = strchr(setting, '=') + 1;
	int status = child_exec("child", env, output, sizeof(output));

	CHECKF(status == 0, "%s: exit status %d, \"%s\"", setting, status, output);
	CHECKF(strstr(output, "went on"), "%s: \"%s\"", setting, output);
	snprintf(name, sizeof(name), "%.*s", (int)(value - 1 - setting), setting);
	CHECKF(count_lines(output) == 2, "%s: expected one line of warning, got \"%s\"", setting, output);
	line = strstr(output, name);
	CHECKF(line && (unknown || strstr(output, value)) && strstr(output, "gcdune"),
	       "%s: expected a line that names gcdune, the variable and the value, got \"%s\"", setting, output);
}

static void well_formed(const char *setting)
{
	const char *env[] = { setting, NULL };
	char output[4096];
	int status = child_exec("child", env, output, sizeof(output));

	CHECKF(status == 0 && !strcmp(output, "went on\n"), "%s: exit status %d, \"%s\"", setting, status, output);
}

static void environment(void)
{
	static const char *const bad[] = {
		"GCDUNE_TORTURE=abc", "GCDUNE_TORTURE=-5", "GCDUNE_TORTURE=5x",
		"GCDUNE_HEAP_LIMIT=12Q", "GCDUNE_HEAP_LIMIT=99999999999999999999999", "GCDUNE_GROWTH=5",
		"GCDUNE_GROWTH=100000", "GCDUNE_PAUSE_GOAL=soon", "GCDUNE_MARKERS=many", "GCDUNE_SIGNAL=9999", "GCDUNE_SIGNAL=KILL",
		"GCDUNE_SIGNAL=9", "GCDUNE_VERIFY=perhaps",
	};
	static const char *const good[] = {
		"GCDUNE_TORTURE=100", "GCDUNE_HEAP_LIMIT=100M", "GCDUNE_HEAP_LIMIT=1G", "GCDUNE_HEAP_LIMIT=50000000",
		"GCDUNE_GROWTH=200", "GCDUNE_PAUSE_GOAL=0", "GCDUNE_MARKERS=1", "GCDUNE_VERIFY=1", "GCDUNE_VERIFY=0", "GCDUNE_SIGNAL=40",
	};
	static const char *const handled[] = { "GCDUNE_TORTURE=x", NULL };
	char output[4096];
	int status;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		malformed(bad[i], false);
	malformed("GCDUNE_NOSUCH=1", true);
	malformed("GCDUNE_TORTURES=1", true);
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		well_formed(good[i]);
	status = child_exec("handler", handled, output, sizeof(output));
	CHECKF(status == 0 && !strcmp(output, "went on\n"), "with a handler: status %d, \"%s\"", status, output);
}

static void by_call(void)
{
	CHECK_EQ(gcdune_option_set("nosuch", "1"), -ENOENT);
	CHECK_EQ(gcdune_option_set("", "1"), -ENOENT);
	CHECK_EQ(gcdune_option_set("torture", "abc"), -EINVAL);
	CHECK_EQ(gcdune_option_set("torture", ""), -EINVAL);
	CHECK_EQ(gcdune_option_set("growth", "3"), -EINVAL);
	CHECK_EQ(gcdune_option_set("growth", "100"), 0);
	CHECK_EQ(gcdune_option_set("heap_limit", "64M"), 0);
	CHECK_EQ(gcdune_option_set("signal", "41"), 0);
	CHECK_EQ(gcdune_init(), 0);
	CHECK_EQ(gcdune_signal_get(), 41);
	CHECK_EQ(stats_now().heap_limit, 64u << 20);
	CHECK_EQ(gcdune_option_set("signal", "42"), -EBUSY);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return child(argv[1]);
	environment();
	by_call();
	CHECK(!strcmp(gcdune_version(), "0.1.0"));
	return 0;
}
