"""The sections of the page about programs: goals, throughput, memory, pauses; and the README's picture. A section takes the page, finds
its rows, and leaves no trace if there are none. details.py has the other sections."""
import re

from . import picture, plan, stats
from .picture import number
from .results import median

MALLOCS = ["mimalloc", "jemalloc", "glibc"]


def _rows(page, group, backend=None):
    return [r for r in page.results["rows"] if r["group"] == group and (backend is None or r["backend"] == backend)]


def _get(page, group, benchmark, backend):
    row = page.rows.get("%s/%s/%s" % (group, benchmark, backend))
    return row if row and "metrics" in row else None


def _title(backend):
    from .report import title
    return title(backend)


def _names(page, group, backend="gcdune"):
    """What has rows there; of the programs those whose time means something."""
    names = [r["benchmark"] for r in _rows(page, group, backend)]
    return [n for n in names if group != "program" or n not in plan.PROGRAMS or plan.PROGRAMS[n].timed]


def _present(page):
    return [b for b in plan.OPTIONAL if any("metrics" in r for r in _rows(page, "program", b))]


def _ratio(row, base, metric):
    """Ratio of medians with the range that both spreads allow, or None."""
    a, b = (x.get("metrics", {}).get(metric) if x else None for x in (row, base))
    if not a or not b or not b["median"] or not a["median"]:
        return None
    return a["median"] / b["median"], a["low"] / b["median"], a["high"] / b["median"]


def _mean(page, group, metric, mine="gcdune", base="boehm", names=None):
    ratios = [_ratio(_get(page, group, n, mine), _get(page, group, n, base), metric) for n in names
              or _names(page, group)]
    return stats.geometric_mean([r[0] for r in ratios if r]), sum(r is not None for r in ratios)


# ---- At the top ----

def tiles(page):
    tiles = []
    for metric, name in (("wall_s", "wall time"), ("cpu_s", "processor time"), ("rss_mib", "peak memory")):
        mean, n = _mean(page, "program", metric)
        if mean:
            tiles.append(("× %.2f" % mean, "%s, of Boehm's; %d programs" % (name, n)))
    mean, n = _mean(page, "equal", "wall_s")
    if mean:
        tiles.append(("× %.2f" % mean, "wall time at equal memory; %d programs" % n))
    pauses = [(median(r, "pause_max_ms"), median(_get(page, "program", r["benchmark"], "boehm"), "pause_max_ms"))
              for r in
              _rows(page, "program", "gcdune") if r["benchmark"] in _names(page, "program")]
    pauses = [p for p in pauses if p[0] and p[1]]
    if pauses:
        tiles.append(("%s ms" % number(max(p[0] for p in pauses)), "longest pause in any program; Boehm's: %s ms" %
                      number(max(p[1] for p in pauses))))
    page.add('<div class="tiles">%s</div>' % "".join('<div class="tile"><b>%s</b>%s</div>' % t for t in tiles))


