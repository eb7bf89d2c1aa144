"""Two results files, row by row: what changed beyond what the runs vary by themselves (the gate is gcdune's rows); and, of two
runs of the same binaries, whether they repeat each other within the spread that they print."""
from . import stats

# What is compared, and whether less is better.
METRICS = {"wall_s": True, "cpu_s": True, "rss_mib": True, "pause_max_ms": True, "ns": True, "idle_cpu_percent": True}
# A longest pause is an extreme value: one of a few runs says little, so it must change much.
LEAST = {"wall_s": .03, "cpu_s": .03, "rss_mib": .03, "pause_max_ms": .5, "ns": .05, "idle_cpu_percent": .5}


def changes(base, new):
    """A list of (row id, metric, base's median, new's, ratio, verdict); verdict: worse, better, same, or failed."""
    old = {row["id"]: row for row in base["rows"]}
    found = []
    for row in new["rows"]:
        before = old.get(row["id"])
        if before is None or "unavailable" in row or "unavailable" in before:
            continue
        if "failed" in row and "failed" not in before:
            found.append((row["id"], "output", None, None, None, "failed"))
            continue
        if "failed" in row or "failed" in before or row["command"] != before["command"]:
            continue
        for metric, less_is_better in METRICS.items():
            a, b = before["metrics"].get(metric), row["metrics"].get(metric)
            if not a or not b:
                continue
            ratio = b["median"] / a["median"] if a["median"] else None
            verdict = "same"
            if stats.differ(a.get("values", [a["median"]]), b.get("values", [b["median"]]), LEAST[metric]):
                verdict = "worse" if (b["median"] > a["median"]) == less_is_better else "better"
            found.append((row["id"], metric, a["median"], b["median"], ratio, verdict))
    return found


def drift(found):
    """What the rows of back ends that nobody changed did meanwhile: the machine's doing."""
    return stats.geometric_mean([r for id, metric, _, _, r, _ in found
                                 if metric == "wall_s"
                                 and id.split("/")[-1] in ("glibc", "jemalloc", "mimalloc", "boehm")])


def report(base, new, out, everything=False):
    """Writes what changed; returns whether gcdune got worse somewhere."""
    found = changes(base, new)
    write = lambda text: print(text, file=out)
    write("base: %s, commit %s, %s run" % (base["started"], base["versions"].get("commit", "unknown"), base["size"]))
    write("new:  %s, commit %s, %s run" % (new["started"], new["versions"].get("commit", "unknown"), new["size"]))
    for what in ("processor", "cores", "kernel"):
        if base["machine"].get(what) != new["machine"].get(what):
            write("NOTE: another %s: %s, then %s; this compares machines" %
                  (what, base["machine"].get(what), new["machine"].get(what)))
    for name, r in (("base", base), ("new", new)):
        if stats.busy(r):
            write("NOTE: other work was going on during %s (load average %.2f on %d cores)" %
                  (name, r["load"]["median"], r["machine"]["cores"]))
    change = drift(found)
    if change:
        write("The other back ends, which nobody changed: wall time x %.3f" % change)
    counts = {v: sum(f[5] == v for f in found) for v in ("worse", "better", "same", "failed")}
    gate = False
    for title, verdicts, mine in (("gcdune: WORSE", ("worse", "failed"), True), ("gcdune: better", ("better",), True),
                                  ("other back ends", ("worse", "better", "failed"), False)):
        rows = [f for f in found if f[5] in verdicts and (f[0].split("/")[-1].startswith("gcdune") or
                                                          f[0].startswith("micro/dirty:")) == mine]
        if not rows:
            continue
        gate |= mine and "worse" in verdicts
        write("\n%s" % title)
        for id, metric, a, b, ratio, verdict in sorted(rows, key=lambda f: -abs((f[4] or 9) - 1)):
            if verdict == "failed":
                write("  %-52s FAILS, and did not before" % id)
            else:
                write("  %-52s %-16s %12.4g -> %-12.4g %s %s" %
                      (id, metric, a, b, "x %.3f" % ratio if ratio is not None else "", verdict))
    if everything:
        write("\nwithin the spread")
        for id, metric, a, b, ratio, verdict in found:
            if verdict == "same":
                write("  %-52s %-16s %12.4g -> %-12.4g" % (id, metric, a, b))
    write("\n%d figures compared: %d worse, %d better, %d failed, %d within the spread of their runs" % (
        len(found), counts["worse"], counts["better"], counts["failed"], counts["same"]))
    if not found:
        write("Nothing to compare: no row of one file has its like in the other.")
    return gate


# ---- Of two runs of the same binaries ----

