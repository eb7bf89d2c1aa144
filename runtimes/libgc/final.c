/* final.c - finalizers and disappearing links, with Boehm's return values.
 *
 * gcdune takes the start of a live object only. What a program registers for anything else can never happen, and Boehm's
 * functions accept that: a finalizer is then not registered, a link to something outside the heap never
 * disappears. A pointer into an object stands for the object. */
#include "libgc.h"

#include <errno.h>

/* Some programs tag their pointers (ECL its lists), and want the finalizer called with the pointer that they gave. */
struct tagged {
	GC_finalization_proc fn;
	void *data;
	size_t offset;
};

static void call_tagged(void *object, void *data)
{
	const struct tagged *tagged = data;

	tagged->fn((char *)object + tagged->offset, tagged->data);
}

static int set_at(void *object, GC_finalization_proc fn, void *data, enum gcdune_finalize_order order,
		  GC_finalization_proc *old_fn, void **old_data)
{
	char *base = gcdune_base(object);
	GC_finalization_proc former = NULL;
	void *former_data = NULL;
	int error;

	if (fn && base && base != (char *)object) {
		struct tagged *tagged = gcdune_alloc(sizeof(*tagged));

		if (!tagged)
			return -ENOMEM;
		*tagged = (struct tagged){ fn, data, (size_t)((char *)object - base) };
		fn = call_tagged;
		data = tagged;
	}
	error = gcdune_finalizer_set(base ? base : object, fn, data, order, &former, &former_data);
	if (former == call_tagged) {
		const struct tagged *tagged = former_data;

		former = tagged->fn;
		former_data = tagged->data;
	}
	if (old_fn)
		*old_fn = former;
	if (old_data)
		*old_data = former_data;
	return error;
}

static void set(void *object, GC_finalization_proc fn, void *data, enum gcdune_finalize_order order,
		GC_finalization_proc *old_fn, void **old_data)
{
	/* Nothing dies in leak-finding mode. */
	int error = GC_find_leak ? -EINVAL : set_at(object, fn, data, order, old_fn, old_data);

	if (error == -EINVAL) {
		if (old_fn)
			*old_fn = NULL;
		if (old_data)
			*old_data = NULL;
	} else if (error) {
		GC_get_oom_fn()(0);
	}
}

void GC_register_finalizer(void *object, GC_finalization_proc fn, void *data, GC_finalization_proc *old_fn, void **old_data)
{
	set(object, fn, data, GCDUNE_FINALIZE_ORDERED, old_fn, old_data);
}

void GC_register_finalizer_ignore_self(void *object, GC_finalization_proc fn, void *data, GC_finalization_proc *old_fn,
				       void **old_data)
{
	set(object, fn, data, GCDUNE_FINALIZE_IGNORE_SELF, old_fn, old_data);
}

void GC_register_finalizer_no_order(void *object, GC_finalization_proc fn, void *data, GC_finalization_proc *old_fn,
				    void **old_data)
{
	set(object, fn, data, GCDUNE_FINALIZE_UNORDERED, old_fn, old_data);
}

void GC_register_finalizer_unreachable(void *object, GC_finalization_proc fn, void *data, GC_finalization_proc *old_fn,
				       void **old_data)
{
	set(object, fn, data, GCDUNE_FINALIZE_UNREACHABLE, old_fn, old_data);
}

int GC_should_invoke_finalizers(void)
{
	return gcdune_finalizers_pending();
}

int GC_invoke_finalizers(void)
{
	return (int)gcdune_finalizers_run();
}

static void check_place(void **link)
{
	if (!link || (uintptr_t)link % sizeof(void *))
		libgc_fatal("a disappearing link must be at an aligned address");
}

static int add(void **link, const void *object, enum gcdune_link_kind kind)
{
	void *base = gcdune_base(object);

	check_place(link);
	switch (gcdune_link_add(link, base ? base : object, kind)) {
	case 0:
	case -EINVAL:
		return GC_SUCCESS;
	case -EEXIST:
		return GC_DUPLICATE;
	default:
		return GC_NO_MEMORY;
	}
}

static int move(void **from, void **to, enum gcdune_link_kind kind)
{
	check_place(to);
	if ((uintptr_t)from % sizeof(void *))
		return GC_NOT_FOUND;
	switch (gcdune_link_move(from, to, kind)) {
	case 0:
		return GC_SUCCESS;
	case -EEXIST:
		return GC_DUPLICATE;
	default:
		return GC_NOT_FOUND;
	}
}

int GC_general_register_disappearing_link(void **link, const void *object)
{
	return add(link, object, GCDUNE_LINK_SHORT);
}

int GC_register_disappearing_link(void **link)
{
	void *base = gcdune_base(link);

	if (!base)
		libgc_fatal("GC_register_disappearing_link: the link is not in an object");
	return add(link, base, GCDUNE_LINK_SHORT);
}

int GC_register_long_link(void **link, const void *object)
{
	return add(link, object, GCDUNE_LINK_LONG);
}

int GC_move_disappearing_link(void **from, void **to)
{
	return move(from, to, GCDUNE_LINK_SHORT);
}

int GC_move_long_link(void **from, void **to)
{
	return move(from, to, GCDUNE_LINK_LONG);
}

int GC_unregister_disappearing_link(void **link)
{
	return gcdune_link_remove(link, GCDUNE_LINK_SHORT) == 0;
}

int GC_unregister_long_link(void **link)
{
	return gcdune_link_remove(link, GCDUNE_LINK_LONG) == 0;
}
