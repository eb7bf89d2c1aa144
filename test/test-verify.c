/* GCDUNE_VERIFY=1 is silent on a sound heap, whatever kinds of objects it holds, and ends the program naming the
 * broken invariant on an unsound one. So does GCDUNE_VERIFY=3 where the object that was missed is as new as the cycle. The
 * unsound ones need a planted defect (option verify_plant); without it they are skipped.
 *
 * TEST-FLAGS: timeout=60 tsan=no
 */
#include "check.h"

static void mark_first(void *object, size_t size, void *arg, struct gcdune_marker *marker)
{
	gcdune_mark(marker, *(void **)object);
}

static int child(const char *mode)
{
	ROOT void *roots[500];
	uint64_t bitmap = 5, random = 4;
	gcdune_layout layout = gcdune_layout_make(&bitmap, 3);
	int kind = gcdune_kind_new(mark_first, NULL);

	for (size_t i = 0; i < 20000; i++) {
		size_t size = 24 + random_next(&random) % (i % 50 ? 500 : 100000);
		void **p;

		switch (i % 5) {
		case 0:
			p = gcdune_alloc_leaf(size);
			break;
		case 1:
			p = gcdune_alloc_typed(size, layout);
			break;
		case 2:
			p = gcdune_alloc_kind(size, (gcdune_kind)kind);
			break;
		default:
			p = gcdune_alloc(size);
		}
		CHECK(p != NULL);
		if (i % 5)
			p[0] = roots[random_next(&random) % 500];
		if (i % 7 == 0 && roots[i % 500])
			KEEP_ALIVE(gcdune_ephemeron_new(p, roots[i % 500]));
		roots[i % 500] = p;
		if (i % 1000 == 0)
			gcdune_collect();
	}
	if (!strcmp(mode, "planted")) {
		if (gcdune_option_set("verify_plant", "1") == -ENOENT)
			return 77;
		gcdune_collect();
	}
	return 0;
}

static void level(const char *const env[], const char *says)
{
	char output[4096];
	int status = child_exec("sound", env, output, sizeof(output));

	CHECKF(status == 0 && !output[0], "%s, a sound heap: status %d, \"%s\"", env[0], status, output);
	status = child_exec("planted", env, output, sizeof(output));
	if (status == 77)
		skip("no way to plant a defect (option verify_plant); a sound heap passes");
	CHECKF(status == 128 + SIGABRT && strstr(output, "gcdune") && strstr(output, says),
	       "%s, a planted defect: status %d, \"%s\"", env[0], status, output);
}

int main(int argc, char **argv)
{
	static const char *const one[] = { "GCDUNE_VERIFY=1", NULL };
	static const char *const three[] = { "GCDUNE_VERIFY=3", "GCDUNE_MODE=concurrent", NULL };

	if (argc > 1)
		return child(argv[1]);
	level(one, "points to unmarked object");
	level(three, "points to unmarked new object");
	return 0;
}