AGREE_RUNS = 3      # a row with fewer runs prints no spread worth the name
AGREE_PRINTED = .01 # the page prints a spread in whole percent to either side
AGREE_GOAL = .9
MAIN = ("wall_s", "ns", "idle_cpu_percent")  # what stands for a row: the first of these that it has


def agreement(a, b):
    """(row id, metric, A's summary, B's, distance) of each figure that both have from enough runs, and how many rows there were with
    fewer. Distance: between the medians, in units of the larger spread; up to 1 they agree."""
    other = {row["id"]: row for row in b["rows"]}
    found, few = [], []
    for row in a["rows"]:
        like = other.get(row["id"])
        if like is None or any("failed" in r or "unavailable" in r for r in (row, like)) or row["command"] != like["command"]:
            continue
        metrics = [m for m in METRICS if row["metrics"].get(m) and like["metrics"].get(m)]
        if row["benchmark"] == "idle-heap":
            metrics = [m for m in metrics if m != "wall_s"]  # a clock's
        enough = [m for m in metrics if min(row["metrics"][m]["n"], like["metrics"][m]["n"]) >= AGREE_RUNS]
        if metrics and not enough:
            few.append(row["id"])
        for metric in enough:
            x, y = row["metrics"][metric], like["metrics"][metric]
            spread = max(x["high"] - x["low"], y["high"] - y["low"], AGREE_PRINTED * max(abs(x["median"]), abs(y["median"])))
            found.append((row["id"], metric, x, y, abs(x["median"] - y["median"]) / spread if spread else 0.0))
    return found, few


def report_agreement(a, b, out):
    """Writes how far they agree; returns whether fewer than nine rows in ten do, or there was nothing to compare."""
    write = lambda text: print(text, file=out)
    found, few = agreement(a, b)
    for name, r in (("first", a), ("second", b)):
        write("%-7s %s, commit %s, %s run%s" % (
            name, r["started"], r["versions"].get("commit", "unknown"), r["size"],
            ", while other work was going on (load average %.2f on %d cores)" % (r["load"]["median"], r["machine"]["cores"])
            if stats.busy(r) else ""))
    for what in ("processor", "cores", "kernel"):
        if a["machine"].get(what) != b["machine"].get(what):
            write("NOTE: another %s: %s, then %s" % (what, a["machine"].get(what), b["machine"].get(what)))
    if a["versions"].get("commit") != b["versions"].get("commit"):
        write("NOTE: another commit: what does not agree may have changed")
    if not found:
        write("Nothing to compare: no row that both have from %d runs or more." % AGREE_RUNS)
        return True
    rows = {}
    for figure in found:
        if figure[1] in MAIN:
            rows.setdefault(figure[0], figure)
    agreed = sum(f[4] <= 1 for f in rows.values())
    share = agreed / len(rows) if rows else 0
    write("\nMedians agree within the larger of the two spreads (maximum - minimum, at least the 1 %% that is printed):\n"
          "  rows, by their time      %4d of %4d  %5.1f %%   the goal is %.0f %%: %s" % (
              agreed, len(rows), 100 * share, 100 * AGREE_GOAL, "met" if share >= AGREE_GOAL else "MISSED"))
    groups = {}
    for id, f in rows.items():
        groups.setdefault(id.split("/")[0], []).append(f[4] <= 1)
    for group, met in groups.items():
        write("    %-22s %4d of %4d  %5.1f %%" % (group, sum(met), len(met), 100 * sum(met) / len(met)))
    for metric in METRICS:
        figures = [f for f in found if f[1] == metric]
        if figures:
            n = sum(f[4] <= 1 for f in figures)
            write("  %-24s %4d of %4d  %5.1f %%" % ("figures, " + metric, n, len(figures), 100 * n / len(figures)))
    apart = sorted((f for f in found if f[4] > 1), key=lambda f: -f[4])
    if apart:
        write("\nthose that do not" + " " * 37 + "first  spread        second  spread   apart, in spreads")
    for id, metric, x, y, distance in apart:
        write("  %-48s %-16s %10.4g %5.1f %%  %10.4g %5.1f %%   %.1f" % (
            id, metric, x["median"], 100 * x["spread"], y["median"], 100 * y["spread"], distance))
    if few:
        groups = {}
        for id in few:
            groups[id.split("/")[0]] = groups.get(id.split("/")[0], 0) + 1
        write("\nRun fewer than %d times in one of the two, so without a spread: %s" % (
            AGREE_RUNS, ", ".join("%d of %s" % (n, group) for group, n in groups.items())))
    return share < AGREE_GOAL