def goals(page):
    """Each goal with the figure that it is judged by."""
    def of(id, metric):
        return median(page.rows.get(id), metric)

    def over(a, b):
        return a / b if a and b else None
    alloc = "micro/suite:alloc/scanned/32/%s"
    mark = "micro/marking:mark/%s/1048576/%s"
    mark_rate = lambda what: over(of(mark % (what, "boehm"), "ns"), of(mark % (what, "gcdune"), "ns"))
    checks = [
        ("allocation rate, 32 bytes / Boehm's", over(of(alloc % "boehm", "ns"), of(alloc % "gcdune", "ns")), 4, False,
         "alloc/scanned/32"),
        ("allocation of 32 bytes / mimalloc's malloc and free, time",
         over(of(alloc % "gcdune", "ns"), of(alloc % "mimalloc", "ns")), 1.1, True, "alloc/scanned/32"),
        ("GCBench, 1 thread / mimalloc's malloc and free, wall",
         over(of("program/gcbench/gcdune", "wall_s"), of("program/gcbench/mimalloc", "wall_s")), 1, True, "gcbench"),
        ("GCBench, 4 threads / mimalloc's malloc and free, wall",
         over(of("program/gcbench-mt4/gcdune", "wall_s"), of("program/gcbench-mt4/mimalloc", "wall_s")), 1, True,
         "gcbench-mt4"),
        ("mark rate, tree, shuffled / Boehm's", mark_rate("tree/shuffled"), 3, False, "mark/tree/shuffled"),
        ("mark rate, tree, in address order / Boehm's", mark_rate("tree/ordered"), 1.3, False, "mark/tree/ordered"),
        ("mark rate, table, shuffled / Boehm's", mark_rate("table/shuffled"), 3, False, "mark/table/shuffled"),
        ("mark rate, table, in address order / Boehm's", mark_rate("table/ordered"), 1.3, False, "mark/table/ordered"),
        ("peak memory with 16-byte cells / Boehm's",
         over(of("program/cells-build/gcdune", "rss_mib"), of("program/cells-build/boehm", "rss_mib")), .65, True,
         "cells-build"),
        ("the same, with churn",
         over(of("program/cells-churn/gcdune", "rss_mib"), of("program/cells-churn/boehm", "rss_mib")), .65, True,
         "cells-churn"),
        ("wall time at equal memory / Boehm's, geometric mean", _mean(page, "equal", "wall_s")[0], .5, True, "equal"),
        ("longest pause with 1 GiB live, ms", of("latency/live-cache 1024 MiB/gcdune", "pause_max_ms"), 1, True,
         "latency/live-cache 1024 MiB"),
    ]
    rows = []
    for name, value, limit, at_most, where in checks:
        if value is None:
            rows.append((None, [name, "–", "%s %g" % ("≤" if at_most else "≥", limit), "not in this run"]))
        else:
            met = value <= limit if at_most else value >= limit
            rows.append((where,
                         [name, number(value), "%s %g" % ("≤" if at_most else "≥", limit), ("met", "met") if met
                          else ("MISSED", "missed")]))
    if any(r[1][1] != "–" for r in rows):
        page.section("goals", "Goals")
        page.table(["goal", "figure", "aim", ""], rows, title="What this version should reach, and whether it does")


# ---- Programs ----

def throughput(page):
    names = _names(page, "program")
    if not names:
        return
    page.section("throughput", "Throughput")
    page.p("Relative to Boehm's collector with its default settings: left of 1 is less time (or memory) than Boehm's. Collectors find garbage "
           "by themselves; the mallocs have frees written by hand. Programs in which gcdune is behind Boehm's are in red.")
    for metric, name in (("wall_s", "Wall time"), ("cpu_s", "Processor time"), ("rss_mib", "Peak memory")):
        series = [(b, _title(b), picture.family(b)) for b in ["gcdune"] + _present(page) +
                  (MALLOCS if metric != "cpu_s" else ["mimalloc"])]
        rows = []
        for n in names:
            base = _get(page, "program", n, "boehm")
            r = {b: _ratio(_get(page, "program", n, b), base, metric) for b, _, _ in series}
            r = {b: x for b, x in r.items() if x}
            if r:
                rows.append((n, r, ("program/%s/gcdune" % n, metric) in page.lost_keys
                             and r.get("gcdune", (0,))[0] > 1))
        page.figure(picture.ratios("%s relative to Boehm's collector" % name, rows, series,
                                   "relative to Boehm, logarithmic; shorter to the left is better"), name)
    page.table(["program, back end", "wall s", "CPU s", "system s", "peak MiB", "collections", "longest pause ms"],
               page.metric_rows([r for r in _rows(page, "program") if r["backend"] in plan.COMMON + plan.OPTIONAL],
                                ["wall_s", "cpu_s", "system_s", "rss_mib", "collections", "pause_max_ms"]))
    controls = _rows(page, "control")
    if controls:
        page.add("<h3>Control: without any collection</h3>")
        page.p("The same binary, told never to collect. The difference to the ordinary run is what collecting costs, less what touching new "
               "memory instead of used costs.")
        rows = []
        for r in controls:
            if "metrics" in r and r["metrics"]:
                ordinary = _get(page, "program", r["benchmark"], r["backend"])
                rows.append((r["id"], ["%s, %s" % (r["benchmark"], _title(r["backend"])), page.cell(r, "wall_s"),
                                       number(median(ordinary, "wall_s")), page.cell(r, "rss_mib"),
                                       number(median(ordinary, "rss_mib"))]))
        page.table(["program", "wall s, none", "wall s", "peak MiB, none", "peak MiB"], rows)


