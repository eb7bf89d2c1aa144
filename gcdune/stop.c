/* stop.c - stopping the world: a signal to every attached thread that runs, an answer from each, and a release.
 *
 * The stopper holds heap.cycle, so the list of threads stands still and there is one stopper. A thread is asked only if it
 * is not in a blocking region; each is answered for exactly once before the world counts as stopped: by the handler. Who
 * is asked sends itself the signal when it leaves its next critical section, as one that allocates does in a microsecond; the
 * others are signalled after that. If the handler finds the thread in a critical section, that ends with the signal again. So
 * a stopped thread is always in the handler, where every other signal is blocked and no code of the program runs.
 *
 * A stopped thread waits on `release' (a futex), which the stopper bumps; it spins first where stops are brief. All
 * registers of the interrupted code are in the signal frame on the stack above thread->sp. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#include "options.h"
#include "os.h"
#include "place.h"
#include "stats.h"
#include "thread.h"

static _Atomic uint32_t release;    /* counts stops that have ended */
static _Atomic unsigned sleepers;   /* who has to be woken then */
/* In the last stop there was so little to do that it took longer to wake who slept meanwhile; and each thread has a
 * processor. Then they spin; but no longer than that takes in a virtual machine. */
static _Atomic bool brief;
enum { BRIEF_NS = 100000 };
static uint64_t stopped_at;
static bool all_have_processors;
/* Signals that are not answered. The bits from REFUSAL up change with each refusal: who waits for an answer, having seen
 * none refused, must not sleep through one. */
static _Atomic uint32_t unanswered;
enum { REFUSAL = 1 << 20 };
static sigset_t mask_before;	    /* of the stopper */

/* What a program does with the lock held it may finish just after: it stores what the call returned, and only then is its
 * data whole again. Guile moves its stack so. A collection that waited for the lock would stop it exactly there, where
 * one by a thread that allocates never does. So until the program is some instructions further the thread refuses, and
 * is signalled again. What counts as our code may be all of a static program, hence the bound. */
enum { SOME_INSTRUCTIONS = 96 /* bytes */, MOST_REFUSED = 20 };

static struct {
	uintptr_t begin, end;
} our_code;
static _Atomic unsigned refusals; /* in this stop, not signalled again yet */

