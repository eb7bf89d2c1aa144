#!/bin/bash
# dune-sources - the collector's tests with the sources of Dune mode, GCDUNE_DIRTY=dune and dune-fault: most of them as they run
# beside collections elsewhere (.beside: both checks, so that each page's contents, which is what `always' would have looked
# at, are compared with what the source says), the random mutators stretched, forks in stretched phases, a source that
# loses pages, Dune mode that is there already, and Dune mode that cannot be had: a line, and the next source.
#
# Not in the list: test-rlimit (a process in Dune mode needs more address space than it leaves), what is slow (realloc, fiber,
# alloc-sizes), and roots-heap with dune-fault, where it writes to the same few pages all the time, at a fault each.
#
# TEST-FLAGS: asan=no tsan=no once=yes timeout=900
set -u
: "${BUILD:=$(pwd)/build}"
run=$BUILD/bin/dune-run
failed=0
fail() { echo "FAILED: $*"; failed=1; }
out=$(mktemp -d) || exit 1
trap 'rm -rf "$out"' EXIT
unset GCDUNE_DIRTY

# Without a libdune beside it, and without /dev/kvm.
install "$BUILD/lib/libgcdune.so.0" "$BUILD/test/test-inline" "$out/" # readable for everyone
LD_LIBRARY_PATH=$out GCDUNE_MODE=concurrent GCDUNE_STATS=1 GCDUNE_DIRTY=dune "$out/test-inline" >"$out/log" 2>&1 ||
	{ cat "$out/log"; fail 'without libdune'; }
[ "$(grep -c 'GCDUNE_DIRTY=dune cannot be had (libdune.so.0: .*): the next source is taken' "$out/log")" = 1 ] ||
	{ cat "$out/log"; fail 'no line about a missing libdune'; }
[ "$(grep -c '^gcdune: [^0-9]*GCDUNE_DIRTY\|writes are tracked\|no way' "$out/log")" = 1 ] ||
	{ cat "$out/log"; fail 'more than a line about a missing libdune'; }
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	chmod 755 "$out"
	install "$BUILD/lib/libdune.so.0" "$out/"
	LD_LIBRARY_PATH=$out GCDUNE_MODE=concurrent GCDUNE_DIRTY=dune-fault setpriv --reuid=65534 --regid=65534 --clear-groups \
		"$out/test-inline" >"$out/log" 2>&1 || { cat "$out/log"; fail 'as nobody'; }
	[ -w /dev/kvm ] && [ "$(stat -c %a /dev/kvm)" = 666 ] || {
		grep -q 'GCDUNE_DIRTY=dune-fault cannot be had (.*/dev/kvm.*): the next' "$out/log" ||
			{ cat "$out/log"; fail 'no line about /dev/kvm'; }
		[ "$(wc -l <"$out/log")" = 1 ] || { cat "$out/log"; fail 'more than a line about /dev/kvm'; }
	}
fi

why=$("$run" --probe 2>&1) || { [ $failed = 0 ] || exit 1; echo "SKIP: $why"; exit 77; }

# check NAME TEST [LIMIT]: with the variables of the moment; says nothing.
check() {
	local status=0 begin=$SECONDS
	timeout "${3:-120}" "$BUILD/test/test-$2" >"$out/log" 2>&1 </dev/null || status=$?
	[ $status = 0 ] || [ $status = 77 ] || { tail -n 5 "$out/log"; fail "$1: $2: status $status"; }
	[ $status = 77 ] || ! grep '^gcdune:' "$out/log" || fail "$1: $2 says something"
	[ $((SECONDS - begin)) -lt 8 ] || echo "$1: $2: $((SECONDS - begin)) s"
}

# In Dune mode already, and nothing asked for.
GCDUNE_STATS=1 GCDUNE_MODE=concurrent "$run" "$BUILD/test/test-inline" >"$out/log" 2>&1 || { cat "$out/log"; fail 'in Dune mode'; }
grep -q 'writes by dune)' "$out/log" || { cat "$out/log"; fail 'in Dune mode, dune is not chosen'; }

beside="aligned alloc-many altstack blocking disable dlopen ephemeron events fault-load finalize finalize-demand finalize-threads
	fork free inline interior interior-all kind-callback large leaf locked pinned roots roots-heap segments
	signal-mask signal-mask-wait sigwait spawn stats thread-arg thread-attach threads tls tsd typed libgc-alloc libgc-debug
	libgc-disclaim libgc-finalize libgc-gcj libgc-kinds libgc-roots libgc-threads"
for source in dune dune-fault; do
	export GCDUNE_DIRTY=$source
	# In full it takes 900 s where the guest's ring 0 is emulated; a fault for each page is the slower of the two.
	less=4
	[ $source = dune ] || less=10
	export TEST_LESS=$less
	(
		failed=0
		export GCDUNE_MODE=concurrent GCDUNE_VERIFY=2
		for test in $beside; do
			[ $source:$test != dune-fault:roots-heap ] || continue
			[ -x "$BUILD/test/test-$test" ] || { fail "no $test"; continue; }
			GCDUNE_TORTURE=50 GCDUNE_STRETCH=20 check "$source beside" $test
		done
		for test in mutator writes; do
			GCDUNE_TORTURE=200 GCDUNE_STRETCH=100 check "$source stretched" $test 250
		done
		GCDUNE_STRETCH=3000 check "$source stretched" fork-threads 250
		exit $failed
	) || failed=1
	(
		failed=0
		export GCDUNE_VERIFY=1
		for test in inline threads fork finalize; do
			GCDUNE_TORTURE=50 check "$source torture" $test
		done
		unset GCDUNE_VERIFY
		for test in mutator release; do
			check "$source" $test 250
		done
		exit $failed
	) || failed=1
	unset TEST_LESS
	GCDUNE_MODE=concurrent GCDUNE_TORTURE=200 GCDUNE_VERIFY=2 GCDUNE_DIRTY_PLANT=1 timeout 60 "$BUILD/test/test-writes" \
		>"$out/log" 2>&1
	case $(cat "$out/log") in
	*'did not report it'* | *'points to unmarked'* | *'was lost'*) ;;
	*) cat "$out/log"; fail "$source: lost pages were not noticed" ;;
	esac
done
exit $failed