def equal(page):
    curve = _rows(page, "curve")
    pairs = _names(page, "equal")
    if not curve and not pairs:
        return
    page.section("memory", "Time against memory")
    page.p("A collector buys time with memory. Each point is a run with another setting (GCDUNE_GROWTH, GC_FREE_SPACE_DIVISOR); lower and further "
           "left is better. Mallocs have one point each.")
    for name in sorted({r["benchmark"] for r in curve}, key=list(plan.PROGRAMS).index):
        series = []
        for backend in plan.KNOBS:
            points = sorted((median(r, "rss_mib"), median(r, "wall_s")) for r in curve if r["benchmark"] == name and
                            r["backend"].startswith(backend + "@") and median(r, "wall_s"))
            if points:
                series.append((_title(backend), picture.family(backend), "dash" if backend == "boehm-current"
                               else "solid", points))
        for backend in MALLOCS:
            row = _get(page, "program", name, backend)
            if row:
                series.append((_title(backend), backend, "solid", [(median(row, "rss_mib"), median(row, "wall_s"))]))
        page.figure(picture.lines("%s: wall time against peak memory" % name, series, "peak memory, MiB",
                                  "wall time, s", x_log=True, y_low=0,
                                  dotted=True, height=250), name)
    page.table(["program, setting", "peak MiB", "wall s", "CPU s", "collections", "longest pause ms"],
               page.metric_rows(curve, ["rss_mib", "wall_s", "cpu_s", "collections", "pause_max_ms"]), open=False)
    if pairs:
        page.add("<h3>At equal memory</h3>")
        page.p("GCDUNE_GROWTH searched so that gcdune's peak memory is what Boehm's collector takes by default. Where that cannot be reached, the "
               "memory columns show it, and the comparison is not one at equal memory.")
        series = [("gcdune", "gcdune", "gcdune")]
        rows, table = [], []
        for n in pairs:
            mine, base = _get(page, "equal", n, "gcdune"), _get(page, "equal", n, "boehm")
            r = _ratio(mine, base, "wall_s")
            if not r:
                continue
            rows.append((n, {"gcdune": r}, r[0] > 1.03))
            memory = _ratio(mine, base, "rss_mib")
            growth = re.search(r"GCDUNE_GROWTH=(\d+)", mine["command"])
            table.append((mine["id"],
                          [n, growth.group(1) if growth else "", page.cell(mine, "rss_mib"), page.cell(base, "rss_mib"),
                                       number(memory[0]) + (" (not equal)" if abs(memory[0] - 1) > .1 else ""),
                           page.cell(mine, "wall_s"),
                                       page.cell(base, "wall_s"), (number(r[0]), "lose") if r[0] > 1.03
                           else number(r[0])]))
        page.figure(picture.ratios("Wall time at equal memory", rows, series,
                                   "wall time relative to Boehm at equal memory"))
        page.table(["program", "growth", "gcdune MiB", "Boehm MiB", "ratio", "gcdune s", "Boehm s", "ratio"], table)


# ---- Pauses ----

