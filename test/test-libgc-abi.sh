#!/bin/bash
# libgc-abi - checks that our libgc.so.1 has the binary interface of the system's: its soname, and for each exported name
# the type (function or object, weak or not) and, for objects, the size. There are no differences but the one in docs/libgc.md:
# _end, which is not looked at here. The other way round, ours exports nothing that theirs does not.
#
# TEST-FLAGS: asan=no tsan=no
set -u
ours=$BUILD/lib/libgc.so.1
failed=0

fail() { echo "FAILED: $*" >&2; failed=1; }

# name type size, for what a program can link against; sizes of functions do not matter.
symbols() {
	readelf --dyn-syms --wide "$1" | awk '$7 != "UND" && $5 != "LOCAL" && $8 ~ /^GC_/ {
		sub(/@.*/, "", $8); print $8, $4 "/" $5, ($4 == "OBJECT" ? $3 : "-") }' | LC_ALL=C sort
}

[ -f "$ours" ] || { fail "no $ours"; exit 1; }
soname=$(readelf -d "$ours" | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p')
[ "$soname" = libgc.so.1 ] || fail "the soname is $soname"

others=$(nm -D --defined-only "$ours" | awk '$3 !~ /^GC_/ { print $3 }')
[ -z "$others" ] || fail "exported besides GC_ names:" $others

theirs=
for place in $(ldconfig -p | awk '$1 == "libgc.so.1" { print $NF }'); do
	[ "$place" -ef "$ours" ] || theirs=${theirs:-$place}
done
if [ -z "$theirs" ]; then
	[ "$failed" = 0 ] || exit 1
	echo 'SKIP: no system libgc.so.1 to compare with'
	exit 77
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
symbols "$ours" >"$work/ours"
symbols "$theirs" >"$work/theirs"

diff -u "$work/theirs" "$work/ours" || fail "the lists above differ: theirs -, ours +"

[ "$failed" = 0 ] || exit 1
echo "$(wc -l <"$work/ours") names, as in $theirs"
