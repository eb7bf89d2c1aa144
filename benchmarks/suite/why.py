"""Where gcdune is behind, and a sentence on why. The sentence comes from what the runs themselves recorded (system time, page
faults, collections, time that threads were held back); CAUSES adds what was found by looking closer. A row that neither
explains says so: "not analysed" is an answer, silence is not."""
import re

from .plan import PROGRAMS
from .results import median

# (program or micro-benchmark, metric): a regular expression for both, then the sentence. The first that fits counts.
CAUSES = [
    (r"guile.*", r"pause_max_ms|wall_s|cpu_s",
     "Guile's mark procedures may not run beside the program, so what they reach is marked in the final stop."),
    (r"linked-list", r"rss_mib",
     "A queue that moves through the heap is followed while it grows at its end; what it left behind is only found dead in the next cycle."),
    (r".*", r"idle_cpu_percent", "The collector's thread wakes up to look whether memory can go back to the kernel."),
    (r"large-arrays", r"wall_s|cpu_s",
     "Arrays are tracked for writes once something in them is marked, and then replaced by new ones: the kernel protects and opens each of their pages "
     "(perf: a tenth in change_pte_range)."),
    (r"marking:mark/(list|table)/ordered.*", r"ns",
     "In address order the processor fetches ahead by itself, and the queue that hides misses elsewhere only costs its instructions (perf: samples all "
     "over the loop; with the table a third at the first load from an object)."),
    (r"suite:alloc/.*", r"ns",
     "Each collection of a small heap has fixed costs (threads of the collector, stops, looking through roots), and what comes after it "
     "is not in the caches."),
    (r"suite:stop/.*", r"ns",
     "With more threads than processors each answers a stop when the system next runs it; this varies a lot."),
    (r"suite:sweep/.*", r"ns",
     "Slots are found again from a byte of state for each, in runs; single free slots are the worst case for runs."),
    (r"suite:(realloc|large).*", r"ns",
     "A large object that is dropped keeps its memory until the next collection, so new ones are made of pages that have to be touched first."),
]
NAMES = {"wall_s": "wall time", "cpu_s": "processor time", "rss_mib": "peak memory", "pause_max_ms": "longest pause",
         "ns": "time",
         "idle_cpu_percent": "processor time when idle", "latency_max": "longest latency"}
UNITS = {"wall_s": "s", "cpu_s": "s", "rss_mib": "MiB", "pause_max_ms": "ms", "ns": "ns", "idle_cpu_percent": "%"}
LEAST = {"wall_s": 1.03, "cpu_s": 1.03, "rss_mib": 1.05, "pause_max_ms": 1.0, "ns": 1.05, "idle_cpu_percent": 1.1}


