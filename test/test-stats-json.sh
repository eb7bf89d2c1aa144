#!/bin/bash
# The statistics written at exit: GCDUNE_STATS=file is JSON that agrees with itself, one pause for each collection;
# GCDUNE_STATS=1 is for people, on stderr; a file that cannot be written is told, and harms nothing.
#
# TEST-FLAGS: timeout=120 once=yes
set -u
command -v python3 >/dev/null || { echo 'SKIP: no python3 to read JSON with'; exit 77; }
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
fail() { echo "$0: FAILED: $*" >&2; exit 1; }

GCDUNE_STATS=$dir/stats.json "$BUILD/test/test-inline" || fail 'test-inline failed under GCDUNE_STATS=file'
[ -s "$dir/stats.json" ] || fail 'no file was written'
python3 -m json.tool "$dir/stats.json" >/dev/null || fail "not JSON: $(head -c 2000 "$dir/stats.json")"
python3 - "$dir/stats.json" <<'END' || fail "the file contradicts itself: $(head -c 2000 "$dir/stats.json")"
import json, sys
s = json.load(open(sys.argv[1]))
def find(d, name):
    if isinstance(d, dict):
        if name in d:
            return d[name]
        for v in d.values():
            r = find(v, name)
            if r is not None:
                return r
n = find(s, "collections")
assert isinstance(n, int) and n > 0, "collections: %r" % (n,)
pauses = find(s, "pauses")
count = len(pauses) if isinstance(pauses, list) else find(pauses, "count") if isinstance(pauses, dict) else pauses
# A cycle that runs beside the program has several.
assert count >= n, "%r pauses for %r collections" % (count, n)
for name in "bytes_allocated", "bytes_live", "bytes_heap_peak":
    assert isinstance(find(s, name), int), name + " is missing"
flat = json.dumps(s)
for name in "max", "p50", "p99":
    assert name in flat, name + " is missing"
END

GCDUNE_STATS=1 "$BUILD/test/test-inline" >"$dir/out" 2>"$dir/err" || fail 'test-inline failed under GCDUNE_STATS=1'
[ ! -s "$dir/out" ] || fail "statistics on stdout: $(cat "$dir/out")"
grep -qi collections "$dir/err" || fail "stderr does not speak of collections: $(cat "$dir/err")"

GCDUNE_STATS=$dir/none/stats.json "$BUILD/test/test-inline" 2>"$dir/err" || fail 'an unwritable file fails the program'
grep -q none/stats.json "$dir/err" || fail "an unwritable file is not named: $(cat "$dir/err")"

# A process that forks writes one file, its own.
rm -f "$dir/stats.json"
GCDUNE_STATS=$dir/stats.json "$BUILD/test/test-fork" || fail 'test-fork failed under GCDUNE_STATS=file'
python3 -m json.tool "$dir/stats.json" >/dev/null || fail 'not JSON after forks'
exit 0
