"""The sections of the page about parts: modes, dirty sources, threads, micro-benchmarks, Dune mode, idle heaps, real programs. As in
figures.py."""
import re

from . import picture, plan
from .figures import _get, _names, _ratio, _rows, _title
from .picture import number
from .results import median


def _dune_note(page, rows):
    """A sentence on figures of Dune mode, by what is below it."""
    noted = [r for r in rows if r.get("note")]
    if noted:
        page.p("Dune mode (%s). %s." % (", ".join(dict.fromkeys(r["backend"] for r in noted)), noted[0]["note"]),
               "warn" if "software" in noted[0]["note"] else "")


# ---- Modes, sources, scaling ----

def modes(page):
    names = [n for n in _names(page, "program") if plan.PROGRAMS.get(n) and plan.PROGRAMS[n].modes]
    backends = [b for b in plan.BACKENDS if b not in plan.COMMON + plan.OPTIONAL
                and any(_get(page, "program", n, b) for n in names)]
    if not backends:
        return
    page.section("modes", "Modes and settings")
    page.p("The same programs with other settings of each collector, relative to that collector's own default.")
    _dune_note(page, [r for n in names for b in backends for r in [_get(page, "program", n, b)] if r])
    for metric, name in (("wall_s", "Wall time"),):
        rows = []
        for n in names:
            for b in backends:
                r = _ratio(_get(page, "program", n, b), _get(page, "program", n, b.split("-")[0]), metric)
                if r:
                    rows.append(("%s" % b, {b: r}, False))
        series = [(b, n, picture.family(b)) for b, n in (("gcdune", "gcdune"), ("boehm", "Boehm"))]
        for n in names:
            here = []
            for b in backends:
                r = _ratio(_get(page, "program", n, b), _get(page, "program", n, b.split("-")[0]), metric)
                if r:
                    here.append((b.replace("-incremental", "-incr."), {b.split("-")[0]: r}, False))
            page.figure(picture.ratios("%s of modes, %s" % (name, n), here, series,
                                       "relative to the collector's default"), "%s: %s" % (n, name.lower()))
    page.table(["program, mode", "wall s", "CPU s", "peak MiB", "longest pause ms", "stops in all ms"],
               page.metric_rows([_get(page, "program", n, b) for n in names for b in ["gcdune"] + backends +
                                 ["boehm"] if _get(page, "program", n, b)],
                                ["wall_s", "cpu_s", "rss_mib", "pause_max_ms", "pause_total_ms"]))


def sources(page):
    rows = [r for r in _rows(page, "micro") if r["benchmark"].startswith("dirty:") and "metrics" in r]
    if not rows:
        return
    page.section("dirty", "What dirty sources cost")
    page.p("The write barrier is the dirty bit of a page, taken from one of these. First write: what the program pays for the first write to a page "
           "after it was tracked; harvest: what finding the written pages costs for each page looked at, by the share of them that is dirty.")
    _dune_note(page, rows)
    backends = list(dict.fromkeys(r["backend"] for r in rows))
    cls = dict(zip(backends, ["gcdune", "mimalloc", "boehm", "jemalloc", "glibc", "other"]))
    by = {(r["benchmark"][6:], r["backend"]): r for r in rows}
    kinds = list(dict.fromkeys(re.sub(r"/\d.*", "", r["benchmark"][6:]) for r in rows))
    single = [k for k in kinds if k not in ("harvest",)]
    values = []
    for k in single:
        value = {b: median(by[key], "ns") for b in backends for key in [(k, b)] if key in by}
        if value:
            values.append((k.replace("_", " "), value, False))
    page.figure(picture.dots("Cost of a page by dirty source", values, [(b, b, cls[b]) for b in backends],
                             "ns for each page, logarithmic", "ns"),
                "Cost by operation")
    points = {}
    for (name, b), r in by.items():
        match = re.match(r"harvest/(\d+)/(\d+)$", name)
        if match and median(r, "ns"):
            points.setdefault((int(match.group(1)), b), []).append((int(match.group(2)), median(r, "ns")))
    for mib in sorted({m for m, _ in points}):
        page.figure(picture.lines("Harvest by dirty share, %d MiB" % mib,
                                  [(b, cls[b], "solid", sorted(points[mib, b])) for b in backends
                                   if (mib, b) in points],
                                  "dirty pages, %", "ns for each page", y_log=True, dotted=True, height=230),
                    "Harvest of %d MiB" % mib)
    page.table(["operation", "source", "ns for each page"],
               [(r["id"], [r["benchmark"][6:], r["backend"], page.cell(r, "ns")]) for r in rows])


