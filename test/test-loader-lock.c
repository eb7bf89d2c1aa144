/* What a program may do in a callback of dl_iterate_phdr, while the dynamic linker's lock is held: allocate, collect, add
 * and remove roots, register a stack. A collection takes that lock as well, and so does fork: nobody may wait for anybody
 * for ever.
 *
 * TEST-FLAGS: timeout=60 torture=yes static=yes tsan=no
 */
#include <link.h>

#include "check.h"

static volatile int stop, begun;
static char stack[65536] __attribute__((aligned(16)));

static int inside(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct target **root = arg;

	(void)info;
	(void)size;
	CHECK_EQ(gcdune_roots_add(root, root + 1), 0);
	*root = target_new(7);
	for (size_t i = 0; i < 200; i++)
		KEEP_ALIVE(target_new(i));
	gcdune_collect();
	TARGET_CHECK(*root, 7);
	gcdune_roots_remove(root, root + 1);
	struct gcdune_stack *extra = gcdune_stack_add(stack, stack + sizeof(stack));

	CHECK(extra != NULL);
	gcdune_stack_remove(extra);
	return 1;
}

static void *in_callbacks(void *arg)
{
	struct target **root = malloc(sizeof(*root));

	begun = true;
	while (!stop) {
		dl_iterate_phdr(inside, root);
		sleep_ms(1); /* that lock is not fair */
	}
	free(root);
	return arg;
}

int main(void)
{
	pthread_t thread = thread_start(in_callbacks, NULL);

	while (!begun) /* it holds no lock of ASan's allocator any more when this one forks */
		sleep_ms(1);

	for (size_t i = 0; i < rounds(2000, 200); i++) {
		struct target *t = target_new(i);

		for (size_t n = 0; n < 1000; n++)
			KEEP_ALIVE(target_new(n));
		gcdune_collect();
		TARGET_CHECK(t, i);
		if (i % 8 == 0) {
			pid_t pid = fork();

			CHECK(pid >= 0);
			if (pid == 0) {
				gcdune_collect();
				TARGET_CHECK(t, i);
				_exit(0);
			}
			CHECK_EQ(child_wait(pid), 0);
		}
	}
	stop = true;
	pthread_join(thread, NULL);
	return 0;
}
