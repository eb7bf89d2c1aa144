/* libgc-env-own - environment variables of Boehm's library whose effect shows only in what ours tells of itself, or that
 * Debian's was built without. The program starts itself again with each, and without it: the effect must come from it.
 *
 * TEST-FLAGS: link=libgc asan=no tsan=no timeout=120 */
#include "libgc-child.h"

#include <fcntl.h>
#include <stdbool.h>

#include <gc/gc_gcj.h>

static void make_large(void)
{
	void *volatile large[64];

	for (int i = 0; i < 64; i++) {
		large[i] = GC_MALLOC_ATOMIC(1 << 20);
		memset(large[i], 1, 1 << 20);
	}
	/* By volatile stores: nobody reads these, and without, a compiler may leave the array on the stack as it is. */
	for (int i = 0; i < 64; i++)
		large[i] = NULL;
}

static void unmaps(bool wanted)
{
	enum { TRIES = 60, SOME = 25 };

	apart(make_large);
	/* What was free throughout some collections and some 0.3 s goes back little by little. */
	for (int i = 0; i < (wanted ? TRIES : SOME) && !GC_get_unmapped_bytes(); i++) {
		collect();
		usleep(110000);
	}
	CHECK_EQ(GC_get_unmapped_bytes() != 0, wanted);
}

static struct {
	const char *name;
	GC_word descr;
} no_pointers = {"no pointers", GC_DS_LENGTH};

static void **objects;
static int dead;

static void on_death(void *object, void *data)
{
	(void)object;
	(void)data;
	dead++;
}

static void make(void)
{
	for (int i = 0; i < N; i++) {
		void **object = GC_GCJ_MALLOC(2 * sizeof(void *), &no_pointers);

		objects[i] = object;
		object[1] = GC_MALLOC(16);
		GC_REGISTER_FINALIZER(object[1], on_death, NULL, NULL, NULL);
	}
}

static void gcj(bool every_word)
{
	GC_init_gcj_malloc(0, NULL);
	objects = GC_MALLOC(N * sizeof *objects);
	apart(make);
	settle();
	if (every_word)
		CHECK_EQ(dead, 0);
	else
		CHECK_MOST(dead, N);
	CHECK(objects[0] != NULL);
}

/* Exported, but in no header. */
void GC_err_printf(const char *format, ...), GC_printf(const char *format, ...), GC_log_printf(const char *format, ...);

static void messages(void)
{
	GC_err_printf("an error\n");
	GC_printf("a line\n");
	GC_log_printf("a log entry\n");
}

static const char *log_file(void)
{
	static char text[4096];
	int fd = open(getenv("GC_LOG_FILE"), O_RDONLY);
	ssize_t size = read(fd, text, sizeof text - 1);

	CHECK(fd >= 0 && size >= 0);
	text[size] = 0;
	close(fd);
	return text;
}

/* Much that stays, and garbage for some dozens of collections. */
static void collections(void)
{
	void **list = NULL;

	if (!GC_is_incremental_mode()) {
		dprintf(2, "not incremental\n");
		return;
	}
	for (int i = 0; i < 300000; i++) {
		void **cell = GC_MALLOC(48);

		cell[0] = list;
		list = cell;
	}
	for (int i = 0; i < 6000000; i++)
		*(void *volatile *)list = GC_MALLOC(48);
	CHECK(list[0] != NULL);
}

/* The most collections of what is new between two of the whole heap. */
static int most_minor(const char *wanted)
{
	enum { MINOR = 5, FIELDS = 32 }; /* from the end of a row */
	const char *row = child_prints("collections", "GC_FULL_FREQUENCY", wanted);
	int most = 0, now = 0;

	if (strstr(row, "not incremental"))
		return -1;
	CHECK((row = strstr(row, "\"cycles\": {")) && (row = strstr(row, "\"list\": [")));
	while ((row = strstr(row, "\n      ["))) {
		unsigned long long fields[FIELDS];
		int n = 0;
		char *end = NULL;

		for (row += strlen("\n      ["); n < FIELDS && (!n || *end == ','); row = end + 1)
			fields[n++] = strtoull(row, &end, 10);
		row = end;
		CHECK(n > MINOR && *end == ']');
		now = fields[n - 1 - MINOR] ? now + 1 : 0;
		most = now > most ? now : most;
	}
	return most;
}

