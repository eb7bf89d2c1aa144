/* A range of roots that lies in an object of the heap whose layout says that it holds no pointers: what is put there while a
 * cycle marks is found as in any other root, although the collector also looks at the object's pages for its own sake.
 *
 * TEST-FLAGS: timeout=120 torture=yes tsan=no
 */
#include "check.h"

enum { WORDS = 64 * 1024 };

ROOT uintptr_t *table;
static uint64_t ids[WORDS];

static NOINLINE void put(size_t i, uint64_t id)
{
	uint64_t *object = gcdune_alloc(48);

	CHECK(object && !object[0] && !object[5]);
	object[0] = ids[i] = id;
	object[5] = mix(id);
	table[i] = (uintptr_t)object;
}

int main(void)
{
	uint64_t none = 0, random = 5;

	table = gcdune_alloc_typed(WORDS * sizeof(*table), gcdune_layout_make(&none, 1));
	CHECK(table != NULL);
	CHECK_EQ(gcdune_roots_add(table, table + WORDS), 0);
	for (uint64_t id = 1; id <= rounds(3000000, 20000); id++) {
		put(random_next(&random) % WORDS, id);
		size_t i = random_next(&random) % WORDS;
		const uint64_t *object = (const uint64_t *)table[i];

		if (!ids[i])
			continue;
		CHECKF(gcdune_base(object) == object && object[0] == ids[i] && object[5] == mix(ids[i]),
		       "object %llu in slot %zu was lost", (unsigned long long)ids[i], i);
	}
	gcdune_collect();
	for (size_t i = 0; i < WORDS; i++)
		if (ids[i])
			CHECK(((const uint64_t *)table[i])[0] == ids[i]);
	return 0;
}
