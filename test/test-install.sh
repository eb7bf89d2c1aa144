#!/bin/bash
# What make install puts where: a program is compiled through pkg-config, against the shared and the static library, and
# run; the libraries export the documented names and no others; make uninstall leaves nothing behind.
#
# TEST-FLAGS: once=yes timeout=120
set -eu

fail() { echo "test-install: $*" >&2; exit 1; }

dest=$BUILD/test/install prefix=/opt/gc
rm -rf "$dest"
install() { make --no-print-directory -C "$SRC" "$1" BUILD="$BUILD" DESTDIR="$dest" prefix="$prefix"; }
install install

for file in lib/libgcdune.so.0 lib/libgcdune.so lib/libgcdune.a lib/pkgconfig/gcdune.pc include/gcdune.h \
	include/gcdune-inline.h share/man/man3/gcdune.3 share/man/man7/gcdune-options.7; do
	[ -s "$dest$prefix/$file" ] || fail "$file is not installed"
done
grep -q '@' "$dest$prefix/lib/pkgconfig/gcdune.pc" && fail "gcdune.pc has placeholders left"

# Names: what the headers declare, the functions of libc that are intercepted, and nothing else.
{
	sed -n 's/^[a-z].*[ *]\(gcdune_[a-z0-9_]*\)(.*/\1/p' "$SRC/gcdune/gcdune.h"
	printf '%s\n' gcdune_local gcdune_alloc_slow
	sed -n 's/^GCDUNE_INTERCEPT [a-z ]*[ *]\([a-z_]*\)(.*/\1/p' "$SRC"/gcdune/intercept*.c
} | sort -u >"$dest/expected"
compare() {
	sort -u >"$dest/exported"
	cmp -s "$dest/expected" "$dest/exported" ||
		fail "$1 defines other names than the headers:" "$(diff "$dest/expected" "$dest/exported")"
}
nm -D --defined-only "$dest$prefix/lib/libgcdune.so.0" | awk '{ print $3 }' | compare libgcdune.so.0
nm -g --defined-only "$dest$prefix/lib/libgcdune.a" | awk 'NF == 3 { print $3 }' | compare libgcdune.a

readelf -dW "$dest$prefix/lib/libgcdune.so.0" >"$dest/dynamic"
for property in 'SONAME.*\[libgcdune\.so\.0\]' 'NODELETE' 'NOW'; do
	grep -q "$property" "$dest/dynamic" || fail "libgcdune.so.0 lacks $property"
done
if [ -e "$dest$prefix/lib/gcdune/libgc.so.1" ]; then
	odd=$(nm -D --defined-only "$dest$prefix/lib/gcdune/libgc.so.1" | awk '{ print $3 }' | grep -v '^GC_' || true)
	[ -z "$odd" ] || fail "libgc.so.1 exports $odd"
	[ -s "$dest$prefix/include/gcdune/gc/gc.h" ] || fail "gc/gc.h is not installed"
fi

# A program, the way a user would build it.
cat >"$dest/program.c" <<'END'
#include <gcdune.h>
#include <gcdune-inline.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* Names that the library has inside must not get in the way of the program's. */
int heap_init(void) { return 1; }
int os_reserve(void) { return 2; }

static void *thread(void *arg)
{
	struct link { struct link *next; char text[24]; } *list = NULL;
	for (int i = 0; i < 200000; i++) {
		struct link *l = i % 2 ? gcdune_alloc(sizeof *l) : gcdune_alloc_inline(sizeof *l);
		if (!l || l->next)
			return NULL;
		l->next = i % 1000 ? list : NULL;
		list = l;
	}
	return list;
}

int main(void)
{
	pthread_t t;
	void *result = NULL;
	if (gcdune_init() || pthread_create(&t, NULL, thread, NULL) || pthread_join(t, &result) || !result)
		return 1;
	gcdune_collect();
	if (strcmp(gcdune_version(), VERSION) || heap_init() + os_reserve() != 3)
		return 2;
	puts("fine");
	return 0;
}
END

if command -v pkg-config >/dev/null; then
	export PKG_CONFIG_PATH=$dest$prefix/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$dest
	version=$(pkg-config --modversion gcdune)
	cflags=$(pkg-config --cflags gcdune) libs=$(pkg-config --libs gcdune)
	static=$(pkg-config --static --libs gcdune)
else
	echo "no pkg-config: its part is not tested"
	version=$(sed -n 's/^VERSION := //p' "$SRC/build/config.mk")
	cflags=-I$dest$prefix/include libs="-L$dest$prefix/lib -lgcdune" static="$libs -pthread"
fi
# The words of these variables are arguments of their own.
# shellcheck disable=SC2086
{
	$CC -O2 -Wall -Werror -DVERSION="\"$version\"" $cflags -o "$dest/shared" "$dest/program.c" $libs -pthread
	$CC -O2 -Wall -Werror -DVERSION="\"$version\"" $cflags -o "$dest/static" "$dest/program.c" \
		${static/-lgcdune/-Wl,-Bstatic -lgcdune -Wl,-Bdynamic}
	# The headers are good C++ and good C11 too.
	$CC -std=c11 -pedantic -Wall -Werror $cflags -fsyntax-only -x c - <<<'#include <gcdune.h>'
	if command -v "${CXX:-g++}" >/dev/null; then
		"${CXX:-g++}" -std=c++11 -Wall -Werror $cflags -fsyntax-only -x c++ - \
			<<<$'#include <gcdune.h>\n#include <gcdune-inline.h>'
	fi
}
readelf -dW "$dest/shared" | grep -q 'NEEDED.*libgcdune.so.0' || fail "the program does not need libgcdune.so.0"
readelf -dW "$dest/static" | grep -q 'libgcdune' && fail "the static program needs libgcdune.so"
[ "$(LD_LIBRARY_PATH=$dest$prefix/lib "$dest/shared")" = fine ] || fail "the shared program failed"
[ "$("$dest/static")" = fine ] || fail "the static program failed"

rm -f "$dest"/{program.c,dynamic,shared,static,expected,exported}
install uninstall
left=$(find "$dest" -not -type d)
[ -z "$left" ] || fail "make uninstall left $left"