static void frequencies(void)
{
	setenv("GC_ENABLE_INCREMENTAL", "1", 1);
	if (most_minor(NULL) >= 0) {
		CHECK_EQ(most_minor("1"), 1);
		CHECK_EQ(most_minor("3"), 3);
		CHECK_EQ(most_minor("6"), 6);
	}
	unsetenv("GC_ENABLE_INCREMENTAL");
}

/* A word may be written past the end. */
static void overruns(bool may)
{
	void **made[64];

	for (int i = 0; i < 64; i++)
		CHECK_EQ(GC_size(made[i] = GC_MALLOC(48)) > 48, may);
	for (int i = 0; may && i < 64; i++)
		made[i][6] = (void *)-1;
	for (int i = 0; i < 64; i++)
		CHECK(made[i][0] == NULL);
}

int main(int argc, char **argv)
{
	char path[] = "/tmp/libgc-env-own-XXXXXX";

	if (argc > 1) {
		GC_INIT();
		if (strcmp(argv[1], "unmaps") == 0)
			unmaps(true);
		else if (strcmp(argv[1], "keeps") == 0)
			unmaps(false);
		else if (strcmp(argv[1], "gcj-descriptors") == 0)
			gcj(false);
		else if (strcmp(argv[1], "gcj-words") == 0)
			gcj(true);
		else if (strcmp(argv[1], "messages") == 0)
			messages();
		else if (strcmp(argv[1], "collections") == 0)
			collections();
		else if (strcmp(argv[1], "overruns") == 0)
			overruns(getenv("GC_ALL_INTERIOR_POINTERS") || strcmp(argv[0], "g2c") == 0);
		else if (strcmp(argv[1], "source") == 0)
			GC_enable_incremental();
		else
			CHECK(!"a known mode");
		return 0;
	}
	child_prints("unmaps", "GC_UNMAP_THRESHOLD", NULL);
	child_prints("keeps", "GC_UNMAP_THRESHOLD", "0");
	child_prints("gcj-descriptors", "GC_IGNORE_GCJ_INFO", NULL);
	child_prints("gcj-words", "GC_IGNORE_GCJ_INFO", "1");
	child_prints("overruns", "GC_ALL_INTERIOR_POINTERS", NULL);
	child_prints("overruns", "GC_ALL_INTERIOR_POINTERS", "1");
	child_name = "g2c"; /* see runtimes/libgc/init.c */
	child_prints("overruns", "GC_ALL_INTERIOR_POINTERS", NULL);
	child_name = "child";

	int fd = mkstemp(path);

	CHECK(fd >= 0);
	close(fd);
	setenv("GC_LOG_FILE", path, 1);
	CHECK(!strstr(child_prints("messages", "GC_ONLY_LOG_TO_FILE", NULL), "an error"));
	CHECK(strstr(log_file(), "an error") && strstr(log_file(), "a line") && strstr(log_file(), "a log entry"));
	CHECK(strstr(child_prints("messages", "GC_ONLY_LOG_TO_FILE", "1"), "an error"));
	CHECK(!strstr(log_file(), "an error") && !strstr(log_file(), "a line") && strstr(log_file(), "a log entry"));
	unsetenv("GC_LOG_FILE");
	unlink(path);

	if (!getenv("GCDUNE_DIRTY") && !getenv("GCDUNE_MODE")) {
		setenv("GCDUNE_STATS", "/dev/stderr", 1);
		CHECK(!strstr(child_prints("source", "GC_USE_GETWRITEWATCH", NULL), "\"mprotect\""));
		CHECK(strstr(child_prints("source", "GC_USE_GETWRITEWATCH", "0"), "\"mprotect\""));
		frequencies();
	}
	return 0;
}
