#!/bin/bash
# test-bench-stats - the statistics of the benchmark suite against values worked out by hand, its records of runs across an
# interruption, and what it says of two results: worse, better, failed, the same, and files that are none.
#
# TEST-FLAGS: once=yes
set -u
command -v python3 >/dev/null || { echo 'SKIP: no python3'; exit 77; }
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
SUITE=$SRC/benchmarks python3 -B - <<'END' || exit 1
import io, itertools, json, os, random, sys
sys.path.insert(0, os.environ["SUITE"])
from suite import compare, records, results, stats

def check(what, ok):
    if not ok:
        sys.exit("FAILED: " + what)

# ---- stats ----
s = stats.summary([3.0, 1.0, 2.0, None])
check("summary", s["median"] == 2 and s["low"] == 1 and s["high"] == 3 and s["spread"] == 1 and s["n"] == 3)
check("summary of nothing", stats.summary([None]) is None)
check("quantile", stats.quantile([1, 2, 3, 4], .5) == 2 and stats.quantile([1, 2, 3, 4], 1) == 4 and stats.quantile([], .5) is None)
p = stats.pause_summary([1000] * 99 + [1000000])
check("pauses", p["count"] == 100 and p["p99_ms"] == .001 and p["max_ms"] == 1 and dict(p["quarter_decades"]) == {0: 99, 12: 1})
check("geometric mean", abs(stats.geometric_mean([1, 4]) - 2) < 1e-12)

# Utilization by its definition, at every window, against the two passes over the gaps.
def slowly(gaps, span, window):
    window = min(window, span)
    begins = [g[0] for g in gaps] + [g[0] + g[1] - window for g in gaps]
    lost = lambda b: sum(max(0, min(s + l, b + window) - max(s, b)) for s, l in gaps)
    return 1 - max(lost(b) for b in begins) / window
check("utilization, one gap", stats.utilization([(100, 10)], 1000, 10) == 0 and stats.utilization([(100, 10)], 1000, 20) == .5)
check("utilization, none", stats.utilization([], 1000, 10) == 1)
rng = random.Random(1)
for _ in range(300):
    gaps, at = [], 0
    for _ in range(rng.randint(1, 8)):
        at += rng.randint(1, 30)
        length = rng.randint(1, 20)
        gaps.append((at, length))
        at += length
    span, window = at + rng.randint(1, 30), rng.randint(1, 60)
    check("utilization of %s in %d of %d" % (gaps, window, span), abs(stats.utilization(gaps, span, window) - slowly(gaps, span, window)) < 1e-9)

check("rank test", abs(stats.rank_test([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]) - 2 / 252) < 1e-9)
check("rank test, the same", stats.rank_test([1, 2, 3, 4], [1, 2, 3, 4]) == 1)
check("differ", stats.differ([1, 1.01, 1.02, 1.0, .99], [1.2, 1.21, 1.22, 1.2, 1.19]))
check("differ, little", not stats.differ([1, 1.01, 1.02, 1.0, .99], [1.02, 1.03, 1.04, 1.02, 1.01]))
check("differ, noise", not stats.differ([1, 2, 3, 1.5, 2.5], [1.2, 2.4, 3.1, 1.6, 2.8]))
check("differ, few runs", stats.differ([1, 1.1], [1.5, 1.6]) and not stats.differ([1, 1.6], [1.5, 1.7]))

# ---- records ----
r = records.Records("runs", "key")
r.add("a", 0, {"wall_s": 1, "took_s": 2.5})
r.add("a", 1, {"wall_s": 2, "took_s": 2.5})
r.file.write('{"id": "b", "rou')
r.file.close()
r = records.Records("runs", "key")
check("goes on, without what was cut off", r.resumed and len(r.runs) == 2 and r.seconds == 5 and [x["wall_s"] for x in r.of("a")] == [1, 2])
r.add("b", 0, {"wall_s": 3})
r.file.close()
check("goes on twice", len(records.Records("runs", "key").runs) == 3)
check("another plan begins anew", not records.Records("runs", "other").resumed)
r = records.Records("runs", "key")
r.add("a", 0, {"wall_s": 1})
r.finish()
check("a finished one begins anew", not records.Records("runs", "key").resumed)

# ---- compare ----
def row(id, values, metric="wall_s", **more):
    group, benchmark, backend = id.split("/")
    return dict({"id": id, "group": group, "benchmark": benchmark, "backend": backend, "command": "x", "metrics": {metric: stats.summary(values)}}, **more)

def file(*rows):
    return {"format": results.FORMAT, "started": "then", "size": "full", "versions": {}, "rows": list(rows), "load": {"median": 0, "most": 0},
            "machine": {"processor": "p", "cores": 2, "kernel": "k"}}

def compared(a, b):
    out = io.StringIO()
    return compare.report(a, b, out), out.getvalue()
