/* fault.c - in the program, ring 3: which handler a fault upcall is for, and the handlers for other exceptions and for
 * system calls.
 *
 * The nucleus knows one range that covers all (upcall_set); here each fault is looked up. Slots are published by their
 * handler word last, and a fault that finds nothing goes to the monitor, so a lookup may run beside a registration. */
#include "monitor.h"

#define HANDLERS 64

static struct handler {
	uintptr_t start, end;
	dune_fault_fn *fn;
	void *argument;
} handlers[HANDLERS];
static uint32_t lock;

__attribute__((visibility("hidden"))) int dune_upcall(const struct dune_registers *r);

int dune_upcall(const struct dune_registers *r)
{
	struct dune_fault fault = { r->reserved[SAVED_VECTOR], r->rip, (unsigned)r->reserved[SAVED_ERROR] };

	for (int i = 0; i < HANDLERS; i++) {
		dune_fault_fn *fn = __atomic_load_n(&handlers[i].fn, __ATOMIC_ACQUIRE);

		if (fn && fault.address >= handlers[i].start && fault.address < handlers[i].end)
			return fn(&fault, handlers[i].argument) != 0;
	}
	return 1;
}

int dune_fault_handler(const void *start, size_t length, dune_fault_fn *fn, void *argument)
{
	uintptr_t base = PAGE_DOWN(start), end = PAGE_UP((uintptr_t)start + length), low = UINTPTR_MAX, high = 0;
	struct handler *slot = NULL;
	int error = 0;

	if (!dune.active)
		return -ENOTSUP;
	if (end <= base || end > USER_END)
		return -EINVAL;
	dune_lock(&lock);
	for (int i = 0; i < HANDLERS && !error; i++) {
		struct handler *h = &handlers[i];

		if (h->fn && h->start == base && h->end == end)
			slot = h;
		else if (h->fn && h->start < end && h->end > base)
			error = -EEXIST;
	}
	for (int i = 0; i < HANDLERS && !slot && fn; i++)
		if (!handlers[i].fn)
			slot = &handlers[i];
	if (!error && !slot)
		error = fn ? -ENOSPC : -ENOENT;
	if (!error) {
		__atomic_store_n(&slot->fn, NULL, __ATOMIC_RELEASE);
		slot->start = base;
		slot->end = end;
		slot->argument = argument;
		__atomic_store_n(&slot->fn, fn, __ATOMIC_RELEASE);
		for (int i = 0; i < HANDLERS; i++)
			if (handlers[i].fn) {
				low = MIN(low, handlers[i].start);
				high = MAX(high, handlers[i].end);
			}
		error = (int)dune_hypercall(HYPERCALL_UPCALL, (long)(high ? low : 0), (long)(high ? high - low : 0),
					    (long)dune_upcall);
	}
	dune_unlock(&lock);
	return error;
}

/* In the child of a fork. Another thread of the parent's may have been in the middle of a registration, which did not
 * succeed then as far as anyone here knows: what it wrote is the state before or that after (a slot's handler comes
 * last), and the same registration can be done again. */
void fault_after_fork(void)
{
	lock = 0;
}

/* The first frame that upcall.S pushes lies 64 bytes below the end; handlers that were interrupted by faults are in
 * between. A thread that stands before the frame is complete is on its own stack for all that sees it (run.c). */
int dune_fault_stack(const void *stack, const void **end, const void **interrupted)
{
	uintptr_t at = (uintptr_t)stack, area = at & ~(uintptr_t)(AREA_SIZE - 1);

	if (!dune.active || at - (uintptr_t)dune.areas >= MAX_THREADS * (uintptr_t)AREA_SIZE || at - area < AREA_STACK)
		return 0;
	*end = (const void *)(area + AREA_SIZE);
	*interrupted = (const void *)((const struct dune_registers *)(area + AREA_SIZE - 64 - sizeof(struct dune_registers)))->rsp;
	return 1;
}

/* ---- Other exceptions -------------------------------------------------------------------------------------------- */

static struct {
	dune_exception_fn *fn;
	void *argument;
} raised_to[32];

/* From upcall.S. Vectors 8, 10 to 14, 17 have an error code; for others the word is left over from another. */
static int on_exception(struct dune_registers *r, void *xsave)
{
	unsigned vector = r->reserved[SAVED_VECTOR] & 31;
	bool has_error = 0x27d00U >> vector & 1;
	dune_exception_fn *fn = __atomic_load_n(&raised_to[vector].fn, __ATOMIC_ACQUIRE);
	struct dune_exception e = { vector, has_error ? (unsigned)r->reserved[SAVED_ERROR] : 0, r, xsave };

	return !fn || fn(&e, raised_to[vector].argument);
}

/* The word of the handler changes last, as above. */
int dune_exception_handler(unsigned vector, dune_exception_fn *fn, void *argument)
{
	uint32_t all = 0;
	int error;

	if (!dune.active)
		return -ENOTSUP;
	if (vector > 31 || !(EXCEPTIONS_FOR_HANDLERS >> vector & 1))
		return -EINVAL;
	dune_lock(&lock);
	__atomic_store_n(&raised_to[vector].fn, NULL, __ATOMIC_RELEASE);
	raised_to[vector].argument = argument;
	__atomic_store_n(&raised_to[vector].fn, fn, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < 32; i++)
		all |= raised_to[i].fn ? 1U << i : 0;
	error = (int)dune_hypercall(HYPERCALL_EXCEPTION, (long)all, (long)on_exception, 0);
	dune_unlock(&lock);
	return error;
}

/* ---- System calls ------------------------------------------------------------------------------------------------ */

static struct {
	dune_syscall_fn *fn;
	void *argument;
} filter;

/* What dune_syscall_entry has pushed. */
struct call {
	uint64_t r15, r14, r13, r12, r10, r9, r8, rbp, rdi, rsi, rdx, rbx, rax, r11, rip;
};

static int on_syscall(struct call *c)
{
	struct dune_syscall call = {(long)c->rax,
				    {(long)c->rdi, (long)c->rsi, (long)c->rdx, (long)c->r10, (long)c->r8, (long)c->r9},
				    0,
				    c->rip};

	if (!filter.fn || filter.fn(&call, filter.argument))
		return 1;
	c->rax = (uint64_t)call.result;
	return 0;
}

int dune_syscall_handler(dune_syscall_fn *fn, void *argument)
{
	if (!dune.active)
		return -ENOTSUP;
	filter.argument = argument;
	filter.fn = fn;
	return (int)dune_hypercall(HYPERCALL_SYSCALL, fn ? (long)on_syscall : 0, 0, 0);
}
