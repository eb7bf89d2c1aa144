/* suspend.c - stopping one thread for as long as another wants (GC_suspend_thread; debuggers of programs).
 *
 * A thread that runs is suspended in the handler of a stop of the world: it stays there, on `suspended', when the others
 * go on, and counts as BLOCKED from its saved stack pointer, so that collections neither signal it nor wait for it. One
 * that is BLOCKED already goes on in its blocking region and is held when it wants to leave it (blocking.c, lock.c).
 * Everything here is under heap.cycle, so no collection sees a state in between.
 *
 * A thread must not stay stopped while it holds, takes or gives a lock of ours (it may be about to wake who waits for it).
 * So it is suspended only where the interrupted code is the program's, or libc's called by it; else it is let go and stopped
 * again a moment later. */
#define _GNU_SOURCE
#include <sys/auxv.h>
#include <ucontext.h>
#include <unwind.h>

#include "cycle.h"
#include "loader.h"
#include "os.h"
#include "thread.h"

/* The code of this library, of libc, and what the kernel provides for libc to call. */
static struct {
	uintptr_t begin, end;
} ours, libc, vdso;

static bool inside_code(uintptr_t pc, uintptr_t begin, uintptr_t end)
{
	return pc >= begin && pc < end;
}

static bool inside_libc(uintptr_t pc)
{
	return inside_code(pc, libc.begin, libc.end) || inside_code(pc, vdso.begin, vdso.end);
}

struct look {
	uintptr_t from; /* nothing counts before this address is met: the handler's own frames */
	bool met, possible;
};

static _Unwind_Reason_Code frame(struct _Unwind_Context *context, void *arg)
{
	struct look *look = arg;
	uintptr_t pc = _Unwind_GetIP(context);

	look->met |= pc == look->from;
	if (!look->met || inside_libc(pc))
		return _URC_NO_REASON;
	look->possible = !inside_code(pc, ours.begin, ours.end);
	return _URC_END_OF_STACK;
}

/* In the handler. */
void gcdune_suspend_look(struct gcdune_thread *thread, void *context)
{
	uintptr_t pc = (uintptr_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
	struct look look = {.from = pc};

	/* A sanitizer's code, or whatever else may stand in front of libc, is not told from the program's. */
	if (gcdune_cycle_runs_here())
		look.possible = false;
	else if (inside_libc(pc))
		_Unwind_Backtrace(frame, &look);
	else
		look.possible = !inside_code(pc, ours.begin, ours.end);
	thread->suspend_look = look.possible ? 2 : 1;
}

static struct gcdune_thread *find(pthread_t thread)
{
	struct gcdune_thread *record = gcdune_threads;

	while (record && record->tp != (uintptr_t)thread)
		record = record->next;
	return record;
}

static void *nothing(void *arg)
{
	return arg;
}

/* False: not at this moment. The dynamic linker's lock is held: it must not be with the one that stays stopped. */
static bool park(struct gcdune_thread *thread)
{
	thread->suspend_look = 1;
	gcdune_stop_world();
	bool possible = thread->suspend_look == 2;

	thread->suspend_look = 0;
	if (possible) {
		atomic_store(&thread->suspended, 1);
		atomic_store(&thread->state, GCDUNE_THREAD_BLOCKED);
		thread->parked = true;
	}
	gcdune_stop_release();
	return possible;
}

void gcdune_thread_suspend(pthread_t id)
{
	if (!ours.end) {
		gcdune_os_mapping((uintptr_t)gcdune_thread_suspend, &ours.begin, &ours.end);
		gcdune_os_mapping((uintptr_t)pthread_mutex_init, &libc.begin, &libc.end);
		if (getauxval(AT_SYSINFO_EHDR))
			gcdune_os_mapping(getauxval(AT_SYSINFO_EHDR), &vdso.begin, &vdso.end);
	}
	gcdune_cycle_lock_with_loader();
	struct gcdune_thread *thread = find(id);
	bool ourself = thread && thread == gcdune_thread_self, again = false;

	if (thread && !atomic_load(&thread->suspended)) {
		bool blocked = atomic_load(&thread->state) == GCDUNE_THREAD_BLOCKED;

		if (ourself || (blocked && !thread->takes_lock))
			atomic_store(&thread->suspended, 1);
		else
			again = blocked || !park(thread);
	} else {
		ourself = false;
	}
	gcdune_cycle_unlock();
	gcdune_loader_unlock();
	if (ourself)
		gcdune_blocking_call(nothing, NULL); /* and is held on leaving it */
	if (again) {
		gcdune_os_sleep(100000);
		gcdune_thread_suspend(id); /* perhaps it has ended */
	}
}

void gcdune_thread_resume(pthread_t id)
{
	gcdune_cycle_lock();
	struct gcdune_thread *thread = find(id);

	if (thread && atomic_load(&thread->suspended)) {
		if (thread->parked)
			atomic_store(&thread->state, GCDUNE_THREAD_RUNNING);
		thread->parked = false;
		atomic_store(&thread->suspended, 0);
		gcdune_os_futex_wake(&thread->suspended, 1 << 30);
	}
	gcdune_cycle_unlock();
}

bool gcdune_thread_is_suspended(pthread_t id)
{
	gcdune_cycle_lock();
	struct gcdune_thread *thread = find(id);
	bool suspended = thread && atomic_load(&thread->suspended);

	gcdune_cycle_unlock();
	return suspended;
}
