/* libcord.so.1: random operations on cords against the same on C strings; positions in both directions; functions as cords;
 * files, eager and lazy; printf; extensible cords; all of it while collecting. Debian has no libcord to compare with.
 *
 * TEST-FLAGS: link=libgc
 */
#include "libgc-check.h"

#include <dlfcn.h>

#include <gc/cord.h>
#include <gc/ec.h>

/* The library is loaded by hand: tests are linked with libgc only. */
#define EACH(do)                                                                                                    \
	do(CORD_cat) do(CORD_len) do(CORD_from_fn) do(CORD_substr) do(CORD_balance) do(CORD_iter5) do(CORD_riter)     \
	do(CORD_set_pos) do(CORD__pos_fetch) do(CORD__next) do(CORD__prev) do(CORD_fetch) do(CORD_cmp) do(CORD_ncmp)  \
	do(CORD_str) do(CORD_chr) do(CORD_rchr) do(CORD_chars) do(CORD_from_file) do(CORD_from_file_eager)            \
	do(CORD_from_file_lazy) do(CORD_to_char_star) do(CORD_to_const_char_star) do(CORD_from_char_star) do(CORD_put) \
	do(CORD_cat_char) do(CORD_catn) do(CORD_sprintf) do(CORD_ec_flush_buf) do(CORD_ec_append_cord) do(CORD_cat_char_star)
#define POINTER(name) static __typeof__(name) *p_##name;
EACH(POINTER)
#define LOAD(name) CHECK((*(void **)&p_##name = dlsym(library, #name)) != NULL);
#define CORD_cat p_CORD_cat
#define CORD_len p_CORD_len
#define CORD__pos_fetch p_CORD__pos_fetch
#define CORD__next p_CORD__next
#define CORD__prev p_CORD__prev
#define CORD_ec_flush_buf p_CORD_ec_flush_buf

static unsigned seed = 12345;

static unsigned rnd(unsigned n)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 8) % n;
}

static char letters(size_t i, void *data)
{
	return (char)('a' + (i * 7 + (size_t)data) % 26);
}

enum { MOST = 3000 };

static void agree(CORD x, const char *s)
{
	CHECK_EQ(CORD_len(x), strlen(s));
	CHECK(!strcmp(p_CORD_to_const_char_star(x), s));
}

static void test_random(void)
{
	static CORD cords[20];
	static char strings[20][2 * MOST + 100];

	for (int round = 0; round < 6000; round++) {
		if (round % 100 == 0)
			GC_gcollect();
		unsigned i = rnd(20), j = rnd(20);
		size_t n = strlen(strings[i]), m = strlen(strings[j]);

		switch (rnd(8)) {
		case 0:
		case 1:
			if (n + m > MOST)
				break;
			cords[i] = CORD_cat(cords[i], cords[j]);
			memmove(strings[i] + n, strings[j], m + 1);
			break;
		case 2:
			if (n + 1 > MOST)
				break;
			strings[i][n] = (char)('a' + rnd(26));
			strings[i][n + 1] = 0;
			cords[i] = p_CORD_cat_char(cords[i], strings[i][n]);
			break;
		case 3: {
			size_t start = rnd((unsigned)n + 2), length = rnd((unsigned)n + 2);

			cords[i] = p_CORD_substr(cords[i], start, length);
			if (start > n)
				start = n;
			if (length > n - start)
				length = n - start;
			memmove(strings[i], strings[i] + start, length);
			strings[i][length] = 0;
			break;
		}
		case 4: {
			size_t length = rnd(60);

			cords[i] = p_CORD_from_fn(letters, (void *)(size_t)round, length);
			for (size_t k = 0; k < length; k++)
				strings[i][k] = letters(k, (void *)(size_t)round);
			strings[i][length] = 0;
			break;
		}
		case 5:
			cords[i] = p_CORD_balance(cords[i]);
			break;
		case 6: {
			int c = strcmp(strings[i], strings[j]), d = p_CORD_cmp(cords[i], cords[j]);

			CHECK((c < 0) == (d < 0) && (c > 0) == (d > 0));
			break;
		}
		default: {
			size_t length = rnd(4) + 1, at = m ? rnd((unsigned)m) : 0;
			char piece[8] = "";

			strncpy(piece, strings[j] + at, length);
			piece[length] = 0;
			const char *found = strstr(strings[i], piece);

			CHECK_EQ(p_CORD_str(cords[i], 0, *piece ? p_CORD_from_char_star(piece) : CORD_EMPTY),
				 found ? found - strings[i] : (long)CORD_NOT_FOUND);
			if (n) {
				const char *first = strchr(strings[i], 'e'), *last = strrchr(strings[i], 'e');

				CHECK_EQ(p_CORD_chr(cords[i], 0, 'e'), first ? first - strings[i] : (long)CORD_NOT_FOUND);
				CHECK_EQ(p_CORD_rchr(cords[i], n - 1, 'e'), last ? last - strings[i] : (long)CORD_NOT_FOUND);
			}
		}
		}
		agree(cords[i], strings[i]);
		n = strlen(strings[i]);
		if (n) {
			CORD_pos p;
			size_t at = rnd((unsigned)n);

			for (p_CORD_set_pos(p, cords[i], at); CORD_pos_valid(p); CORD_next(p), at++)
				CHECK_EQ(CORD_pos_fetch(p), strings[i][at]);
			CHECK_EQ(at, n);
			for (p_CORD_set_pos(p, cords[i], n - 1); CORD_pos_valid(p); CORD_prev(p), at--)
				CHECK_EQ(CORD_pos_fetch(p), strings[i][at - 1]);
			CHECK_EQ(at, 0);
		}
	}
}

