/* Memory goes back to the kernel: after gcdune_collect_and_release the resident size falls by most of what died,
 * small and large objects alike, and what is allocated there again is zero; what lives is untouched.
 *
 * TEST-FLAGS: timeout=120 torture=no asan=no tsan=no alone=yes
 */
#include "check.h"

#define MIB ((size_t)1 << 20)

static size_t resident(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	size_t total, pages;

	CHECK(file && fscanf(file, "%zu %zu", &total, &pages) == 2);
	fclose(file);
	return pages * 4096;
}

struct node {
	struct node *next;
	uint64_t check;
};

ROOT struct node *live, *garbage;

static void fill(size_t object, size_t bytes)
{
	for (size_t i = 0; i < bytes / object; i++) {
		struct node *n = gcdune_alloc(object);
		struct node **list;

		CHECK(n != NULL);
		for (size_t k = 2; k < object / 8; k++)
			CHECKF(((uint64_t *)n)[k] == 0, "word %zu of a new object of %zu bytes is not zero", k, object);
		memset(n, 0xf5, object);
		/* A contiguous tenth lives: the rest leaves whole blocks free. */
		list = i < bytes / object / 10 ? &live : &garbage;
		n->next = *list;
		n->check = mix(object);
		*list = n;
	}
}

static void one(size_t object)
{
	size_t bytes = 300 * MIB, full, after;
	uint64_t released = stats_now().bytes_released;

	fill(object, bytes);
	full = resident();
	garbage = NULL;
	wipe_stack();
	gcdune_collect_and_release();
	after = resident();
	CHECKF(full > after && full - after >= bytes * 7 / 10,
	       "objects of %zu bytes: %zu MiB resident, %zu MiB after the release, expected at least %zu less", object,
	       full / MIB, after / MIB, bytes * 7 / 10 / MIB);
	CHECKF(stats_now().bytes_released - released >= bytes * 7 / 10, "bytes_released grew by %llu",
	       (unsigned long long)(stats_now().bytes_released - released));
	for (struct node *n = live; n; n = n->next) {
		CHECK(n->check == mix(object));
		for (size_t k = 16; k < object; k++)
			CHECK(((unsigned char *)n)[k] == 0xf5);
	}
	live = NULL;
	fill(object, bytes / 4);
	live = garbage = NULL;
	gcdune_collect_and_release();
}

int main(void)
{
	one(64);
	one(512);
	one(8192);
	one(100000);
	one(4 * MIB);
	return 0;
}
