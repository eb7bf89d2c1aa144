/* flush.c - the flush epoch, as the monitor and the program use it.
 *
 * dune.epoch counts requests. Safety argument: a thread is safe with respect to epoch e when it has reloaded CR3
 * after dune.epoch became e. In the monitor (run.c) a thread sets in_guest, then loads the epoch and flushes on its
 * way in if it has changed; flush_all stores the epoch, then loads in_guest. Both are sequentially consistent, so
 * one of them sees the other: either the thread flushes, or flush_all finds it in the guest with an older epoch and
 * kicks it out. The kick is a signal whose handler sets immediate_exit, so it is not lost between the thread's test
 * and KVM_RUN either.
 *
 * Without an exit: dune_flush_request stores the epoch, and dune_flush_done looks at the same two words of each vCPU's
 * data page, where the monitor repeats them, and a thread that has flushed by itself writes the epoch that it read before.
 * So it says yes only if each thread is outside, and will flush on its way in; or has flushed since the request. What
 * such a thread had written before through an old translation is in memory by then: processors store in order, and it
 * stored the word behind its flush. It may say no for too long (that word can be older than the monitor's), never yes
 * too early. A vCPU is made before its thread is, which begins with epoch 0 and so flushes. */
#include "monitor.h"

static void kick(struct thread *other)
{
	__atomic_add_fetch(&other->kickers, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&other->in_guest, __ATOMIC_SEQ_CST))
		SYS2(tkill, other->tid, KICK);
	__atomic_sub_fetch(&other->kickers, 1, __ATOMIC_SEQ_CST);
}

/* Returns how many threads were interrupted. */
long flush_all(struct thread *t)
{
	long interrupted = 0;
	uint64_t epoch = __atomic_add_fetch(&dune.epoch, 1, __ATOMIC_SEQ_CST);

	for (unsigned i = 0; i < dune.threads_high; i++) {
		struct thread *other = (struct thread *)(dune.threads + i * THREAD_SIZE);
		unsigned tries = 0;

		while (other != t && __atomic_load_n(&other->used, __ATOMIC_SEQ_CST) &&
		       __atomic_load_n(&other->in_guest, __ATOMIC_SEQ_CST) &&
		       __atomic_load_n(&other->epoch, __ATOMIC_SEQ_CST) < epoch) {
			interrupted += tries == 0;
			if (tries++ % 64 == 0 && other->tid)
				kick(other);
			SYS0(sched_yield);
		}
	}
	return interrupted;
}

/* Before T calls exec: a kick that is still on its way would be pending in the new program, and end it. T is not in the
 * guest, so no other kick begins (kick: one of the two sees what the other wrote), and those that have begun are waited
 * for; a thread in the middle of one may have been ended with its process, so not for ever. What has been sent is
 * delivered at the end of the next system call. */
void flush_await_kicks(struct thread *t)
{
	enum { LONG = 100000 };

	for (unsigned n = 0; __atomic_load_n(&t->kickers, __ATOMIC_SEQ_CST) && n < LONG; n++)
		SYS0(sched_yield);
	SYS0(sched_yield);
}

/* ---- In the program ---------------------------------------------------------------------------------------------- */

/* The last epoch that this thread has flushed for, by itself. */
static __thread uint64_t seen;
/* The data page of its vCPU, as of the last flush, in this VM. */
static __thread char *own;
static __thread uint64_t own_generation;

static void flush_for(uint64_t epoch)
{
	own = dune_flush_trap();
	own_generation = dune.generation;
	seen = epoch;
	__atomic_store_n((uint64_t *)(own + DATA_EPOCH), epoch, __ATOMIC_SEQ_CST);
}

void dune_flush_local(void)
{
	if (dune.active)
		dune_flush_trap();
}

uint64_t dune_flush_request(void)
{
	return __atomic_add_fetch(&dune.epoch, 1, __ATOMIC_SEQ_CST);
}

void dune_flush_check(void)
{
	uint64_t epoch = __atomic_load_n(&dune.epoch, __ATOMIC_SEQ_CST);

	if (seen != epoch && dune.active)
		flush_for(epoch);
}

int dune_flush_done(uint64_t epoch)
{
	if (!dune.active)
		return 1;
	dune_flush_check();
	for (unsigned i = 0; i < __atomic_load_n(&dune.vcpus, __ATOMIC_ACQUIRE); i++) {
		char *data = dune.areas + (size_t)i * AREA_SIZE + AREA_DATA;

		if (data != own && __atomic_load_n((uint64_t *)(data + DATA_IN_GUEST), __ATOMIC_SEQ_CST) &&
		    __atomic_load_n((uint64_t *)(data + DATA_EPOCH), __ATOMIC_SEQ_CST) < epoch)
			return 0;
	}
	return 1;
}

uint64_t dune_thread_exits(void)
{
	if (!dune.active)
		return 0;
	if (own_generation != dune.generation) {
		own = dune_flush_trap();
		own_generation = dune.generation;
	}
	return __atomic_load_n((uint64_t *)(own + DATA_EXITS), __ATOMIC_RELAXED);
}

int dune_flush_all(void)
{
	return dune.active ? (int)dune_hypercall(HYPERCALL_FLUSH_ALL, 0, 0, 0) : -ENOTSUP;
}
