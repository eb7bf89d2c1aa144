/* dead.c - what happens to objects when a collection has found that they are about to die: disclaim procedures
 * (gc_disclaim.h), and in leak-finding mode the report that nobody freed them.
 *
 * With the world stopped, objects that someone wants to see are put on a list and kept alive for this time, with what they
 * point to. After the collection the thread that collected takes them off, one by one, calls the procedure or prints the
 * report, and frees them. While they wait they are roots, so that a collection in between does not find them again. The
 * list is under heap.cycle; it hides no pointer because its memory is not scanned.
 *
 * With Boehm's library objects are disclaimed as they are swept. A program that finds one by a hidden pointer before that sets its mark
 * bit, and it lives; and procedures ask for the bit (GC_is_marked). So each that waits, or was just given to its procedure, has a
 * mark bit of its own here. */
#include "libgc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "backtrace.h"
#include "heap.h"
#include "os.h"
#include "thread.h"
#include "walk.h"
#include "gc/gc_disclaim.h"

static struct {
	GC_disclaim_proc proc;
	bool mark_from_all;
} disclaim[GCDUNE_KIND_MAX];
static bool any_disclaim, any_mark_from_all;

static GC_describe_type_fn describe[GCDUNE_KIND_MAX];

static uintptr_t *list; /* bit 0: MARKED */
static size_t list_used, list_room;
enum { MARKED = 1 };

/* What one collection added is in the order of addresses. */
enum { BATCHES = 32 };
static size_t batches[BATCHES], batches_used; /* where each begins */
static bool unordered;			       /* there were too many */

/* On the stack of the thread whose procedure has it; that may collect, and does not process more. */
struct given {
	uintptr_t entry;
	struct given *next;
};
static struct given *given;
static __thread struct given *given_here;

bool libgc_abort_on_leak;

/* ---- In the collection ---- */

static void append(void *object)
{
	if (list_used == list_room) {
		size_t room = list_room ? 2 * list_room : 4096;
		uintptr_t *grown = list ? gcdune_os_remap(list, list_room * sizeof(*list), room * sizeof(*list))
					: gcdune_os_map(room * sizeof(*list));

		if (!grown) {
			gcdune_walk_push(object); /* its turn comes another time */
			return;
		}
		list = grown;
		list_room = room;
	}
	list[list_used++] = (uintptr_t)object;
}

static void push_for_disclaim(void *object, size_t size, unsigned kind, void *arg)
{
	(void)size;
	(void)arg;
	if (disclaim[kind].proc && disclaim[kind].mark_from_all)
		gcdune_walk_push_children(object, false);
}

static void take_disclaimed(void *object, size_t size, unsigned kind, void *arg)
{
	(void)size;
	(void)arg;
	if (disclaim[kind].proc)
		append(object);
}

static void take_leaked(void *object, size_t size, unsigned kind, void *arg)
{
	(void)kind;
	(void)arg;
	if (!libgc_debug_is_freed(object, size))
		append(object);
}

static void hook(void)
{
	size_t before = list_used;

	while (batches_used && batches[batches_used - 1] >= before)
		batches_used--;
	unordered &= before != 0;
	libgc_debug_check_heap();
	if (GC_find_leak) {
		gcdune_walk_marked(false, take_leaked, NULL);
	} else if (any_disclaim) {
		if (any_mark_from_all) {
			gcdune_walk_marked(false, push_for_disclaim, NULL);
			gcdune_walk_drain();
		}
		gcdune_walk_marked(false, take_disclaimed, NULL);
	}
	if (list_used > before) {
		if (batches_used < BATCHES)
			batches[batches_used++] = before;
		else
			unordered = true;
	}
	for (size_t i = before; i < list_used; i++)
		gcdune_walk_push((void *)list[i]);
	gcdune_walk_drain();
}

void libgc_dead_watch(void)
{
	gcdune_walk_hook = hook;
}

void libgc_dead_push(struct gcdune_marker *marker)
{
	for (size_t i = 0; i < list_used; i++)
		gcdune_mark(marker, (void *)(list[i] & ~(uintptr_t)MARKED));
}

/* ---- After it ---- */

static uintptr_t *find_ordered(uintptr_t object, size_t begin, size_t end)
{
	while (begin < end) {
		size_t middle = begin + (end - begin) / 2;
		uintptr_t at = list[middle] & ~(uintptr_t)MARKED;

		if (at == object)
			return &list[middle];
		if (at < object)
			begin = middle + 1;
		else
			end = middle;
	}
	return NULL;
}

static uintptr_t *find(uintptr_t object)
{
	uintptr_t *entry = NULL;

	for (struct given *g = given; g; g = g->next)
		if ((__atomic_load_n(&g->entry, __ATOMIC_ACQUIRE) & ~(uintptr_t)MARKED) == object)
			return &g->entry;
	if (unordered) {
		for (size_t i = 0; i < list_used && !entry; i++)
			if ((list[i] & ~(uintptr_t)MARKED) == object)
				entry = &list[i];
		return entry;
	}
	for (size_t i = 0; i < batches_used && batches[i] < list_used && !entry; i++) {
		size_t end = i + 1 < batches_used ? batches[i + 1] : list_used;

		entry = find_ordered(object, batches[i], end < list_used ? end : list_used);
	}
	return entry;
}

bool libgc_dead_mark(const void *object, int mark, bool *marked)
{
	uintptr_t *entry = find((uintptr_t)object);

	if (!entry)
		return false;
	if (mark >= 0)
		*entry = (uintptr_t)object | (mark ? MARKED : 0);
	*marked = *entry & MARKED;
	return true;
}

