/* gc_disclaim.h: objects with a closure are finalized once when they are unreachable, also in chains; a disclaim procedure
 * of a kind of the program's own sees each object, what it points to is still there with mark_from_all, and its veto
 * counts; GC_free calls nothing.
 *
 * TEST-FLAGS: link=libgc torture=yes
 */
#include "libgc-check.h"

#include <gc/gc_disclaim.h>
#include <gc/gc_mark.h>

static int finalized;
static char token;

static void on_finalize(void *object, void *data)
{
	CHECK(data == &token);
	CHECK_EQ(*(int *)object, 42);
	*(int *)object = 0;
	finalized++;
}

static const struct GC_finalizer_closure closure = { on_finalize, &token };
static void **kept;

static void make(void)
{
	for (int i = 0; i < N; i++) {
		int *object = GC_finalized_malloc(24, &closure);

		*object = 42;
		CHECK(GC_base(object) == (char *)object - sizeof(void *));
		if (i % 4 == 0) {
			kept[i / 4] = object;
		}
	}
}

/* Its own closure is in the heap, and nothing else points to it. */
static int heap_closures;

static void on_heap_closure(void *object, void *data)
{
	(void)object;
	CHECK(!strcmp(data, "data"));
	heap_closures++;
}

static void make_with_heap_closures(void)
{
	for (int i = 0; i < N; i++) {
		struct GC_finalizer_closure *own = GC_MALLOC(sizeof(*own));

		own->proc = on_heap_closure;
		own->cd = GC_STRDUP("data");
		GC_finalized_malloc(40, own);
	}
}

struct node {
	struct node *next;
	char *name;
	long veto;
};

static int seen, vetoed, names;
static int kind;

static int on_node(void *object)
{
	struct node *node = object;

	if (!node->name) /* not filled yet, or on a free list */
		return 0;
	CHECK(!strncmp(node->name, "node", 4));
	names++;
	if (node->veto) {
		node->veto--;
		vetoed++;
		return 1;
	}
	seen++;
	node->name = NULL;
	return 0;
}

static void make_nodes(void)
{
	for (int i = 0; i < N; i++) {
		struct node *node = GC_generic_malloc(sizeof(*node), kind);

		node->name = GC_STRDUP("node of mine");
		node->veto = i % 2;
	}
}

static void free_nodes(void)
{
	for (int i = 0; i < 100; i++) {
		struct node *node = GC_generic_malloc(sizeof(*node), kind);

		node->name = GC_STRDUP("node");
		GC_FREE(node);
	}
}

static void make_chain(void)
{
	struct node *head = NULL;

	for (int i = 0; i < 20; i++) {
		struct node *node = GC_generic_malloc(sizeof(*node), kind);

		node->name = GC_STRDUP("node");
		node->next = head;
		head = node;
	}
}

/* A weak table finds an object that is about to be disclaimed and sets its mark bit: it is not, this time. In the procedure the
 * bit of its own object is not set. */
struct weak {
	size_t magic, index;
};
enum { WEAK = 300, MAGIC = 0x5eed };

static GC_hidden_pointer weak[WEAK];
static char given[WEAK], spared[WEAK];
static int weak_kind, given_all, spared_all;

static void clear_spared(void)
{
	memset(spared, 0, sizeof(spared));
}

static int on_weak(void *object)
{
	struct weak *w = object;

	if (w->magic != MAGIC) /* on a free list */
		return 0;
	CHECK(GC_REVEAL_POINTER(weak[w->index]) == object);
	CHECK(!given[w->index] && !spared[w->index]);
	CHECK(!GC_is_marked(object));
	given[w->index] = 1;
	given_all++;
	for (size_t i = w->index % 50; i < WEAK; i += 50) {
		if (!weak[i] || given[i] || spared[i])
			continue;
		void *other = GC_REVEAL_POINTER(weak[i]);

		GC_set_mark_bit(other);
		CHECK(GC_is_marked(other));
		spared[i] = 1;
		spared_all++;
	}
	return 0;
}

static void make_weak(void)
{
	for (size_t i = 0; i < WEAK; i++) {
		struct weak *w = GC_generic_malloc(sizeof(*w), weak_kind);

		w->index = i;
		w->magic = MAGIC;
		weak[i] = GC_HIDE_POINTER(w);
	}
}

static void test_weak(void)
{
	weak_kind = (int)GC_new_kind(GC_new_free_list(), GC_DS_LENGTH, 1, 1);
	GC_register_disclaim_proc(weak_kind, on_weak, 0);
	GC_set_start_callback(clear_spared);
	apart(make_weak);
	for (int i = 0; i < 30 && given_all < WEAK; i++)
		settle();
	CHECK_MOST(given_all, WEAK);
	/* With few at a time there is nothing else to spare. */
	CHECK(spared_all >= WEAK / 2 || getenv("GCDUNE_TORTURE"));
	GC_set_start_callback(NULL);
}

int main(void)
{
	GC_INIT();
	GC_init_finalized_malloc();
	GC_init_finalized_malloc();
	kept = GC_MALLOC(N / 4 * sizeof(void *));
	apart(make);
	settle();
	CHECK_MOST(finalized, N * 3 / 4);
	for (int i = 0; i < N / 4; i++)
		CHECK_EQ(*(int *)kept[i], 42);
	int before = finalized;

	memset(kept, 0, N / 4 * sizeof(void *));
	settle();
	CHECK_MOST(finalized - before, N / 4);

	apart(make_with_heap_closures);
	settle();
	CHECK_MOST(heap_closures, N);

	kind = (int)GC_new_kind(GC_new_free_list(), GC_DS_LENGTH, 1, 1);
	GC_register_disclaim_proc(kind, on_node, 1);
	apart(make_nodes);
	settle();
	settle();
	CHECK_MOST(seen, N);
	CHECK_MOST(vetoed, N / 2);

	seen = 0;
	apart(free_nodes);
	settle();
	CHECK_FEW(seen, 100);

	/* One at a time, last first. */
	seen = 0;
	apart(make_chain);
	for (int i = 0; i < 40; i++)
		collect();
	CHECK(seen >= 15);
	test_weak();
	return 0;
}
