#!/bin/bash
# GCDUNE_TRACE: a file in the Trace Event format, with the phases beside the program and in its stops, in order and not longer
# than the run; a file that cannot be written is named. GCDUNE_STATS tells what threads lost.
# TEST-FLAGS: timeout=60 asan=no tsan=no once=yes
set -u
fail() { echo "FAILED: $*"; exit 1; }
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
export GCDUNE_MODE=concurrent
GCDUNE_TRACE=$dir/trace.json GCDUNE_STATS=$dir/stats.json "$BUILD/test/test-mutator" || fail 'test-mutator failed'
python3 - "$dir/trace.json" "$dir/stats.json" <<'END' || fail 'the trace or the statistics'
import json, sys
events = json.load(open(sys.argv[1]))["traceEvents"]
stats = json.load(open(sys.argv[2]))
spans = [e for e in events if e["ph"] == "X"]
names = {e["name"] for e in spans}
beside = stats["dirty_source"] != "always"
for name in ["stop", "roots", "mark", "finalize", "sweep", "release"] + (["arm", "mark_beside", "preclean", "sweep_beside"] if beside else []):
    assert name in names, name + " is missing"
run = stats["run_ns"] / 1e3
assert all(e["dur"] >= 0 and 0 <= e["ts"] and e["ts"] + e["dur"] <= run * 1.5 + 1e6 for e in spans), "a span out of the run"
finals = [e for e in spans if e["name"] == "finalize"]
assert len(finals) >= stats["collections"], "%d of %d collections" % (len(finals), stats["collections"])
assert stats["lost"]["block"]["times"] > 0 and stats["lost"]["stop"]["times"] > 0, "threads lost nothing"
shares = [stats["utilization"][w] for w in sorted(stats["utilization"], key=int)]
assert all(0 <= s <= 1 for s in shares) and shares[-1] >= shares[0], "utilization %r" % (shares,)
END
GCDUNE_TRACE=$dir/none/trace.json "$BUILD/test/test-inline" 2>"$dir/err" || fail 'an unwritable file fails the program'
grep -q none/trace.json "$dir/err" || fail 'an unwritable file is not named'
exit 0