/* As in Boehm's reports, which people have scripts for. */
static void report_leak(void *object)
{
	int kind = gcdune_kind_of(object);
	char type[GC_TYPE_DESCR_LEN + 1] = "";
	const char *what = kind == GCDUNE_KIND_LEAF ? "PTRFREE" : "NORMAL";

	if (kind >= 0 && describe[kind]) {
		describe[kind](object, type);
		type[GC_TYPE_DESCR_LEN] = '\0';
		what = type;
	}
	if (!libgc_debug_report_leak(object, what))
		GC_err_printf("%p (%s, sz= %zu)\n", object, what, gcdune_size(object));
}

/* The next object that waits; it is on the caller's frame from when it left the list. NULL: none. */
static void *take(struct given *one)
{
	gcdune_cycle_lock();
	__atomic_store_n(&one->entry, list_used ? list[--list_used] : 0, __ATOMIC_RELAXED);
	gcdune_cycle_unlock();
	return (void *)(one->entry & ~(uintptr_t)MARKED);
}

/* How much that frees. */
static size_t process(struct given *one, void *object)
{
	int kind = gcdune_kind_of(object);
	bool stays = false;

	if (GC_find_leak) {
		report_leak(object);
	} else {
		/* Not to be reclaimed this time. */
		stays = one->entry & MARKED || (kind >= 0 && disclaim[kind].proc && disclaim[kind].proc(object));
	}
	/* Whoever gets this memory next does so after this, and finds no bit for it. */
	__atomic_store_n(&one->entry, 0, __ATOMIC_RELEASE);
	return stays ? 0 : gcdune_free_telling(object);
}

static void link_given(struct given *one)
{
	gcdune_cycle_lock();
	one->next = given;
	given = given_here = one;
	gcdune_cycle_unlock();
}

static void unlink_given(struct given *one)
{
	gcdune_cycle_lock();
	struct given **place = &given;

	while (*place != one)
		place = &(*place)->next;
	*place = one->next;
	given_here = NULL;
	gcdune_cycle_unlock();
}

/* In the child: the others' stacks are gone. What they had been given, a collection finds dead again. */
void libgc_dead_after_fork(void)
{
	given = given_here;
	if (given)
		given->next = NULL;
}

void libgc_dead_process(void)
{
	struct given one = {0};
	bool leaks = GC_find_leak;
	size_t freed = 0;
	void *object;

	if (!__atomic_load_n(&list_used, __ATOMIC_RELAXED) || given_here)
		return;
	if (leaks)
		GC_err_printf("Found %zu leaked objects:\n", list_used);
	link_given(&one);
	while ((object = take(&one)))
		freed += process(&one, object);
	unlink_given(&one);
	/* What a program frees it may allocate again before the next collection. This was dead, and is so allowed already. */
	atomic_fetch_add(&gcdune_heap.allocated, (int64_t)freed);
	if (leaks && freed && libgc_abort_on_leak)
		libgc_fatal("objects have leaked, and GC_ABORT_ON_LEAK is set");
}

/* ---- What the program says ---- */

void GC_register_disclaim_proc(int kind, GC_disclaim_proc proc, int mark_from_all)
{
	libgc_init();
	if (kind < 0 || kind >= GCDUNE_KIND_MAX)
		libgc_fatal("GC_register_disclaim_proc: no such kind");
	kind = libgc_kind_swap(kind);
	gcdune_cycle_lock();
	disclaim[kind].proc = proc;
	disclaim[kind].mark_from_all = mark_from_all != 0;
	any_disclaim = true;
	any_mark_from_all |= mark_from_all != 0;
	libgc_dead_watch();
	gcdune_cycle_unlock();
}

void GC_register_describe_type_fn(int kind, GC_describe_type_fn fn)
{
	if (kind >= 0 && kind < GCDUNE_KIND_MAX)
		describe[libgc_kind_swap(kind)] = fn;
}

/* An object with a closure: a word that holds the closure's address plus 1, then the program's bytes. The 1 tells it from
 * an object that has just been made, whose word is 0. */
static int finalized_kind = -1;

static int run_closure(void *object)
{
	uintptr_t word = *(uintptr_t *)object;

	if (word & 1) {
		const struct GC_finalizer_closure *closure = (const struct GC_finalizer_closure *)(word & ~(uintptr_t)1);

		closure->proc((uintptr_t *)object + 1, closure->cd);
	}
	return 0;
}

void GC_init_finalized_malloc(void)
{
	libgc_init();
	gcdune_cycle_lock();
	if (finalized_kind < 0) {
		GC_register_displacement(sizeof(void *));
		GC_register_displacement(1);
		int kind = (int)libgc_kind_make(GC_DS_LENGTH, true);

		GC_register_disclaim_proc(libgc_kind_swap(kind), run_closure, 1);
		__atomic_store_n(&finalized_kind, kind, __ATOMIC_RELEASE);
	}
	gcdune_cycle_unlock();
}

void *GC_finalized_malloc(size_t size, const struct GC_finalizer_closure *closure)
{
	int kind = __atomic_load_n(&finalized_kind, __ATOMIC_ACQUIRE);
	uintptr_t *object;

	if (kind < 0)
		libgc_fatal("GC_finalized_malloc: call GC_init_finalized_malloc before");
	if (__builtin_add_overflow(size, sizeof(*object), &size))
		return GC_oom_fn(SIZE_MAX);
	object = gcdune_alloc_kind(size, (gcdune_kind)kind);
	if (!object)
		return NULL;
	*object = (uintptr_t)closure | 1;
	return object + 1;
}
