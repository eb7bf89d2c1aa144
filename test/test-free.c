/* gcdune_free: what is freed is used again without a collection, drops its finalizer, clears its links; an address
 * that is not the start of a live object ends the program with a message.
 *
 * TEST-FLAGS: timeout=120 torture=yes tsan=no
 */
#include "check.h"

static void reused(size_t size, size_t count)
{
	uint64_t heap;

	gcdune_disable();
	for (size_t i = 0; i < 100; i++)
		gcdune_free(gcdune_alloc(size));
	heap = stats_now().bytes_heap;
	for (size_t i = 0; i < count; i++) {
		unsigned char *p = gcdune_alloc(size);

		CHECK(p != NULL);
		for (size_t k = 0; k < size; k += 8)
			CHECKF(p[k] == 0, "byte %zu of a reused object of %zu bytes is not zero", k, size);
		memset(p, 0xef, size);
		gcdune_free(p);
	}
	CHECKF(stats_now().bytes_heap <= heap + 2 * size + (4u << 20),
	       "%zu objects of %zu bytes, each freed at once, made the heap grow from %llu to %llu", count, size,
	       (unsigned long long)heap, (unsigned long long)stats_now().bytes_heap);
	CHECK_EQ(gcdune_enable(), 0);
}

/* A program that writes to what it has freed, but for the first word, does not notice on Boehm's collector. */
static void written_after(size_t size)
{
	static const uint64_t values[] = { 0, 1, ~0ull, 0x12345678, 1ull << 63 };

	for (size_t i = 0; i < 50; i++) {
		ROOT uint64_t *p[5];
		uint64_t **live = gcdune_alloc(size);

		for (size_t k = 0; k < 5; k++)
			p[k] = gcdune_alloc(size);
		/* Not of the one that was allocated last: that is given out again without being cleared. */
		for (size_t k = 0; k < 16; k++)
			KEEP_ALIVE(gcdune_alloc(size));
		for (size_t k = 0; k < 5; k++) {
			gcdune_free(p[k]);
			p[k][1] = i % 6 == 5 ? (uintptr_t)live : values[i % 6];
		}
		if (i % 2)
			gcdune_collect();
		for (size_t k = 0; k < 5; k++) {
			p[k] = gcdune_alloc(size);
			CHECK(p[k] && gcdune_base(p[k]) == p[k]);
		}
		CHECK(gcdune_base(live) == live && !live[0] && !live[1]);
	}
}

/* Random frees among live objects. */
static void among_others(void)
{
	ROOT uint64_t *live[5000];
	uint64_t random = 11;

	for (size_t i = 0; i < rounds(1000000, 20000); i++) {
		size_t at = random_next(&random) % 5000;
		size_t words = 2 + random_next(&random) % 40;

		if (live[at]) {
			for (size_t k = 1; k < live[at][0] / 2; k++)
				CHECKF(live[at][k] == (mix(at + k) | 1), "word %zu of a live object changed", k);
			gcdune_free(live[at]);
			live[at] = NULL;
		} else {
			live[at] = gcdune_alloc(words * 8);
			CHECK(live[at] != NULL);
			for (size_t k = 0; k < words; k++)
				CHECK(live[at][k] == 0);
			live[at][0] = words * 2;
			for (size_t k = 1; k < words; k++)
				live[at][k] = mix(at + k) | 1;
		}
	}
	memset(live, 0, sizeof(live));
}

/* What was allocated last is freed first, as in most programs, and its slot given out again at once, while collections run:
 * all that hangs on what is still on the stack is there, and nothing that was in a slot before is. */
#define DEEP 300

static volatile int stop;

static void *up_and_down(void *arg)
{
	struct target ***stack = gcdune_alloc(DEEP * sizeof(*stack));
	uint64_t random = (uintptr_t)arg, ids[DEEP];
	size_t depth = 0, sizes[DEEP];

	for (size_t i = 0; i < rounds(400000, 4000); i++) {
		uint64_t r = random_next(&random);

		if (depth == DEEP || (depth && r % 32 >= (i / 1000 % 2 ? 12 : 20))) {
			struct target **object = stack[--depth];

			stack[depth] = NULL;
			for (size_t k = 0; k < sizes[depth] / sizeof(*object); k += 2)
				TARGET_CHECK(object[k], ids[depth] + k);
			gcdune_free(object);
			continue;
		}
		size_t size = r % 7 ? 16 + r / 64 % 8 * 8 : 16 + r / 64 % 140 * 8;
		struct target **object = gcdune_alloc(size);

		for (size_t k = 0; k < size / sizeof(*object); k++)
			CHECKF(!object[k], "word %zu of an object of %zu bytes is not zero", k, size);
		for (size_t k = 0; k < size / sizeof(*object); k += 2)
			object[k] = target_new(i + k);
		if (r % 3 == 0) {
			char *leaf = gcdune_alloc_leaf(size);

			memset(leaf, 0xa5, size);
			gcdune_free(leaf);
		}
		stack[depth] = object;
		ids[depth] = i;
		sizes[depth++] = size;
	}
	return arg;
}

