/* A pause with much to finalize is cut in two (finalize-cycle.c), with GCDUNE_STRETCH each one: the orders of finalization are the
 * same then; and objects that are on their way to be finalized may be reached through long links meanwhile, and may lose
 * their finalizers.
 *
 * TEST-FLAGS: timeout=120 tsan=no env:GCDUNE_MODE=concurrent env:GCDUNE_STRETCH=300 env:GCDUNE_VERIFY=1
 */
int orders(void);
#define main orders
#include "test-finalize-order.c"
#undef main

enum { OBJECTS = 2000, ROUNDS = 12, THREADS = 2, KEPT = 256 };

struct held {
	uint64_t number, check;
	struct target *target; /* only it leads there */
};

static void *longs[OBJECTS]; /* hidden */
static void *shorts[OBJECTS];
static _Atomic unsigned finalized[OBJECTS], removed[OBJECTS];
static _Atomic bool over;

static void check_held(const struct held *held)
{
	CHECK(held->number < OBJECTS);
	CHECK_EQ(held->check, mix(held->number));
	TARGET_CHECK(held->target, held->number);
}

static void count(void *object, void *data)
{
	struct held *held = object;

	check_held(held);
	CHECK_EQ((uintptr_t)data, held->number);
	CHECKF(shorts[held->number] == NULL, "the short link was not cleared before");
	finalized[held->number]++;
}

static void make_held(void *arg)
{
	for (uint64_t i = 0; i < OBJECTS; i++) {
		struct held *held = gcdune_alloc(sizeof *held);

		held->number = i;
		held->check = mix(i);
		held->target = target_new(i);
		CHECK_EQ(gcdune_finalizer_set(held, count, (void *)i, (int)(i % 4), NULL, NULL), 0);
		shorts[i] = longs[i] = GCDUNE_HIDE(held);
		CHECK_EQ(gcdune_link_add(&shorts[i], held, GCDUNE_LINK_SHORT), 0);
		CHECK_EQ(gcdune_link_add(&longs[i], held, GCDUNE_LINK_LONG), 0);
	}
}

static void *reveal(void *arg)
{
	void *hidden = *(void **)arg;

	return hidden ? GCDUNE_REVEAL(hidden) : NULL;
}

static void never(void *object, void *data)
{
	CHECKF(false, "object %p is alive and was finalized (%p)", object, data);
}

/* Its entry is another's now, of an object that is alive. */
static NOINLINE void use_entry(struct target **kept)
{
	struct target *old = *kept;

	if (old)
		CHECK_EQ(gcdune_finalizer_set(old, NULL, NULL, 0, NULL, NULL), 0);
	*kept = target_new(1);
	CHECK_EQ(gcdune_finalizer_set(*kept, never, NULL, GCDUNE_FINALIZE_UNORDERED, NULL, NULL), 0);
}

static NOINLINE void meddle(uint64_t random, struct target **kept)
{
	struct held *held = gcdune_locked_call(reveal, &longs[random % OBJECTS]);
	gcdune_finalizer old = NULL;

	if (!held)
		return;
	check_held(held);
	if (random >> 32 & 1)
		return;
	CHECK_EQ(gcdune_finalizer_set(held, NULL, NULL, 0, &old, NULL), 0);
	if (old)
		removed[held->number]++;
	use_entry(&kept[random >> 40 & (KEPT - 1)]);
}

static void *meddler(void *arg)
{
	uint64_t random = (uintptr_t)arg;
	struct target **kept = gcdune_alloc(KEPT * sizeof *kept);

	/* Not so fast that nobody has a finalizer when the collection comes to them. */
	while (!over) {
		for (int i = 0; i < 8; i++)
			meddle(random = mix(random + 1), kept);
		usleep(50);
	}
	for (int i = 0; i < KEPT; i++)
		if (kept[i])
			CHECK_EQ(gcdune_finalizer_set(kept[i], NULL, NULL, 0, NULL, NULL), 0);
	return NULL;
}

/* Those of meddle. */
static void through_long_links(void)
{
	unsigned gone = 0;

	for (int round = 0; round < ROUNDS; round++) {
		pthread_t threads[THREADS];

		memset(finalized, 0, sizeof finalized);
		memset(removed, 0, sizeof removed);
		in_thread(make_held, NULL);
		over = false;
		for (uintptr_t t = 0; t < THREADS; t++)
			CHECK_EQ(pthread_create(&threads[t], NULL, meddler, (void *)(t + 1)), 0);
		for (int i = 0; i < 3; i++)
			wipe_and_collect();
		over = true;
		for (int t = 0; t < THREADS; t++)
			CHECK_EQ(pthread_join(threads[t], NULL), 0);
		for (int i = 0; i < 3; i++)
			wipe_and_collect();
		for (int i = 0; i < OBJECTS; i++) {
			CHECKF(finalized[i] + removed[i] <= 1, "object %d was finalized %u times, its finalizer removed %u times", i,
			       finalized[i], removed[i]);
			gone += finalized[i] + removed[i];
			gcdune_link_remove(&shorts[i], GCDUNE_LINK_SHORT);
			gcdune_link_remove(&longs[i], GCDUNE_LINK_LONG);
		}
	}
	CHECK_DEAD(OBJECTS * ROUNDS - gone, OBJECTS * ROUNDS);
}

int main(void)
{
	CHECK_EQ(orders(), 0);
	through_long_links();
	return 0;
}
