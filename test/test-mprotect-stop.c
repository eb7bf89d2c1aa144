/* The source of written pages that has a handler for SIGSEGV, and a stop that comes just then: between opening a page and
 * noting that it is open no thread may be stopped, or what others write there meanwhile goes unnoticed. Threads write to the
 * same few pages as fast as they can; what was missed is reported by the check of the source.
 *
 * TEST-FLAGS: timeout=120 tsan=no env:GCDUNE_MODE=concurrent env:GCDUNE_DIRTY=mprotect env:GCDUNE_VERIFY=2
 */
#include "check.h"

enum { THREADS = 4, PAGES = 64, WORDS = 512, ROUNDS = 300 };

ROOT void **page_words; /* of one large object */
ROOT void *held[2];
static _Atomic bool over;

static void *write_on(void *arg)
{
	size_t word = (size_t)arg;

	for (size_t n = 0; !over; n++)
		for (size_t page = 0; page < PAGES; page++)
			*(void *volatile *)&page_words[page * WORDS + word] = held[n % 2];
	return NULL;
}

int main(void)
{
	pthread_t threads[THREADS];

	CHECK_EQ(gcdune_init(), 0);
	CHECK((page_words = gcdune_alloc(PAGES * WORDS * sizeof(void *))));
	CHECK((held[0] = gcdune_alloc(64)) && (held[1] = gcdune_alloc(64)));
	for (size_t i = 0; i < THREADS; i++)
		threads[i] = thread_start(write_on, (void *)(i * 100));
	for (int round = 0; round < ROUNDS; round++)
		gcdune_collect();
	over = true;
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
