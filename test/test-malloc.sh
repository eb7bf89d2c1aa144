#!/bin/bash
# malloc - libgcdune-malloc.so in its three modes: what malloc's functions promise (malloc-check); that use after free is
# harmless and garbage is collected in mode collect; that the leaks that were planted are found in mode leak, with
# their functions' names, and only those; a bad mode is said.
#
# TEST-FLAGS: asan=no tsan=no timeout=120 short=yes
set -u
lib=$BUILD/lib/libgcdune-malloc.so
failed=0
fail() { echo "FAILED: $*" >&2; failed=1; }
# with MODE COMMAND...
with() { local mode=$1; shift; timeout 60 env GCDUNE_MALLOC="$mode" LD_PRELOAD="$lib" "$@"; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

${CC:-cc} -O1 -g -fno-builtin -fno-optimize-sibling-calls -D_GNU_SOURCE -pthread -w -o "$work/misuse" "$SRC/test/malloc-misuse.c" || exit 1
${CC:-cc} -O1 -g -fno-builtin -D_GNU_SOURCE -pthread -w -o "$work/check" "$SRC/test/malloc-check.c" || exit 1

timeout 60 "$work/check" >/dev/null || fail "malloc-check on libc's malloc"
for mode in free collect leak; do
	out=$(with $mode "$work/check" 2>"$work/err") || fail "malloc-check, mode $mode: $(tail -3 "$work/err")"
	[ "$out" = ok ] || fail "malloc-check, mode $mode, prints: $out"
	! grep -q leaked "$work/err" || fail "malloc-check leaks: $(cat "$work/err")"
done
out=$(with free "$work/check" foreign) || fail "memory that another thread frees, mode free: $out"
out=$(with free "$work/check" comes-and-goes) || fail "memory that comes and goes, mode free: $out"
GCDUNE_TORTURE=500 GCDUNE_VERIFY=1 with collect "$work/misuse" after-free >"$work/out" 2>&1 ||
	fail "use after free is not harmless: $(cat "$work/out")"
(ulimit -v $((16 * 1024 * 1024)); GCDUNE_RESERVE=1G GCDUNE_HEAP_LIMIT=300M with collect "$work/misuse" garbage) >"$work/out" 2>&1 ||
	fail "garbage is not collected: $(cat "$work/out")"

# Where the heap is marked beside the program, each child makes a thread for that; making one allocates.
out=$(GCDUNE_MODE=concurrent GCDUNE_TORTURE=1 with collect bash -c 'x=$( (echo a; echo b) | sort | tr -d "\n"); echo $x' 2>&1)
[ "$out" = ab ] || fail "a shell and its children, collecting beside the program: $out"

with leak "$work/misuse" leak 2>"$work/err" || fail "leak: exit status $?"
grep -q 'leaked 300825 bytes in 9 objects, and 432 bytes in 9 objects' "$work/err" || fail "leaks: $(head -1 "$work/err")"
for function in lose_small lose_large lose_chain in_thread; do
	grep -q "#[0-9] $function" "$work/err" || fail "$function is not named: $(cat "$work/err")"
done
grep -q '777 bytes in 7 objects' "$work/err" || fail "no 777 bytes in 7 objects"
GCDUNE_LEAK_REPORT=$work/report with leak "$work/misuse" leak 2>"$work/err"
[ ! -s "$work/err" ] && grep -q 'leaked' "$work/report" || fail "GCDUNE_LEAK_REPORT is not written"
with leak "$work/misuse" none 2>"$work/err" || fail "none: exit status $?"
[ ! -s "$work/err" ] || fail "what is held is called leaked: $(cat "$work/err")"

with bad "$work/check" >/dev/null 2>"$work/err" || fail "a bad mode ends the program"
grep -q 'GCDUNE_MALLOC=bad is ignored' "$work/err" || fail "a bad mode is not said"
exit $failed