/* Far deeper than any cord may be. */
static void test_long(void)
{
	CORD left = CORD_EMPTY, right = CORD_EMPTY;
	CORD_ec x;

	CORD_ec_init(x);
	for (int i = 0; i < 20000; i++) {
		left = CORD_cat(left, "abcdefghijklmnopqrst");
		right = CORD_cat("abcdefghijklmnopqrst", right);
		for (const char *s = "abcdefghijklmnopqrst"; *s; s++)
			CORD_ec_append(x, *s);
	}
	CHECK_EQ(CORD_len(left), 400000);
	CHECK_EQ(p_CORD_cmp(left, right), 0);
	CHECK_EQ(p_CORD_cmp(left, CORD_ec_to_cord(x)), 0);
	CHECK_EQ(p_CORD_fetch(left, 399999), 't');
	CHECK_EQ(CORD_len(p_CORD_chars('x', 1u << 30)), 1 << 30);
	CHECK_EQ(p_CORD_fetch(p_CORD_chars('x', 1u << 30), 123456789), 'x');
}

static void test_files(void)
{
	for (int lazy = 0; lazy < 3; lazy++) {
		FILE *f = tmpfile();

		for (int i = 0; i < 50000; i++)
			fprintf(f, "%d,", i);
		rewind(f);
		CORD x = lazy == 0 ? p_CORD_from_file_eager(f) : lazy == 1 ? p_CORD_from_file_lazy(f) : p_CORD_from_file(f);

		CHECK_EQ(CORD_len(x), 288890);
		CHECK_EQ(p_CORD_str(x, 0, "49999,"), 288890 - 6);
		FILE *out = tmpfile();

		CHECK_EQ(p_CORD_put(x, out), 1);
		CHECK_EQ(ftell(out), 288890);
		fclose(out);
	}
}

static void test_print(void)
{
	CORD out;

	CHECK_EQ(p_CORD_sprintf(&out, "%d|%5s|%-6r|%.3r|%8.2f|%c%%|%lx|%p|%*d", 42, "ab", CORD_cat("c", "ord"), "abcdef", 3.14159, 'z',
				0x123456789aL, NULL, 6, -7),
		 strlen("42|   ab|cord  |abc|    3.14|z%|123456789a|(nil)|    -7"));
	agree(out, "42|   ab|cord  |abc|    3.14|z%|123456789a|(nil)|    -7");
	struct {
		signed char c[2];
		short s[2];
		int i[2];
		long l;
		long long ll;
	} n;

	memset(&n, -1, sizeof(n));
	CHECK_EQ(p_CORD_sprintf(&out, "a%hhnbc%hnd%n%ln%5s%lln", n.c, n.s, n.i, &n.l, "e", &n.ll), 9);
	agree(out, "abcd    e");
	CHECK(n.c[0] == 1 && n.s[0] == 3 && n.i[0] == 4 && n.l == 4 && n.ll == 9);
	CHECK(n.c[1] == -1 && n.s[1] == -1 && n.i[1] == -1);
	CHECK_EQ(p_CORD_sprintf(&out, CORD_EMPTY), 0);
	CHECK(out == CORD_EMPTY);
	agree(p_CORD_catn(3, "one ", CORD_EMPTY, "two"), "one two");
}

int main(void)
{
	GC_INIT();
	void *library = dlopen("libcord.so.1", RTLD_NOW);

	if (!library) {
		char path[4096] = "";

		CHECK(readlink("/proc/self/exe", path, sizeof path - 40) > 0);
		strcpy(strrchr(path, '/'), "/../lib/libcord.so.1");
		library = dlopen(path, RTLD_NOW);
	}
	CHECK(library != NULL);
	EACH(LOAD)
	test_random();
	test_long();
	test_files();
	test_print();
	return 0;
}
