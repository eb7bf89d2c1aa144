#!/bin/bash
# malloc-programs - Debian's python3 (with a part of its own tests), sqlite3, git, gcc, perl and node on libgcdune-malloc.so in
# each mode print the same as on libc's malloc.
#
# TEST-FLAGS: asan=no tsan=no once=yes timeout=400
set -u
lib=$BUILD/lib/libgcdune-malloc.so
failed=0
fail() { echo "FAILED: $*" >&2; failed=1; }
top=$(mktemp -d)
trap 'rm -rf "$top"' EXIT
export HOME=$top GIT_CONFIG_NOSYSTEM=1 GCDUNE_LEAK_REPORT=$top/leaks PYTHONHASHSEED=0
. "$SRC/test/malloc-programs.sh"

python3 -c 'import test.test_json, test.test_weakref' 2>/dev/null || work_python_tests() { :; }
run() { (mkdir -p "$top/dir" && cd "$top/dir" && "work_$1" 2>&1; echo "status $?"; rm -rf "$top/dir"); }

for name in python sqlite3 git gcc perl node python_tests; do
	case $name in python*) program=python3 ;; *) program=$name ;; esac
	command -v $program >/dev/null || { echo "$program is not here"; continue; }
	expected=$(run "$name")
	for mode in free collect leak; do
		got=$(export GCDUNE_MALLOC=$mode LD_PRELOAD=$lib; run "$name")
		[ "$got" = "$expected" ] || fail "$name, mode $mode: $(diff <(echo "$expected") <(echo "$got") | head -20)"
	done
done
exit $failed
