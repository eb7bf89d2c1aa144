"""make bench-tracking: what tracking of writes by userfaultfd costs the program, over the suite.

There is no run that does the same and tracks nothing: without a dirty source the program stops for the whole of each mark. So it
is found in two ways, neither of which is exact:

- Faults, times what one costs: measured in the same minutes (gbench-dirty, the first write to a tracked page, the other
  processor busy), as a share of the wall time. Counted twice. At most: the pages that the collector found written (dirty_pages);
  those written before they were tracked, which cost nothing, are among them. By the kernel: the page faults that the process has
  more of than with a program that stops; a heap of another size moves that either way.
- Own time: wall time less what the thread lost to stops, to helping the marker, to sleeping and to waiting for memory, with
  tracking and with a program that stops (GCDUNE_MODE=stw). It has all the program does and pays by itself: faults, and whatever
  else goes on, such as a marker on the other processor that wants the same caches and memory. Programs with one thread only.

Collections need not be as many: neither figure has their time in it."""
import json
import os
import subprocess
import sys
import tempfile

from . import execute, stats
from .plan import PROGRAMS, program_job

VARIANTS = [  # what is tracked: the default, which stops where that costs less; and whatever it costs
    ("auto", {"GCDUNE_DIRTY": "uffd"}),
    ("concurrent", {"GCDUNE_DIRTY": "uffd", "GCDUNE_MODE": "concurrent"}),
]
STOPPED = {"GCDUNE_MODE": "stw"}
GOAL = .03
CLOCKS = ("idle-heap",)


def price(build, show):
    """Nanoseconds of a first write to a tracked page; None where it cannot be measured here."""
    binary = build + "/bench/gbench-dirty"
    if not os.path.exists(binary):
        return None
    with tempfile.NamedTemporaryFile(suffix=".json") as f:
        done = subprocess.run([binary, "--benchmark_filter=^uffd/first_write", "--benchmark_out=" + f.name,
                               "--benchmark_out_format=json"], env=execute.environment(), stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            lines = json.load(f)["benchmarks"] if done.returncode == 0 else []
        except ValueError:
            lines = []
    found = [b["real_time"] * {"ns": 1, "us": 1e3, "ms": 1e6}[b["time_unit"]] for b in lines if not b.get("error_occurred")]
    if found:
        show("a first write to a tracked page: %s" % ", ".join("%.0f ns" % x for x in found))
    return max(found) if found else None


def measure(executor, build, top, size, names, rounds, show):
    """{(program, variant): [run]}; the variant "stw" tracks nothing."""
    found, bad = {}, []
    variants = VARIANTS + [("stw", STOPPED)]
    for round in range(rounds):
        for name in names:
            for variant, env in variants[round % len(variants):] + variants[:round % len(variants)]:
                if (name, variant) in bad:
                    continue
                job = program_job(build, top, size, name, "gcdune", group="tracking", extra=env)
                run = executor.run(job)
                reason = run.get("failed") or run.get("unavailable")
                if not reason and variant != "stw" and run["collector"]["source"] not in ("uffd", "always"):
                    reason = "it ran on '%s'" % run["collector"]["source"]
                if not reason and variant == "concurrent" and run["collections"] and run["collector"]["source"] != "uffd":
                    reason = "the machine has no userfaultfd for it"
                if reason:
                    bad.append((name, variant))
                    show("%s, %s: %s" % (name, variant, reason))
                    continue
                found.setdefault((name, variant), []).append(run)
                show("round %d of %d: %s, %s: %.2f s" % (round + 1, rounds, name, variant, run["wall_s"]))
    return found, bad


def threads(name):
    """Whether the program allocates in several threads: their own times do not add up to the wall time."""
    return name == "producer-consumer" or "-mt" in name


def own_s(run):
    return run["wall_s"] - run["lost_s"]


def rows(found, names, ns):
    """(program, variant, collections, without, dirty pages, more faults, wall, pages' share, faults' share, own, without, ratio)"""
    median = lambda key, runs: stats.summary([key(r) for r in runs])["median"] if runs else None
    for name in names:
        without = found.get((name, "stw"))
        for variant, _ in VARIANTS:
            runs = found.get((name, variant))
            if not runs or not without:
                continue
            wall = median(lambda r: r["wall_s"], runs)
            pages = median(lambda r: r["collector"]["dirty_pages"], runs)
            own = base = None
            if not threads(name):
                own, base = median(own_s, runs), median(own_s, without)
            more = median(lambda r: r["minor_faults"], runs) - median(lambda r: r["minor_faults"], without)
            share = lambda faults: max(0, faults) * ns / 1e9 / wall if ns is not None else None
            yield (name, variant, median(lambda r: r["collections"], runs), median(lambda r: r["collections"], without), pages,
                   more, wall, share(pages), share(more), own, base, own / base if own and base else None)


def table(found, names, ns, out):
    write = lambda text: print(text, file=out)
    form = "%-18s %-11s %11s %9s %9s %8s %9s %9s %9s %8s %8s"
    write(form % ("", "", "collections", "dirty", "more", "wall,", "cost of", "cost of", "own time, s", "", ""))
    write(form % ("program", "mode", "uffd / stw", "pages", "faults", "s", "pages, %", "faults, %", "uffd", "stw", "ratio"))
    all = list(rows(found, names, ns))
    optional = lambda form, x: form % x if x is not None else "-"
    percent = lambda x: "%.2f" % (100 * x) if x is not None else "-"
    for name, variant, n, m, pages, more, wall, most, share, own, base, ratio in all:
        write(form % (name, variant, "%.0f / %.0f" % (n, m), "%.0f" % pages, "%.0f" % more, "%.2f" % wall, percent(most),
                      percent(share), optional("%.2f", own), optional("%.2f", base), optional("%.3f", ratio)))
    means = {}
    for variant, _ in VARIANTS:
        mine = [r for r in all if r[1] == variant]
        most, faults = [stats.geometric_mean([1 + r[i] for r in mine if r[i] is not None]) for i in (7, 8)]
        own = stats.geometric_mean([r[11] for r in mine])
        means[variant] = most, faults, own
        if faults:
            write("%s: write faults cost the program %.2f %% by the kernel's count, %.2f %% at most (geometric means over %d "
                  "programs; the goal is %.0f %%: %s)" % (variant, 100 * (faults - 1), 100 * (most - 1), len(mine), 100 * GOAL,
                  "met" if most - 1 <= GOAL else "met by the kernel's count" if faults - 1 <= GOAL else "MISSED"))
        if own:
            write("%s: own time with tracking is %.3f of that without, with all that a marker beside it costs" % (variant, own))
    return means


def main(executor, build, top, size, names, rounds):
    names = names or [n for n in PROGRAMS if n not in CLOCKS and
                      os.path.exists("%s/bench/%s-gcdune" % (build, PROGRAMS[n].binary))]
    show = lambda text: print(text, file=sys.stderr)
    before = price(build, show)
    found, bad = measure(executor, build, top, size, names, rounds, show)
    after = price(build, show)
    ns = max(before, after) if before and after else before or after
    if ns is None:
        print("What a first write costs could not be measured: no Google Benchmark, or no userfaultfd here.")
    else:
        print("A first write to a tracked page: %.0f ns (the dearest of what was measured before and after)." % ns)
    table(found, names, ns, sys.stdout)
    return 1 if bad or not found else 0
