/* thread.c - threads and processes: clone in all its forms, and how each ends.
 *
 * A thread of the program is a thread of the host with a monitor stack and a vCPU, both from pools. vfork (and
 * whatever else shares memory without being a thread) is the same with a process of its own; its parent waits in the
 * kernel and then takes the vCPU back, whichever way the child went. fork copies the monitor with all its state; the
 * child throws away what belonged to other threads, and makes its own VM, into which the page tables that came along
 * fit.
 *
 * Fork with other threads running: both locks are held across it, so the tables and pools are consistent in the
 * child. */
#include <sched.h>
#include <sys/mman.h>

#include "monitor.h"

struct sighand *sighand_new(void)
{
	for (unsigned i = 0; i < MAX_THREADS; i++)
		if (!dune.sighands[i].used) {
			dune.sighands[i].used = true;
			dune.sighands[i].users = 1;
			dune.sighands_high = MAX(dune.sighands_high, i + 1);
			return &dune.sighands[i];
		}
	return NULL;
}

static void sighand_put(struct sighand *hand)
{
	if (!--hand->users)
		hand->used = false;
}

/* dune.pool_lock is held, or there is one thread. The lowest that is free: what was never used is not touched. */
struct thread *thread_new(void)
{
	for (unsigned i = 0; i < MAX_THREADS; i++) {
		struct thread *t = (struct thread *)(dune.threads + i * THREAD_SIZE);

		if (__atomic_load_n(&t->used, __ATOMIC_ACQUIRE))
			continue;
		__builtin_memset(t, 0, sizeof(*t));
		t->xsave = dune.xsaves + i * dune.xsave_size;
		t->used = 1;
		if (dune.threads_high <= i)
			__atomic_store_n(&dune.threads_high, i + 1, __ATOMIC_SEQ_CST);
		return t;
	}
	return NULL;
}

static void release(struct thread *t)
{
	dune_lock(&dune.pool_lock);
	if (t->vcpu)
		vcpu_put(t->vcpu);
	sighand_put(t->sighand);
	dune_unlock(&dune.pool_lock);
}

/* Where the robust mutexes are that the kernel will hand on: it writes to the lock words. */
static void mark_robust_list(uintptr_t head)
{
	struct {
		uintptr_t next;
		long offset;
		uintptr_t pending;
	} list;
	uintptr_t at;

	if (!head || guest_read(&list, head, sizeof(list)))
		return;
	at = list.next;
	for (int i = 0; i < 2048 && (at & ~1UL) != head; i++) {
		uintptr_t next;

		pt_mark((at & ~1UL) + (uintptr_t)list.offset, 4);
		if (guest_read(&next, at & ~1UL, sizeof(next)))
			break;
		at = next;
	}
	if (list.pending & ~1UL)
		pt_mark((list.pending & ~1UL) + (uintptr_t)list.offset, 4);
}

/* Returns only when a signal was first: its handler runs, and then the call is made again. */
void thread_exit(struct thread *t, long status)
{
	uint64_t all = ~0UL;

	sys_sigmask(SIG_SETMASK, &all, NULL);
	if (t->pending)
		return;
	if (t->clear_tid)
		pt_mark(t->clear_tid, 4);
	mark_robust_list(t->robust_list);
	/* A vfork child's parent releases. */
	if (t->vfork) {
		for (;;)
			SYS1(exit, status);
	}
	t->run = NULL;
	release(t);
	if (!t->process) {
		bool last;

		dune_lock(&dune.pool_lock);
		last = !__atomic_sub_fetch(&dune.live, 1, __ATOMIC_RELAXED);
		if (SYS0(gettid) == SYS0(getpid)) {
			dune.leader_ended = true;
			dune.leader_status = (int)status;
		}
		dune_unlock(&dune.pool_lock);
		/* KVM may keep a thread of its own in this process, which would outlive the program's last one. */
		if (last) {
			report_statistics();
			for (;;)
				SYS1(exit_group, dune.leader_ended ? dune.leader_status : (int)status);
		}
	}
	dune_exit_thread(&t->used, status);
}

/* The first thing that a new thread does, on its own monitor stack. Everything is blocked. */
static void begin(struct thread *t)
{
	uint64_t mask = t->pending_mask;

	t->tid = (uint32_t)SYS0(gettid);
	if (vcpu_set_user(t->vcpu, t->root, t->fs, t->gs) < 0 || vcpu_set_xsave(t->vcpu, t->xsave) < 0)
		die(t, "a new thread's vCPU refuses its registers");
	sys_sigmask(SIG_SETMASK, &mask, NULL);
	run(t);
}

