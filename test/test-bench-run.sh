#!/bin/bash
# test-bench-run - the benchmark suite itself, with tiny sizes: every program that can be had runs on every back end with the same
# output; what was interrupted goes on; the page draws what was found. Then a suite of shell scripts in the place of
# programs, whose failures must be told for what they are.
#
# TEST-FLAGS: once=yes timeout=180
set -u
command -v python3 >/dev/null || { echo 'SKIP: no python3'; exit 77; }
[ -x "$BUILD/bench/measure" ] || { echo "$BUILD/bench/measure was not built"; exit 1; }
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
fail() { echo "FAILED: $*"; exit 1; }
bench() { python3 "$SRC/benchmarks/bench.py" "$@"; }

# ---- measure ----
m=$BUILD/bench/measure
"$m" -o "$dir/o" -e "$dir/e" sh -c 'echo out; echo err >&2; exit 3' >"$dir/m" || fail 'measure'
grep -q '"status":3,' "$dir/m" && [ "$(cat "$dir/o" "$dir/e")" = $'out\nerr' ] || fail "measure: $(cat "$dir/m")"
"$m" sh -c 'kill -SEGV $$' | grep -q '"signal":11,' || fail 'measure: a signal'
"$m" -t 1 sleep 60 | grep -q '"timed_out":true' || fail 'measure: a limit'
"$m" true | python3 -c 'import json, sys; r = json.load(sys.stdin); sys.exit(not 0 < r["rss_kib"] < 8192)' || fail 'measure: peak memory of true'
"$m" 2>/dev/null && fail 'measure without a command'