def pauses(page):
    rows = []
    for r in _rows(page, "program", "gcdune") + _rows(page, "client", "gcdune"):
        other = _get(page, r["group"], r["benchmark"], "boehm")
        values = {"gcdune": median(r, "pause_max_ms"), "boehm": median(other, "pause_max_ms")}
        if values["gcdune"] and values["boehm"]:
            rows.append((r["benchmark"], values, values["gcdune"] > values["boehm"]))
    latency = [r for r in _rows(page, "latency") if "latency" in r]
    if not rows and not latency:
        return
    page.section("pauses", "Pauses and latency")
    if rows:
        page.p("The longest stop of the world in a run, from the request to the release; the median of the runs.")
        page.figure(picture.dots("Longest pause of each program", rows,
                                 [("gcdune", "gcdune", "gcdune"), ("boehm", "Boehm", "boehm")],
                                 "longest pause, ms, logarithmic", "ms"), "The longest stop")
        page.table(["program", "gcdune ms", "Boehm ms", "stops", "median", "99 %", "all stops ms",
                    "longest that a thread lost"], [
            (r["id"],
             [r["benchmark"], page.cell(r, "pause_max_ms"),
              number(median(_get(page, r["group"], r["benchmark"], "boehm"), "pause_max_ms")),
                       "%d" % r["pauses"]["count"] if "pauses" in r else "–", number(r["pauses"]["p50_ms"])
              if "pauses" in r else "–",
                       number(r["pauses"]["p99_ms"]) if "pauses" in r else "–", page.cell(r, "pause_total_ms"),
              page.cell(r, "lost_max_ms")])
            for r in _rows(page, "program", "gcdune") + _rows(page, "client", "gcdune") if median(r, "pause_max_ms")])
    sizes = list(dict.fromkeys(r["benchmark"] for r in latency))
    for size in sizes:
        here = [r for r in latency if r["benchmark"] == size]
        page.add("<h3>%s</h3>" % size)
        page.p("%d replacements, %d of them due a second. Latency counts from the moment an operation was due, so that a stop makes everything late that "
               "became due in it (no coordinated omission)." %
               (here[0]["latency"]["count"], here[0]["latency"]["rate"]))
        kinds = {"gcdune-stw": "dash", "boehm-incremental": "dash"}
        series = lambda pick: [(_title(r["backend"]), picture.family(r["backend"]), kinds.get(r["backend"], "solid"),
                                pick(r)) for r in here]
        nines = lambda share: 1 / (1 - share)
        page.figure(picture.lines("Latency by percentile, %s" % size,
                                  series(lambda r: [(nines(s), ms) for s, ms in r["latency"]["quantiles_ms"]]),
                                  "share of operations", "latency, ms", x_log=True, y_log=True,
                                  x_ticks=[(nines(s), t) for s,
                                           t in ((.5, "50 %"), (.9, "90 %"), (.99, "99 %"), (.999, "99.9 %"),
                                                 (.9999, "99.99 %"),
                                                                      (.99999, "99.999 %"), (.999999, ""))]),
                    "Latency of an operation")
        page.table(["back end"] +
                   ["%g %%" % (s * 100) for s, _ in here[0]["latency"]["quantiles_ms"]
                    if s in (.5, .9, .99, .999, .9999)] +
                   ["longest ms", "longest stop ms", "lost in all ms"],
                   [(r["id"], [_title(r["backend"])] +
                     [number(ms) for s, ms in r["latency"]["quantiles_ms"] if s in (.5, .9, .99, .999, .9999)] +
                     [number(r["latency"]["max_ms"]), page.cell(r, "pause_max_ms"),
                      number(r["latency"]["lost_ms"])]) for r in here])
        page.figure(picture.lines("Minimum mutator utilization, %s" % size,
                                  series(lambda r: [(w, u * 100) for w, u in r["latency"]["utilization"]]),
                                  "window, ms, logarithmic", "least share of a window, %", x_log=True, y_low=0,
                                  y_high=100, height=250),
                    "Minimum mutator utilization")
        windows = here[0]["latency"]["utilization"]
        page.table(["back end"] + ["%g ms" % w for w, _ in windows],
                   [(r["id"], [_title(r["backend"])] +
                     ["%.0f %%" % (u * 100) for _, u in r["latency"]["utilization"]]) for r in here])
        stopped = [r for r in here if r.get("pauses")]
        page.figure(picture.lines("Distribution of stops, %s" % size, [
            (_title(r["backend"]), picture.family(r["backend"]), kinds.get(r["backend"], "solid"),
             [(10 ** (b / 4 - 3), n) for b, n in r["pauses"]["quarter_decades"]]) for r in stopped],
            "length of a stop, ms, logarithmic (quarters of a decade)", "stops", x_log=True, y_log=True, dotted=True,
                                  height=250), "How long the stops were")
        page.table(["back end", "stops", "median ms", "90 %", "99 %", "longest", "all stops ms"],
                   [(r["id"], [_title(r["backend"]), r["pauses"]["count"]] +
                     [number(r["pauses"][k]) for k in ("p50_ms", "p90_ms", "p99_ms", "max_ms", "total_ms")])
                    for r in stopped])


# ---- The README's picture ----

def readme(page):
    rows, mimalloc = [], {}
    for group in ("program", "client"):
        for n in _names(page, group):
            mine, base = _get(page, group, n, "gcdune"), _get(page, group, n, "boehm")
            r = _ratio(mine, base, "wall_s")
            if r:
                rows.append((n, r[0], median(mine, "pause_max_ms"), median(base, "pause_max_ms"),
                             r[0] > 1 and (mine["id"], "wall_s") in page.lost_keys))
                m = _ratio(_get(page, group, n, "mimalloc"), base, "wall_s")
                mimalloc[n] = m[0] if m else None
    results = page.results
    caption = "%s run, %s, %d cores, Linux %s; Boehm %s; medians; red: gcdune is behind" % (
        results["size"], results["started"][:10], results["machine"]["cores"],
            results["machine"]["kernel"].split("-")[0],
        results["versions"].get("boehm", "").split(" ")[0])
    return picture.readme(rows, mimalloc, caption)