static bool not_now(struct gcdune_thread *thread, const ucontext_t *context)
{
	uintptr_t pc = (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
	int leaving = atomic_load_explicit(&thread->leaving, memory_order_relaxed);

	if (leaving == GCDUNE_LEAVING_NOT)
		return false;
	if (thread->refused++ < MOST_REFUSED &&
	    (leaving == GCDUNE_LEAVING_LOCK || thread->coming || (pc >= our_code.begin && pc < our_code.end) ||
	     pc - thread->leaving_to < SOME_INSTRUCTIONS))
		return true;
	thread->leaving = GCDUNE_LEAVING_NOT;
	return false;
}

uint64_t gcdune_stop_brief(void)
{
	return atomic_load_explicit(&brief, memory_order_relaxed) ? BRIEF_NS : 0;
}

static void on_signal(int signal, siginfo_t *info, void *context)
{
	struct gcdune_thread *thread = gcdune_thread_self;
	int saved_errno = errno;
	stack_t altstack;

	(void)signal;
	(void)info;
	if (!thread || !atomic_load(&thread->stop_wanted))
		return; /* someone else's signal: nothing is lost by ignoring it */
	if (thread->critical) {
		thread->stop_pending = 1;
		return;
	}
	if (__builtin_expect(not_now(thread, context), 0)) {
		atomic_store(&thread->has_refused, 1);
		atomic_fetch_add(&refusals, 1);
		atomic_fetch_add(&unanswered, REFUSAL);
		gcdune_os_futex_wake(&unanswered, 1);
		errno = saved_errno;
		return;
	}
	gcdune_place_program();
	uint32_t ticket = atomic_load(&release);
	uintptr_t outer = thread->sp;
	uint64_t begin = gcdune_os_now();

	/* Inside another handler on its alternate stack? Then the stack below matters too (roots-thread.c). */
	thread->on_altstack = sigaltstack(NULL, &altstack) == 0 && altstack.ss_flags & SS_ONSTACK;
	if (thread->on_altstack)
		thread->altstack_end = (uintptr_t)altstack.ss_sp + altstack.ss_size;
	thread->sp = (uintptr_t)__builtin_frame_address(0);
	if (thread->suspend_look)
		gcdune_suspend_look(thread, context);
	thread->stop_pending = 0;
	atomic_store(&thread->stop_wanted, 0);
	if (atomic_fetch_sub(&unanswered, 1) % REFUSAL == 1)
		gcdune_os_futex_wake(&unanswered, 1);
	for (uint64_t until = begin + gcdune_stop_brief(); atomic_load(&release) == ticket && gcdune_os_now() < until;)
		__builtin_ia32_pause();
	/* Counted before it looks at `release' for the last time, which the kernel does; who bumps that asks for the count after. */
	atomic_fetch_add(&sleepers, 1);
	while (atomic_load(&release) == ticket)
		gcdune_os_futex_wait(&release, ticket);
	atomic_fetch_sub(&sleepers, 1);
	while (atomic_load(&thread->suspended))
		gcdune_os_futex_wait(&thread->suspended, 1);
	thread->sp = outer;
	gcdune_stats_lost(thread, GCDUNE_LOST_STOP, begin, gcdune_os_now());
	errno = saved_errno;
}

void gcdune_stop_late(struct gcdune_thread *thread)
{
	/* Delivered before the call returns, unless the program blocks the signal: then as soon as it no longer does.
	 */
	thread->coming = true;
	gcdune_os_tgkill(thread->tid, gcdune_options.signal);
	thread->coming = false;
}

/* ---- The signal ----
 *
 * The one that was asked for, while the program leaves it alone. If the program has a handler for it, ours moves to another
 * that has none, so that both get what is theirs. */

static bool is_ours(int signal)
{
	struct sigaction now;

	return sigaction(signal, NULL, &now) == 0 && now.sa_flags & SA_SIGINFO && now.sa_sigaction == on_signal;
}

static bool is_unused(int signal)
{
	struct sigaction now;

	return sigaction(signal, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) &&
	       (now.sa_handler == SIG_DFL || now.sa_handler == SIG_IGN);
}

static int take(int signal)
{
	struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};

	sigfillset(&action.sa_mask);
	if (sigaction(signal, &action, NULL))
		return -errno;
	gcdune_options.signal = signal;
	return 0;
}

/* Signals that THREAD blocks, bit 0 for the first, as far as can be known. */
static unsigned long long blocked_signals(const struct gcdune_thread *thread)
{
	char path[64], text[4096];
	unsigned long long blocked = 0;

	snprintf(path, sizeof path, "/proc/self/task/%d/status", thread->tid);
	char *line = gcdune_os_read_file(path, text, sizeof text) > 0 ? strstr(text, "SigBlk:") : NULL;

	if (line)
		sscanf(line + 7, "%llx", &blocked);
	return blocked;
}

static bool has_ended(const struct gcdune_thread *thread)
{
	return gcdune_os_tgkill(thread->tid, 0) == -ESRCH;
}

/* One that nobody uses nor blocks; 0: there is none. Not a real-time signal: sending one can fail. SIGSTKFLT is one that
 * nothing sends any more; programs made for Boehm's collector leave SIGXCPU alone. */
static int another(void)
{
	static const int candidates[] = {SIGPWR, SIGSTKFLT, SIGXCPU};
	unsigned long long somewhere = 0;

	for (struct gcdune_thread *thread = gcdune_threads; thread; thread = thread->next)
		if (thread != gcdune_thread_self)
			somewhere |= blocked_signals(thread);
	for (unsigned i = 0; i < sizeof candidates / sizeof *candidates; i++)
		if (is_unused(candidates[i]) && !(somewhere >> (candidates[i] - 1) & 1))
			return candidates[i];
	return 0;
}

