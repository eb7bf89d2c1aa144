#!/usr/bin/env python3
"""dropin - Debian's programs that use libgc, not rebuilt, on Debian's library and on ours.

        dropin.py [--short] [--rounds N] BUILD [NAME...]          make dropin, test/test-dropin.sh

Each workload runs N times (default 3) on each, in turn; its output must always be the same. Prints wall and processor time,
peak memory and the longest pause of each, the best of N runs (the worst for pauses), and geometric means of the ratios.
--short: small workloads, once, for the test. A program that is not installed is left out."""
import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
from suite import clients  # noqa: E402

parser = argparse.ArgumentParser()
parser.add_argument("--short", action="store_true")
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("build")
parser.add_argument("names", nargs="*")
options = parser.parse_args()
build = os.path.abspath(options.build)
top = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
here = top + "/test/dropin/"
observer = build + "/bench/observe-bdw.so"
work = tempfile.mkdtemp()
base = {k: v for k, v in os.environ.items() if not k.startswith(("GC_", "LD_"))}
base |= {"HOME": work, "XDG_CACHE_HOME": work + "/cache", "GUILE_AUTO_COMPILE": "0", "CRYSTAL_CACHE_DIR": work + "/crystal",
         "TERM": "dumb", "TZ": "UTC"}
long = not options.short


def w3m_page():
    return ["w3m", "-dump", "-T", "text/html", "-cols", "120", clients.page(work + "/page.html", 12000 if long else 600)]


def guile_modules():
    clients.guile_module(work + "/module.scm", 600 if long else 60)
    return ["guile-3.0", "-c", "(use-modules (system base compile)) (compile-file \"%s/module.scm\" #:output-file \"%s/module.go\")"
            "(load-compiled \"%s/module.go\") (write (f7 20))" % (work, work, work)]


def prepare(command):
    subprocess.run(command, env=base, cwd=work, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def neko():
    shutil.copy(here + "work.neko", work)
    prepare(["nekoc", work + "/work.neko"])
    return ["neko", work + "/work.n", "400" if long else "4"]


def crystal_program():
    prepare(["crystal", "build", "--no-debug", "-o", work + "/work", here + "work.cr"])
    return [work + "/work", "60" if long else "3"]


def crystal_threads():
    prepare(["crystal", "build", "--no-debug", "-Dpreview_mt", "-o", work + "/workmt", here + "work.cr"])
    return [work + "/workmt", "30" if long else "2"]


def parser3():
    shutil.copy(here + "work.p", work)
    return ["env", "N=" + ("6" if long else "3"), "parser3", work + "/work.p"]


ecl = '(progn (run %d) (si:exit 0))' % (120 if long else 8)
workloads = [
    ("guile compile", "guile-3.0", guile_modules),
    ("guile alloc", "guile-3.0", lambda: ["guile-3.0", top + "/benchmarks/guile-alloc.scm"] if long else None),
    ("ecl", "ecl", lambda: ["ecl", "--norc", "--load", here + "gcbench.lisp", "--eval", ecl]),
    ("nix-instantiate", "nix-instantiate", lambda: ["nix-instantiate", "--eval", "--strict", "--arg", "n", "60" if long else "2",
                                                    here + "work.nix"]),
    ("crystal compiler", "crystal", lambda: ["crystal", "build", "--no-codegen", here + "work.cr"]),
    ("crystal program", "crystal", crystal_program),
    ("crystal threads", "crystal", crystal_threads),
    ("w3m", "w3m", w3m_page),
    ("neko", "neko", neko),
    ("asymptote", "asy", lambda: ["asy", "-noV", "-u", "rounds=%d;" % (60 if long else 2), here + "work.asy"]),
    ("parser3", "parser3", parser3),
]


def run(command, ours):
    report = work + "/report.json"
    if os.path.exists(report):
        os.remove(report)
    env = dict(base)
    if ours:
        env |= {"LD_LIBRARY_PATH": build + "/lib", "GCDUNE_STATS": report}
    elif os.path.exists(observer):
        env |= {"LD_PRELOAD": observer, "BENCH_REPORT": report}
    started = time.monotonic()
    with open(work + "/out", "wb") as out:
        child = subprocess.Popen(command, env=env, cwd=work, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = status
    wall = time.monotonic() - started
    output = open(work + "/out", "rb").read()
    try:
        pause = json.load(open(report))
        pause = pause.get("pause_max_ns", pause.get("pauses", {}).get("max_ns", 0) if isinstance(pause.get("pauses"), dict) else 0) / 1e6
    except (OSError, ValueError):
        pause = float("nan")
    return (wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, pause), output, status


failed = False
ratios = []
if long:
    print("%-18s%32s%32s   ratios: wall, memory" % ("wall s/cpu s/MiB/longest pause ms", "Debian's", "ours"))
for name, program, make in workloads:
    if options.names and not any(n in name for n in options.names):
        continue
    if not shutil.which(program):
        print("%-18s not installed" % name)
        continue
    command = make()
    if not command: # test/test-guile.sh has it
        continue
    best, expected = {}, None
    for _ in range(options.rounds if long else 1):
        for ours in (False, True):
            figures, output, status = run(command, ours)
            if expected is None:
                expected = output, status
                if status:
                    sys.exit("%s: status %d on Debian's library: %s" % (name, status, output[-300:]))
            elif (output, status) != expected:
                failed = True
                print("%-18s %s: status %d; the output differs: %r, not %r" % (
                    name, "ours" if ours else "Debian's", status, output[-200:], expected[0][-200:]))
            if ours in best:
                figures = tuple(map(min, figures[:3], best[ours][:3])) + (max(figures[3], best[ours][3]),)
            best[ours] = figures
    wall, memory = (best[True][i] / best[False][i] for i in (0, 2))
    ratios.append((wall, memory))
    print("%-18s%32s%32s   %.2f %.2f" % ((name,) + tuple("%.2f / %.2f / %d / %.2f" % best[ours] for ours in (False, True)) + (wall, memory)),
          flush=True)
if ratios:
    print("geometric means: wall %.2f, peak memory %.2f" % tuple(
        math.exp(sum(math.log(r[i]) for r in ratios) / len(ratios)) for i in (0, 1)))
shutil.rmtree(work, ignore_errors=True)
sys.exit(failed)
