/* test-dune-log.c - the guest's dirty bits against the host's: KVM's own log of the pages that a guest wrote
 * (KVM_MEM_LOG_DIRTY_PAGES on the memory slot), kept by somebody else, by write protection of what the host maps.
 *
 * In each round both are clean at first; then threads write, and all the while this one takes bits, as a collector does,
 * and adds them up; in the end
 *   - each page of the log must have been taken: what the guest wrote, by whatever instruction, through whatever mapping,
 *     before, between or after takes, left its bit (no miss);
 *   - each page that was taken and is not in the log must be one that a system call wrote: that goes by the host's mapping,
 *     which the log does not see, and the monitor marks it (no extra);
 *   - and neither may lack what a thread says it wrote.
 * The log is read once in a round, so it says of a page that it was written, not how often. So this finds a bit that is
 * never set, set in the wrong place, lost by a take, a change of protection or a move. It cannot find a flush that is
 * missing: that loses a later write to a page whose first one both have; and to read the log more often would take away the
 * translation that was not flushed (docs/dirty.md).
 *
 * Pages that are only read are no part of this: with nested paging KVM maps a page for writing when it is read, if it can,
 * and logs it. (Seen: 40 such pages in a round, npt=1.)
 *
 * Then the bits of some pages are taken by somebody who does not tell, in the middle of a round: the comparison has to name
 * just these. TEST-FLAGS: link=dune asan=no tsan=no short=yes timeout=120 */
#include <dirent.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "dune-check.h"

enum { CHUNK = 64 << 20, PAGES = CHUNK / PAGE, THREADS = 3, EACH = 1024, USED = THREADS * EACH, BYSTANDERS = 64 };
#define GPA_BASE (4UL << 30) /* as in monitor.h: of slot 0 */

static char *base;
static int vm = -1;
static struct kvm_userspace_memory_region slot;
static uint64_t log_bits[PAGES / 64], taken[PAGES / 64];
static uint8_t written[PAGES]; /* 1: by a thread, 2: by a system call */

static bool bit(const uint64_t *bits, size_t page)
{
	return bits[page / 64] >> page % 64 & 1;
}

/* The monitor's: it is this process's as well. */
static void find_vm(void)
{
	DIR *d = opendir("/proc/self/fd");
	char path[64], to[64];

	CHECK(d);
	for (struct dirent *e; (e = readdir(d));) {
		snprintf(path, sizeof(path), "/proc/self/fd/%.20s", e->d_name);
		ssize_t n = readlink(path, to, sizeof(to) - 1);

		to[n > 0 ? n : 0] = 0;
		if (!strcmp(to, "anon_inode:kvm-vm"))
			vm = atoi(e->d_name);
	}
	closedir(d);
	CHECK(vm >= 0);
}

/* A chunk of addresses of its own, which is a slot of its own, with the log on. */
static void begin_log(void)
{
	char *at = map_pages(2 * PAGES);
	struct dune_entry entry;

	base = (char *)(((uintptr_t)at + CHUNK - 1) & ~(uintptr_t)(CHUNK - 1));
	CHECK_EQ(dune_dirty_track(base, CHUNK), 0);
	CHECK_EQ(dune_lookup(base, &entry), 0);
	slot = (struct kvm_userspace_memory_region){
		.slot = (uint32_t)((entry.physical - GPA_BASE) / CHUNK),
		.flags = KVM_MEM_LOG_DIRTY_PAGES,
		.guest_phys_addr = entry.physical,
		.memory_size = CHUNK,
		.userspace_addr = (uintptr_t)base,
	};
	if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &slot) < 0) {
		printf("SKIP: KVM keeps no log here: %s\n", strerror(errno));
		fflush(stdout);
		_exit(77);
	}
}

static void read_log(void)
{
	struct kvm_dirty_log request = { .slot = slot.slot, .dirty_bitmap = log_bits };

	CHECK_EQ(ioctl(vm, KVM_GET_DIRTY_LOG, &request), 0);
}

static void take(void)
{
	static uint64_t bits[PAGES / 64];

	CHECK(dune_dirty_take(base, CHUNK, bits) >= 0);
	CHECK(dune_flush_all() >= 0);
	for (size_t i = 0; i < PAGES / 64; i++)
		taken[i] |= bits[i];
}