static void *collect_on(void *arg)
{
	while (!stop) {
		gcdune_collect();
		sleep_ms(1);
	}
	return arg;
}

static void last_first(void)
{
	pthread_t collects = thread_start(collect_on, NULL), threads[3];

	for (size_t i = 0; i < 3; i++)
		threads[i] = thread_start(up_and_down, (void *)(i + 1));
	for (size_t i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	stop = 1;
	pthread_join(collects, NULL);
}

static unsigned finalized;

static void finalizer(void *object, void *data)
{
	(void)object;
	(void)data;
	finalized++;
}

static void finalizer_and_links(void)
{
	ROOT void *short_link, *long_link;
	void **object = gcdune_alloc(64);

	CHECK_EQ(gcdune_finalizer_set(object, finalizer, NULL, GCDUNE_FINALIZE_UNORDERED, NULL, NULL), 0);
	short_link = GCDUNE_HIDE(object);
	long_link = GCDUNE_HIDE(object);
	CHECK_EQ(gcdune_link_add(&short_link, object, GCDUNE_LINK_SHORT), 0);
	CHECK_EQ(gcdune_link_add(&long_link, object, GCDUNE_LINK_LONG), 0);
	CHECK_EQ(gcdune_link_remove(&short_link, GCDUNE_LINK_SHORT), 0);
	CHECK_EQ(gcdune_link_remove(&long_link, GCDUNE_LINK_LONG), 0);
	gcdune_free(object);
	CHECK(gcdune_base(object) == NULL);
	CHECK_EQ(gcdune_size(object), 0);
	/* The links are forgotten too: nothing writes here any more. */
	short_link = long_link = &finalized;
	wipe_and_collect();
	wipe_and_collect();
	CHECK_EQ(finalized, 0);
	CHECK(short_link == &finalized && long_link == &finalized);
}

/* ---- Wrong addresses, each in a process of its own ---- */

static char not_ours[64];

static void *free_it(void *arg)
{
	gcdune_free(arg);
	return NULL;
}

static int wrong(const char *mode)
{
	char *p = gcdune_alloc(100), *large = gcdune_alloc(100000);

	if (!strcmp(mode, "twice")) {
		gcdune_free(p);
		gcdune_free(p);
	} else if (!strcmp(mode, "twice-elsewhere")) {
		gcdune_free(p);
		pthread_join(thread_start(free_it, p), NULL);
	} else if (!strcmp(mode, "twice-earlier")) {
		char *first = gcdune_alloc(100);

		KEEP_ALIVE(gcdune_alloc(100));
		gcdune_free(first);
		gcdune_free(first);
	} else if (!strcmp(mode, "changed")) {
		gcdune_free(p);
		KEEP_ALIVE(gcdune_realloc(p, 20));
	} else if (!strcmp(mode, "twice-large")) {
		gcdune_free(large);
		gcdune_free(large);
	} else if (!strcmp(mode, "inside")) {
		gcdune_free(p + 16);
	} else if (!strcmp(mode, "inside-large")) {
		gcdune_free(large + 65536);
	} else if (!strcmp(mode, "foreign")) {
		char *volatile q = not_ours;

		gcdune_free(q);
	} else if (!strcmp(mode, "never")) {
		/* In the heap's range, but no one was given it. */
		gcdune_free(p + (1 << 28));
	} else if (!strcmp(mode, "after-collection")) {
		/* Twice with a collection between: the slot is on no thread's list any more. */
		gcdune_free(p);
		gcdune_collect();
		gcdune_free(p);
	}
	puts("went on");
	return 0;
}

static void wrong_addresses(void)
{
	static const char *const modes[] = { "twice", "twice-elsewhere", "twice-earlier", "changed", "twice-large", "inside", "inside-large", "foreign", "never",
					     "after-collection" };
	char output[4096];

	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		int status = child_exec(modes[i], NULL, output, sizeof(output));

		CHECKF(status != 0 && !strstr(output, "went on"), "gcdune_free (%s) went on", modes[i]);
		CHECKF(status != 128 + SIGSEGV, "gcdune_free (%s) crashed: %d", modes[i], status);
		CHECKF(strstr(output, "gcdune") && strstr(output, "free"), /* "freed" */
		       "gcdune_free (%s): expected a message that names gcdune and free, got \"%s\"", modes[i], output);
	}
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return wrong(argv[1]);
	gcdune_free(NULL);
	reused(16, rounds(1000000, 20000));
	reused(200, rounds(300000, 10000));
	reused(5000, rounds(30000, 1000));
	reused(100000, rounds(3000, 100));
	reused(20 << 20, 5);
	written_after(16);
	written_after(40);
	written_after(400);
	among_others();
	last_first();
	finalizer_and_links();
	wrong_addresses();
	return 0;
}
