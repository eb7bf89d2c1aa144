/* gcdune_event_set: each collection is announced as BEGIN, STOPPED, RESUME, END, in that order, the two in the
 * middle perhaps several times; growth as GREW;
 * the callback may be changed and taken away, and may allocate where the interface says that threads run.
 *
 * TEST-FLAGS: timeout=60 torture=yes
 */
#include "check.h"

static unsigned counts[8];
static int last = GCDUNE_EVENT_END;
static bool out_of_order, busy;

static void callback(enum gcdune_event event)
{
	/* Nothing may print or lock while the world is stopped: note it. */
	counts[event]++;
	switch (event) {
	case GCDUNE_EVENT_BEGIN:
		out_of_order |= last != GCDUNE_EVENT_END;
		break;
	case GCDUNE_EVENT_STOPPED:
		out_of_order |= last != GCDUNE_EVENT_BEGIN && last != GCDUNE_EVENT_RESUME;
		break;
	case GCDUNE_EVENT_RESUME:
		out_of_order |= last != GCDUNE_EVENT_STOPPED;
		break;
	case GCDUNE_EVENT_END:
		out_of_order |= last != GCDUNE_EVENT_RESUME;
		break;
	case GCDUNE_EVENT_GREW:
		if (!busy) {
			busy = true;
			KEEP_ALIVE(target_new(1));
			busy = false;
		}
		return;
	default:
		out_of_order = true;
	}
	last = event;
	if (event == GCDUNE_EVENT_END && !busy) {
		busy = true;
		KEEP_ALIVE(target_new(1));
		busy = false;
	}
}

int main(void)
{
	ROOT void *list;
	uint64_t before = stats_now().collections;

	CHECK(gcdune_event_set(callback) == NULL);
	for (int i = 0; i < 10; i++)
		gcdune_collect();
	for (size_t i = 0; i < rounds(2000000, 3000); i++) {
		void **p = gcdune_alloc(32);

		*p = list;
		list = i % 2000 ? p : NULL;
	}
	list = NULL;
	for (size_t i = 0; i < 40; i++) {
		void **p = gcdune_alloc(4 << 20);

		*p = list;
		list = p;
	}
	gcdune_collect(); /* after one that may be under way: no event is to come */
	CHECK(gcdune_event_set(NULL) == callback);
	CHECK(!out_of_order);
	/* One more may be under way: the callback for END allocates. */
	uint64_t n = stats_now().collections - before;

	CHECK(counts[GCDUNE_EVENT_BEGIN] == n || counts[GCDUNE_EVENT_BEGIN] == n + 1);
	/* One that runs beside the program stops it several times. END comes to the next thread that allocates, and stands for all
	 * before. */
	CHECK(counts[GCDUNE_EVENT_STOPPED] >= n);
	CHECK(counts[GCDUNE_EVENT_RESUME] >= n && counts[GCDUNE_EVENT_RESUME] <= counts[GCDUNE_EVENT_STOPPED]);
	CHECK(counts[GCDUNE_EVENT_END] <= counts[GCDUNE_EVENT_BEGIN]);
	CHECK(counts[GCDUNE_EVENT_END] >= 10);
	CHECK(counts[GCDUNE_EVENT_BEGIN] >= 10);
	CHECK(counts[GCDUNE_EVENT_GREW] >= 1);
	before = counts[GCDUNE_EVENT_BEGIN];
	gcdune_collect();
	CHECK_EQ(counts[GCDUNE_EVENT_BEGIN], before);
	return 0;
}
