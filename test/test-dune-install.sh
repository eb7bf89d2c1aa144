#!/bin/bash
# test-dune-install.sh - what make install puts where, for Dune mode: the header, both libraries, dune.pc, dune-run; that a
# program can be built against them; that they export what dune.h declares and nothing else; what dune-run says when it
# cannot run a program, and that it passes on what it can.
#
# TEST-FLAGS: once=yes timeout=120
set -eu
fail() { echo "test-dune-install: $*" >&2; exit 1; }

dest=$BUILD/test/dune-install prefix=/opt/dune
rm -rf "$dest"
make --no-print-directory -C "$SRC" install BUILD="$BUILD" DESTDIR="$dest" prefix="$prefix" >/dev/null
for file in lib/libdune.so.0 lib/libdune.so lib/libdune.a lib/pkgconfig/dune.pc include/dune.h bin/dune-run \
	share/man/man1/dune-run.1 share/man/man3/dune.3; do
	[ -s "$dest$prefix/$file" ] || fail "$file is not installed"
done
grep -q '@' "$dest$prefix/lib/pkgconfig/dune.pc" && fail "dune.pc has placeholders left"

sed -n 's/^DUNE_API.*[ *]\(dune_[a-z0-9_]*\)(.*/\1/p' "$SRC/dune-core/dune.h" | sort >"$dest/expected"
nm -D --defined-only "$dest$prefix/lib/libdune.so.0" | awk '$2 != "A" { print $3 }' | sed 's/@.*//' | sort -u >"$dest/exported"
cmp "$dest/expected" "$dest/exported" || fail "libdune.so.0: $(diff "$dest/expected" "$dest/exported")"
nm -g --defined-only "$dest$prefix/lib/libdune.a" | awk 'NF == 3 { print $3 }' | sort -u >"$dest/exported"
cmp "$dest/expected" "$dest/exported" || fail "libdune.a: $(diff "$dest/expected" "$dest/exported")"

cat >"$dest/program.c" <<'END'
#include <dune.h>
#include <stdio.h>
int main(void)
{
	struct dune_probe p;
	int error = dune_probe(&p);
	if (error)
		return p.reason[0] ? 0 : 1;
	static char page[8192];
	error = dune_enter();
	if (error || !dune_is_active()) {
		fprintf(stderr, "dune_enter: %d, and %s\n", error, dune_is_active() ? "active" : "not active");
		return 2;
	}
	dune_dirty_take(page, sizeof(page), 0);
	page[5000] = 1;
	return dune_dirty_take(page, sizeof(page), 0) >= 1 ? 0 : 3;
}
END
flags=$(PKG_CONFIG_PATH="$dest$prefix/lib/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$dest" pkg-config --cflags --libs dune)
$CC -Wall -Werror -o "$dest/shared" "$dest/program.c" $flags
LD_LIBRARY_PATH=$dest$prefix/lib "$dest/shared" || fail "the program against libdune.so: $?"
$CC -Wall -Werror -I"$dest$prefix/include" -o "$dest/static" "$dest/program.c" "$dest$prefix/lib/libdune.a" -pthread
"$dest/static" || fail "the program against libdune.a: $?"
for language in "$CC -std=c99 -pedantic" "$CC -x c++"; do
	echo '#include <dune.h>' >"$dest/header.c"
	$language -Wall -Wextra -Werror -fsyntax-only -I"$dest$prefix/include" "$dest/header.c" || fail "dune.h: $language"
done

run=$dest$prefix/bin/dune-run
expect() { # STATUS TEXT COMMAND...
	local status=0 wanted=$1 text=$2
	shift 2
	"$@" >"$dest/out" 2>&1 || status=$?
	[ "$status" = "$wanted" ] || fail "$*: status $status, expected $wanted: $(cat "$dest/out")"
	grep -q "$text" "$dest/out" || fail "$*: expected '$text': $(cat "$dest/out")"
}
export LD_LIBRARY_PATH=$dest$prefix/lib
if "$run" --probe >/dev/null 2>&1; then
	expect 0 'Dune mode is available' "$run" --probe
	expect 7 hello "$run" sh -c 'echo hello; exit 7'
	expect 127 'not found' "$run" /does/not/exist
	printf '#!/bin/sh\necho script $1\n' >"$dest/script"
	chmod +x "$dest/script"
	expect 0 'script x' "$run" "$dest/script" x
	printf 'int main(void) { return 0; }\n' >"$dest/s.c"
	$CC -static -o "$dest/really-static" "$dest/s.c"
	expect 125 'statically linked' "$run" "$dest/really-static"
	if [ "$(id -u)" = 0 ]; then
		cp "$dest/shared" "$dest/setuid"
		chown 1:1 "$dest/setuid"
		chmod 4755 "$dest/setuid"
		expect 125 'set-user-ID' "$run" "$dest/setuid"
		# Another user may not be let into the tree: it gets a copy elsewhere.
		public=$(mktemp -d)
		trap 'rm -rf "$public"' EXIT
		chmod 755 "$public"
		cp -a "$dest$prefix/bin" "$dest$prefix/lib" "$public/"
		expect 125 'permission denied' env LD_LIBRARY_PATH="$public/lib" \
			setpriv --reuid=65534 --regid=65534 --clear-groups "$public/bin/dune-run" --probe
	fi
	expect 0 ' call ' env DUNE_TRACE=/dev/stdout "$run" true
	printf 'int main(void) { return *(volatile int *)16; }\n' >"$dest/c.c"
	$CC -o "$dest/crash" "$dest/c.c"
	expect 139 'a segmentation fault' "$run" "$dest/crash"
	grep -q 'cr2 10: nothing is mapped there' "$dest/out" || fail "no report: $(cat "$dest/out")"
	expect 125 'ulimit' bash -c "ulimit -v 900000; exec $run true"
else
	expect 125 'Dune mode is not available' "$run" true
fi
expect 125 usage "$run"
make --no-print-directory -C "$SRC" uninstall BUILD="$BUILD" DESTDIR="$dest" prefix="$prefix" >/dev/null 2>&1 || true
left=$(find "$dest$prefix" -type f)
[ -z "$left" ] || fail "make uninstall leaves $left"