def scaling(page):
    rows = [r for r in _rows(page, "scaling") if "metrics" in r]
    if not rows:
        return
    page.section("scaling", "Threads")
    page.p("The same work in total, divided among threads (gcbench), or among pairs of a thread that makes objects and one that drops them; on %d cores."
           % page.results["machine"]["cores"])
    for program in dict.fromkeys(r["benchmark"].split(" ")[0] for r in rows):
        here = [r for r in rows if r["benchmark"].startswith(program + " ")]
        series = []
        for b in ("gcdune", "boehm", "mimalloc"):
            points = sorted((int(r["benchmark"].split(" ")[1]), median(r, "wall_s")) for r in here
                            if r["backend"] == b and median(r, "wall_s"))
            if points:
                series.append((_title(b), b, "solid", points))
        counts = sorted({x for _, _, _, ps in series for x, _ in ps})
        page.figure(picture.lines("%s: wall time by threads" % program, series, "pairs"
                                  if program.startswith("producer") else "threads", "wall time, s", x_log=True,
                                  x_ticks=[(c, str(c)) for c in counts], y_low=0, dotted=True, height=250), program)
    page.table(["program, threads", "wall s", "CPU s", "peak MiB", "longest pause ms"],
               page.metric_rows(rows, ["wall_s", "cpu_s", "rss_mib", "pause_max_ms"]))


# ---- Micro-benchmarks ----

def micro(page):
    rows = [r for r in _rows(page, "micro") if r["benchmark"].startswith(("suite:", "marking:")) and "metrics" in r
            and median(r, "ns")]
    if not rows:
        return
    page.section("micro", "Micro-benchmarks")
    page.p("Google Benchmark, the same C source on every back end; nanoseconds of wall time for one operation. On malloc an allocation has its free with it. "
           "Marking is with one marker on either side, for each of a million objects, or of eight.")
    short = lambda name: name.split(":", 1)[1].replace("/1048576", "").replace("/8388608", ", 8 M").replace("threads/32/threads:", "threads ")
    by = {(short(r["benchmark"]), r["backend"]): r for r in rows}
    backends = [b for b in ("gcdune", "gcdune-functions", "boehm", "boehm-current", "glibc", "jemalloc", "mimalloc")
                if any(k[1] == b for k in by)]
    for prefix, label, note, scale in (("alloc/scanned", "Allocation by size", "size, bytes", 1),
                                       ("alloc/leaf", "Allocation without pointers", "size, bytes", 1),
                                       ("large", "Large objects", "size, KiB", 1),
                                       ("realloc", "A vector that grows to", "size, KiB", 1),
                                       ("stop", "A forced collection of a small heap, by threads that run", "threads",
                                        1)):
        series = []
        for b in backends:
            points = []
            for (name, backend), r in by.items():
                match = re.match(re.escape(prefix) + r"/(\d+)$", name)
                if match and backend == b:
                    points.append((int(match.group(1)), median(r, "ns")))
            if points:
                series.append((_title(b), picture.family(b), "dash" if b == "gcdune-functions" else "solid",
                               sorted(points)))
        if series:
            sizes = sorted({x for _, _, _, ps in series for x, _ in ps})
            page.figure(picture.lines(label, series, note, "ns", x_log=True, y_log=True, dotted=True, height=270,
                                      x_ticks=[(x, str(x)) for x in sizes]), label)
    names = list(dict.fromkeys(k[0] for k in by))
    rest = [n for n in names if not re.match(r"(alloc/(scanned|leaf)|large|realloc|stop)/\d+$", n)]
    shown = [(n.replace("_", " "), {b: median(by[n, b], "ns") for b in backends if (n, b) in by},
              (n, "gcdune") in by and (by[n, "gcdune"]["id"], "ns") in page.lost_keys) for n in rest]
    page.figure(picture.dots("Other micro-benchmarks", shown,
                             [(b, _title(b), picture.family(b)) for b in backends if b != "gcdune-functions"],
                             "ns for each object or operation, logarithmic", "ns"),
                "Marking, sweeping, finalizers and the rest")
    table = []
    for n in names:
        cells = [page.cell(by[n, b], "ns") if (n, b) in by else "–" for b in backends]
        table.append((None, [n] + cells))
    page.table(["ns"] + [_title(b) for b in backends], table)


