/* Data segments are roots: .data, .bss, function-local statics, of any alignment and size; and are none after
 * gcdune_roots_segments_set(false).
 *
 * TEST-FLAGS: timeout=60 torture=yes static=yes short=yes
 */
#include "check.h"

#define COUNT 1000

ROOT void *in_bss[COUNT];
ROOT void *in_data[COUNT] = { in_bss };
void *exported[COUNT];
static char big_bss[8 << 20] __attribute__((aligned(65536)));
static struct watch objects;

static void **local_static(void)
{
	ROOT void *array[COUNT];

	return array;
}

static void fill(void *arg)
{
	void **big = (void **)(big_bss + sizeof(big_bss) - COUNT * sizeof(void *));

	for (size_t i = 0; i < COUNT; i++) {
		in_bss[i] = target_new(i);
		watch_add(&objects, in_bss[i]);
		in_data[i] = target_new(i + 10000);
		watch_add(&objects, in_data[i]);
		exported[i] = target_new(i + 20000);
		watch_add(&objects, exported[i]);
		local_static()[i] = target_new(i + 30000);
		watch_add(&objects, local_static()[i]);
		big[i] = target_new(i + 40000);
		watch_add(&objects, big[i]);
	}
}

static void check(void)
{
	void **big = (void **)(big_bss + sizeof(big_bss) - COUNT * sizeof(void *));

	for (size_t i = 0; i < COUNT; i++) {
		TARGET_CHECK(in_bss[i], i);
		TARGET_CHECK(in_data[i], i + 10000);
		TARGET_CHECK(exported[i], i + 20000);
		TARGET_CHECK(local_static()[i], i + 30000);
		TARGET_CHECK(big[i], i + 40000);
	}
}

int main(void)
{
	make_in_thread(fill, NULL);
	wipe_and_collect();
	check();
	gcdune_roots_segments_set(false);
	wipe_and_collect();
	CHECK_DEAD(watch_live(&objects), objects.count);
	watch_reset(&objects);
	gcdune_roots_segments_set(true);
	make_in_thread(fill, NULL);
	wipe_and_collect();
	check();
	return 0;
}
