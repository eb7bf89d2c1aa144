/* Blocks of one size lie side by side, though objects of other sizes are made in between: in new memory, and in memory that
 * a collection freed. Programs that hash objects by address with a shift (ECL's eq tables) depend on it.
 *
 * TEST-FLAGS: asan=no tsan=no env:GCDUNE_MODE=stw
 */
#include "check.h"

enum { SIZES = 4, EACH = 24, BLOCK = 1 << 16 };
static const size_t sizes[SIZES] = {16, 32, 48, 80};

struct shape {
	unsigned blocks, pieces;
};

/* Fills EACH blocks of each size by turns. The objects stay, chained, if KEEP. */
static void fill(struct shape shapes[SIZES], void *keep[SIZES])
{
	uintptr_t last[SIZES] = {0};

	for (int s = 0; s < SIZES; s++)
		shapes[s] = (struct shape){0, 0};
	for (size_t done = 0; done < (size_t)EACH * BLOCK; done += 4096)
		for (int s = 0; s < SIZES; s++)
			for (size_t n = 0; n < 4096; n += sizes[s]) {
				void **object = gcdune_alloc(sizes[s]);
				uintptr_t block = (uintptr_t)object / BLOCK;

				CHECK(object);
				object[0] = keep[s];
				keep[s] = object;
				if (block == last[s])
					continue;
				shapes[s].blocks++;
				if (block != last[s] + 1)
					shapes[s].pieces++;
				last[s] = block;
			}
}

static void look(const char *when, const struct shape shapes[SIZES])
{
	for (int s = 0; s < SIZES; s++) {
		printf("%s: %zu bytes: %u blocks in %u pieces\n", when, sizes[s], shapes[s].blocks, shapes[s].pieces);
		CHECK(shapes[s].pieces * 3 <= shapes[s].blocks);
	}
}

int main(void)
{
	struct shape shapes[SIZES];
	void *keep[SIZES] = {0};

	CHECK(!gcdune_init());
	gcdune_disable();
	fill(shapes, keep);
	look("new", shapes);
	for (int s = 0; s < SIZES; s++)
		keep[s] = NULL;
	gcdune_enable();
	gcdune_collect();
	gcdune_disable();
	fill(shapes, keep);
	look("freed", shapes);
	return 0;
}
