#!/usr/bin/env python3
"""bench - gcdune beside other collectors and allocators: runs the suite, draws what came of it, compares two results.

        bench.py run [--size full|quick|tiny] [OPTION...]       make bench, make bench-quick
        bench.py report RESULTS.json [--html FILE] [--svg FILE]
        bench.py pauses [--mib 1024] [--rounds 3]               make bench-pauses
        bench.py tracking [--rounds 3]                           make bench-tracking
        bench.py longest [--rounds 5]                            make bench-longest
        bench.py compare BASE.json NEW.json [--all]             make bench-compare BASE=file
        bench.py agree FIRST.json SECOND.json                    make bench-agree BASE=file

docs/benchmarks.md has the method. Exit status 1: a run failed, (compare) gcdune got worse, or (agree) two runs of the same do
not repeat each other; 2: wrong use."""
import argparse
import os
import shlex
import sys
import time

sys.dont_write_bytecode = True
top = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from suite import compare, execute, longest, plan, records, report, results, session, stats, tracking  # noqa: E402

BUDGET_S = {"full": 1140, "quick": 270, "tiny": 60}


def wrong(text):
    print("bench: " + text, file=sys.stderr)
    sys.exit(2)


def names(text, known, what):
    chosen = [n for n in (text or "").split(",") if n]
    for n in chosen:
        if n not in known:
            wrong("no %s '%s'; there are: %s" % (what, n, ", ".join(known)))
    return chosen


def run(options):
    build = os.path.abspath(options.build)
    select = (names(options.groups, session.GROUPS, "group") or session.GROUPS,
              names(options.programs, plan.PROGRAMS, "program"),
              names(options.backends, list(plan.BACKENDS) + ["sources", "dune"], "back end"), options.rounds, options.large)
    binaries = [build + "/bench/" + f for f in (os.listdir(build + "/bench") if os.path.isdir(build + "/bench") else [])
                if not f.endswith((".d", ".json", ".jsonl", ".html", ".svg")) and os.path.isfile(build + "/bench/" + f)]
    if not os.path.exists(build + "/bench/measure"):
        wrong("%s/bench/measure is not there; make suite-programs builds what this needs" % build)
    key = records.fingerprint(binaries + [build + "/lib/libgcdune.so.0", build + "/lib/libgc.so.1"], options.size,
                              select,
                              os.uname().release)
    recorded = records.Records("%s/bench/runs-%s.jsonl" % (build, options.size), key, options.fresh)
    if recorded.resumed:
        print("going on with %d runs of an interrupted one (--fresh begins anew)" % len(recorded.runs), file=sys.stderr)
    started = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    s = session.Session(execute.Executor(build), recorded, build, top, options.size, options.budget
                        or BUDGET_S[options.size], select)
    try:
        s.run()
    except KeyboardInterrupt:
        wrong("interrupted; the same command goes on from here")
    found = results.collect(s, top,
                            " ".join(map(shlex.quote, [os.path.relpath(sys.argv[0], top)] +
                                         sys.argv[1:])).replace(build, os.path.relpath(build, top)),
                            options.compiler, started)
    out = options.out or build + "/bench/results.json"
    results.save(found, out)
    recorded.finish()
    base = os.path.splitext(out)[0]
    report.write(found, base + ".html", base + ".svg")
    print(report.text(found))
    for kind in ("figures", "page", "picture for the README"):
        print("%-24s%s" % (kind, {"figures": out, "page": base + ".html"}.get(kind, base + ".svg")))
    failed = [r for r in found["rows"] if "failed" in r]
    for row in failed:
        print("FAILED: %s: %s" % (row["id"], row["failed"]))
    return 1 if failed else 0


PAUSES = (("pause_max_ms", "longest, ms", "%.2f"), ("p99_ms", "p99, ms", "%.2f"), ("lost_stop_ms", "lost, ms", "%.2f"),
          ("operation_ms", "operation", "%.2f"), ("wall_s", "wall, s", "%.2f"), ("cpu_s", "CPU, s", "%.2f"),
          ("rss_mib", "RSS, MiB", "%.0f"), ("collections", "collections", "%.0f"))


