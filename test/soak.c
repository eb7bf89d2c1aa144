/* soak.c - everything at once, for as long as its argument says (seconds, 180 by default): threads that change
 * checksummed graphs, threads that come and go, forks, a library that is loaded and unloaded, finalizers, links
 * and ephemerons, large objects that grow and shrink, fibers; collected at every 500th allocation and verified
 * unless the environment says otherwise. At the end: nothing was lost, what is live is what should be, every dead
 * finalizable object was finalized, and the resident size is flat (median of the last sixth of the time against
 * that of the second).
 *
 * Called by `make soak'.
 */
#include <dlfcn.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "check.h"

#define WORKERS 2
#define TABLE 1500	/* lists of each worker */
#define LENGTH 16	/* nodes at most in a list */
#define MIB ((size_t)1 << 20)

struct node {
	struct node *next;
	uint64_t id, check;
	uint32_t size;
	unsigned char filler[];
};

static volatile int stop;	/* not bool: gcc 12 with -fsanitize=bool reads a volatile one only once */
ROOT struct node *volatile table[WORKERS][TABLE];
static unsigned long rounds_done[8];
static const char *const names[] = { "graphs", "graphs", "threads", "forks", "libraries", "finalizers", "large objects",
				     "fibers" };

/* ---- Lists, whole as soon as anybody can see them ---- */

static struct node *NOINLINE list_new(uint64_t id)
{
	size_t length = 1 + mix(id) % LENGTH;
	struct node *list = NULL;

	for (size_t i = 0; i < length; i++) {
		size_t extra = mix(id + i) % 400;
		struct node *n = gcdune_alloc(sizeof(*n) + extra);

		CHECK(n && !n->next && !n->id && !n->check);
		n->next = list;
		n->id = id;
		n->size = (uint32_t)(sizeof(*n) + extra);
		n->check = mix(id * LENGTH + i);
		memset(n->filler, (int)(id | 1), extra);
		list = n;
	}
	return list;
}

/* Returns the bytes in it. */
static size_t NOINLINE list_check(const struct node *list)
{
	uint64_t id = list->id;
	size_t length = 1 + mix(id) % LENGTH, bytes = 0;

	for (const struct node *n = list; n; n = n->next) {
		CHECK(length-- > 0);
		CHECKF(gcdune_base(n) == n, "node %p of list %llu was lost", (const void *)n, (unsigned long long)id);
		CHECKF(n->id == id && n->check == mix(id * LENGTH + length), "node %p of list %llu was overwritten",
		       (const void *)n, (unsigned long long)id);
		for (size_t i = 0; i < n->size - sizeof(*n); i++)
			CHECK(n->filler[i] == (unsigned char)(id | 1));
		bytes += gcdune_size(n);
	}
	CHECK_EQ(length, 0);
	return bytes;
}

static size_t tables_check(void)
{
	size_t bytes = 0;

	for (size_t w = 0; w < WORKERS; w++)
		for (size_t i = 0; i < TABLE; i++)
			if (table[w][i])
				bytes += list_check(table[w][i]);
	return bytes;
}

static void *graphs(void *arg)
{
	size_t me = (size_t)arg;
	uint64_t random = me << 32;

	for (; !stop; rounds_done[me]++) {
		size_t i = random_next(&random) % TABLE;

		if (table[me][i])
			list_check(table[me][i]);
		table[me][i] = list_new(random);
	}
	return NULL;
}

/* ---- Threads that come and go ---- */

static void *short_lived(void *arg)
{
	list_check(arg);
	return list_new(((struct node *)arg)->id + 1);
}

static void *threads(void *arg)
{
	for (; !stop; rounds_done[2]++) {
		pthread_t t[4];
		void *result;

		for (uint64_t i = 0; i < 4; i++)
			t[i] = thread_start(short_lived, list_new(rounds_done[2] * 8 + i));
		for (uint64_t i = 0; i < 4; i++) {
			pthread_join(t[i], &result);
			CHECK_EQ(((struct node *)result)->id, rounds_done[2] * 8 + i + 1);
			list_check(result);
		}
		sleep_ms(5);
	}
	return NULL;
}

/* ---- Forks ---- */

static void *forks(void *arg)
{
	for (; !stop; rounds_done[3]++) {
		pid_t pid = fork();

		CHECK(pid >= 0);
		if (pid == 0) {
			alarm(120);
			tables_check();
			gcdune_collect();
			for (uint64_t i = 0; i < 20; i++)
				table[0][i] = list_new(i);
			gcdune_collect();
			tables_check();
			_exit(0);
		}
		CHECK_EQ(child_wait(pid), 0);
		sleep_ms(50);
	}
	return NULL;
}

/* ---- A library with roots ---- */

