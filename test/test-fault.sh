#!/bin/bash
# Every call by which the collector gets, protects or returns memory, and thread creation, is made to fail: the Nth alone,
# and the Nth with all that follow. The workload must end as usual, or with a message and a status that is not 0; never
# by a signal without a word, and never hang.
#
# TEST-FLAGS: timeout=600 asan=no tsan=no
set -u
load=$BUILD/test/test-fault-load
lib=$BUILD/test/lib-failmmap.so
[ -x "$load" ] && [ -f "$lib" ] || { echo "$0: FAILED: $load or $lib is missing"; exit 1; }
out=$(mktemp) || exit 1
trap 'rm -f "$out"' EXIT
usual=$("$load") || { echo "$0: FAILED: without failures: $usual"; exit 1; }
failures=0 refusals=0 runs=0

try() { # CALLS AT ALL
	FAULT_CALLS=$1 FAULT_AT=$2 FAULT_ALL=$3 LD_PRELOAD=$lib timeout --kill-after=5 60 "$load" >"$out" 2>&1
	local status=$?
	runs=$((runs + 1))
	if [ $status = 0 ]; then
		[ "$(tail -n 1 "$out")" = "$usual" ] && return
	elif [ $status -lt 124 ] || [ $status = 134 ]; then
		refusals=$((refusals + 1))
		# A failed check is not a message about memory.
		[ -s "$out" ] && ! grep -q FAILED "$out" && return
	fi
	echo "$0: FAILED: FAULT_CALLS=$1 FAULT_AT=$2 FAULT_ALL=$3: status $status, output \"$(tail -n 3 "$out")\""
	failures=$((failures + 1))
}

for n in $(seq 1 60); do
	try mmap,mprotect,madvise,mremap "$n" 0
	try mmap,mprotect,madvise,mremap "$n" 1
done
for n in $(seq 1 12); do
	try madvise "$n" 1
	try mprotect "$n" 0
	try mmap "$n" 1
	try pthread_create "$n" 0
	try pthread_create "$n" 1
done
echo "$runs runs, $refusals ended with a message, $failures wrong"
# If nothing was ever refused, nothing was intercepted.
[ "$refusals" -gt 0 ] || { echo "$0: FAILED: no call was made to fail"; exit 1; }
[ "$failures" = 0 ]