# ---- The suite ----
cp -r "$BUILD/bench" "$dir/bench" && ln -s "$BUILD/lib" "$BUILD/bin" "$dir/" || exit 1
rm -f "$dir"/bench/*.jsonl "$dir"/bench/results.*
bench run --budget 9999 --build "$dir" --size tiny --groups program,latency,micro,control,curve,equal,scaling >"$dir/out" 2>"$dir/err" ||
	{ cat "$dir/out" "$dir/err"; fail 'a tiny run'; }
python3 - "$dir" <<'END' || exit 1
import json, os, re, sys
dir = sys.argv[1]
r = json.load(open(dir + "/bench/results.json"))
rows = {x["id"]: x for x in r["rows"]}
bad = [x["id"] for x in r["rows"] if "failed" in x]
ok = lambda what, is_so: is_so or sys.exit("FAILED: " + what)
ok("failed: %s" % bad, not bad)
for program in ("hash-map", "large-arrays", "string-churn", "fibers", "graph", "producer-consumer", "idle-heap", "live-cache"):
    for backend in ("gcdune", "glibc"):
        m = rows["program/%s/%s" % (program, backend)]["metrics"]
        ok("%s on %s has no figures" % (program, backend), m["wall_s"]["n"] == 2 and m["rss_mib"]["median"] > .5 and m["cpu_s"]["low"] >= 0)
for program in ("lisp-queens", "lisp-derive", "lisp-sort"):
    ok(program, "program/%s/gcdune" % program in rows and "program/%s/glibc" % program not in rows)
l = rows["latency/live-cache 2 MiB/gcdune"]["latency"]
ok("latency %s" % l, l["count"] == 2000 and l["quantiles_ms"][0][1] <= l["quantiles_ms"][-1][1] <= l["max_ms"] and
   all(0 <= u <= 1 for _, u in l["utilization"]))
ok("idle", rows["program/idle-heap/gcdune"]["benchmark"] == "idle-heap")
ok("equal", "GCDUNE_GROWTH=" in rows["equal/hash-map/gcdune"]["command"] or "equal/hash-map/boehm" not in rows)
ok("control", "GCDUNE_HEAP_INITIAL" in rows["control/hash-map/gcdune"]["command"])
ok("machine", r["machine"]["cores"] >= 1 and r["versions"]["gcdune"])
micro = [x for x in rows if x.startswith("micro/suite:alloc/scanned/64/gcdune")]
ok("micro-benchmarks", micro or not os.path.exists(dir + "/bench/gbench-gcdune"))
if os.path.exists(dir + "/bench/gbench-dirty"):
    d = [x for x in rows.values() if x["id"].startswith("micro/dirty:first_write/")]
    ok("dirty sources", d and all("unavailable" in x or x["metrics"]["ns"]["median"] > 0 for x in d))
page = open(dir + "/bench/results.html").read()
ok("the page needs something from elsewhere", not re.search(r'(src|href)="(?!#)|url\(|@import|<script', page))
ok("pictures", page.count("<svg") > 8 and page.count("<svg") == page.count("</svg>"))
for word in ("hash-map", "Where gcdune loses", "Throughput", "prefers-color-scheme:dark", "width=device-width"):
    ok("the page has no %s" % word, word in page)
import xml.dom.minidom
for i, svg in enumerate(re.findall(r"<svg.*?</svg>", page, re.S)):
    xml.dom.minidom.parseString(svg)
xml.dom.minidom.parse(dir + "/bench/results.svg")
END

# 92 ways to put eight queens; the checksum was worked out by another program than ours.
[ "$("$BUILD/bench/lisp-gcdune" "$SRC/benchmarks/lisp/queens.lisp" 8)" = 'lisp 780b0f999607f6d2' ] || fail 'the interpreter is wrong'
echo '(car 1)' >"$dir/wrong.lisp"
"$BUILD/bench/lisp-glibc" "$dir/wrong.lisp" 2>&1 | grep -q 'not a pair' || fail 'an error in Lisp'

# ---- The longest allocation call, and the cost of tracking ----
bench longest --build "$dir" --size tiny --programs hash-map --rounds 2 >"$dir/out" 2>"$dir/err" || { cat "$dir/out" "$dir/err"; fail longest; }
grep -Eq '^hash-map +[0-9]{4,} +[0-9.]+ \([0-9.]+-[0-9.]+\) +[0-9.]+ +[0-9.]+ \(' "$dir/out" || fail "longest: $(cat "$dir/out")"
grep -q 'geometric mean: gcdune [0-9.]* (goal 3' "$dir/out" || fail "longest, in all: $(cat "$dir/out")"
BENCH_ALLOCATIONS=$dir/allocations "$BUILD/bench/hash-map-gcdune-timed" 500 1000 >/dev/null || fail 'a timed program'
python3 - "$dir/allocations" <<'END' || exit 1
import json, sys
a = json.load(open(sys.argv[1]))
q = [ns for _, ns in a["quantiles"]]
sys.exit(0 if a["count"] > 1000 and q == sorted(q) and 0 < q[0] and q[-1] <= a["max_ns"] < 60e9 else "FAILED: %s" % a)
END
if bench tracking --build "$dir" --size tiny --programs hash-map,producer-consumer --rounds 1 >"$dir/out" 2>"$dir/err"; then
	grep -Eq '^hash-map +auto +[0-9]+ / [0-9]+ ' "$dir/out" && grep -Eq '^producer-consumer +concurrent ' "$dir/out" ||
		fail "tracking: $(cat "$dir/out")"
else
	grep -q 'no userfaultfd for it' "$dir/err" || { cat "$dir/out" "$dir/err"; fail tracking; }
fi

# ---- Interrupted, and gone on with ----
only=(--budget 9999 --build "$dir" --size tiny --groups program --programs hash-map,idle-heap --backends gcdune,glibc --out "$dir/second.json")
timeout -s INT 1.3 python3 "$SRC/benchmarks/bench.py" run "${only[@]}" >"$dir/out" 2>"$dir/err"
[ $? != 0 ] || echo 'note: it was done before it could be interrupted'
[ ! -e "$dir/second.json" ] || echo 'note: the same'
before=$(grep -c wall_s "$dir/bench/runs-tiny.jsonl")
bench run "${only[@]}" >"$dir/out" 2>"$dir/err" || { cat "$dir/out" "$dir/err"; fail 'the second part'; }
[ -s "$dir/second.json" ] || fail 'no results of a run in two parts'
if [ "$before" -gt 0 ] && [ "$before" -lt 8 ]; then
	grep -q "going on with $before runs" "$dir/err" || fail "it did not go on with $before runs: $(head -3 "$dir/err")"
	[ "$(grep -c '^\[' "$dir/err")" = $((8 - before)) ] || fail "it ran something twice: $(cat "$dir/err")"
fi
python3 - "$dir/second.json" <<'END' || exit 1
import json, sys
rows = json.load(open(sys.argv[1]))["rows"]
sys.exit(0 if len(rows) == 4 and all(r["metrics"]["wall_s"]["n"] == 2 for r in rows) else "FAILED: %s" % rows)
END

# ---- Programs that misbehave ----
fake=$dir/fake
mkdir -p "$fake/bench" "$fake/lib"
cp "$m" "$fake/bench/"
program() { printf '#!/bin/sh\n%s\n' "$2" >"$fake/bench/hash-map-$1"; chmod +x "$fake/bench/hash-map-$1"; }
program glibc 'echo hash-map 1'
program jemalloc 'echo hash-map 2'
program mimalloc 'echo what happened >&2; exit 7'
program gcdune 'echo hash-map 1'
bench run --budget 9999 --build "$fake" --size tiny --groups program --programs hash-map >"$dir/out" 2>"$dir/err" && fail 'failures, and exit status 0'
grep -q 'FAILED: program/hash-map/jemalloc: the output differs' "$dir/out" || fail "another output: $(cat "$dir/out")"
grep -q 'FAILED: program/hash-map/mimalloc: exit status 7: what happened' "$dir/out" || fail "an exit status: $(cat "$dir/out")"
grep -q 'FAILED: program/hash-map/gcdune: left no statistics' "$dir/out" || fail "no statistics: $(cat "$dir/out")"
grep -q 'FAILED: the output differs' "$fake/bench/results.html" || fail 'the page hides a failure'
grep -q 'hash-map-boehm is not there' "$fake/bench/results.html" || fail 'the page hides what was not built'
echo 'all as expected'