static void *libraries(void *arg)
{
	for (; !stop; rounds_done[4]++) {
		void *handle = dlopen(lib_path("root"), RTLD_NOW);
		void (*set)(size_t, void *);
		void *(*get)(size_t);

		CHECKF(handle != NULL, "%s", dlerror());
		set = (void (*)(size_t, void *))dlsym(handle, "lib_root_set");
		get = (void *(*)(size_t))dlsym(handle, "lib_root_get");
		for (size_t i = 0; i < 100; i++)
			set(i, list_new(i));
		sleep_ms(2);
		for (size_t i = 0; i < 100; i++)
			list_check(get(i));
		CHECK_EQ(dlclose(handle), 0);
		sleep_ms(10);
	}
	return NULL;
}

/* ---- Finalizers, links, ephemerons ---- */

static unsigned long made, finalized, read_back;
static void *links[48];	/* hidden */

static void finalizer(void *object, void *data)
{
	CHECK_EQ(((struct node *)object)->id, ((struct node *)data)->id);
	list_check(object);
	list_check(data);
	__atomic_fetch_add(&finalized, 1, __ATOMIC_RELAXED);
}

static void *read_link(void *link)
{
	void *hidden = *(void **)link;

	return hidden ? GCDUNE_REVEAL(hidden) : NULL;
}

static void *finalizers(void *arg)
{
	ROOT struct node *keys[64];
	ROOT gcdune_ephemeron *ephemerons[64];

	for (; !stop; rounds_done[5]++) {
		uint64_t n = rounds_done[5];
		struct node *object = list_new(n), *seen = gcdune_locked_call(read_link, &links[n % 48]);
		size_t i = n % 64;
		int result;

		/* That of 48 rounds ago is still held as a key. */
		if (n >= 48) {
			CHECK(seen && seen == keys[(n - 48) % 64]);
			list_check(seen);
			read_back++;
		}
		CHECK_EQ(gcdune_finalizer_set(object, finalizer, list_new(n), n % 4, NULL, NULL), 0);
		made++;
		gcdune_link_remove(&links[n % 48], GCDUNE_LINK_SHORT);
		links[n % 48] = GCDUNE_HIDE(object);
		result = gcdune_link_add(&links[n % 48], object, GCDUNE_LINK_SHORT);
		CHECK_EQ(result, 0);
		if (keys[i]) {
			CHECK(gcdune_ephemeron_key(ephemerons[i]) == keys[i]);
			CHECK_EQ(((struct node *)gcdune_ephemeron_value(ephemerons[i]))->id, n - 64);
			list_check(gcdune_ephemeron_value(ephemerons[i]));
		}
		keys[i] = object;
		ephemerons[i] = gcdune_ephemeron_new(object, list_new(n));
		CHECK(ephemerons[i] != NULL);
	}
	memset(keys, 0, sizeof(keys));
	memset(ephemerons, 0, sizeof(ephemerons));
	return NULL;
}

/* ---- Large objects ---- */

static void stamp(unsigned char *p, size_t size, uint64_t id)
{
	for (size_t i = 0; i < size; i += 4096)
		p[i] = (unsigned char)(mix(id + i) | 1);
	p[size - 1] = (unsigned char)(mix(id) | 1);
}

static void *large_objects(void *arg)
{
	ROOT unsigned char *objects[8];
	static size_t sizes[8];
	static uint64_t ids[8];
	uint64_t random = 99;

	for (; !stop; rounds_done[6]++) {
		size_t i = random_next(&random) % 8, size = 20000 + random_next(&random) % (2 * MIB), kept;

		if (objects[i] && random_next(&random) % 2) {
			unsigned char *p = gcdune_realloc(objects[i], size);

			CHECK(p != NULL);
			kept = size < sizes[i] ? size : sizes[i] - 1;
			for (size_t k = 0; k < kept; k += 4096)
				CHECKF(p[k] == (unsigned char)(mix(ids[i] + k) | 1), "byte %zu changed", k);
			objects[i] = p;
		} else {
			objects[i] = random % 2 ? gcdune_alloc(size) : gcdune_alloc_leaf(size);
			CHECK(objects[i] != NULL);
		}
		sizes[i] = size;
		ids[i] = random;
		stamp(objects[i], size, ids[i]);
		sleep_ms(1);
	}
	memset(objects, 0, sizeof(objects));
	return NULL;
}

/* ---- Fibers ---- */

#define FIBERS 12
#define STACK ((size_t)64 * 1024)

struct fiber {
	ucontext_t context;
	gcdune_stack *stack;
	char *low;
	bool done;
};

/* Static, hence roots: swapcontext saves registers in them. */
static ucontext_t home;
static struct fiber all_fibers[FIBERS];
static struct fiber *current;

static void NOINLINE yield(void)
{
	struct fiber *me = current;

	gcdune_stack_switch(NULL);
	swapcontext(&me->context, &home);
}

static void fiber_main(void)
{
	struct node *volatile lists[16];
	uint64_t id = (uintptr_t)current;

	for (size_t i = 0; i < 16; i++) {
		lists[i] = list_new(id + i);
		yield();
	}
	for (size_t i = 0; i < 16; i++) {
		CHECK_EQ(lists[i]->id, id + i);
		list_check(lists[i]);
	}
	current->done = true;
	yield();
}

