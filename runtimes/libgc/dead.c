/* dead.c - what happens to objects when a collection has found that they are about to die: disclaim procedures
 * (gc_disclaim.h), and in leak-finding mode the report that nobody freed them.
 *
 * With the world stopped, objects that someone wants to see are put on a list and kept alive for this time, with what they
 * point to. After the collection the thread that collected takes them off, one by one, calls the procedure or prints the
 * report, and frees them. While they wait they are roots, so that a collection in between does not find them again. The
 * list is under heap.cycle; it hides no pointer because its memory is not scanned. */
#include "libgc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static void **list;
static size_t list_used, list_room, list_new;

bool libgc_abort_on_leak;

/* ---- In the collection ---- */

static void append(void *object)
{
	if (list_used == list_room) {
		size_t room = list_room ? 2 * list_room : 4096;
		void **grown = list ? gcdune_os_remap(list, list_room * sizeof(*list), room * sizeof(*list))
				    : gcdune_os_map(room * sizeof(*list));

		if (!grown) {
			gcdune_walk_push(object); /* its turn comes another time */
			return;
		}
		list = grown;
		list_room = room;
	}
	list[list_used++] = object;
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
	list_new = list_used;
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
	for (size_t i = list_new; i < list_used; i++)
		gcdune_walk_push(list[i]);
	gcdune_walk_drain();
}

void libgc_dead_watch(void)
{
	gcdune_walk_hook = hook;
}

void libgc_dead_push(struct gcdune_marker *marker)
{
	for (size_t i = 0; i < list_used; i++)
		gcdune_mark(marker, list[i]);
}

/* ---- After it ---- */

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

/* The object waits on this frame from when it left the list. */
static bool process_one(bool *leaked)
{
	void *object = NULL;

	gcdune_cycle_lock();
	if (list_used)
		object = list[--list_used];
	gcdune_cycle_unlock();
	if (!object)
		return false;
	int kind = gcdune_kind_of(object);

	if (GC_find_leak) {
		*leaked = true;
		report_leak(object);
	} else if (kind >= 0 && disclaim[kind].proc && disclaim[kind].proc(object)) {
		return true; /* not to be reclaimed this time */
	}
	gcdune_free(object);
	return true;
}

void libgc_dead_process(void)
{
	static __thread bool inside;
	bool leaked = false;

	if (!__atomic_load_n(&list_used, __ATOMIC_RELAXED) || inside)
		return;
	inside = true;
	if (GC_find_leak)
		GC_err_printf("Found %zu leaked objects:\n", list_used);
	while (process_one(&leaked))
		;
	inside = false;
	if (leaked && libgc_abort_on_leak)
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
