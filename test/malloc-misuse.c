/* Programs with faults, for test-malloc.sh: "after-free" uses what it has freed; "leak" loses objects, three kinds of them in
 * three functions, and holds others in every way there is; "garbage" loses far more than memory has room for. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define KEEP(p) __asm__ volatile("" : "+r"(p) : : "memory")

struct node {
	struct node *next;
	long value, pad[4];
};

static int after_free(void)
{
	struct node *list = NULL;

	for (long i = 0; i < 20000; i++) {
		struct node *node = malloc(sizeof *node);

		node->value = i;
		node->next = list;
		list = node;
	}
	for (struct node *node = list; node; node = node->next) {
		struct node *copy = node;

		KEEP(copy);
		free(copy); /* and goes on with node->next */
		for (int i = 0; i < 3; i++) {
			struct node *other = malloc(sizeof *other);

			memset(other, 0xff, sizeof *other);
			KEEP(other);
			free(other);
		}
	}
	long n = 0;

	for (struct node *node = list; node; node = node->next, n++)
		if (node->value != 20000 - 1 - n)
			return 1;
	printf("%ld\n", n);
	return n != 20000;
}

static int garbage(void)
{
	for (int i = 0; i < 200000; i++) {
		char *p = malloc(20000);

		memset(p, 1, 20000);
		KEEP(p);
	}
	return 0;
}

static void *volatile in_data;
static __thread void *volatile in_tls;
static pthread_key_t key;
static void **in_mapping;

__attribute__((noinline)) static void lose_small(void)
{
	for (int i = 0; i < 7; i++) {
		void *p = malloc(111);

		KEEP(p);
	}
}

__attribute__((noinline)) static void lose_large(void)
{
	void *p = calloc(1, 300000);

	KEEP(p);
}

__attribute__((noinline)) static void lose_chain(void)
{
	struct node *list = NULL;

	for (int i = 0; i < 10; i++) {
		struct node *node = malloc(sizeof *node);

		node->next = list;
		list = node;
	}
	KEEP(list);
}

__attribute__((noinline)) static void hold(void)
{
	in_data = malloc(1001);
	*(void **)in_data = malloc(1002);
	in_tls = malloc(1003);
	pthread_key_create(&key, NULL);
	pthread_setspecific(key, malloc(1004));
	in_mapping = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	in_mapping[7] = (char *)malloc(1005) + 500;
	for (int i = 0; i < 1000; i++) {
		void *p = malloc((size_t)i);

		KEEP(p);
		free(p);
	}
}

__attribute__((noinline)) static void wipe(void)
{
	char junk[65536];

	memset(junk, 0, sizeof junk);
	__asm__ volatile("" : : "r"(junk) : "memory");
}

static void *in_thread(void *arg)
{
	lose_small();
	wipe();
	return arg;
}

int main(int argc, char **argv)
{
	pthread_t thread;

	if (argc < 2)
		return 2;
	if (!strcmp(argv[1], "after-free"))
		return after_free();
	if (!strcmp(argv[1], "garbage"))
		return garbage();
	hold();
	if (!strcmp(argv[1], "leak")) {
		lose_large();
		lose_chain();
		pthread_create(&thread, NULL, in_thread, NULL);
		pthread_join(thread, NULL);
	}
	wipe();
	return 0;
}