int gcdune_stop_init(void)
{
	int signal = gcdune_options.signal, error;
	/* A program that has a handler for every signal means none of them in particular: there we take ours. */
	int instead = is_unused(signal) ? 0 : another();

	if (instead)
		signal = instead;
	error = take(signal);
	if (error)
		return error;
	sigset_t unblock;

	gcdune_os_mapping((uintptr_t)gcdune_stop_init, &our_code.begin, &our_code.end);
	sigemptyset(&unblock);
	sigaddset(&unblock, signal);
	pthread_sigmask(SIG_UNBLOCK, &unblock, NULL);
	return 0;
}

/* The program may have taken the signal over since the last stop, or have given all signals back, as some do at their end. */
static void check_handler(void)
{
	int signal = gcdune_options.signal;

	if (is_ours(signal))
		return;
	if (!is_unused(signal))
		signal = another();
	if (!signal || take(signal))
		gcdune_panic("the program has taken over signal %d (SIG%s), which gcdune stops threads by, and others that could "
			     "take its place: set GCDUNE_SIGNAL to one it does not use",
			     gcdune_options.signal, sigabbrev_np(gcdune_options.signal));
	/* We have every signal blocked now; this one is to be left open when the world goes on. */
	sigdelset(&mask_before, signal);
}

/* Of the threads that have not answered for a while: names those that block the signal the first time; the second time
 * the others, which may only have found no processor before. */
static void report_silent(unsigned seconds, bool first)
{
	for (struct gcdune_thread *thread = gcdune_threads; thread; thread = thread->next) {
		if (!atomic_load(&thread->stop_wanted))
			continue;
		if (has_ended(thread)) {
			/* It ended before it could answer. */
			thread->tid = 0;
			atomic_store(&thread->stop_wanted, 0);
			atomic_fetch_sub(&unanswered, 1);
			continue;
		}
		/* It may have been taken by sigwait or a signalfd. */
		gcdune_os_tgkill(thread->tid, gcdune_options.signal);
		bool blocks = blocked_signals(thread) >> (gcdune_options.signal - 1) & 1;

		if (blocks == first)
			gcdune_warn("thread %d has not stopped for %u s%s", thread->tid, seconds,
				    blocks ? ": it blocks the signal that stops threads; unblock it, or choose another by "
					     "GCDUNE_SIGNAL"
					   : "");
	}
}

/* Those that refused have run on meanwhile. */
static void signal_again(void)
{
	enum { MEANWHILE = 20000 /* ns */ };

	gcdune_os_sleep(MEANWHILE);
	refusals = 0;
	for (struct gcdune_thread *thread = gcdune_threads; thread; thread = thread->next)
		if (atomic_exchange(&thread->has_refused, 0))
			gcdune_os_tgkill(thread->tid, gcdune_options.signal);
}

/* Asks all threads that run to stop. How many. */
static unsigned ask(void)
{
	unsigned asked = 0;

	for (struct gcdune_thread *thread = gcdune_threads; thread; thread = thread->next) {
		thread->on_altstack = false;
		if (thread == gcdune_thread_self || atomic_load(&thread->state) == GCDUNE_THREAD_BLOCKED)
			continue;
		/* In this order: a thread that comes before it is wanted comes again. One that was wanted, and had answered,
		 * before it is pending would come after each of its critical sections from then on. */
		atomic_store(&thread->stop_pending, 1);
		atomic_fetch_add(&unanswered, 1);
		atomic_store(&thread->stop_wanted, 1);
		asked++;
	}
	return asked;
}

/* A thread that allocates leaves a critical section within a microsecond or so and comes by itself then, at a tenth of what
 * a signal costs that interrupts another processor. If nobody came the last time, that is not waited for in the next stops. */
