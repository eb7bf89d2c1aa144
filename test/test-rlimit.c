/* Little address space (RLIMIT_AS): the collector starts with a smaller reservation, works, runs out with NULL and
 * goes on; with almost none it says so.
 *
 * TEST-FLAGS: timeout=120 torture=yes asan=no tsan=no static=yes
 */
#include <sys/resource.h>

#include "check.h"

#define MIB ((size_t)1 << 20)

struct node {
	struct node *next;
	uint64_t value;
};

static void *quiet(size_t size)
{
	return NULL;
}

static void *works(void *arg)
{
	for (size_t i = 0; i < rounds(200000, 2000); i++) {
		struct node *n = gcdune_alloc(16 + i % 300), *m;

		CHECKF(n != NULL, "no memory though nearly all is garbage");
		n->value = mix(i);
		m = gcdune_alloc(32);
		CHECK(m != NULL);
		m->next = n;
		CHECK(m->next->value == mix(i));
	}
	return NULL;
}

static int child(const char *mode)
{
	ROOT struct node *list;
	size_t n = 0;
	pthread_t thread;

	if (gcdune_init() != 0) {
		printf("init failed\n");
		return 3;
	}
	gcdune_oom_set(quiet);
	works(NULL);
	thread = thread_start(works, NULL);
	works(NULL);
	pthread_join(thread, NULL);
	if (!strcmp(mode, "small"))
		return 0;
	for (;;) {
		struct node *node = gcdune_alloc(2000);

		if (!node)
			break;
		node->next = list;
		node->value = n++;
		list = node;
		CHECK(n < 1000000);
	}
	for (struct node *p = list; p; p = p->next)
		CHECK_EQ(p->value, --n);
	list = NULL;
	wipe_and_collect();
	works(NULL);
	return 0;
}

/* In a process of its own, for a limit cannot be raised again. */
static int with_limit(size_t limit, const char *mode, char *output, size_t room)
{
	struct rlimit r = { limit, RLIM_INFINITY }, old;
	int status;

	CHECK(getrlimit(RLIMIT_AS, &old) == 0);
	r.rlim_max = old.rlim_max;
	CHECK(setrlimit(RLIMIT_AS, &r) == 0);
	status = child_exec(mode, NULL, output, room);
	CHECK(setrlimit(RLIMIT_AS, &old) == 0);
	return status;
}

int main(int argc, char **argv)
{
	static const size_t limits[] = { 4096, 1024, 512, 256, 160 };
	char output[4096];
	int status;

	if (argc > 1)
		return child(argv[1]);
	for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
		status = with_limit(limits[i] * MIB, limits[i] <= 512 && !tortured() ? "fill" : "small", output,
				    sizeof(output));
		CHECKF(status == 0, "with %zu MiB of address space: status %d, \"%s\"", limits[i], status, output);
	}
	/* Too little for anything: an error or a message, not a crash. */
	for (size_t limit = 100; limit >= 10; limit -= 10) {
		status = with_limit(limit * MIB, "small", output, sizeof(output));
		CHECKF(status == 0 || (status < 126 && output[0]) || status == 127 || status == 128 + SIGABRT,
		       "with %zu MiB of address space: status %d, \"%s\"", limit, status, output);
	}
	return 0;
}
