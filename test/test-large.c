/* Large objects, 16 KiB to 200 MiB: kept by a pointer into any part, freed at once after a collection, zeroed when
 * their memory is used again, grown and shrunk in place where that is possible, scanned to the end.
 *
 * TEST-FLAGS: timeout=300 torture=yes
 */
#include "check.h"

#define MIB ((size_t)1 << 20)

ROOT void *roots[200];

static void stamp(unsigned char *p, size_t size, uint64_t id)
{
	for (size_t at = 0; at + 8 <= size; at += 4096 - 8)
		*(uint64_t *)(p + at) = mix(id + at) | 1;
}

static void stamp_check(const unsigned char *p, size_t size, uint64_t id)
{
	for (size_t at = 0; at + 8 <= size; at += 4096 - 8)
		CHECKF(*(const uint64_t *)(p + at) == (mix(id + at) | 1),
		       "offset %zu of object %llu (%zu bytes) changed", at, (unsigned long long)id, size);
}

static NOINLINE size_t offset_of(size_t i, size_t size)
{
	switch (i % 4) {
	case 0:
		return 0;
	case 1:
		return size - 1;
	case 2:
		return size / 2;
	default:
		return mix(i) % size;
	}
}

/* Objects are kept by one pointer each, to some offset of them. */
static void interior(size_t size, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		unsigned char *p = i % 2 ? gcdune_alloc_leaf(size) : gcdune_alloc(size);

		CHECKF(p != NULL, "no memory for %zu bytes", size);
		stamp(p, size, i);
		roots[i] = p + offset_of(i, size);
	}
	wipe_and_collect();
	/* Would reuse what was wrongly freed. */
	for (size_t i = 0; i < 4; i++)
		memset(gcdune_alloc_leaf(size), 0xee, size);
	for (size_t i = 0; i < count; i++) {
		unsigned char *p = (unsigned char *)roots[i] - offset_of(i, size);

		CHECKF(gcdune_base(roots[i]) == p, "object %zu of %zu bytes was lost (pointer to offset %zu)", i, size,
		       offset_of(i, size));
		CHECK(gcdune_base(p + size - 1) == p);
		stamp_check(p, size, i);
		roots[i] = NULL;
	}
}

/* Pointers at the far end of a large scanned object are followed. */
static void scanned_to_the_end(size_t size)
{
	ROOT struct target **array;
	size_t n = size / 8, step = n / 500 + 1;

	array = gcdune_alloc(size);
	CHECK(array != NULL);
	for (size_t i = 0; i < n; i += step)
		array[i] = target_new(i);
	array[n - 1] = target_new(n - 1);
	wipe_and_collect();
	for (size_t i = 0; i < n; i++)
		if (i % step == 0 || i == n - 1)
			TARGET_CHECK(array[i], i);
		else
			CHECK(array[i] == NULL);
	array = NULL;
}

static struct watch dead;

static void make_garbage(void *arg)
{
	size_t size = *(size_t *)arg;

	for (size_t i = 0; i < 100; i++) {
		unsigned char *p = gcdune_alloc(size);

		CHECK(p != NULL);
		memset(p, 0xff, size < MIB ? size : MIB);
		watch_add(&dead, p);
	}
}

/* Dead ones are free as soon as the collection returns, and zero when their memory is used again. */
static void freed_at_once(size_t size)
{
	struct gcdune_stats before, after;

	gcdune_collect();
	gcdune_disable();
	in_thread(make_garbage, &size);
	before = stats_now();
	gcdune_enable();
	wipe_and_collect();
	CHECK_DEAD(watch_live(&dead), 100);
	watch_reset(&dead);
	after = stats_now();
	uint64_t used_before = before.bytes_heap - before.bytes_free, used_after = after.bytes_heap - after.bytes_free;

	CHECKF(used_before >= used_after + 90 * size, "100 objects of %zu bytes died, blocks in use: %llu, then %llu",
	       size, (unsigned long long)used_before, (unsigned long long)used_after);
	for (size_t i = 0; i < 50; i++) {
		unsigned char *p = gcdune_alloc(size);

		for (size_t k = 0; k < size; k += 64)
			CHECKF(p[k] == 0, "offset %zu of a new object of %zu bytes is not zero", k, size);
	}
}

/* More is allocated than could be held at once. */
static void churn(void)
{
	ROOT unsigned char *ring[3];
	size_t size = 50 * MIB;

	gcdune_heap_limit_set(600 * MIB);
	for (size_t i = 0; i < rounds(60, 20); i++) {
		ring[i % 3] = gcdune_alloc_leaf(size + i * 4096);
		CHECKF(ring[i % 3] != NULL, "object %zu of %zu bytes: no memory though nearly all is garbage", i, size);
		stamp(ring[i % 3], size, i);
		if (i >= 2)
			stamp_check(ring[(i - 2) % 3], size, i - 2);
	}
	memset(ring, 0, sizeof(ring));
	gcdune_heap_limit_set(0);
}

static void grow_and_shrink(bool leaf)
{
	ROOT unsigned char *p;
	size_t size = 64 * 1024, in_place = 0, steps = 0;

	gcdune_collect_and_release();
	p = leaf ? gcdune_alloc_leaf(size) : gcdune_alloc(size);
	stamp(p, size, 5);
	for (; size < 40 * MIB; size += size / 8 + 65536, steps++) {
		unsigned char *q = gcdune_realloc(p, size);

		CHECK(q != NULL);
		CHECK(gcdune_size(q) >= size);
		in_place += q == p;
		p = q;
		stamp_check(p, 64 * 1024, 5);
		CHECK(gcdune_base(p + size - 1) == p);
	}
	CHECKF(in_place > 0, "an object that is alone was moved in each of %zu steps of growing", steps);
	stamp(p, size - size / 8 - 65536, 6);
	while (size > 128 * 1024) {
		size /= 2;
		unsigned char *q = gcdune_realloc(p, size);

		CHECKF(q == p, "shrinking to %zu bytes moved the object", size);
		CHECK(gcdune_size(q) >= size);
		stamp_check(p, size / 8 * 8, 6);
	}
	p = NULL;
}

int main(void)
{
	if (!tortured())
		interior(200 * MIB, 2);
	for (size_t size = 16384; size <= 1 * MIB; size = size * 3 / 2 + 777)
		interior(size, rounds(60, 10));
	interior(65536, 100);
	interior(65536 - 16, 100);
	interior(8 * MIB, 8);
	scanned_to_the_end(20000);
	scanned_to_the_end(300001 & ~7);
	scanned_to_the_end(rounds(64, 2) * MIB);
	freed_at_once(20000);
	freed_at_once(65536);
	freed_at_once(3 * MIB);
	churn();
	grow_and_shrink(true);
	grow_and_shrink(false);
	return 0;
}
