"""What comes of the runs: one row for each job (of a micro-benchmark: for each line of it), with medians and spread, and around
the rows what is needed to repeat them. The format is described in docs/benchmarks.md; FORMAT counts its changes."""
import json
import os
import shlex
import statistics
import time

from . import execute, machine, stats

FORMAT = 1
KEEP_VALUES = {"wall_s", "cpu_s", "rss_mib", "pause_max_ms", "ns", "idle_cpu_percent"}  # compare.METRICS
NOT_FIGURES = {"took_s", "load", "round", "lost_s"}


def _round(x):
    return float("%.6g" % x) if isinstance(x, float) else x


def _rounded(x):
    if isinstance(x, dict):
        return {k: _rounded(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return [_rounded(v) for v in x]
    return _round(x)


def _good(runs):
    return [r for r in runs if "failed" not in r and "unavailable" not in r]


def _lean(summary, key):
    """Without the single values, where nothing will ask for them."""
    if summary and (summary["n"] == 1 or key not in KEEP_VALUES):
        summary = {k: v for k, v in summary.items() if k != "values"}
    return summary


def _metrics(dictionaries):
    keys = []
    for d in dictionaries:
        keys += [k for k, v in d.items() if k not in keys and k not in NOT_FIGURES and isinstance(v, (int, float)) and
                 not isinstance(v, bool)]
    return {k: _lean(stats.summary([d.get(k) for d in dictionaries]), k) for k in keys}


def _latency(runs):
    """Quantile by quantile the median of the runs; the maximum is the largest of all."""
    all = [r["latency"] for r in runs if "latency" in r]
    if not all:
        return None
    merged = {k: all[0][k] for k in ("count", "rate")}
    merged["max_ms"] = max(l["max_ns"] for l in all) / 1e6
    merged["lost_ms"] = statistics.median(l["lost_ms"] for l in all)
    merged["gaps_full"] = any(l["gaps_full"] for l in all)
    merged["quantiles_ms"] = [[share, statistics.median(l["quantiles"][i][1] for l in all) / 1e6]
                              for i, (share, _) in enumerate(all[0]["quantiles"])]
    windows = [w for w, _ in min((l["utilization"] for l in all), key=len)]
    merged["utilization"] = [[w, statistics.median(dict(map(tuple, l["utilization"]))[w] for l in all)]
                             for w in windows]
    return merged


def _command(job, top):
    """As one would type it at the top of the tree, wherever that is."""
    words = ["%s=%s" % (k, shlex.quote(v)) for k, v in sorted(job.env.items())] + [shlex.quote(w) for w in job.prefix +
        job.command]
    return " ".join(words).replace(top + "/", "")


def _row(job, runs, top):
    row = {"id": job.id, "group": job.group, "benchmark": job.benchmark, "backend": job.backend,
           "command": _command(job, top)}
    if job.title:
        row["title"] = job.title
    if job.note:
        row["note"] = job.note
    bad = [r for r in runs if "failed" in r]
    missing = [r for r in runs if "unavailable" in r]
    if missing and not bad:
        return dict(row, unavailable=missing[0]["unavailable"])
    if bad:
        row["failed"] = bad[0]["failed"]
    good = _good(runs)
    row["load"] = max([r.get("load", 0) for r in runs] + [0])
    row["metrics"] = _metrics(good)
    latency = _latency(good)
    if latency:
        row["latency"] = latency
    paused = [r for r in good if r.get("pauses")]
    if paused:  # the run whose longest is the median
        paused.sort(key=lambda r: r["pauses"]["max_ms"])
        row["pauses"] = paused[(len(paused) - 1) // 2]["pauses"]
    collector = [r["collector"] for r in good if "collector" in r]
    if collector:
        row["collector"] = {k: v["median"] for k, v in _metrics(collector).items()}
        row["collector"]["source"] = collector[0].get("source")
    return row


def _micro_rows(job, runs, top):
    """A line of a micro-benchmark is named by what it measures, "suite:" or "dirty:" before it; the back end is that of the
    binary, or for the dirty sources the source."""
    rows, good = [], _good(runs)
    if not good:
        return [_row(job, runs, top)]
    names = []
    for r in good:
        names += [n for n in r["micro"] if n not in names]
    for name in names:
        lines = [r["micro"][name] for r in good if name in r["micro"]]
        backend, benchmark = job.backend, name
        if job.benchmark == "dirty":
            backend, _, benchmark = name.partition("/")
        row = {"id": "micro/%s/%s" % (job.benchmark + ":" + benchmark, backend), "group": "micro",
               "benchmark": job.benchmark + ":" + benchmark, "backend": backend, "command": _command(job, top)}
        errors = [l["error"] for l in lines if "error" in l]
        if errors:
            row["unavailable"] = errors[0]
        else:
            row["metrics"] = _metrics(lines)
        note = job.note or good[0].get("note")
        if note:
            row["note"] = note
        rows.append(row)
    return rows


def collect(session, top, command, compiler, started):
    rows = []
    for job in session.jobs:
        runs = session.records.of(job.id)
        if runs:
            rows += [_row(job, runs, top)] if job.kind == "program" else _micro_rows(job, runs, top)
    loads = [r.get("load", 0) for r in session.records.runs.values()]
    m = machine.machine()
    return _rounded({
        "format": FORMAT, "command": command, "size": session.size, "started": started,
        "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "seconds": session.elapsed(), "machine": m,
        "versions": dict(machine.versions(top, compiler), **session.executor.versions),
        "load": {"median": statistics.median(loads) if loads else 0, "most": max(loads + [0])},
        "environment_removed": execute.foreign_settings(), "notes": session.notes, "rows": rows})


def save(results, path):
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    rows = results["rows"]
    with open(path + ".new", "w") as f:  # a line for each row, so that two files can be compared by eye
        head = json.dumps({k: v for k, v in results.items() if k != "rows"}, indent=1)
        f.write(head[:-2] + ',\n "rows": [\n' + ",\n".join(json.dumps(r) for r in rows) + "\n]}\n")
    os.replace(path + ".new", path)


class Unreadable(Exception):
    pass


def load(path):
    try:
        with open(path) as f:
            results = json.load(f)
    except OSError as e:
        raise Unreadable("%s: %s" % (path, e.strerror))
    except ValueError as e:
        raise Unreadable("%s is not JSON: %s" % (path, e))
    if not isinstance(results, dict) or results.get("format") != FORMAT or not isinstance(results.get("rows"), list):
        raise Unreadable("%s is not a results file of format %d" % (path, FORMAT))
    return results


def median(row, metric):
    """None where there is no such figure, or the row failed."""
    if row is None or "failed" in row:
        return None
    m = row.get("metrics", {}).get(metric)
    return m["median"] if m else None
