/* The four orders of finalization, on chains, cycles, self-loops and mixtures of them.
 *
 * TEST-FLAGS: timeout=60 torture=no
 */
#include "check.h"

#define COUNT 200	/* of each structure */
#define LENGTH 4	/* of a chain */

struct link {
	struct link *next;
	uint64_t check;
	unsigned place;		/* in its chain */
	unsigned group;
};

static unsigned calls[LENGTH];
static unsigned char step[COUNT][LENGTH]; /* when each was called: number of the collection, from 1 */
static unsigned collection;

static void finalizer(void *object, void *data)
{
	struct link *l = object;

	CHECK(gcdune_base(l) == l);
	CHECK_EQ(l->check, mix(l->group * 1000 + l->place));
	CHECK(l->group < COUNT && l->place < LENGTH);
	CHECKF(step[l->group][l->place] == 0, "called twice");
	step[l->group][l->place] = (unsigned char)collection;
	calls[l->place]++;
}

static struct link *link_new(unsigned group, unsigned place, struct link *next, enum gcdune_finalize_order order)
{
	struct link *l = gcdune_alloc(sizeof(*l));

	CHECK(l != NULL);
	l->group = group;
	l->place = place;
	l->next = next;
	l->check = mix(group * 1000 + place);
	CHECK_EQ(gcdune_finalizer_set(l, finalizer, NULL, order, NULL, NULL), 0);
	return l;
}

struct shape {
	enum gcdune_finalize_order order[LENGTH];
	unsigned length;
	bool closed;	/* the last points at the first (length 1: at itself) */
};

static void make(void *arg)
{
	const struct shape *shape = arg;

	for (unsigned group = 0; group < COUNT; group++) {
		struct link *last = NULL, *l = NULL;

		for (unsigned place = shape->length; place-- > 0;) {
			l = link_new(group, place, l, shape->order[place]);
			if (!last)
				last = l;
		}
		if (shape->closed)
			last->next = l;
	}
}

/* Runs some collections and notes in which of them each place of the structures was finalized. */
static void run(const struct shape *shape)
{
	memset(step, 0, sizeof(step));
	memset(calls, 0, sizeof(calls));
	/* Nothing may die before the first counted collection. */
	gcdune_disable();
	in_thread(make, (void *)(uintptr_t)shape);
	CHECK_EQ(gcdune_enable(), 0);
	for (collection = 1; collection <= LENGTH + 2; collection++)
		wipe_and_collect();
}

/* At least 95 % of the objects at PLACE were finalized by the collection EXPECTED (0: never), and all others later. */
static void expect_step(const char *what, unsigned place, unsigned expected)
{
	unsigned right = 0;

	for (unsigned g = 0; g < COUNT; g++) {
		right += step[g][place] == expected;
		CHECKF(step[g][place] == 0 || (expected && step[g][place] >= expected),
		       "%s: place %u was finalized by collection %u, expected %u", what, place, step[g][place],
		       expected);
	}
	CHECKF(right >= COUNT - COUNT / 20, "%s: place %u: %u of %u as expected (collection %u); the first: %u", what,
	       place, right, COUNT, expected, step[0][place]);
}

/* A finalizer is never called while a later one of its chain has been. */
static void expect_order(const char *what, unsigned length)
{
	for (unsigned g = 0; g < COUNT; g++)
		for (unsigned place = 1; place < length; place++)
			CHECKF(!step[g][place] || (step[g][place - 1] && step[g][place - 1] < step[g][place]),
			       "%s: place %u was finalized by collection %u, place %u by %u", what, place - 1,
			       step[g][place - 1], place, step[g][place]);
}

#define O GCDUNE_FINALIZE_ORDERED
#define I GCDUNE_FINALIZE_IGNORE_SELF
#define U GCDUNE_FINALIZE_UNORDERED
#define R GCDUNE_FINALIZE_UNREACHABLE

static void chains(void)
{
	static const struct shape ordered = { { O, O, O, O }, 4, false }, ignore = { { I, I, I, I }, 4, false };
	static const struct shape unordered = { { U, U, U, U }, 4, false }, unreachable = { { R, R, R, R }, 4, false };

	run(&ordered);
	expect_order("chain, ORDERED", 4);
	for (unsigned place = 0; place < 4; place++)
		expect_step("chain, ORDERED", place, place + 1);
	run(&ignore);
	expect_order("chain, IGNORE_SELF", 4);
	for (unsigned place = 0; place < 4; place++)
		expect_step("chain, IGNORE_SELF", place, place + 1);
	run(&unordered);
	for (unsigned place = 0; place < 4; place++)
		expect_step("chain, UNORDERED", place, 1);
	run(&unreachable);
	expect_order("chain, UNREACHABLE", 4);
	for (unsigned place = 0; place < 4; place++)
		expect_step("chain, UNREACHABLE", place, place + 1);
}

static void cycles(void)
{
	static const struct shape ordered = { { O, O, O }, 3, true }, ignore = { { I, I }, 2, true };
	static const struct shape unordered = { { U, U, U }, 3, true }, unreachable = { { R, R }, 2, true };

	run(&ordered);
	for (unsigned place = 0; place < 3; place++)
		expect_step("cycle, ORDERED", place, 0);
	run(&ignore);
	for (unsigned place = 0; place < 2; place++)
		expect_step("cycle of two, IGNORE_SELF", place, 0);
	run(&unordered);
	for (unsigned place = 0; place < 3; place++)
		expect_step("cycle, UNORDERED", place, 1);
	/* Each is reached by the other, which has a finalizer: neither ever goes. */
	run(&unreachable);
	for (unsigned place = 0; place < 2; place++)
		expect_step("cycle, UNREACHABLE", place, 0);
}

static void self_loops(void)
{
	static const struct shape ordered = { { O }, 1, true }, ignore = { { I }, 1, true };
	static const struct shape unordered = { { U }, 1, true }, unreachable = { { R }, 1, true };

	run(&ordered);
	expect_step("self-loop, ORDERED", 0, 0);
	run(&ignore);
	expect_step("self-loop, IGNORE_SELF", 0, 1);
	run(&unordered);
	expect_step("self-loop, UNORDERED", 0, 1);
	run(&unreachable);
	expect_step("self-loop, UNREACHABLE", 0, 1);
}

static void mixtures(void)
{
	static const struct shape a = { { U, R }, 2, false }, b = { { O, R, U }, 3, false };
	static const struct shape c = { { U, O }, 2, false }, d = { { O, U }, 2, false };

	/* UNREACHABLE waits for whatever finalizable reaches it. */
	run(&a);
	expect_step("UNORDERED -> UNREACHABLE", 0, 1);
	expect_step("UNORDERED -> UNREACHABLE", 1, 2);
	run(&b);
	expect_step("ORDERED -> UNREACHABLE -> UNORDERED", 0, 1);
	/* ORDERED is not reached by a finalizable object only when the first has gone. */
	run(&c);
	expect_step("UNORDERED -> ORDERED", 0, 1);
	run(&d);
	expect_step("ORDERED -> UNORDERED", 0, 1);
}

int main(void)
{
	CHECK_EQ(gcdune_init(), 0);
	chains();
	cycles();
	self_loops();
	mixtures();
	return 0;
}