static void *write_pages(void *argument)
{
	size_t me = (size_t)argument % THREADS;
	uint64_t seed = 4711 + (size_t)argument;

	for (int i = 0; i < 3000; i++) {
		size_t n = me * EACH + random_next(&seed) % EACH;
		volatile char *page = base + n * PAGE;
		uint64_t r = random_next(&seed);

		switch (r % 6) {
		case 0:
			page[r >> 20 & 4095] = 1;
			break;
		case 1:
			__asm__ volatile("lock orb $0, %0" : "+m"(*page));
			break;
		case 2: /* fails, and writes all the same */
			__sync_bool_compare_and_swap(page, 77, 78);
			break;
		case 3: {
			void *to = (void *)page;
			size_t length = PAGE;

			__asm__ volatile("rep stosb" : "+D"(to), "+c"(length) : "a"(5) : "memory");
			break;
		}
		case 4: /* across two */
			if (n % EACH == EACH - 1)
				continue;
			__asm__ volatile("movq %1, %0" : "=m"(*(volatile uint64_t *)(page + PAGE - 3)) : "r"(r));
			written[n + 1] |= 1;
			break;
		default: /* only what was written before: see above */
			if (written[n])
				(void)*page;
			continue;
		}
		written[n] |= 1;
	}
	return NULL;
}

/* The kernel writes, beyond where threads do. */
static void system_calls(uint64_t *seed)
{
	int pipes[2];

	CHECK_EQ(pipe(pipes), 0);
	for (int i = 0; i < 20; i++) {
		size_t n = USED + random_next(seed) % EACH;

		CHECK(write(pipes[1], "x", 1) == 1 && read(pipes[0], base + n * PAGE + 7, 1) == 1);
		written[n] |= 2;
	}
	close(pipes[0]);
	close(pipes[1]);
}

/* What the table of mappings goes through meanwhile, in pages that nobody else uses: the bits have to stay. */
static void protections(uint64_t *seed)
{
	for (int i = 0; i < 20; i++) {
		size_t n = USED + EACH + random_next(seed) % EACH;

		base[n * PAGE] = 1;
		written[n] |= 1;
		CHECK_EQ(mprotect(base + n * PAGE, PAGE, i & 1 ? PROT_READ : PROT_NONE), 0);
		CHECK_EQ(mprotect(base + n * PAGE, PAGE, PROT_READ | PROT_WRITE), 0);
		if (i & 2)
			base[n * PAGE + 1] = 1;
	}
}

static void start_round(void)
{
	memset(written, 0, sizeof(written));
	take();
	read_log();
	memset(taken, 0, sizeof(taken));
}

/* Returns how many pages of the log were not taken. */
static size_t compare(const char *what, bool all)
{
	size_t missed = 0, extra = 0, lost = 0, both = 0;

	read_log();
	for (size_t i = 0; i < PAGES; i++) {
		bool host = bit(log_bits, i), guest = bit(taken, i);

		both += host && guest;
		missed += host && !guest;
		extra += guest && !host && !(written[i] & 2);
		lost += (written[i] & 1 && !host) || (all && written[i] && !guest);
	}
	if (extra || lost || (all && missed)) {
		dprintf(2, "%s: %zu missed, %zu extra, %zu lost, %zu of both\n", what, missed, extra, lost, both);
		_exit(1);
	}
	CHECK(both > 0);
	return missed;
}

int main(void)
{
	uint64_t seed = 99;
	pthread_t threads[THREADS];

	enter_or_skip();
	find_vm();
	begin_log();
	for (int round = 0; round < repetitions(30); round++) {
		start_round();
		for (size_t i = 0; i < THREADS; i++)
			CHECK(!pthread_create(&threads[i], NULL, write_pages, (void *)(i + THREADS * (size_t)round)));
		for (int i = 0; i < 5; i++) {
			take();
			system_calls(&seed);
			protections(&seed);
		}
		for (size_t i = 0; i < THREADS; i++)
			pthread_join(threads[i], NULL);
		take();
		compare("round", true);
	}

	/* Somebody takes bits and does not tell. */
	for (size_t planted = 1; planted <= BYSTANDERS; planted *= 8) {
		start_round();
		write_pages(NULL);
		size_t want = 0;

		for (size_t i = 0; i < EACH && want < planted; i++)
			if (written[i])
				want += (size_t)dune_dirty_take(base + i * PAGE, PAGE, NULL);
		take();
		CHECK_EQ(compare("planted", false), want);
		CHECK_EQ(want, planted);
	}

	slot.flags = 0;
	CHECK_EQ(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &slot), 0);
	return 0;
}