slow, fast = [1.0, 1.01, 1.02, .99, 1.0], [.8, .81, .82, .79, .8]
base = file(row("program/x/gcdune", slow), row("program/x/boehm", slow))
gate, text = compared(base, file(row("program/x/gcdune", slow), row("program/x/boehm", slow)))
check("the same: " + text, not gate and "0 worse" in text)
gate, text = compared(base, file(row("program/x/gcdune", fast), row("program/x/boehm", slow)))
check("better: " + text, not gate and "gcdune: better" in text and "x 0.800" in text)
gate, text = compared(file(row("program/x/gcdune", fast)), base)
check("worse: " + text, gate and "gcdune: WORSE" in text and "x 1.250" in text)
gate, text = compared(file(row("program/x/boehm", fast)), base)
check("Boehm's is no gate: " + text, not gate and "1 worse" in text)
gate, text = compared(base, file(row("program/x/gcdune", slow, failed="crash")))
check("failed: " + text, gate and "FAILS" in text)
gate, text = compared(base, file(row("program/x/gcdune", [5.0] * 5, command="other size")))
check("other commands are not compared: " + text, not gate and "Nothing to compare" in text)
new = file(row("program/x/gcdune", slow))
new["machine"] = dict(new["machine"], processor="another")
check("another machine is told", "compares machines" in compared(base, new)[1])

# ---- agree ----
def agreed(a, b):
    out = io.StringIO()
    return compare.report_agreement(a, b, out), out.getvalue()

# Nine rows of one time each, whose medians are apart by less than the spread, and a tenth.
near = [row("program/%d/gcdune" % i, [1.0, 1.1, 1.2]) for i in range(9)]
moved = [row("program/%d/gcdune" % i, [1.15, 1.2, 1.3]) for i in range(9)]
bad, text = agreed(file(*near), file(*near))
check("the same twice: " + text, not bad and "9 of    9  100.0 %" in text and "those that do not" not in text)
bad, text = agreed(file(*near, row("micro/far/gcdune", [1.0, 1.0, 1.1], "ns")), file(*moved, row("micro/far/gcdune", [1.3, 1.3, 1.4], "ns")))
check("nine of ten: " + text, not bad and "9 of   10   90.0 %" in text and "met" in text and "micro/far/gcdune" in text and "3.0" in text)
bad, text = agreed(file(*near[:8], row("program/far/gcdune", [1.0, 1.0, 1.1])), file(*moved[:8], row("program/far/gcdune", [1.3, 1.3, 1.4])))
check("eight of nine: " + text, bad and "MISSED" in text)
bad, text = agreed(file(row("program/x/gcdune", [1.0, 1.0, 1.0])), file(row("program/x/gcdune", [1.009, 1.009, 1.009])))
check("within what is printed: " + text, not bad)
bad, text = agreed(file(row("program/x/gcdune", [1.0, 1.0, 1.0])), file(row("program/x/gcdune", [1.02, 1.02, 1.02])))
check("no spread, and apart: " + text, bad)
few = row("latency/y/gcdune", [1.0])
bad, text = agreed(file(*near, few), file(*near, row("latency/y/gcdune", [2.0, 2.0, 2.0])))
check("too few runs are counted apart: " + text, not bad and "1 of latency" in text and "9 of    9" in text)
bad, text = agreed(file(few), file(few))
check("nothing to compare: " + text, bad and "Nothing to compare" in text)
peak = lambda wall, rss: dict(row("program/x/gcdune", wall), metrics={"wall_s": stats.summary(wall), "rss_mib": stats.summary(rss)})
bad, text = agreed(file(peak([1.0, 1.1, 1.2], [10.0] * 3)), file(peak([1.0, 1.1, 1.2], [20.0] * 3)))
check("a row is its time, other figures are listed: " + text, not bad and "rss_mib" in text and "0 of    1" in text)
bad, text = agreed(file(*near), dict(file(*near), versions={"commit": "other"}))
check("another commit: " + text, "another commit" in text)
json.dump(file(*near), open("near.json", "w"))
json.dump(base, open("base.json", "w"))
json.dump(file(row("program/x/gcdune", [2.0] * 5)), open("worse.json", "w"))
json.dump({"format": 99, "rows": []}, open("future.json", "w"))
open("none.json", "w").write("not json")
END
bench=$SRC/benchmarks/bench.py
expect() {
	local status=$1 text=$2
	shift 2
	"$@" >out 2>&1
	local got=$?
	[ $got = "$status" ] && grep -q -- "$text" out || { echo "FAILED: $*: status $got, not $status, or no '$text' in:"; cat out; exit 1; }
}
expect 0 'figures compared' python3 "$bench" compare base.json base.json
expect 1 'WORSE' python3 "$bench" compare base.json worse.json
expect 0 'the goal is 90 %: met' python3 "$bench" agree near.json near.json
expect 1 'MISSED' python3 "$bench" agree base.json worse.json
expect 2 'BASE=' make --no-print-directory -C "$SRC" BUILD="$BUILD" bench-agree
expect 2 'not JSON' python3 "$bench" compare base.json none.json
expect 2 'not a results file' python3 "$bench" compare future.json base.json
expect 2 'No such file' python3 "$bench" compare base.json missing.json
expect 2 "no program 'nope'" python3 "$bench" run --programs nope --build "$dir"
expect 2 'make suite-programs' python3 "$bench" run --build "$dir"
expect 2 'BASE=' make --no-print-directory -C "$SRC" BUILD="$BUILD" bench-compare
[ ! -e "$SRC/benchmarks/suite/__pycache__" ] || { echo 'FAILED: it leaves files in the source tree'; exit 1; }
echo 'all as expected'
