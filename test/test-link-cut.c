/* Short links in objects that die are forgotten between the two pauses of one that is cut in two (finalize-cycle.c), with
 * GCDUNE_STRETCH each one. Those in objects that a thread makes just then, out of what it had at its cursor when the cycle began,
 * are not marked either, but held: their links stay, and so does who takes the entry of one that was removed.
 *
 * TEST-FLAGS: timeout=120 tsan=no env:GCDUNE_MODE=concurrent env:GCDUNE_STRETCH=300 env:GCDUNE_VERIFY=1
 */
#include "check.h"

enum { HELD = 512, TARGETS = 64, DROPPED = 600, ROUNDS = 60 };

struct holder {
	void *link; /* hidden */
	size_t target;
};

ROOT struct target *targets[TARGETS];
static _Atomic bool over;
static _Atomic size_t finalized;

static struct holder *NOINLINE holder_new(size_t i)
{
	struct holder *h = gcdune_alloc(sizeof *h);

	h->target = i % TARGETS;
	h->link = GCDUNE_HIDE(targets[h->target]);
	CHECK_EQ(gcdune_link_add(&h->link, targets[h->target], GCDUNE_LINK_SHORT), 0);
	return h;
}

static void NOINLINE check_and_remove(struct holder *h)
{
	CHECK(GCDUNE_REVEAL(h->link) == targets[h->target]);
	CHECKF(gcdune_link_remove(&h->link, GCDUNE_LINK_SHORT) == 0, "the link in a held object was forgotten");
}

static void *hold(void *arg)
{
	struct holder **held = gcdune_alloc(HELD * sizeof *held);

	for (size_t n = 0; !over; n++) {
		size_t i = mix(n) % HELD;

		if (held[i])
			check_and_remove(held[i]);
		held[i] = holder_new(n);
		if (n % 64 == 0)
			usleep(20);
	}
	for (size_t i = 0; i < HELD; i++)
		if (held[i])
			check_and_remove(held[i]);
	return arg;
}

static void count(void *object, void *data)
{
	struct holder *const *pair = object;

	/* It was dead, and so was what lies in it, until it was queued. */
	CHECK(pair[0]->link != NULL && GCDUNE_REVEAL(pair[0]->link) == targets[pair[0]->target]);
	CHECKF(gcdune_link_remove(&pair[0]->link, GCDUNE_LINK_SHORT) == 0, "the link in what a finalizer is given was forgotten");
	finalized++;
	KEEP_ALIVE(data);
}

static void drop(void *unused)
{
	(void)unused;
	for (size_t i = 0; i < DROPPED; i++) {
		(void)holder_new(i);
		struct holder **pair = gcdune_alloc(2 * sizeof *pair);

		pair[0] = holder_new(i);
		CHECK_EQ(gcdune_finalizer_set(pair, count, NULL, i % 2 ? GCDUNE_FINALIZE_ORDERED : GCDUNE_FINALIZE_UNORDERED, NULL,
					      NULL), 0);
	}
}

int main(void)
{
	pthread_t holder;

	for (size_t i = 0; i < TARGETS; i++)
		targets[i] = target_new(i);
	CHECK_EQ(pthread_create(&holder, NULL, hold, NULL), 0);
	for (int round = 0; round < ROUNDS; round++) {
		in_thread(drop, NULL);
		wipe_and_collect();
	}
	over = true;
	CHECK_EQ(pthread_join(holder, NULL), 0);
	for (int i = 0; i < 3; i++)
		wipe_and_collect();
	CHECK_DEAD((size_t)DROPPED * ROUNDS - finalized, (size_t)DROPPED * ROUNDS);
	for (size_t i = 0; i < TARGETS; i++)
		TARGET_CHECK(targets[i], i);
	return 0;
}
