#!/usr/bin/env python3
"""pauses.py BUILD MIB ROUNDS - stops of a program with MIB of live objects in random order, on gcdune and on Boehm's
collector, run in turn. Prints a line for each: the longest stop, the 99th percentile of stops (gcdune only, which records
each), wall and processor time, peak memory; medians over the rounds. `lost' is the most that one thread lost at once to a
stop, as it saw it itself: with the time the system took to run it again. make bench-pauses."""
import json, os, resource, statistics, subprocess, sys, tempfile, time

build, mib, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
work = ["%s" % mib, "%d" % (int(mib) * 4000)]
RUNS = [
    ("gcdune", "live-cache-gcdune", {}),
    ("gcdune, stopped", "live-cache-gcdune", {"GCDUNE_MODE": "stw"}),
    ("Boehm", "live-cache-boehm", {}),
    ("Boehm, incremental", "live-cache-boehm", {"GC_ENABLE_INCREMENTAL": "1"}),
]


def run(program, env):
    with tempfile.NamedTemporaryFile(suffix=".json") as f:
        e = dict(os.environ, **env)
        e["GCDUNE_STATS" if "gcdune" in program else "BENCH_REPORT"] = f.name
        begin = time.monotonic()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        p = subprocess.Popen(["%s/bench/%s" % (build, program)] + work, env=e, stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL)
        out = p.stdout.read()
        _, status, usage = os.wait4(p.pid, 0)
        p.returncode = status
        r = {"wall": time.monotonic() - begin, "cpu": usage.ru_utime + usage.ru_stime, "rss": usage.ru_maxrss / 1024,
             "out": out, "ok": status == 0}
        try:
            s = json.load(open(f.name))
        except ValueError:
            s = {}
        if "lost" in s:
            r["max"], r["p99"] = s["pauses"]["max_ns"] / 1e6, s["pauses"]["p99_ns"] / 1e6
            r["lost"] = s["lost"]["stop"]["max_ns"] / 1e6
            r["n"] = s["collections"]
        else:
            r["max"] = s.get("longest_pause_ms", s.get("pause_max_ns", 0) / 1e6)
            r["n"] = s.get("collections", 0)
        return r


results = {name: [] for name, _, _ in RUNS}
for i in range(rounds):
    for name, program, env in RUNS:
        results[name].append(run(program, env))
        print("round %d of %d: %-20s %.1f s" % (i + 1, rounds, name, results[name][-1]["wall"]), file=sys.stderr)
outputs = {r["out"] for rs in results.values() for r in rs}
print("live-cache %s: %s MiB live, random replacement; medians of %d interleaved rounds" % (" ".join(work), mib, rounds))
print("%-20s %11s %9s %9s %8s %8s %9s %11s" % ("", "longest, ms", "p99, ms", "lost, ms", "wall, s", "CPU, s", "RSS, MiB",
                                               "collections"))
for name, rs in results.items():
    def m(key, form="%.2f"):
        values = [r[key] for r in rs if key in r]
        return form % statistics.median(values) if values else "-"
    print("%-20s %11s %9s %9s %8s %8s %9s %11s" % (name, m("max"), m("p99"), m("lost"), m("wall"), m("cpu"), m("rss", "%.0f"),
                                                   m("n", "%d")))
if len(outputs) != 1 or not all(r["ok"] for rs in results.values() for r in rs):
    sys.exit("pauses: a run failed, or the outputs differ")
