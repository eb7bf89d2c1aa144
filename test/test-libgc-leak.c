/* Leak-finding mode: what was not freed is reported, with file and line, and only that. (test-libgc-leak-own has what goes
 * beyond Boehm's library.)
 *
 * TEST-FLAGS: link=libgc
 */
#define GC_DEBUG
#include "libgc-check.h"

#include <sys/mman.h>

static char text[1 << 20];

static int lines_with(const char *word, const char *other)
{
	int n = 0;

	for (char *line = text, *end; *line; line = end + (*end != 0)) {
		end = line + strcspn(line, "\n");
		char saved = *end;

		*end = 0;
		n += strstr(line, word) != NULL && strstr(line, other) != NULL;
		*end = saved;
	}
	return n;
}

/* What FN makes the library print to stderr. */
static void capture(void (*fn)(void))
{
	int file = memfd_create("stderr", 0), err = dup(2);
	long n;

	dup2(file, 2);
	apart(fn);
	wipe_stack();
	GC_gcollect();
	GC_gcollect();
	dup2(err, 2);
	n = pread(file, text, sizeof(text) - 1, 0);
	CHECK(n >= 0);
	text[n] = 0;
	close(file);
	close(err);
}

static void *kept[10];

static void leaks(void)
{
	for (int i = 0; i < 10; i++) {
		kept[i] = GC_MALLOC(100);
		GC_FREE(GC_MALLOC(100));
		GC_FREE(GC_MALLOC_ATOMIC(100));
	}
#line 1001 "leaks-here.c"
	for (int i = 0; i < 10; i++) GC_MALLOC(100);
#line 1002 "leaks-here.c"
	for (int i = 0; i < 10; i++) GC_MALLOC_ATOMIC(100);
#line 70 "test-libgc-leak.c"
}

static void nothing(void)
{
}

/* A pointer in a leaked object is no reason to think that what it points to is not leaked. */
static void leak_chain(void)
{
	void **head = NULL;

	for (int i = 0; i < 10; i++) {
#line 1003 "leaks-here.c"
		void **cell = GC_MALLOC(16);
#line 90 "test-libgc-leak.c"
		*cell = head;
		head = cell;
	}
}

int main(void)
{
	GC_set_find_leak(1);
	CHECK_EQ(GC_get_find_leak(), 1);
	GC_INIT();
	capture(leaks);
	CHECK(lines_with("leaks-here.c:1001", "NORMAL") >= 9);
	CHECK(lines_with("leaks-here.c:1001", "NORMAL") <= 10);
	CHECK(lines_with("leaks-here.c:1002", "PTRFREE") >= 9);
	CHECK_EQ(lines_with("sz=", "") - lines_with("leaks-here.c", "sz="), 0);
	CHECK(lines_with("Found", "leaked objects") >= 1);
	capture(nothing);
	CHECK(lines_with("sz=", "") <= 2); /* what a stale word kept before */
	capture(leak_chain);
	CHECK(lines_with("leaks-here.c:1003", "sz=") >= 8);
	for (int i = 0; i < 10; i++)
		GC_FREE(kept[i]);
	memset(kept, 0, sizeof(kept));
	capture(nothing);
	CHECK_EQ(lines_with("sz=", ""), 0);
	return 0;
}
