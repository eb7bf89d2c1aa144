/* What malloc's functions promise, for test-malloc.sh, which runs it in each mode of libgcdune-malloc.so and on libc's. Not
 * linked with a collector. */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(cond)                                                                             \
	do {                                                                                    \
		if (!(cond)) {                                                                  \
			fprintf(stderr, "%s:%d: FAILED: expected %s\n", __FILE__, __LINE__, #cond); \
			_exit(1);                                                               \
		}                                                                               \
	} while (0)

static uint64_t seed = 88172645463325252u;

static size_t rnd(size_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % n;
}

/* The compiler knows what malloc does, and would leave it out. */
#define KEEP(p) __asm__ volatile("" : "+r"(p) : : "memory")

static void fill(unsigned char *p, size_t n, unsigned tag)
{
	for (size_t i = 0; i < n; i += i < 64 ? 1 : 61)
		p[i] = (unsigned char)(tag + i);
	if (n)
		p[n - 1] = (unsigned char)tag;
}

static void check(const unsigned char *p, size_t n, unsigned tag)
{
	for (size_t i = 0; i + 1 < n; i += i < 64 ? 1 : 61)
		CHECK(p[i] == (unsigned char)(tag + i));
	if (n)
		CHECK(p[n - 1] == (unsigned char)tag);
}

static size_t some_size(void)
{
	switch (rnd(20)) {
	case 0:
		return rnd(2000000);
	case 1:
	case 2:
		return rnd(70000);
	default:
		return rnd(600);
	}
}

enum { SLOTS = 2000, ROUNDS = 60000 };

static void test_random(void)
{
	struct {
		unsigned char *p;
		size_t n;
		unsigned tag;
	} slots[SLOTS] = {{0}};

	for (int round = 0; round < ROUNDS; round++) {
		size_t i = rnd(SLOTS), n = some_size();

		if (slots[i].p)
			check(slots[i].p, slots[i].n, slots[i].tag);
		switch (rnd(4)) {
		case 0:
			free(slots[i].p);
			slots[i].p = calloc(1, n);
			CHECK(slots[i].p != NULL);
			for (size_t k = 0; k < n; k += 1 + n / 100)
				CHECK(slots[i].p[k] == 0);
			break;
		case 1: {
			unsigned char *p = realloc(slots[i].p, n + 1);

			CHECK(p != NULL);
			if (slots[i].p && slots[i].n)
				CHECK(n + 1 >= slots[i].n ? p[slots[i].n - 1] == (unsigned char)slots[i].tag : 1);
			slots[i].p = p;
			n++;
			break;
		}
		case 2: {
			size_t align = (size_t)16 << rnd(12);

			free(slots[i].p);
			CHECK(posix_memalign((void **)&slots[i].p, align, n) == 0);
			CHECK((uintptr_t)slots[i].p % align == 0);
			break;
		}
		default:
			free(slots[i].p);
			slots[i].p = malloc(n);
			/* What has no more than 8 bytes holds nothing that wants more. */
			CHECK(slots[i].p != NULL && (uintptr_t)slots[i].p % (n > 8 ? 16 : 8) == 0);
		}
		slots[i].n = n;
		slots[i].tag = (unsigned)round;
		CHECK(malloc_usable_size(slots[i].p) >= n);
		fill(slots[i].p, n, slots[i].tag);
	}
	for (int i = 0; i < SLOTS; i++)
		free(slots[i].p);
}

static void test_edges(void)
{
	void *p, *q;
	volatile size_t huge = SIZE_MAX, half = SIZE_MAX / 2;

	free(NULL);
	CHECK(malloc_usable_size(NULL) == 0);
	p = malloc(0);
	q = malloc(0);
	KEEP(p);
	KEEP(q);
	CHECK(p && q && p != q);
	free(p);
	free(q);
	errno = 0;
	CHECK(malloc(huge) == NULL && errno == ENOMEM);
	errno = 0;
	CHECK(calloc(half, 3) == NULL && errno == ENOMEM);
	errno = 0;
	CHECK(reallocarray(NULL, half, 3) == NULL && errno == ENOMEM);
	p = malloc(100);
	memset(p, 7, 100);
	errno = 0;
	CHECK(realloc(p, huge - 100) == NULL && errno == ENOMEM);
	CHECK(((char *)p)[99] == 7);
	p = reallocarray(p, 10, 20);
	CHECK(((char *)p)[99] == 7);
	CHECK(realloc(p, 0) == NULL);
	CHECK(posix_memalign(&p, 3, 10) == EINVAL);
	CHECK(posix_memalign(&p, 24, 10) == EINVAL);
	for (size_t align = 8; align <= (size_t)1 << 24; align *= 2)
		for (size_t n = 1; n < 3000000; n = n * 7 + 1) {
			CHECK(posix_memalign(&p, align, n) == 0 && (uintptr_t)p % align == 0);
			memset(p, 1, n);
			free(p);
		}
	p = aligned_alloc(64, 640);
	CHECK((uintptr_t)p % 64 == 0);
	free(p);
	p = memalign(4096, 10);
	CHECK((uintptr_t)p % 4096 == 0);
	free(p);
	p = valloc(10);
	CHECK((uintptr_t)p % 4096 == 0);
	free(p);
	malloc_trim(0);
}

/* What one thread allocates another frees. */
enum { THREADS = 4, PASS = 20000 };
static _Atomic(unsigned char *) ring[THREADS][256];

static void *pass(void *arg)
{
	size_t me = (size_t)arg, next = (me + 1) % THREADS;

	for (int i = 0; i < PASS; i++) {
		unsigned char *p = malloc(16 + (size_t)i % 500), *old;

		CHECK(p != NULL);
		p[0] = (unsigned char)i;
		p[15] = (unsigned char)(i * 3);
		old = atomic_exchange(&ring[next][i % 256], p);
		if (old)
			CHECK((unsigned char)(old[0] * 3) == old[15]);
		free(old);
	}
	return NULL;
}

static void test_threads(void)
{
	pthread_t threads[THREADS];

	for (int round = 0; round < 5; round++) {
		for (size_t i = 0; i < THREADS; i++)
			CHECK(pthread_create(&threads[i], NULL, pass, (void *)i) == 0);
		for (size_t i = 0; i < THREADS; i++)
			CHECK(pthread_join(threads[i], NULL) == 0);
	}
	for (int i = 0; i < THREADS * 256; i++)
		free(ring[i / 256][i % 256]);
}

static atomic_int stop;

static void *churn(void *arg)
{
	while (!stop) {
		void *p = malloc(100), *q = malloc(50000);

		KEEP(p);
		free(p);
		free(q);
	}
	return arg;
}

static void test_fork(void)
{
	pthread_t thread;
	void *before[100];

	for (int i = 0; i < 100; i++)
		before[i] = malloc((size_t)i * 100);
	CHECK(pthread_create(&thread, NULL, churn, NULL) == 0);
	for (int round = 0; round < 50; round++) {
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			pthread_t other;

			for (int i = 0; i < 100; i++)
				free(before[i]);
			for (int i = 0; i < 1000; i++) {
				void *p = malloc((size_t)i * 50);

				KEEP(p);
				free(p);
			}
			stop = 1;
			CHECK(pthread_create(&other, NULL, churn, NULL) == 0);
			CHECK(pthread_join(other, NULL) == 0);
			_exit(0);
		}
		CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	}
	stop = 1;
	CHECK(pthread_join(thread, NULL) == 0);
	for (int i = 0; i < 100; i++)
		free(before[i]);
}