def _facts(row, other, metric, stopped):
    facts = []
    mine, theirs = (lambda m: median(row, m) or 0), (lambda m: median(other, m) or 0)
    c = row.get("collector") or {}
    collections = mine("collections")
    if metric in ("wall_s", "cpu_s"):
        if stopped and stopped < .93 * mine(metric):
            facts.append("stopped while it marks (gcdune-stw) it takes %.2f s: the rest is what short stops cost, first writes to "
                         "tracked pages and looking again at what was written" % stopped)
        system, more = mine("system_s"), mine("system_s") - theirs("system_s")
        if more > .15 * mine("wall_s"):
            facts.append("%.2f s of it are system time (the other: %.2f s), with %.0f page faults (%.0f)" % (
                system, theirs("system_s"), mine("minor_faults"), theirs("minor_faults")))
        if collections > 30 and mine("wall_s") and collections / mine("wall_s") > 40 and c.get("live_mib", 0) < 12:
            facts.append(
                "the live heap is small (%.1f MiB), so there are many collections (%.0f; the other: %.0f), and each has fixed costs"
                         % (c.get("live_mib", 0), collections, theirs("collections")))
        if metric == "wall_s" and c.get("sleep_s", 0) > .08 * mine("wall_s"):
            facts.append("threads that allocate were held back for %.2f s so that marking could follow" % c["sleep_s"])
        if c.get("dirty_pages", 0) * 4e-6 > .1 * mine("wall_s"):
            facts.append("%.0f pages were written while the heap was marked and had to be looked at again" %
                         c["dirty_pages"])
        if metric == "cpu_s" and c.get("mark_s", 0) > .2 * mine("cpu_s"):
            facts.append(
                "marking beside the program (%.2f s of wall time, on other cores too) is what short pauses are paid with" % c["mark_s"])
    elif metric == "rss_mib" and c:
        facts.append(
            "the heap grew to %.0f MiB where %.0f MiB live at the end: it has room for 75 %% more, and for what is allocated while "
                     "marking is under way" % (c.get("heap_peak_mib", 0), c.get("live_mib", 0)))
    elif metric == "pause_max_ms" and row.get("pauses"):
        facts.append(
            "half of its %d stops take less than %.2f ms, and 99 %% less than %.2f ms: the longest is an outlier of what has to be "
                     "marked, or of the system's scheduling, in a stop" %
                     (row["pauses"]["count"], row["pauses"]["p50_ms"], row["pauses"]["p99_ms"]))
    return facts


def sentence(row, other, metric, rows=None):
    """ROWS: all of them by id, for comparing with another mode of gcdune."""
    facts = _facts(row, other, metric, median((rows or {}).get(row["id"] + "-stw"), metric))
    for benchmark, metrics, cause in CAUSES:
        if re.fullmatch(benchmark, row["benchmark"]) and re.fullmatch(metrics, metric):
            return cause + (" In this run " + "; ".join(facts) + "." if facts else "")
    if other["backend"] == "mimalloc" and metric in ("wall_s", "ns"):
        facts.insert(0, "nothing has to be marked there")
    if not facts:
        return "Not analysed."
    text = "; ".join(facts)
    return text[0].upper() + text[1:] + "."


def family(row):
    """Rows whose losses are told together: a micro-benchmark with all its arguments, a program with all thread counts."""
    if row["group"] == "micro":
        return row["group"], re.sub(r"(/\d+|/threads:\d+)+$", "", row["benchmark"].split(":", 1)[-1])
    if row["group"] == "scaling":
        return row["group"], row["benchmark"].split(" ")[0]
    return row["group"], row["benchmark"]


def losses(results):
    """(row, other row, metric, ratio) wherever gcdune is behind Boehm's collector, or in time behind mimalloc, beyond the
    least difference and beyond the spread of the runs."""
    rows = {r["id"]: r for r in results["rows"]}
    found = []
    for row in results["rows"]:
        if row["backend"] != "gcdune" or row["group"] not in ("program", "scaling", "equal", "latency", "client",
                                                              "micro") or "metrics" not in row:
            continue
        for name, metrics in (("boehm", LEAST), ("mimalloc", ("wall_s", "ns"))):
            other = rows.get("%s/%s/%s" % (row["group"], row["benchmark"], name))
            if not other or "metrics" not in other:
                continue
            for metric in metrics:
                if row["benchmark"] in PROGRAMS and not PROGRAMS[row["benchmark"]].timed and metric in ("wall_s",
                    "pause_max_ms"):
                    continue
                if row["group"] == "latency" and metric != "pause_max_ms":
                    continue
                if row["group"] == "equal" and metric == "rss_mib":
                    continue
                a, b = median(row, metric), median(other, metric)
                if not a or not b or a <= LEAST[metric] * b:
                    continue
                if metric == "idle_cpu_percent" and a - b < .2:
                    continue
                x, y = row["metrics"][metric], other["metrics"][metric]
                if x["n"] > 2 and y["n"] > 2 and x["low"] < y["high"] and a < 1.1 * b:
                    continue
                found.append((row, other, metric, a / b))
    return found
