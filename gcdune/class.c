/* class.c - the size classes: multiples of 16 up to 128, then four per doubling up to 8 KiB (as gcdune-inline.h
 * computes them), then what divides a block into 7, 6, 5, 4, 3 and 2. Each slot size is two classes: one for objects
 * smaller than the slot, one for those that fill it (mark.h: gcdune_mark_may_end tells why). Written once by
 * gcdune_class_init. */
#include "heap.h"

struct gcdune_class gcdune_classes[GCDUNE_CLASSES];

uint8_t gcdune_class_numbers[GCDUNE_SMALL_MAX / GCDUNE_GRANULE + 1];

enum { COMPUTED = 32 }; /* the last slot size that follows the formula: 8192 */

void gcdune_class_init(void)
{
	unsigned number = 0;

	for (unsigned i = 1; i <= GCDUNE_SIZES; i++) {
		size_t size = gcdune_slot_inline(i);

		if (i > COMPUTED)
			size = GCDUNE_BLOCK / (GCDUNE_SIZES + 2 - i) & ~(GCDUNE_GRANULE - 1);
		struct gcdune_class *c = &gcdune_classes[i];

		c->size = (uint32_t)size;
		c->reciprocal = (uint32_t)((((uint64_t)1 << 32) + size - 1) / size);
		c->nslots = (uint16_t)(GCDUNE_BLOCK / size);
		c->state_units = (uint16_t)((c->nslots + GCDUNE_STATE_UNIT - 1) / GCDUNE_STATE_UNIT);
		gcdune_classes[i + GCDUNE_SIZES] = *c;
	}
	for (size_t g = 0; g <= GCDUNE_SMALL_MAX / GCDUNE_GRANULE; g++) {
		while (gcdune_classes[number].size < g * GCDUNE_GRANULE || number == 0)
			number++;
		gcdune_class_numbers[g] = (uint8_t)number;
	}
}