def pauses(options):
    """Stops of a program with so many MiB of live objects in random order: medians of interleaved rounds. `longest' is from
    the request to the release; `lost' is the most that one thread lost at once to a stop, as it saw it itself: with the time
    the system took to run it again; `operation' the longest replacement of the first thread, whatever made it long. The control
    run never collects: what is lost there is the system's doing."""
    build = os.path.abspath(options.build)
    executor, runs, titles = execute.Executor(build), {}, {}
    replacements = options.replacements or options.mib * 4000
    arguments = [str(options.mib), str(replacements), "0", str(options.threads)]
    for round in range(options.rounds):
        for backend in options.backends.split(","):
            control = backend == "control"
            b = plan.BACKENDS["gcdune" if control else backend]
            titles[backend] = "gcdune, never collecting" if control else b.title
            job = plan.Job("pauses", "live-cache", "gcdune" if control else backend,
                           ["%s/bench/live-cache-%s" % (build, b.binary)] + arguments,
                           dict(plan.CONTROLS["gcdune"] if control else b.env))
            result = executor.run(job)
            print("round %d of %d: %s: %s" %
                  (round + 1, options.rounds, titles[backend], result.get("failed") or "%.1f s" % result["wall_s"]),
                  file=sys.stderr)
            if "failed" in result:
                sys.exit(1)
            runs.setdefault(backend, []).append(dict(result, p99_ms=(result["pauses"] or {}).get("p99_ms"),
                                                     operation_ms=result["latency"]["max_ns"] / 1e6))
    print("live-cache %s: %d MiB live, random replacement by %d thread%s; medians of %d interleaved rounds" % (
        " ".join(arguments), options.mib, options.threads, "s" * (options.threads > 1), options.rounds))
    print("%-30s" % "" + "".join("%12s" % title for _, title, _ in PAUSES))
    for backend, all in runs.items():
        cells = [stats.summary([r.get(key) for r in all]) for key, _, _ in PAUSES]
        print("%-30s" % titles[backend] +
              "".join("%12s" % (form % c["median"] if c else "-") for c, (_, _, form) in zip(cells, PAUSES)))
    return 0


def main():
    parser = argparse.ArgumentParser(prog="bench.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    p = commands.add_parser("run")
    p.add_argument("--build", default=top + "/build")
    p.add_argument("--size", choices=["full", "quick", "tiny"], default="full")
    p.add_argument("--groups", help="only these, of " + ",".join(session.GROUPS))
    p.add_argument("--programs", help="only these, of " + ",".join(plan.PROGRAMS))
    p.add_argument("--backends", help="only these, of " + ",".join(plan.BACKENDS) +
                   "; sources (the dirty sources by themselves), dune (Dune mode beside native)")
    p.add_argument("--rounds", type=int, help="so many instead of the usual, as far as the time goes")
    p.add_argument("--budget", type=float, help="seconds that it may take; default " +
                   ", ".join("%d (%s)" % (s, size) for size, s in BUDGET_S.items()))
    p.add_argument("--large", action="store_true",
                   help="also 8 GiB of live objects, eight million to mark, and more points of each curve")
    p.add_argument("--fresh", action="store_true", help="do not go on with an interrupted run")
    p.add_argument("--out", help="default BUILD/bench/results.json; page and picture go beside it")
    p.add_argument("--compiler", default="cc", help="what the programs were built with, for the record")
    p = commands.add_parser("pauses")
    p.add_argument("--build", default=top + "/build")
    p.add_argument("--mib", type=int, default=1024)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--replacements", type=int, help="default 4000 for each MiB")
    p.add_argument("--backends", default="gcdune,gcdune-stw,control,boehm,boehm-incremental")
    for name, rounds in (("tracking", 3), ("longest", 5)):
        p = commands.add_parser(name)
        p.add_argument("--build", default=top + "/build")
        p.add_argument("--size", choices=["full", "quick", "tiny"], default="full")
        p.add_argument("--programs", help="only these, of " + ",".join(plan.PROGRAMS))
        p.add_argument("--rounds", type=int, default=rounds)
    p = commands.add_parser("report")
    p.add_argument("results")
    p.add_argument("--html")
    p.add_argument("--svg")
    p = commands.add_parser("compare")
    p.add_argument("base")
    p.add_argument("new")
    p.add_argument("--all", action="store_true", help="also what did not change")
    p = commands.add_parser("agree")
    p.add_argument("first")
    p.add_argument("second")
    options = parser.parse_args()
    try:
        if options.command == "run":
            return run(options)
        if options.command == "pauses":
            return pauses(options)
        if options.command in ("tracking", "longest"):
            build = os.path.abspath(options.build)
            module = {"tracking": tracking, "longest": longest}[options.command]
            return module.main(execute.Executor(build), build, top, options.size,
                               names(options.programs, plan.PROGRAMS, "program"), options.rounds)
        if options.command == "report":
            found = results.load(options.results)
            base = os.path.splitext(options.results)[0]
            report.write(found, options.html or base + ".html", options.svg or base + ".svg")
            print(report.text(found))
            return 0
        if options.command == "agree":
            return 1 if compare.report_agreement(results.load(options.first), results.load(options.second),
                                                 sys.stdout) else 0
        return 1 if compare.report(results.load(options.base), results.load(options.new), sys.stdout,
                                   options.all) else 0
    except results.Unreadable as e:
        wrong(str(e))


if __name__ == "__main__":
    sys.exit(main())
