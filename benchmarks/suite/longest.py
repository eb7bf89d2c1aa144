"""make bench-longest: the longest that one allocation call takes, over the demo's programs: ours, Boehm's collector's, and a control
run of ours that never collects. What the control run loses is the system's doing, or memory touched for the first time.

The binaries are ones that time each call (timed.h); what the measuring costs is the same for all. A longest is an extreme value:
the table has its median over the rounds, and the range."""
import json
import os
import sys

from . import stats
from .plan import CONTROLS, program_job

NAMES = ["gcbench", "binary-trees", "linked-list", "hash-map", "xml-parse", "live-cache"]
RUNS = [("control", "never collecting", "gcdune"), ("gcdune", "gcdune", "gcdune"), ("boehm", "Boehm", "boehm")]
GOAL = 3.0
ENOUGH_MIB = 4096  # for the control run of a program that has not run yet


def job_of(build, top, size, name, kind, binary, report):
    job = program_job(build, top, size, name, binary, group="longest")
    job.command[0] += "-timed"
    job.env = dict(CONTROLS["gcdune"] if kind == "control" else {}, BENCH_ALLOCATIONS=report)
    job.backend = kind
    return job


def measure(executor, build, top, size, names, rounds, show):
    """{(program, kind): [{"max_ns", "p9999_ns", "count"}]}; what fails is told and left out."""
    found, bad = {}, []
    report = build + "/bench/work/allocations"
    allocated = {}
    for round in range(rounds):
        for name in names:
            for kind, _, binary in RUNS[round % len(RUNS):] + RUNS[:round % len(RUNS)]:
                job = job_of(build, top, size, name, kind, binary, report)
                if (name, kind) in bad or not os.path.exists(job.command[0]):
                    continue
                if kind == "control":
                    job.needs_mib = 1.5 * allocated.get(name, ENOUGH_MIB if size == "full" else 0)
                if os.path.exists(report):
                    os.remove(report)
                run = executor.run(job)
                reason = run.get("failed") or run.get("unavailable")
                if reason:
                    bad.append((name, kind))
                    show("%s, %s: %s" % (name, kind, reason))
                    continue
                allocated[name] = max(allocated.get(name, 0), run.get("collector", {}).get("allocated_mib", 0))
                with open(report) as f:
                    data = json.load(f)
                quantiles = dict(map(tuple, data["quantiles"]))
                found.setdefault((name, kind), []).append(
                    {"max_ns": data["max_ns"], "p9999_ns": quantiles[.9999], "count": data["count"]})
                show("round %d of %d: %s, %s: longest %.3f ms" % (round + 1, rounds, name, kind, data["max_ns"] / 1e6))
    return found, bad


def table(found, names, out):
    """Writes it; returns the geometric mean of ours relative to the control run's, or None."""
    write = lambda text: print(text, file=out)
    write("%-14s %11s" % ("", "calls") + "".join("  %32s" % title for _, title, _ in RUNS) + "%12s" % "gcdune /")
    write("%-14s %11s" % ("", "") + "  %32s" % "longest, ms (range)  p99.99, us" * len(RUNS) + "%12s" % "control")
    ratios, others = [], []
    for name in names:
        longest, cells = {}, ""
        for kind, _, _ in RUNS:
            runs = found.get((name, kind))
            if not runs:
                cells += "  %32s" % "-"
                continue
            s = stats.summary([r["max_ns"] / 1e6 for r in runs])
            longest[kind] = s["median"]
            cells += "  %32s" % ("%.3f (%.2f-%.2f) %10.1f" % (s["median"], s["low"], s["high"],
                               stats.summary([r["p9999_ns"] / 1e3 for r in runs])["median"]))
        ratio = longest["gcdune"] / longest["control"] if longest.get("control") and longest.get("gcdune") else None
        if ratio:
            ratios.append(ratio)
            if "boehm" in longest:
                others.append(longest["boehm"] / longest["control"])
        calls = [r["count"] for kind, _, _ in RUNS for r in found.get((name, kind), [])]
        write("%-14s %11s%s%12s" % (name, max(calls) if calls else "-", cells, "%.2f" % ratio if ratio else "-"))
    mean = stats.geometric_mean(ratios)
    if mean:
        write("Longest relative to the run that never collects, geometric mean: gcdune %.2f (goal %g: %s)%s" % (
            mean, GOAL, "met" if mean <= GOAL else "MISSED",
            ", Boehm %.2f" % stats.geometric_mean(others) if others else ""))
        over = [n for n, r in zip([n for n in names if found.get((n, "control")) and found.get((n, "gcdune"))], ratios) if r > GOAL]
        if over:
            write("beyond the goal by themselves: " + ", ".join(over))
    return mean


def main(executor, build, top, size, names, rounds):
    names = names or NAMES
    found, bad = measure(executor, build, top, size, names, rounds, lambda text: print(text, file=sys.stderr))
    table(found, names, sys.stdout)
    return 1 if bad or not found else 0
