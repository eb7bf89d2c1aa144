#!/bin/bash
# libgc-cpp - C++ programs with our headers and Debian's, on our libgc.so.1 and libgccpp.so.1 and on Debian's; and the binary
# interface of libgccpp.so.1 and libgctba.so.1: the same names, types and sonames as Debian's.
#
# TEST-FLAGS: asan=no tsan=no timeout=120
set -u
command -v g++ >/dev/null || { echo 'SKIP: no g++'; exit 77; }
theirs=/usr/lib/x86_64-linux-gnu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
fail() { echo "FAILED: $*" >&2; failed=1; }

for header in "$SRC/runtimes/libgc/include" /usr/include; do
	[ -f "$header/gc/gc_cpp.h" ] || continue
	case $header in /usr/include) include= ;; *) include=-I$header ;; esac
	for std in c++17 c++14; do
		g++ -std=gnu++${std#c++} -O2 -Wall -Wno-unused-result $include -o "$work/cpp" "$SRC/test/libgc-cpp.cc" \
			-L"$BUILD/lib" -l:libgccpp.so.1 -l:libgc.so.1 2>"$work/log" ||
			{ fail "does not compile with $header: $(head -3 "$work/log")"; continue; }
		for lib in "$BUILD/lib" "$theirs"; do
			[ -f "$lib/libgccpp.so.1" ] || continue
			LD_LIBRARY_PATH=$lib "$work/cpp" >"$work/log" 2>&1 || fail "headers $header, $std, library $lib: $(tail -1 "$work/log")"
		done
	done
done

for name in libgccpp.so.1 libgctba.so.1; do
	[ -f "$theirs/$name" ] || continue
	symbols() { nm -D --defined-only "$1" | awk '$3 != "_end" { print $2, $3 }' | LC_ALL=C sort; }
	diff <(symbols "$theirs/$name") <(symbols "$BUILD/lib/$name") >"$work/log" || fail "$name: $(cat "$work/log")"
	readelf -d "$BUILD/lib/$name" | grep -q "SONAME.*\[$name\]" || fail "$name: wrong soname"
done
exit $failed
