#!/bin/bash
# test-dune-collector.sh - the collector's own tests, unmodified, in Dune mode: threads that are stopped by signals, forks
# in any state, stacks of every kind, libraries that come and go. They are hard on signals, masks and fork, and they know
# what is right.
#
# TEST-FLAGS: asan=no tsan=no once=yes timeout=400
set -u
: "${BUILD:=$(pwd)/build}"
run=$BUILD/bin/dune-run
why=$("$run" --probe 2>&1) || { echo "SKIP: $why"; exit 77; }
failed=
for test in threads fork fork-threads torture fiber dlopen signal-restart signal-mask signal-mask-wait sigwait altstack tls \
	thread-attach spawn finalize-threads blocking; do
	[ -x "$BUILD/test/test-$test" ] || continue
	timeout 100 "$run" "$BUILD/test/test-$test" >"$BUILD/test/dune-collector.log" 2>&1
	status=$?
	echo "$test: $status"
	[ $status = 0 ] || [ $status = 77 ] || { failed+=" $test"; tail -n 5 "$BUILD/test/dune-collector.log"; }
done
[ -z "$failed" ] || { echo "failed:$failed"; exit 1; }
