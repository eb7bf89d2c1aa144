#!/usr/bin/env python3
"""sources.py BUILD ROUNDS [PROGRAM...] - the table of the OSDI 2012 paper's garbage collector, on this machine: four
programs with no tracking (the program stops for each collection) and with each dirty source, run in turn; medians over the
rounds. make bench-sources [ROUNDS=3].

Faults are write faults that tracking causes: counted where they are handled (mprotect, dune-fault); for uffd, where the
kernel handles them, what the process has more of than without tracking (its minor faults, so first touches of a larger
heap are among them). Exits are all from the guest to the monitor: system calls, signals that stop threads, first touches;
"stw, in Dune" has what the program itself causes. Tracking's are those of them that arming, gathering, taking, announcing and
flushing caused: counted where that is done, by the exits of the thread that did it and one for each thread that was
interrupted; "none" is none in the whole run. A source that cannot be had is left out."""
import json, os, statistics, subprocess, sys, tempfile, time

build, rounds = sys.argv[1], int(sys.argv[2])
PROGRAMS = sys.argv[3:] or ["gcbench", "linked-list", "hash-map", "xml-parse"]
SOURCES = [
    ("none (stops)", {"GCDUNE_MODE": "stw"}, None),
    ("mprotect", {"GCDUNE_DIRTY": "mprotect"}, "mprotect"),
    ("uffd", {"GCDUNE_DIRTY": "uffd"}, "uffd"),
    ("stw, in Dune", {"GCDUNE_MODE": "stw", "GCDUNE_DIRTY": "dune"}, None),
    ("dune-fault", {"GCDUNE_DIRTY": "dune-fault"}, "dune-fault"),
    ("dune", {"GCDUNE_DIRTY": "dune"}, "dune"),
]


def run(program, env):
    with tempfile.NamedTemporaryFile(suffix=".json") as f:
        begin = time.monotonic()
        p = subprocess.Popen(["%s/bench/%s-gcdune" % (build, program)], env=dict(os.environ, GCDUNE_STATS=f.name, **env),
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, err = p.communicate()
        wall = time.monotonic() - begin
        try:
            s = json.load(open(f.name))
        except ValueError:
            s = None
        return p.returncode, out, err, wall, s


def one(program, env):
    before = os.times()
    status, out, err, wall, s = run(program, env)
    after = os.times()
    if status or not s:
        return {"failed": "status %d %s" % (status, err.decode(errors="replace").strip()[-200:]), "out": out}
    n = max(s["collections"], 1)
    d = s.get("dune", {})
    return {"out": out, "n": s["collections"], "rss": s["bytes_heap_peak"] / 2**20, "alloc": s["bytes_allocated"] / 2**20,
            "wall": wall, "cpu": after.children_user + after.children_system - before.children_user - before.children_system,
            "pause": s["pauses"]["max_ns"] / 1e6, "minor": s["page_faults"], "own": s["dirty_faults"],
            "exits": d.get("exits", 0) / n if d else None, "tracking": s["dirty_exits"] if d else None,
            "source": s["dirty_source"], "dirty": s["concurrent"]["dirty_pages"] / n}


print("%-12s %-13s %6s %9s %9s %7s %7s %9s %9s %9s %9s %9s" % ("program", "source", "cycles", "heap, MiB", "alloc,MiB", "wall,s",
      "CPU, s", "longest", "rescanned", "faults", "exits", "tracking's"))
print("%-12s %-13s %6s %9s %9s %7s %7s %9s %9s %9s %9s %9s" % ("", "", "", "at most", "", "", "", "stop, ms", "/cycle",
      "/cycle", "/cycle", "/cycle"))
bad = False
for program in PROGRAMS:
    results = {name: [] for name, _, _ in SOURCES}
    for _ in range(rounds):
        for name, env, _ in SOURCES:
            results[name].append(one(program, env))
    outputs = {r["out"] for rs in results.values() for r in rs if "failed" not in r}
    base = None
    for name, env, wants in SOURCES:
        rs = results[name]
        failed = [r["failed"] for r in rs if "failed" in r]
        if failed:
            print("%-12s %-13s failed: %s" % (program, name, failed[0]))
            bad = bad or name != "mprotect"  # system calls fail there
            continue
        if wants and any(r["source"] != wants for r in rs):
            print("%-12s %-13s cannot be had here" % (program, name))
            continue

        def m(key):
            values = [r[key] for r in rs if r[key] is not None]
            return statistics.median(values) if values else None

        def show(value, form):
            return "-" if value is None else form % value
        if base is None:
            base = m("minor")
        n = max(m("n"), 1)
        faults = None if not wants else max(m("minor") - base, 0) / n if wants == "uffd" else m("own") / n
        tracking = m("tracking")
        print("%-12s %-13s %6d %9.0f %9.0f %7.2f %7.2f %9.2f %9.0f %9s %9s %9s" % (program, name, m("n"), m("rss"), m("alloc"),
              m("wall"), m("cpu"), m("pause"), m("dirty"), show(faults, "%.0f"), show(m("exits"), "%.0f"),
              "-" if tracking is None else "%.1f" % (tracking / n) if tracking else "none"), flush=True)
    if len(outputs) > 1:
        print("%s: the outputs differ" % program)
        bad = True
sys.exit(bad)
