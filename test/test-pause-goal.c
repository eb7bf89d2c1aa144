/* test-pause-goal.c - GCDUNE_PAUSE_GOAL: with a long one, collections of a small heap stop the program once each; with none,
 * full ones run beside it. So with those that the program asks for, though it has another thread. With very many links
 * they run beside it too. Where a first write to a page is dear (GCDUNE_WRITE_COST) a stop that is longer than the goal is the better
 * choice. The first collections, before anything is known, are not counted.
 *
 * TEST-FLAGS: timeout=60 tsan=no asan=no
 */
#include "check.h"

#include <semaphore.h>

static unsigned stops, ends;

static void on_event(enum gcdune_event event)
{
	stops += event == GCDUNE_EVENT_STOPPED;
	ends += event == GCDUNE_EVENT_END;
}

struct node {
	struct node *next;
	long value[3];
};

static struct node *NOINLINE list(size_t length)
{
	struct node *head = NULL;

	for (size_t i = 0; i < length; i++) {
		struct node *n = gcdune_alloc(sizeof *n);

		n->next = head;
		n->value[0] = (long)i;
		head = n;
	}
	return head;
}

static void garbage(size_t bytes)
{
	for (size_t i = 0; i < bytes / sizeof(struct node); i++)
		KEEP_ALIVE(gcdune_alloc(sizeof(struct node)));
}

static void *sleeper(void *arg)
{
	sem_wait(arg);
	return NULL;
}

static int asked(void)
{
	struct node *live = list(((size_t)3 << 20) / sizeof *live);
	pthread_t thread;
	sem_t wake;

	CHECK(!sem_init(&wake, 0, 0) && !pthread_create(&thread, NULL, sleeper, &wake));
	gcdune_collect();
	gcdune_event_set(on_event);
	for (int i = 0; i < 8; i++)
		gcdune_collect();
	gcdune_event_set(NULL);
	CHECK(live->value[0] == ((3 << 20) / (long)sizeof *live) - 1);
	CHECK(!sem_post(&wake) && !pthread_join(thread, NULL));
	CHECK(ends >= 8);
	return stops <= ends + 1 ? 0 : 3;
}

static int child(void)
{
	struct node *live = list(((size_t)3 << 20) / sizeof *live);

	garbage((size_t)64 << 20);
	gcdune_event_set(on_event);
	garbage((size_t)128 << 20);
	gcdune_event_set(NULL);
	CHECK(live->value[0] == ((3 << 20) / (long)sizeof *live) - 1);
	CHECK(ends >= 4);
	return stops <= ends + 1 ? 0 : 3;
}

/* Links that may all die at once make a stop of a small heap long. */
static int with_links(void)
{
	enum { LINKS = 1600000 };
	void **links = calloc(LINKS, sizeof *links), *target = gcdune_alloc(16);

	CHECK(links != NULL);
	for (size_t i = 0; i < LINKS; i++)
		CHECK_EQ(gcdune_link_add(&links[i], target, GCDUNE_LINK_SHORT), 0);
	int status = child();

	KEEP_ALIVE(target);
	return status;
}

/* It writes to all that is alive again and again. */
static int writing(void)
{
	struct node *live = list(((size_t)3 << 20) / sizeof *live);

	for (unsigned round = 0; round < 120; round++) {
		if (round == 40)
			gcdune_event_set(on_event);
		for (struct node *n = live; n; n = n->next)
			n->value[1]++;
		garbage((size_t)2 << 20);
	}
	gcdune_event_set(NULL);
	CHECK(live->value[0] == ((3 << 20) / (long)sizeof *live) - 1 && live->value[1] == 120);
	CHECK(ends >= 8);
	return stops <= ends + ends / 4 ? 0 : 3;
}

/* What collections do in MODE with GOAL: 0: one stop each, 3: some had more. */
static int in_child(const char *self, const char *mode, const char *goal, const char *what)
{
	pid_t pid = fork();
	int status;

	CHECK(pid >= 0);
	if (pid == 0) {
		setenv("GCDUNE_MODE", mode, 1);
		setenv("GCDUNE_PAUSE_GOAL", goal, 1);
		execl("/proc/self/exe", self, what, (char *)NULL);
		_exit(127);
	}
	status = child_wait(pid);
	CHECKF(status == 0 || status == 3, "status %d with GCDUNE_MODE=%s GCDUNE_PAUSE_GOAL=%s", status, mode, goal);
	return status;
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return !strcmp(argv[1], "asked")   ? asked() :
		       !strcmp(argv[1], "links")   ? with_links() :
		       !strcmp(argv[1], "writing") ? writing() :
						     child();
	unsetenv("GCDUNE_TORTURE");
	CHECK_EQ(in_child(argv[0], "auto", "1000000", "budget"), 0);
	CHECK_EQ(in_child(argv[0], "auto", "1000000", "asked"), 0);
	if (in_child(argv[0], "concurrent", "0", "budget") == 0) {
		puts("SKIP: nothing here to track writes by");
		return 77;
	}
	CHECK_EQ(in_child(argv[0], "auto", "30000", "budget"), 0);
	CHECK_EQ(in_child(argv[0], "auto", "30000", "links"), 3);
	/* 0.3 ms for each MiB or more: beside the program; at a millisecond a page that costs ten times as much as a stop. */
	setenv("GCDUNE_WRITE_COST", "1000000", 1);
	CHECK_EQ(in_child(argv[0], "auto", "500", "writing"), 0);
	setenv("GCDUNE_WRITE_COST", "1", 1);
	/* Most are minor and stopped all the same: full ones have several stops. */
	CHECK_EQ(in_child(argv[0], "auto", "0", "budget"), 3);
	return 0;
}