/* Memory that a program gives back and soon wants again is not given to the kernel in between: by the faults that it takes to
 * replace large objects at random. */
static int comes_and_goes(void)
{
	enum { ARRAYS = 128, TURNS = 8000, FIRST = 500, PAGE = 4096 };
	unsigned char *arrays[ARRAYS] = {0};
	struct rusage usage;
	long faults = 0, pages = 0;

	for (int round = 0; round < TURNS; round++) {
		size_t i = rnd(ARRAYS), size = ((size_t)16384 << rnd(9)) + rnd(16384);

		free(arrays[i]);
		arrays[i] = malloc(size);
		for (size_t at = 0; at < size; at += PAGE)
			arrays[i][at] = 1;
		pages += round < FIRST ? 0 : (long)(size / PAGE);
		if (round == FIRST) {
			getrusage(RUSAGE_SELF, &usage);
			faults = usage.ru_minflt;
		}
		if (round % 16 == 0)
			usleep(1000);
	}
	getrusage(RUSAGE_SELF, &usage);
	faults = usage.ru_minflt - faults;
	printf("%ld faults for %ld pages\n", faults, pages);
	return faults > pages / 32;
}

enum { FOREIGN = 50000, FOREIGN_SIZE = 1000 };

static void *frees(void *objects)
{
	for (int i = 0; i < FOREIGN; i++)
		free(((void **)objects)[i]);
	return NULL;
}

/* What one thread made and another freed serves the first for objects of any size, at once: by the faults that these take. */
static int foreign(void)
{
	static void *objects[FOREIGN];
	struct rusage usage;
	long faults = 0;

	for (int round = 0; round < 20; round++) {
		size_t size = FOREIGN_SIZE << round % 4, n = (size_t)FOREIGN * FOREIGN_SIZE / size;
		pthread_t thread;

		if (round == 1) {
			getrusage(RUSAGE_SELF, &usage);
			faults = usage.ru_minflt;
		}
		memset(objects, 0, sizeof objects);
		for (size_t i = 0; i < n; i++) {
			objects[i] = malloc(size);
			memset(objects[i], 1, size);
		}
		CHECK(pthread_create(&thread, NULL, frees, objects) == 0 && pthread_join(thread, NULL) == 0);
	}
	getrusage(RUSAGE_SELF, &usage);
	faults = usage.ru_minflt - faults;
	long pages = FOREIGN_SIZE * (long)FOREIGN / 4096;

	printf("%ld faults, with %ld pages in use\n", faults, pages);
	return faults > pages;
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return strcmp(argv[1], "foreign") ? comes_and_goes() : foreign();
	test_edges();
	test_random();
	test_threads();
	test_fork();
	puts("ok");
	return 0;
}
