"""Runs one job once and makes a dictionary of what there was to see; never raises for what a program does.

A run that ended badly, whose output differs from the others', or that ran on another library or dirty source than the one
meant, has "failed" (or, where the machine lacks something, "unavailable") with the reason, and no figures are used."""
import json
import os
import re
import subprocess
import time

from . import plan, stats

FOREIGN = ("GCDUNE_", "GC_", "MALLOC_", "MIMALLOC_", "LD_", "BENCH_", "GLIBC_TUNABLES")
WHERE = ("LD_LIBRARY_PATH",)


def environment():
    return {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN)}


def foreign_settings():
    """What of the user's own environment would have changed what is measured; it is kept away from the programs."""
    return sorted(k for k in os.environ if k.startswith(FOREIGN))


def available_mib():
    with open("/proc/meminfo") as f:
        for line in f:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) / 1024
    return 0.0


class Executor:
    def __init__(self, build):
        self.build, self.measure = build, build + "/bench/measure"
        self.work = build + "/bench/work"
        self.outputs = {}  # first output of each program with its arguments
        self.versions = {}
        os.makedirs(self.work, exist_ok=True)

    def run(self, job):
        began = time.monotonic()
        load = os.getloadavg()[0]
        if not (os.path.exists(job.command[0]) or "/" not in job.command[0]):
            return {"unavailable": "%s was not built" % os.path.basename(job.command[0])}
        if job.needs_mib > available_mib() * .9:
            return {"unavailable": "needs %.0f MiB of memory, %.0f are available" % (job.needs_mib, available_mib())}
        files = {name: "%s/%s" % (self.work, name) for name in ("out", "err", "figures", "statistics", "benchmark")}
        for path in files.values():
            if os.path.exists(path):
                os.remove(path)
        env = dict(environment(), **job.env)
        collector = "gcdune" if "-gcdune" in os.path.basename(job.command[0]) or "gcdune" in job.backend else \
            "boehm" if "boehm" in job.backend else "whippet" if "whippet" in job.backend else None
        if job.kind == "program":
            env["BENCH_FIGURES"] = files["figures"]
        if collector:
            env["GCDUNE_STATS" if collector == "gcdune" else "BENCH_REPORT"] = files["statistics"]
        command = [word.replace("@BENCHMARK_OUT@", files["benchmark"]) for word in job.prefix + job.command]
        measured = subprocess.run([self.measure, "-t", str(job.timeout), "-o", files["out"], "-e", files["err"]] +
                                  command,
                                  env=env, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        try:
            run = json.loads(measured.stdout)
        except ValueError:
            return {"failed": "measure printed nothing: %s" % measured.returncode}
        run["took_s"], run["load"] = time.monotonic() - began, load
        run["cpu_s"] = run["user_s"] + run["system_s"]
        run["rss_mib"] = run.pop("rss_kib") / 1024
        run["failed"] = self._failure(run, files)
        if run.get("status") == 77:
            run["unavailable"] = "it skipped itself: " + _last_line(files["out"])
        elif run["failed"] is None and job.kind == "program":
            self._figures(run, files["figures"])
            if collector:
                self._statistics(job, run, collector, files["statistics"])
            if job.checks_output:
                self._output(job, run, files["out"])
        elif run["failed"] is None and job.kind == "micro":
            self._micro(run, files["benchmark"])
        elif run["failed"] is None and job.kind == "dune":
            self._dune(run, files["out"])
        if run["failed"] is None:
            del run["failed"]
        for useless in ("status", "signal", "timed_out"):
            run.pop(useless, None)
        return run

    @staticmethod
    def _failure(run, files):
        if run["timed_out"]:
            return "did not end in time"
        if run["status"] in (0, 77):
            return None
        what = "signal %d" % run["signal"] if run["signal"] else "exit status %d" % run["status"]
        return ("%s: %s" % (what, _last_line(files["err"]))).strip(": ")

    @staticmethod
    def _figures(run, path):
        data = _json(path)
        if not data:
            return
        run.update(data["figures"])
        if "latency" in data:
            latency = data["latency"]
            gaps = latency.pop("gaps")
            latency["utilization"] = stats.utilization_curve(gaps, latency["span_ns"])
            latency["lost_ms"] = sum(g[1] for g in gaps) / 1e6
            run["latency"] = latency

    def _statistics(self, job, run, collector, path):
        data = _json(path)
        if not data:
            run["failed"] = "left no statistics: did it run on the library meant?"
            return
        pauses = data["pauses"]
        if collector == "gcdune":
            fields = pauses["fields"]
            lengths = [i for i, f in enumerate(fields) if f.endswith("_ns") and f != "start_ns"]
            lengths = [sum(p[i] for i in lengths) for p in pauses["list"]]
            lost = data["lost"]
            run["lost_stop_ms"] = lost["stop"]["max_ns"] / 1e6
            run["lost_max_ms"] = max(v["max_ns"] for v in lost.values()) / 1e6
            # Of a program with one thread: a collection that it runs itself is not lost to a stop by another.
            run["lost_s"] = (max(data["pause_total_ns"], lost["stop"]["total_ns"]) +
                             sum(v["total_ns"] for k, v in lost.items() if k != "stop")) / 1e9
            run["collector"] = {
                "mark_s": data["mark_ns"] / 1e9, "sleep_s": lost["sleep"]["total_ns"] / 1e9,
                "assist_s": lost["assist"]["total_ns"] / 1e9, "block_s": lost["block"]["total_ns"] / 1e9,
                "allocated_mib": data["bytes_allocated"] / 2**20, "live_mib": data["bytes_live"] / 2**20,
                "heap_peak_mib": data["bytes_heap_peak"] / 2**20,
                                "gave_up": data.get("concurrent", {}).get("gave_up", 0),
                "dirty_pages": data.get("concurrent", {}).get("dirty_pages", 0), "source": data.get("dirty_source")}
            source = plan.BACKENDS[job.backend].source if job.backend in plan.BACKENDS else None
            if source and data.get("dirty_source") != source and data["collections"]:
                run["failed"] = None
                run["unavailable"] = "the machine has no dirty source '%s'" % source
            self.versions["gcdune"] = data["version"]
        else:
            lengths = [p[1] for p in pauses["list"]]
            name = job.backend.split("@")[0]
            self.versions[name if name in plan.OPTIONAL else collector] = "%s (%s)" % (data["version"],
                os.path.basename(data["library"]))
        run["collections"] = data["collections"]
        run["pause_max_ms"] = data["pause_max_ns"] / 1e6
        run["pause_total_ms"] = data["pause_total_ns"] / 1e6
        run["pauses"] = stats.pause_summary(lengths)

    def _output(self, job, run, path):
        with open(path, "rb") as f:
            output = f.read()
        key = tuple([re.sub(r"-[a-z-]*$", "", os.path.basename(job.command[0]))] + job.command[1:])
        if job.group == "client":
            key = job.benchmark
        expected = self.outputs.setdefault(key, output)
        if output != expected or not output:
            run["failed"] = "the output differs from the first run's: %r, not %r" % (output[-60:], expected[-60:])

    @staticmethod
    def _micro(run, path):
        data = _json(path)
        if not data:
            run["failed"] = "left no results"
            return
        run["micro"] = {}
        known = {"name", "run_name", "run_type", "repetitions", "repetition_index", "threads", "iterations",
                 "real_time", "cpu_time",
                 "time_unit", "family_index", "per_family_instance_index", "label", "error_occurred", "error_message"}
        for b in data["benchmarks"]:
            if b.get("error_occurred"):
                run["micro"][b["name"]] = {"error": b.get("error_message", "failed")}
            elif b.get("run_type") == "iteration":
                scale = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}[b.get("time_unit", "ns")]
                counters = {k: v for k, v in b.items() if k not in known and isinstance(v, (int, float))}
                run["micro"][re.sub(r"/(iterations:\d+|manual_time|real_time|threads:\d+)", _keep_threads,
                                    b["name"])] = dict(
                    counters, ns=b["real_time"] * scale)

    @staticmethod
    def _dune(run, path):
        run["micro"] = {}
        with open(path) as f:
            for line in f:
                cells = [c.strip() for c in line.strip().strip("|").split("|")]
                if line.startswith("KVM:"):
                    run["note"] = line.split(". ")[0].strip()
                if len(cells) == 5 and cells[0] not in ("operation",) and not cells[0].startswith("-"):
                    row = {"native_ns": _time(cells[1]), "dune_ns": _time(cells[2])}
                    run["micro"][cells[0]] = {k: v for k, v in row.items() if v is not None}


def _keep_threads(match):
    return match.group(0) if match.group(1).startswith("threads") else ""


def _time(text):
    match = re.match(r"([\d.]+) (ns|us)$", text)
    return float(match.group(1)) * (1 if match.group(2) == "ns" else 1e3) if match else None


def _json(path):
    try:
        with open(path) as f:
            return json.load(f)
    except (OSError, ValueError):
        return None


def _last_line(path):
    try:
        with open(path, errors="replace") as f:
            return (f.read().strip().splitlines() or [""])[-1][:200]
    except OSError:
        return ""
