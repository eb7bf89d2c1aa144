"""Two results files, row by row: what changed beyond what the runs vary by themselves. The gate is gcdune's rows."""
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
