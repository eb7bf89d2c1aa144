#!/bin/bash
# guile - runs the distribution's Guile, not rebuilt, on its own libgc and on ours, and compares what comes out byte by
# byte: a program that allocates in every way Guile has, the same compiled, what the compiler writes, and all of it again
# while collecting at every 150th allocation and verifying the heap each time.
#
# TEST-FLAGS: asan=no tsan=no timeout=300
set -u
ours=$BUILD/lib
unset LD_LIBRARY_PATH GC_INITIAL_HEAP_SIZE GC_MAXIMUM_HEAP_SIZE
command -v guile-3.0 >/dev/null || { echo 'SKIP: no guile-3.0'; exit 77; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export GUILE_AUTO_COMPILE=0 XDG_CACHE_HOME=$work/cache HOME=$work
program=$SRC/test/libgc-guile.scm
failed=0

fail() { echo "FAILED: $*" >&2; failed=1; }

# on OUR|THEIR OUTPUT ARGS...: guile with stdout and stderr to OUTPUT. Whether it hangs on the system's library is not
# asked here: then it is run again.
on() {
	local output=$2 library=$1 status=0 try
	shift 2
	if [ "$library" = our ]; then
		LD_LIBRARY_PATH=$ours guile-3.0 "$@" >"$output" 2>&1 || status=$?
		return $status
	fi
	for try in 1 2 3; do
		status=0
		timeout 40 guile-3.0 "$@" >"$output" 2>&1 || status=$?
		[ $status = 124 ] || return $status
		echo "on the system's library, not done within 40 s, try $try: $*" >&2
	done
	return $status
}

# same NAME ARGS...: guile ARGS... prints the same and ends the same way on both.
same() {
	local name=$1 theirs=0 ours_status=0
	shift
	on their "$work/their" "$@" || theirs=$?
	on our "$work/our" "$@" || ours_status=$?
	[ "$theirs" = 0 ] || fail "$name: status $theirs on the system's library: $(tail -3 "$work/their")"
	[ "$ours_status" = "$theirs" ] || fail "$name: status $ours_status on ours: $(tail -3 "$work/our")"
	# How much of what was dropped is gone differs from run to run: on the system's library, and where the heap is marked
	# beside the program.
	if [ -n "${GCDUNE_DIRTY-}" ] || grep -qE '^(weak|guardian) .*#f' "$work/their"; then
		sed -i '/^weak /d; /^guardian /d' "$work/their" "$work/our"
	fi
	cmp "$work/their" "$work/our" || { fail "$name: the output differs"; diff "$work/their" "$work/our" | head -5 >&2; }
}

# compile LIBRARY OUTPUT
compile() {
	on "$1" "$work/log" -c "(use-modules (system base compile)) (compile-file \"$program\" #:output-file \"$2\")" ||
		fail "compiling on $1: $(tail -3 "$work/log")"
}

on our "$work/which" -c '(call-with-input-file "/proc/self/maps" (lambda (p) (let loop () (let ((c (read-char p)))
	(unless (eof-object? c) (write-char c) (loop))))))'
grep -q "$(realpath "$ours/libgc.so.1")" "$work/which" || fail "Guile does not run on $ours/libgc.so.1"

same interpreted --no-auto-compile "$program" 40
compile their "$work/their.go"
compile our "$work/our.go"
cmp "$work/their.go" "$work/our.go" || fail "compiled code differs"
# load-compiled has no command line of its own: hand one on.
run="(set-program-arguments '(\"x\" \"200\")) (load-compiled \"$work/our.go\")"
same compiled -c "$run"
GUILE_JIT_THRESHOLD=-1 same 'without JIT' -c "$run"

# In Dune mode, where there is one.
if "$BUILD/bin/dune-run" --probe >/dev/null 2>&1; then
	for source in dune dune-fault; do
		export GCDUNE_DIRTY=$source
		same "interpreted, $source" --no-auto-compile "$program" 20
		same "compiled, $source" -c "$run"
		GCDUNE_MODE=concurrent GCDUNE_TORTURE=1000 GCDUNE_VERIFY=2 same "beside, $source" -c "${run/200/2}"
	done
	unset GCDUNE_DIRTY
fi
export GCDUNE_TORTURE=150 GCDUNE_VERIFY=1
same 'under torture' --no-auto-compile "$program" 1
same 'compiled, under torture' -c "${run/200/2}"
exit $failed