static void let_come(unsigned asked)
{
	enum { MOMENT_NS = 3000, NOT_FOR = 15 };
	static unsigned skip;

	if (skip) {
		skip--;
		return;
	}
	for (uint64_t until = gcdune_os_now() + MOMENT_NS;
	     atomic_load(&unanswered) % REFUSAL > 1 && gcdune_os_now() < until;)
		__builtin_ia32_pause();
	skip = atomic_load(&unanswered) % REFUSAL > asked ? NOT_FOR : 0;
}

void gcdune_stop_world(void)
{
	enum { PATIENCE_NS = 100000, FIRST_S = 1, SECOND_S = 10, LATER_S = 60, S = 1000000000 };
	struct gcdune_thread *self = gcdune_thread_self;
	sigset_t all;
	unsigned patience = FIRST_S;

	/* No handler of the program's may run in this thread and change the heap meanwhile. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &mask_before);
	if (gcdune_threads_count == (self != NULL)) /* the collector's own thread is not on the list */
		return;
	check_handler();
	atomic_store(&unanswered, 1); /* one for us: no early zero */
	unsigned asked = ask();

	all_have_processors = asked < gcdune_os_cores();
	if (asked)
		let_come(asked);
	for (struct gcdune_thread *thread = asked ? gcdune_threads : NULL; thread; thread = thread->next) {
		if (!atomic_load(&thread->stop_wanted) || gcdune_os_tgkill(thread->tid, gcdune_options.signal) != -ESRCH)
			continue;
		thread->tid = 0; /* it ended without a word (a thread of clone's, say) */
		atomic_store(&thread->stop_wanted, 0);
		atomic_fetch_sub(&unanswered, 1);
	}
	atomic_fetch_sub(&unanswered, 1);
	/* Most answer within some 30 us; who sleeps meanwhile may find another process on its processor, until the system's
	 * next tick. But there a thread of the program may be, which is to answer. */
	uint64_t until = all_have_processors || !gcdune_place_is_shared() ? gcdune_os_now() + PATIENCE_NS : 0;

	for (unsigned spins = 0;;) {
		uint32_t left = atomic_load(&unanswered);

		if (left % REFUSAL == 0)
			break;
		if (atomic_load(&refusals)) {
			signal_again();
			continue;
		}
		if (spins < 100 || gcdune_os_now() < until) {
			spins++;
			__builtin_ia32_pause();
			continue;
		}
		uint64_t before = gcdune_os_now();

		gcdune_os_futex_wait_for(&unanswered, left, (uint64_t)patience * S);
		uint64_t waited = gcdune_os_now() - before;

		if (waited >= (uint64_t)patience * S) {
			if (patience != LATER_S)
				report_silent(patience, patience == FIRST_S);
			patience = patience == FIRST_S ? SECOND_S : LATER_S;
		}
	}
	gcdune_thread_reap();
	stopped_at = gcdune_os_now();
}

void gcdune_stop_release(void)
{
	brief = all_have_processors && gcdune_os_now() - stopped_at < BRIEF_NS;
	atomic_fetch_add(&release, 1);
	if (atomic_load(&sleepers))
		gcdune_os_futex_wake(&release, INT32_MAX);
	pthread_sigmask(SIG_SETMASK, &mask_before, NULL);
}

int gcdune_signal_get(void)
{
	return gcdune_options.signal;
}

int gcdune_signal_set(int signal)
{
	struct sigaction old;

	if (gcdune_heap.ready)
		return -EBUSY;
	if (signal < 1 || signal > 64 || signal == SIGKILL || signal == SIGSTOP || signal == SIGSEGV ||
	    signal == SIGBUS || sigaction(signal, NULL, &old))
		return -EINVAL;
	if (old.sa_flags & SA_SIGINFO || (old.sa_handler != SIG_DFL && old.sa_handler != SIG_IGN))
		return -EBUSY;
	gcdune_options.signal = signal;
	return 0;
}
