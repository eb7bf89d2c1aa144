#!/bin/bash
# The random mutators, stretched, under each way of finding written pages, with all checks; those that this kernel does
# not have say so in a line and stop the program instead.
# TEST-FLAGS: timeout=300 asan=no tsan=no once=yes
set -u
fail() { echo "FAILED: $*"; exit 1; }
export GCDUNE_MODE=concurrent GCDUNE_TORTURE=200 GCDUNE_STRETCH=100 GCDUNE_VERIFY=3
out=$(mktemp) || exit 1
trap 'rm -f "$out"' EXIT
any=
for source in uffd softdirty mprotect always; do
	# A source that this kernel does not have says so, and the program stops as with always.
	GCDUNE_DIRTY=$source "$BUILD/test/test-inline" >"$out" 2>&1 || { cat "$out"; fail "test-inline with $source"; }
	case $(cat "$out") in
	'') any+=" $source" ;;
	*"GCDUNE_DIRTY=$source cannot be had"*) continue ;;
	*) cat "$out"; fail "test-inline with $source says something else" ;;
	esac
	[ "$source" != always ] || unset GCDUNE_TORTURE
	for test in test-mutator test-writes test-stats; do
		# mprotect: system calls must not write to protected pages.
		[ "$source:$test" != mprotect:test-writes ] || continue
		GCDUNE_DIRTY=$source timeout 250 "$BUILD/test/$test" >"$out" 2>&1 || { cat "$out"; fail "$test with $source"; }
		[ ! -s "$out" ] || { cat "$out"; fail "$test with $source says something"; }
	done
done
# What is never refused.
case $any in
*mprotect*always*) ;;
*) fail "mprotect and always work everywhere; here:$any" ;;
esac

# A source that loses pages does not get away with it: the check says so, or the program misses an object before (in one run of
# 45, in the child of a fork, which knows no sums of pages yet).
GCDUNE_DIRTY_PLANT=1 GCDUNE_DIRTY=auto timeout 60 "$BUILD/test/test-writes" >"$out" 2>&1
case $(cat "$out") in
*'did not report it'* | *'points to unmarked'* | *'was lost'* | *'expected o->id == ids'*) ;;
*) cat "$out"; fail 'lost pages were not noticed' ;;
esac
exit 0
