/* stack.c - blocking regions, the lock, and where stacks end.
 *
 * gcdune_active_call belongs inside gcdune_blocking_call, while GC_call_with_gc_active may be called anywhere: `blocking'
 * says which it is. Leaving these functions by longjmp is as forbidden as with Boehm's. */
#include "libgc.h"

#include "thread.h"

static __thread bool blocking;

void *GC_do_blocking(GC_fn_type fn, void *data)
{
	bool before = blocking;
	void *result;

	if (before)
		return fn(data);
	blocking = true;
	result = gcdune_blocking_call(fn, data);
	blocking = before;
	return result;
}

void *GC_call_with_gc_active(GC_fn_type fn, void *data)
{
	void *result;

	libgc_init();
	if (!blocking)
		return fn(data);
	blocking = false;
	result = gcdune_active_call(fn, data);
	blocking = true;
	return result;
}

void *GC_call_with_alloc_lock(GC_fn_type fn, void *data)
{
	return gcdune_locked_call_to(fn, data, __builtin_return_address(0));
}

/* The address must be in a frame that outlives FN, so this is never a tail call. */
__attribute__((noinline)) void *GC_call_with_stack_base(GC_stack_base_func fn, void *arg)
{
	struct GC_stack_base base;
	void *result;

	base.mem_base = &base;
	result = fn(&base, arg);
	__asm__ __volatile__("" : : "r"(&base) : "memory");
	return result;
}

/* For threads that gcdune does not know too. */
int GC_get_stack_base(struct GC_stack_base *base)
{
	pthread_attr_t attr;
	void *low = NULL;
	size_t size = 0;

	if (pthread_getattr_np(pthread_self(), &attr))
		return GC_UNIMPLEMENTED;
	pthread_attr_getstack(&attr, &low, &size);
	pthread_attr_destroy(&attr);
	base->mem_base = (char *)low + size;
	return GC_SUCCESS;
}

void *GC_get_my_stackbottom(struct GC_stack_base *base)
{
	libgc_init();
	base->mem_base = gcdune_thread_stack_end();
	return (void *)pthread_self();
}

void GC_set_stackbottom(void *handle, const struct GC_stack_base *base)
{
	if (handle && handle != (void *)pthread_self()) {
		if (gcdune_thread_stack_end_tell((pthread_t)handle, base->mem_base))
			libgc_fatal("GC_set_stackbottom: no such thread");
		return;
	}
	if (!libgc_initialized)
		GC_stackbottom = base->mem_base;
	else
		gcdune_thread_stack_end_set(base->mem_base);
}