static void *fibers(void *arg)
{
	static uint64_t random = 3;	/* getcontext may return twice, as setjmp */

	for (; !stop; rounds_done[7]++) {
		struct fiber *f = &all_fibers[random_next(&random) % FIBERS];

		if (!f->stack) {
			f->low = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			CHECK(f->low != MAP_FAILED);
			f->stack = gcdune_stack_add(f->low, f->low + STACK);
			CHECK(f->stack != NULL);
			f->done = false;
			getcontext(&f->context);
			f->context.uc_stack.ss_sp = f->low;
			f->context.uc_stack.ss_size = STACK;
			makecontext(&f->context, fiber_main, 0);
		}
		current = f;
		gcdune_stack_switch(f->stack);
		swapcontext(&home, &f->context);
		if (f->done || random_next(&random) % 100 == 0) {
			gcdune_stack_remove(f->stack);
			munmap(f->low, STACK);
			memset(f, 0, sizeof(*f));
		}
	}
	for (size_t i = 0; i < FIBERS; i++)
		if (all_fibers[i].stack) {
			gcdune_stack_remove(all_fibers[i].stack);
			munmap(all_fibers[i].low, STACK);
		}
	memset(all_fibers, 0, sizeof(all_fibers));
	memset(&home, 0, sizeof(home));
	return NULL;
}

/* ---- The watch over it all ---- */

#define SAMPLES 120

static size_t resident(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	size_t total, pages;

	CHECK(file && fscanf(file, "%zu %zu", &total, &pages) == 2);
	fclose(file);
	return pages * 4096;
}

static int compare(const void *a, const void *b)
{
	size_t x = *(const size_t *)a, y = *(const size_t *)b;

	return x < y ? -1 : x > y;
}

static size_t median(size_t *samples, size_t n)
{
	qsort(samples, n, sizeof(*samples), compare);
	return samples[n / 2];
}

static void check_flat(size_t *samples)
{
	size_t early = median(samples + SAMPLES / 6, SAMPLES / 6);
	size_t late = median(samples + SAMPLES * 5 / 6, SAMPLES / 6);

	printf("resident: %zu KiB early, %zu KiB late\n", early / 1024, late / 1024);
	CHECKF(late <= early + early / 10 + 4 * MIB, "the resident size grew from %zu to %zu KiB", early / 1024,
	       late / 1024);
}

static void check_live(void)
{
	size_t expected = tables_check(), live;

	for (int i = 0; i < 3; i++)
		wipe_and_collect();
	gcdune_finalizers_run();
	live = stats_now().bytes_live;
	printf("live: %zu KiB, expected %zu KiB\n", live / 1024, expected / 1024);
	CHECK(live >= expected);
	CHECKF(live <= expected + expected / 10 + MIB, "%zu bytes are live, expected about %zu", live, expected);
	memset((void *)(uintptr_t)table, 0, sizeof(table));
	for (int i = 0; i < 3; i++)
		wipe_and_collect();
	live = stats_now().bytes_live;
	CHECKF(live <= MIB, "%zu bytes are live though nothing is held", live);
}

int main(int argc, char **argv)
{
	void *(*const kinds[])(void *) = { graphs, graphs, threads, forks, libraries, finalizers, large_objects,
					   fibers };
	enum { N = sizeof(kinds) / sizeof(*kinds) };
	unsigned seconds = argc > 1 ? (unsigned)atoi(argv[1]) : 180;
	static size_t samples[SAMPLES];
	pthread_t running[N];

	if (!seconds) {
		fprintf(stderr, "usage: %s [SECONDS]\n", argv[0]);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!getenv("GCDUNE_TORTURE"))
		CHECK_EQ(gcdune_option_set("torture", "500"), 0);
	if (!getenv("GCDUNE_VERIFY"))
		CHECK_EQ(gcdune_option_set("verify", "1"), 0);
	CHECK_EQ(gcdune_init(), 0);
	for (size_t i = 0; i < N; i++)
		running[i] = thread_start(kinds[i], (void *)i);
	for (size_t i = 0; i < SAMPLES; i++) {
		sleep_ms(seconds * 1000 / SAMPLES);
		samples[i] = resident();
		if (i % 20 == 19)
			printf("%3zu %%: %llu collections, %zu KiB resident\n", (i + 1) * 100 / SAMPLES,
			       (unsigned long long)stats_now().collections, samples[i] / 1024);
	}
	stop = true;
	for (size_t i = 0; i < N; i++)
		pthread_join(running[i], NULL);
	for (size_t i = 0; i < N; i++) {
		printf("%-14s %10lu rounds\n", names[i], rounds_done[i]);
		CHECKF(rounds_done[i] > 0, "no round of %s was done", names[i]);
	}
	check_live();
	printf("finalizers: %lu set, %lu run; links read: %lu\n", made, finalized, read_back);
	CHECKF(finalized <= made && finalized + 50 + made / 100 >= made, "%lu of %lu finalizers ran", finalized, made);
	CHECK_EQ(stats_now().threads, 1);
	check_flat(samples);
	printf("soak: all well after %u s\n", seconds);
	return 0;
}
