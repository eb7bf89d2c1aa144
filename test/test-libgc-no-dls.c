/* Settings made before GC_INIT, as ECL makes them: GC_no_dls; full
 * frequency, all interior pointers, finalization on demand, an own stack bottom left alone.
 *
 * TEST-FLAGS: link=libgc
 */
#include "libgc-check.h"

static void **held;

static void make(void)
{
	held = GC_MALLOC(N * sizeof(*held));
	for (int i = 0; i < N; i++) {
		held[i] = GC_MALLOC(32);
		*(long *)held[i] = i;
	}
}

int main(void)
{
	GC_set_no_dls(1);
	GC_set_all_interior_pointers(0);
	GC_set_time_limit(GC_TIME_UNLIMITED);
	GC_set_finalize_on_demand(1);
	GC_INIT();
	CHECK_EQ(GC_get_no_dls(), 1);
	GC_register_displacement(1);
	GC_add_roots(&held, &held + 1); /* whether the data of the program are roots still is not agreed on */
	apart(make);
	for (int i = 0; i < 3; i++) {
		collect();
		for (int k = 0; k < N; k++)
			memset(GC_MALLOC(32), 0xff, 32);
	}
	for (int i = 0; i < N; i++)
		CHECK_EQ(*(long *)held[i], i);
	return 0;
}
