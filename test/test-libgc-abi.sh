#!/bin/bash
# libgc-abi - checks that our libgc.so.1 has the binary interface of the system's: its soname, and for each exported name
# the type (function or object, weak or not) and, for objects, the size. What we lack must be listed in docs/libgc.md
# under "Left out", and nothing that is listed there may be exported. What Debian's Guile and w3m import must be there in
# any case.
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
sed -n '/^## Left out/,$p' "$SRC/docs/libgc.md" | grep -o '`GC_[A-Za-z0-9_]*`' | tr -d '`' | LC_ALL=C sort -u >"$work/left-out"

while read -r name type size; do
	line=$(grep "^$name " "$work/ours") || {
		grep -qx "$name" "$work/left-out" || fail "$name is missing, and not in the list of what is left out"
		continue
	}
	[ "$line" = "$name $type $size" ] || fail "ours: $line; theirs: $name $type $size"
	! grep -qx "$name" "$work/left-out" || fail "$name is exported although listed as left out"
done <"$work/theirs"

for program in /usr/lib/x86_64-linux-gnu/libguile-3.0.so.1 /usr/bin/w3m; do
	[ -e "$program" ] || continue
	for name in $(nm -D "$program" | awk '$1 == "U" && $2 ~ /^GC_/ { print $2 }'); do
		grep -q "^$name " "$work/ours" || fail "$program imports $name"
	done
done

[ "$failed" = 0 ] || exit 1
echo "$(wc -l <"$work/ours") names, $(wc -l <"$work/theirs") in $theirs, $(wc -l <"$work/left-out") left out"
