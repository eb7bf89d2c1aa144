/* fibers.c - many stacks in one thread: the same-fringe problem, by coroutines.
 *
 * Two trees of different shapes have the same leaves if two walkers, each on a stack of its own, meet them in the same
 * order. PAIRS of walkers are under way at the same time, so that the roots of most of the heap are on stacks that are
 * not running. Leaves are handed over in objects made for it; stacks are reused by the next pair.
 *
 * Usage: fibers [PAIRS [COMPARISONS]]
 */
#include "backend.h"
#include "program.h"

#include <sys/mman.h>

enum { FIBER_STACK = 32 << 10, FIBER_LEAVES = 600 };

struct fiber_tree {
	struct fiber_tree *left, *right;
	uint64_t value;
};

struct fiber_leaf {
	uint64_t value;
	struct fiber_leaf *before; /* the one before: each walker leaves a short trail */
};

struct fiber {
	char *stack;
	void *known;
	void *pointer;
};

struct fiber_pair {
	struct fiber fibers[2];
	struct fiber_tree *trees[2];
	struct fiber_leaf *leaves[2]; /* what was handed over last; NULL: no more */
	bool busy;
};

static struct fiber_pair *fiber_pairs; /* of the back end: its pointers are roots only there */
static struct fiber *fiber_running;
static struct fiber_leaf **fiber_out;
static struct fiber_tree *fiber_start_tree;
static void *fiber_main_pointer;

/* Pushes what the ABI has a function keep, leaves the stack pointer in *FROM, and goes on at TO. */
void fiber_jump(void **from, void *to);
__asm__(".text\n.type fiber_jump,@function\nfiber_jump:\n"
	"\tpushq %rbp\n\tpushq %rbx\n\tpushq %r12\n\tpushq %r13\n\tpushq %r14\n\tpushq %r15\n"
	"\tmovq %rsp, (%rdi)\n\tmovq %rsi, %rsp\n"
	"\tpopq %r15\n\tpopq %r14\n\tpopq %r13\n\tpopq %r12\n\tpopq %rbx\n\tpopq %rbp\n\tret\n"
	".size fiber_jump,.-fiber_jump\n");

static void fiber_yield(void)
{
	struct fiber *self = fiber_running;

	backend_stack_switch(NULL);
	fiber_jump(&self->pointer, fiber_main_pointer);
}

static void fiber_walk(const struct fiber_tree *tree, struct fiber_leaf **before)
{
	if (tree->left) {
		fiber_walk(tree->left, before);
		fiber_walk(tree->right, before);
		return;
	}
	struct fiber_leaf *leaf = backend_alloc(sizeof(*leaf));

	leaf->value = tree->value;
	leaf->before = *before;
	if (leaf->before && leaf->before->before) {
		backend_free(leaf->before->before);
		leaf->before->before = NULL;
	}
	*before = leaf;
	*fiber_out = leaf;
	fiber_yield();
}

static void fiber_main(void)
{
	for (;;) {
		struct fiber_leaf *before = NULL;

		fiber_walk(fiber_start_tree, &before);
		if (before)
			backend_free(before->before);
		backend_free(before);
		before = NULL;
		*fiber_out = NULL;
		fiber_yield();
	}
}

static void fiber_resume(struct fiber *fiber, struct fiber_leaf **out)
{
	fiber_running = fiber;
	fiber_out = out;
	backend_stack_switch(fiber->known);
	fiber_jump(&fiber_main_pointer, fiber->pointer);
}

static void fiber_new(struct fiber *fiber)
{
	void **top;

	fiber->stack = mmap(NULL, FIBER_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (fiber->stack == MAP_FAILED)
		backend_out_of_memory(FIBER_STACK);
	fiber->known = backend_stack_add(fiber->stack, fiber->stack + FIBER_STACK);
	top = (void **)(fiber->stack + FIBER_STACK);
	*--top = NULL; /* where fiber_main would return to */
	*--top = (void *)fiber_main;
	fiber->pointer = top - 6;
}

/* A random shape over the leaves [first, first + count). */
static struct fiber_tree *fiber_tree_new(uint64_t *state, uint64_t first, uint32_t count)
{
	struct fiber_tree *tree = backend_alloc(sizeof(*tree));
	uint32_t left;

	*tree = (struct fiber_tree){.value = first};
	if (count == 1)
		return tree;
	left = count / 4 + program_random_below(state, count / 2 ? count / 2 : 1);
	left = left < 1 ? 1 : left;
	tree->left = fiber_tree_new(state, first, left);
	tree->right = fiber_tree_new(state, first + left, count - left);
	return tree;
}

static void fiber_tree_drop(struct fiber_tree *tree)
{
	if (!backend_frees || !tree)
		return;
	fiber_tree_drop(tree->left);
	fiber_tree_drop(tree->right);
	backend_free(tree);
}

/* One step of a pair. Returns 0 while it goes on, or what the comparison came to. */
static uint64_t fiber_step(struct fiber_pair *pair, uint64_t *state, uint64_t n)
{
	if (!pair->busy) {
		for (int i = 0; i < 2; i++) {
			pair->trees[i] = NULL;
			pair->trees[i] = fiber_tree_new(state, n, FIBER_LEAVES);
		}
		pair->busy = true;
	}
	for (int i = 0; i < 2; i++) {
		fiber_start_tree = pair->trees[i];
		fiber_resume(&pair->fibers[i], &pair->leaves[i]);
	}
	if (pair->leaves[0] && pair->leaves[1] && pair->leaves[0]->value == pair->leaves[1]->value)
		return 0;
	if (pair->leaves[0] || pair->leaves[1]) {
		fprintf(stderr, "fibers: the fringes differ\n");
		exit(1);
	}
	for (int i = 0; i < 2; i++) {
		fiber_tree_drop(pair->trees[i]);
		pair->trees[i] = NULL;
	}
	pair->busy = false;
	return program_mix(n + 1);
}

int main(int argc, char **argv)
{
	uint32_t count = (uint32_t)program_number(argc, argv, 1, 400);
	long comparisons = program_number(argc, argv, 2, 4000);
	uint64_t state = 11;
	uint64_t checksum = 0;
	long done = 0;

	if (count < 1) {
		fprintf(stderr, "usage: fibers [PAIRS [COMPARISONS]]\n");
		return 2;
	}
	backend_init();
	fiber_pairs = backend_alloc_zeroed(count * sizeof(*fiber_pairs));
	for (uint32_t i = 0; i < count; i++) {
		fiber_new(&fiber_pairs[i].fibers[0]);
		fiber_new(&fiber_pairs[i].fibers[1]);
	}
	/* Round robin, so that all of them are half way at any time. */
	while (done < comparisons) {
		for (uint32_t i = 0; i < count; i++) {
			uint64_t result = fiber_step(&fiber_pairs[i], &state, i);

			checksum += result;
			done += result != 0;
		}
	}
	for (uint32_t i = 0; i < count; i++) {
		for (int k = 0; k < 2; k++) {
			backend_stack_remove(fiber_pairs[i].fibers[k].known);
			munmap(fiber_pairs[i].fibers[k].stack, FIBER_STACK);
		}
	}
	return program_finish("fibers", checksum);
}
