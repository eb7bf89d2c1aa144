/* libgc-mark-early-own - what only a mark procedure knows is marked while the program runs, though the procedure itself is
 * called with the world stopped: by the last call of a collection, the end of the list that it reports is marked already.
 * The list hangs on memory that is no root, as the stack of a virtual machine does.
 *
 * TEST-FLAGS: link=libgc asan=no tsan=no timeout=120 env:GCDUNE_MODE=concurrent */
#include "libgc-check.h"
#include "gc/gc_mark.h"

#define LENGTH 20000
#define ROUNDS 50

struct node {
	struct node *next;
	GC_word value[3];
};

/* In memory of the C library's, where no root is. */
struct machine {
	struct node *first, *last;
	int calls, marked; /* in this collection, and whether LAST was marked at the last call */
};

static struct GC_ms_entry *mark(GC_word *object, struct GC_ms_entry *top, struct GC_ms_entry *limit, GC_word env)
{
	struct machine *machine = (struct machine *)GC_REVEAL_POINTER(object[1]);

	(void)env;
	if (!object[0]) /* free, and linked to the next */
		return top;
	machine->calls++;
	machine->marked = GC_is_marked(machine->last);
	return GC_MARK_AND_PUSH(machine->first, top, limit, NULL);
}

static void fill(struct machine *machine)
{
	machine->last = machine->first = GC_MALLOC(sizeof(struct node));
	for (int i = 1; i < LENGTH; i++) {
		struct node *n = GC_MALLOC(sizeof *n);

		n->next = machine->first;
		n->value[0] = (GC_word)i;
		machine->first = n;
	}
}

int main(void)
{
	GC_INIT();
	GC_disable();
	unsigned kind = GC_new_kind(GC_new_free_list(), GC_MAKE_PROC(GC_new_proc(mark), 0), 0, 1);
	struct machine *machine = calloc(1, sizeof *machine);
	GC_word *object = GC_generic_malloc(4 * sizeof(GC_word), (int)kind);

	CHECK(machine && object);
	object[1] = GC_HIDE_POINTER(machine);
	object[0] = 1;
	fill(machine);
	GC_enable();
	for (int i = 0; i < ROUNDS; i++) {
		machine->calls = 0;
		GC_gcollect();
		CHECK(machine->calls > 0);
		if (machine->marked)
			break;
	}
	CHECK(machine->marked && machine->calls > 1);
	CHECK(machine->last->next == NULL);
	GC_reachable_here(object);
	return 0;
}