def dune(page):
    rows = [r for r in _rows(page, "micro") if r["benchmark"].startswith("dune:") and "metrics" in r]
    if not rows:
        return
    page.section("dune", "Dune mode")
    note = rows[0].get("note", "")
    page.p("The rows of the OSDI 2012 paper on Dune and others, natively and as a guest of one's own virtual machine. %s." % note, "warn" if "software" in note else "")
    shown = [(re.sub(r" \(.*", "", r["benchmark"][5:])[:24],
              {"native": median(r, "native_ns"), "dune": median(r, "dune_ns")}, False) for r in rows]
    page.figure(picture.dots("Dune mode beside native", shown,
                             [("native", "native", "glibc"), ("dune", "Dune mode", "gcdune")], "ns, logarithmic", "ns"))
    page.table(["operation", "native ns", "Dune mode ns"],
               [(r["id"], [r["benchmark"][5:], number(median(r, "native_ns")), number(median(r, "dune_ns"))])
                for r in rows])


def idle(page):
    rows = [r for r in _rows(page, "program") if r["benchmark"] == "idle-heap"
            and median(r, "idle_cpu_percent") is not None]
    if not rows:
        return
    page.section("idle", "An idle heap")
    page.p("A large heap that nobody touches, and 2 KiB of garbage a hundred times a second: percent of one processor.")
    page.figure(picture.dots("Processor time of an idle program",
                             [("idle-heap", {r["backend"]: median(r, "idle_cpu_percent") for r in rows}, False)],
                             [(r["backend"], _title(r["backend"]), picture.family(r["backend"])) for r in rows],
                             "percent of one processor", "%"))
    page.table(["back end", "% of a processor"],
               [(r["id"], [_title(r["backend"]), page.cell(r, "idle_cpu_percent")]) for r in rows])


def clients(page):
    names = _names(page, "client")
    if not names:
        return
    page.section("clients", "Real programs")
    page.p("Debian's programs, not rebuilt, on Debian's libgc and on ours (gcdune run).")
    series = [(m, n, c) for m, n,
              c in (("wall_s", "wall time", "gcdune"), ("cpu_s", "processor time", "mimalloc"),
                    ("rss_mib", "peak memory", "glibc"))]
    rows = []
    for n in names:
        r = {m: _ratio(_get(page, "client", n, "gcdune"), _get(page, "client", n, "boehm"), m) for m, _, _ in series}
        rows.append((n, {m: x for m, x in r.items() if x}, bool(r["wall_s"] and r["wall_s"][0] > 1.03)))
    page.figure(picture.ratios("Real programs, relative to Debian's libgc", rows, series, "relative to Debian's libgc"))
    page.table(["program, library", "wall s", "CPU s", "peak MiB", "longest pause ms"],
               page.metric_rows(_rows(page, "client"), ["wall_s", "cpu_s", "rss_mib", "pause_max_ms"]))
