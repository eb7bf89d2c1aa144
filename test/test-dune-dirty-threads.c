/* test-dune-dirty-threads.c - dirty bits while 2 and then 8 threads write and another clears: nothing is lost, and
 * what nobody wrote is not dirty. With the flush on demand (dune_flush_all), with the epoch at safepoints
 * (dune_flush_check), and with threads stopped by a signal.
 *
 * Page i holds a counter that one thread counts up: announced[i] goes up before the store, completed[i] after it.
 * The taker, each round: samples both, takes the bits, flushes, reads the counters. A store that was completed
 * before the take, and that the last round's reading has not seen, must have a bit. A page with no store announced
 * from before the last take, when none was under way, until after this take must not have one.
 *
 * TEST-FLAGS: link=dune asan=no tsan=no timeout=300 */
#include "dune-check.h"

#include <linux/futex.h>
#include <sys/syscall.h>

enum { PAGES_EACH = 256, MOST = 8, QUIET = 64 };

static char *base;
static volatile uint64_t announced[MOST * PAGES_EACH], completed[MOST * PAGES_EACH], *word[MOST * PAGES_EACH];
static volatile int stop, mode;
enum { ALL, SAFEPOINT, SIGNAL };
static volatile uint64_t passed[MOST]; /* the epoch that a writer has passed a safepoint after */
static volatile uint64_t epoch;

static void *write_pages(void *argument)
{
	size_t me = (size_t)argument;
	uint64_t seed = 12345 + me;

	while (!stop) {
		size_t i = me * PAGES_EACH + random_next(&seed) % (PAGES_EACH - QUIET);

		announced[i]++;
		(*word[i])++;
		completed[i]++;
		if (mode == SAFEPOINT) {
			uint64_t now = epoch;

			dune_flush_check();
			passed[me] = now;
		}
	}
	passed[me] = UINT64_MAX;
	return NULL;
}

/* Stopped by a signal: each thread reports, waits, and flushes before it goes on. */
static volatile int stopped, go;

static void stop_handler(int sig)
{
	int me = go;

	__atomic_fetch_add(&stopped, 1, __ATOMIC_SEQ_CST);
	while (go == me)
		syscall(SYS_futex, &go, FUTEX_WAIT, me, NULL, NULL, 0);
	dune_flush_check();
}

static void run(int threads, int how, int rounds)
{
	static uint64_t last[MOST * PAGES_EACH], done[MOST * PAGES_EACH], quiet[MOST * PAGES_EACH];
	static uint64_t settled[MOST * PAGES_EACH], bits[MOST * PAGES_EACH / 64];
	size_t pages = (size_t)threads * PAGES_EACH, missed = 0, extra = 0, dirty = 0;
	pthread_t thread[MOST];

	mode = how;
	stop = 0;
	base = map_pages(pages);
	memset(last, 0, sizeof(last));
	memset((void *)announced, 0, sizeof(announced));
	memset((void *)completed, 0, sizeof(completed));
	memset((void *)passed, 0, sizeof(passed));
	for (size_t i = 0; i < pages; i++)
		word[i] = (volatile uint64_t *)(base + i * PAGE + i % 500 * 8);
	dune_dirty_track(base, pages * PAGE);
	memset(settled, 0xff, sizeof(settled));
	for (size_t i = 0; i < (size_t)threads; i++)
		CHECK(!pthread_create(&thread[i], NULL, write_pages, (void *)i));
	/* On a busy machine the writers may not have run in all of them. */
	for (int round = 0; round < rounds || !dirty; round++) {
		if (how == SIGNAL) {
			stopped = 0;
			for (int i = 0; i < threads; i++)
				pthread_kill(thread[i], SIGUSR1);
			while (stopped < threads)
				sched_yield();
		}
		for (size_t i = 0; i < pages; i++) {
			uint64_t a = announced[i];

			done[i] = completed[i];
			quiet[i] = done[i] == a ? a : UINT64_MAX;
		}
		dune_dirty_take(base, pages * PAGE, bits);
		if (how == ALL) {
			CHECK(dune_flush_all() >= 0);
		} else {
			dune_flush_request();
			epoch++;
			for (int i = 0; how == SAFEPOINT && i < threads; i++)
				while (passed[i] < epoch)
					sched_yield();
		}
		for (size_t i = 0; i < pages; i++) {
			bool bit = bits[i / 64] >> i % 64 & 1;

			dirty += bit;
			missed += done[i] > last[i] && !bit;
			extra += bit && announced[i] == settled[i];
			last[i] = *word[i];
			settled[i] = quiet[i];
		}
		if (how == SIGNAL) {
			go++;
			syscall(SYS_futex, &go, FUTEX_WAKE, 1000, NULL, NULL, 0);
		}
	}
	stop = 1;
	for (int i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	if (missed || extra) {
		dprintf(2, "%d threads, mode %d: %zu missed, %zu extra of %zu\n", threads, how, missed, extra, dirty);
		_exit(1);
	}
	CHECK(dirty > 0);
	munmap(base, pages * PAGE);
}

int main(void)
{
	struct sigaction action = { .sa_handler = stop_handler, .sa_flags = SA_RESTART };
	int rounds = repetitions(60);

	enter_or_skip();
	sigaction(SIGUSR1, &action, NULL);
	for (int threads = 2; threads <= MOST; threads *= 4) {
		run(threads, SIGNAL, rounds);
		run(threads, ALL, rounds);
		run(threads, SAFEPOINT, rounds);
	}
	return 0;
}
