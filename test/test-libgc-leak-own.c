/* What our leak-finding mode and debugging allocation do beyond Boehm's library: stacks of calls with names, overwritten
 * objects found by a collection, use after free found with GC_FINDLEAK_DELAY_FREE, an object freed twice, objects without
 * debugging information, the names of kinds.
 *
 * TEST-FLAGS: link=libgc
 */
#define GC_DEBUG
#include "libgc-check.h"

#include <sys/mman.h>
#include <sys/wait.h>

static char text[1 << 20];
static char *kept[10];

/* What a child that runs FN prints to stderr up to its end, by exit. */
static void capture(void (*fn)(void))
{
	int file = memfd_create("stderr", 0), status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		dup2(file, 2);
		apart(fn);
		wipe_stack();
		GC_gcollect();
		exit(0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	long n = pread(file, text, sizeof(text) - 1, 0);

	CHECK(n >= 0);
	text[n] = 0;
	close(file);
}

__attribute__((noinline)) static void *leaks_in_here(size_t size)
{
	void *object = GC_MALLOC(size);

	memset(object, 1, size);
	return object;
}

static void leak(void)
{
	for (int i = 0; i < 5; i++)
		leaks_in_here(77);
}

static void leak_plain(void)
{
	for (int i = 0; i < 5; i++)
		memset((GC_malloc)(4096), 1, 4096);
}

static void smash(void)
{
	char *object = GC_MALLOC(100);

	kept[0] = object;
	__asm__ volatile("" : "+r"(object)); /* the compiler sees it otherwise */
	object[100] = 17;
}

static void smash_and_free(void)
{
	smash();
	GC_FREE(kept[0]);
	kept[0] = NULL;
}

static void free_twice(void)
{
	char *object = GC_MALLOC(100);

	GC_FREE(object);
	GC_FREE(object);
}

static void use_after_free(void)
{
	char *volatile object = GC_MALLOC(100);

	GC_FREE(object);
	object[50] = 1;
}

static void name_of_kind(void *object, char *out)
{
	CHECK(object != NULL);
	strcpy(out, "a kind of mine");
}

static int kind;

static void leak_kind(void)
{
	for (int i = 0; i < 5; i++)
		GC_generic_malloc(64, kind);
}

static int count(const char *word)
{
	int n = 0;

	for (char *at = text; (at = strstr(at, word)); at++)
		n++;
	return n;
}

#define EXPECT(cond)                                               \
	do {                                                       \
		if (!(cond))                                       \
			dprintf(2, "it printed:\n%s", text);       \
		CHECK(cond);                                       \
	} while (0)

/* The variable is read when the library is loaded. */
static void again(void)
{
	execl("/proc/self/exe", "self", "delay", NULL);
	_exit(1);
}

int main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1) {
		GC_INIT();
		apart(use_after_free);
		GC_gcollect();
		exit(0);
	}
	GC_set_find_leak(1);
	GC_INIT();
	kind = (int)GC_new_kind(GC_new_free_list(), GC_DS_LENGTH, 1, 1);
	GC_register_describe_type_fn(kind, name_of_kind);

	capture(leak);
	EXPECT(count("test-libgc-leak-own.c") >= 4);
	EXPECT(count("sz= 77") >= 4);
	EXPECT(count("#0 ") >= 4);
	EXPECT(count("leaks_in_here") >= 4 || count("main") >= 4 || count("test-libgc-leak-own") >= 8);
	capture(leak_plain);
	EXPECT(count("sz= 4096") >= 4);
	capture(leak_kind);
	EXPECT(count("a kind of mine") >= 4);
	capture(smash);
	EXPECT(count("overwritten past its end") == 1);
	EXPECT(count("#0 ") >= 1);
	capture(smash_and_free);
	EXPECT(count("overwritten past its end") == 1);
	capture(free_twice);
	EXPECT(count("freed") == 1);
	EXPECT(count("sz=") <= 1);
	setenv("GC_FINDLEAK_DELAY_FREE", "1", 1);
	setenv("GC_FIND_LEAK", "1", 1);
	capture(again);
	EXPECT(count("written to after it was freed") == 1);
	EXPECT(count("sz=") == 0);
	return 0;
}