static long clone_sharing(struct thread *t, const long a[6], uint64_t mask)
{
	uint64_t flags = (uint64_t)a[0];
	struct thread *child;
	long pid;

	dune_lock(&dune.pool_lock);
	child = thread_new();
	if (child) {
		dune_lock(&dune.lock);
		child->vcpu = vcpu_get();
		dune_unlock(&dune.lock);
		if (child->vcpu && flags & CLONE_SIGHAND) {
			child->sighand = t->sighand;
			child->sighand->users++;
		} else if (child->vcpu) {
			child->sighand = sighand_new();
			if (child->sighand)
				__builtin_memcpy(child->sighand->action, t->sighand->action,
						 sizeof(t->sighand->action));
		}
		if (!child->vcpu || !child->sighand) {
			if (child->vcpu)
				vcpu_put(child->vcpu);
			child->used = 0;
			child = NULL;
		}
	}
	dune_unlock(&dune.pool_lock);
	if (!child)
		return -EAGAIN;
	child->run = child->vcpu->run;
	child->regs = &child->run->s.regs.regs;
	*child->regs = *t->regs;
	child->regs->rax = 0;
	if (a[1])
		child->regs->rsp = (uint64_t)a[1];
	child->at = AT_USER;
	/* With TLS of its own it is a thread that has not chosen a table yet (dune_root). */
	child->root = flags & CLONE_SETTLS ? *dune.roots : t->root;
	child->pending_mask = mask;
	child->clear_tid = flags & CLONE_CHILD_CLEARTID ? (uintptr_t)a[3] : 0;
	if (flags & CLONE_VFORK || !(flags & CLONE_VM))
		child->altstack = t->altstack;
	else
		child->altstack = (stack_t){ .ss_flags = SS_DISABLE };
	child->vfork = flags & CLONE_VFORK;
	child->process = !(flags & CLONE_THREAD);
	if (!child->process)
		__atomic_fetch_add(&dune.live, 1, __ATOMIC_RELAXED);
	if (vcpu_get_bases(t->vcpu, &child->fs, &child->gs) < 0 || vcpu_get_xsave(t->vcpu, child->xsave) < 0)
		die(t, "KVM_GET_SREGS failed");
	if (flags & CLONE_SETTLS)
		child->fs = (uint64_t)a[4];
	pid = dune_clone((long)flags, (char *)child + THREAD_SIZE, a[2], a[3], a[4], begin, child);
	if (pid < 0 || flags & CLONE_VFORK) {
		/* It did not begin, or it is gone. */
		release(child);
		if (!child->process)
			__atomic_fetch_sub(&dune.live, 1, __ATOMIC_RELAXED);
		child->used = 0;
	}
	return pid;
}

/* In the child of a fork: alone, with the parent's memory. */
static void begin_process(struct thread *t, const struct kvm_regs *regs)
{
	int error;

	for (unsigned i = 0; i < dune.threads_high; i++) {
		struct thread *other = (struct thread *)(dune.threads + i * THREAD_SIZE);

		if (other != t && other->used)
			other->used = 0;
		other->kickers = 0;
	}
	for (unsigned i = 0; i < dune.sighands_high; i++)
		if (dune.sighands[i].used)
			dune.sighands[i].used = &dune.sighands[i] == t->sighand;
	t->sighand->users = 1;
	fault_after_fork();
	t->vfork = t->process = false;
	dune.live = 1;
	dune.leader_ended = false;
	__builtin_memset(&dune.stats, 0, sizeof(dune.stats));
	t->robust_list = 0;
	dune.generation++;
	dune.pid = (uint32_t)SYS0(getpid);
	t->tid = dune.pid;
	error = vm_after_fork();
	t->vcpu = error ? NULL : vcpu_get();
	if (!t->vcpu) {
		say("dune: a forked child cannot enter Dune mode (error %d)\n", -error);
		for (;;)
			SYS1(exit_group, 125);
	}
	t->run = t->vcpu->run;
	t->regs = &t->run->s.regs.regs;
	*t->regs = *regs;
	t->at = AT_USER;
	if (vcpu_set_user(t->vcpu, t->root, t->fs, t->gs) < 0 || vcpu_set_xsave(t->vcpu, t->xsave) < 0)
		die(t, "a forked child's vCPU refuses its registers");
}

static long clone_process(struct thread *t, const long a[6])
{
	uint64_t flags = (uint64_t)a[0];
	struct kvm_regs regs = *t->regs;
	long pid;

	if (vcpu_get_bases(t->vcpu, &t->fs, &t->gs) < 0 || vcpu_get_xsave(t->vcpu, t->xsave) < 0)
		die(t, "KVM_GET_SREGS failed");
	if (flags & CLONE_SETTLS)
		t->fs = (uint64_t)a[4];
	dune_lock(&dune.pool_lock);
	dune_lock(&dune.lock);
	/* The child goes on right here, on its copy of this stack. */
	pid = SYS5(clone, flags & ~(uint64_t)CLONE_SETTLS, 0, a[2], a[3], a[4]);
	if (!pid) {
		if (a[1])
			regs.rsp = (uint64_t)a[1];
		if (flags & CLONE_CHILD_SETTID)
			pt_dirty((uintptr_t)a[3], 4);
		t->clear_tid = flags & CLONE_CHILD_CLEARTID ? (uintptr_t)a[3] : 0;
		dune.lock = dune.pool_lock = 1;
		begin_process(t, &regs);
	}
	dune_unlock(&dune.lock);
	dune_unlock(&dune.pool_lock);
	return pid;
}

/* clone, fork and vfork: a[] is flags, stack, parent's tid, child's tid, TLS. */
long thread_clone(struct thread *t, const long a[6], bool fork, bool vfork)
{
	long args[6] = { a[0], a[1], a[2], a[3], a[4], 0 };
	uint64_t all = ~0UL, mask;
	long pid;

	if (fork || vfork) {
		__builtin_memset(args, 0, sizeof(args));
		args[0] = vfork ? CLONE_VM | CLONE_VFORK | SIGCHLD : SIGCHLD;
	}
	sys_sigmask(SIG_BLOCK, &all, &mask);
	if (t->pending) { /* it came just before: first its handler, then the call */
		sys_sigmask(SIG_SETMASK, &(uint64_t){ ~(1UL << (KICK - 1)) }, NULL);
		return RESTART;
	}
	pid = args[0] & CLONE_VM ? clone_sharing(t, args, mask) : clone_process(t, args);
	if (pid > 0) {
		if (args[0] & (CLONE_PARENT_SETTID | CLONE_PIDFD))
			pt_mark((uintptr_t)args[2], 4);
		if (args[0] & CLONE_CHILD_SETTID && args[0] & CLONE_VM)
			pt_mark((uintptr_t)args[3], 4);
	}
	sys_sigmask(SIG_SETMASK, &mask, NULL);
	return pid;
}
