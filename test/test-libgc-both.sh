#!/bin/bash
# libgc-both - holds our libgc and the system's against the same programs: each test/test-libgc-*.c but *-own is compiled
# with our gc/gc.h and with the system's, and both run on both libraries; all must pass. The binary made with the system's
# headers and run on our library is a program that was never rebuilt.
#
# TEST-FLAGS: asan=no tsan=no timeout=300
set -u
ours=$BUILD/lib
unset LD_LIBRARY_PATH
[ -f /usr/include/gc/gc.h ] || { echo 'SKIP: no headers of the system'"'"'s libgc'; exit 77; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

fail() { echo "FAILED: $*" >&2; failed=1; }

# run PROGRAM LIBRARY-PATH WHAT
run() {
	local status=0
	LD_LIBRARY_PATH=$2 timeout 60 "$1" >"$work/log" 2>&1 || status=$?
	[ "$status" = 0 ] || fail "$3: status $status: $(tail -2 "$work/log")"
}

for source in "$SRC"/test/test-libgc-*.c; do
	name=$(basename "$source" .c)
	case $name in *-own) continue ;; esac
	for header in "$SRC/runtimes/libgc/include" /usr/include; do
		case $header in /usr/include) include= ;; *) include=-I$header ;; esac
		if ! ${CC:-cc} -std=gnu17 -D_GNU_SOURCE -O2 -w -pthread $include -o "$work/$name" "$source" \
			-L"$ours" -l:libgc.so.1 >"$work/log" 2>&1; then
			fail "$name does not compile with $header: $(head -3 "$work/log")"
			continue
		fi
		run "$work/$name" '' "$name, headers of $header, the system's library"
		run "$work/$name" "$ours" "$name, headers of $header, our library"
	done
done
exit $failed
