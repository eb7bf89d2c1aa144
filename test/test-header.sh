#!/bin/bash
# The headers compile alone, as C11 without extensions and as C++, without a warning; the library exports every function
# that they declare and no name outside gcdune_, dune_ and the wrappers of libc's functions.
#
# TEST-FLAGS: timeout=60 once=yes
set -u
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
fail() { echo "$0: FAILED: $*"; exit 1; }

cat >"$dir/use.c" <<'END'
#include <gcdune.h>
#include <gcdune-inline.h>
int main(void)
{
	return gcdune_alloc(10) && gcdune_alloc_inline(20) && GCDUNE_REVEAL(GCDUNE_HIDE(0)) == 0 ? 0 : 1;
}
END
cp "$dir/use.c" "$dir/use.cc"
compile() { # COMPILER FLAGS...
	"$@" -Wall -Wextra -Werror -I"$SRC/gcdune" -o "$dir/use" "$dir/use.${suffix}" -L"$BUILD/lib" -lgcdune \
		-Wl,-rpath,"$BUILD/lib" 2>"$dir/err" || fail "$*: $(cat "$dir/err")"
	"$dir/use" || fail "$*: the program ended with status $?"
}
suffix=c compile "$CC" -std=gnu11 -pedantic -Wno-pedantic
suffix=c compile "$CC" -std=gnu17 -Wconversion -Wshadow -Wstrict-prototypes
suffix=c compile "$CC" -std=c11
if command -v g++ >/dev/null; then
	suffix=cc compile g++ -std=c++11
	suffix=cc compile g++ -std=c++17 -Wconversion
fi

nm -D --defined-only "$BUILD/lib/libgcdune.so" | awk '{ sub(/@.*/, "", $3); print $3 }' | sort -u >"$dir/exported"
"$CC" -E -P -I"$SRC/gcdune" "$SRC/gcdune/gcdune.h" | grep -oE '\bgcdune_[a-z_]+ *\(' | tr -d ' (' | sort -u >"$dir/declared"
[ "$(wc -l <"$dir/declared")" -gt 60 ] || fail "only $(wc -l <"$dir/declared") functions found in gcdune.h"
# Types of functions are no functions.
missing=$(comm -23 "$dir/declared" "$dir/exported" | grep -vE '_fn$|^gcdune_finalizer$')
[ -z "$missing" ] || fail "declared but not exported: $missing"
strange=$(grep -vE '^(gcdune_|dune_|GCDUNE_|libgcdune|pthread_|sig|p?poll$|pselect$|epoll_pwait$|f?exec[a-z]*$)' "$dir/exported")
[ -z "$strange" ] || fail "exported names that are none of ours: $strange"

# The static library clashes with no name of a program.
others=$(nm -g --defined-only "$BUILD/lib/libgcdune.a" | awk 'NF == 3 { print $3 }' |
	grep -vE '^(gcdune_|dune_|pthread_|sig|p?poll$|pselect$|epoll_pwait$|f?exec[a-z]*$)')
[ -z "$others" ] || fail "global names in libgcdune.a that are none of ours: $others"
exit 0
