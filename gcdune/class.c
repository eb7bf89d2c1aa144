/* class.c - the size classes: multiples of 16 up to 128, then four per doubling up to 8 KiB (as gcdune-inline.h
 * computes them), then what divides a block into 7, 6, 5, 4, 3 and 2. Written once by gcdune_class_init. */
#include "heap.h"

struct gcdune_class gcdune_classes[GCDUNE_CLASSES];

static uint8_t class_by_granule[GCDUNE_SMALL_MAX / GCDUNE_GRANULE + 1];	/* by size / 16, rounded up */

enum { COMPUTED = 32 };		/* the last class that follows the formula: 8192 */

void gcdune_class_init(void)
{
	unsigned cls = 0;

	for (unsigned i = 1; i < GCDUNE_CLASSES; i++) {
		size_t size = gcdune_class_size_inline(i);

		if (i > COMPUTED)
			size = GCDUNE_BLOCK / (GCDUNE_CLASSES + 1 - i) & ~(GCDUNE_GRANULE - 1);
		struct gcdune_class *c = &gcdune_classes[i];

		c->size = (uint32_t)size;
		c->reciprocal = (uint32_t)((((uint64_t)1 << 32) + size - 1) / size);
		c->nslots = (uint16_t)(GCDUNE_BLOCK / size);
		c->state_units = (uint16_t)((c->nslots + GCDUNE_STATE_UNIT - 1) / GCDUNE_STATE_UNIT);
	}
	for (size_t g = 0; g <= GCDUNE_SMALL_MAX / GCDUNE_GRANULE; g++) {
		while (gcdune_classes[cls].size < g * GCDUNE_GRANULE || cls == 0)
			cls++;
		class_by_granule[g] = (uint8_t)cls;
	}
}

unsigned gcdune_class_of(size_t size)
{
	return class_by_granule[(size + GCDUNE_GRANULE - 1) / GCDUNE_GRANULE];
}
