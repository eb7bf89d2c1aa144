#!/usr/bin/env python3
"""dropin - Debian's programs that use libgc, not rebuilt, on Debian's library and on ours.

        dropin.py [--short] [--check N] [--bound] [--rounds N] [--fresh] [--publish] BUILD [NAME...]
                                                        make bench-dropin, make check-dropin, test/test-dropin.sh

Each workload runs N times (default 5) on each library, in turn, and which comes first alternates; its output must always
be the same. Prints medians of wall and processor time and of peak memory, the median and the worst of the longest pauses,
and geometric means of the ratios; all is also in BUILD/bench/dropin.json, and --publish writes docs/dropin.json and
docs/dropin.md. Runs that are in the file and were made with the same library and script are not made again.

--short: small workloads, once, for the test. --check N: middle ones, N times on ours, once on Debian's: only the output
counts. A program that is not installed is left out, and the table says so.

--bound: what ratio a collector that costs nothing would reach: each runs N times on Debian's library under perf, and
prints what share of the time is spent outside of it (bound())."""
import argparse
import glob
import hashlib
import json
import math
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys

sys.dont_write_bytecode = True
from suite import clients  # noqa: E402

parser = argparse.ArgumentParser()
parser.add_argument("--short", action="store_true")
parser.add_argument("--check", type=int, metavar="N")
parser.add_argument("--bound", action="store_true")
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--fresh", action="store_true")
parser.add_argument("--publish", action="store_true")
parser.add_argument("build")
parser.add_argument("names", nargs="*")
options = parser.parse_args()
build = os.path.abspath(options.build)
top = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
here = top + "/test/dropin/"
observer = build + "/bench/observe-bdw.so"
work = build + "/bench/work/dropin" + ("-short" if options.short else "-check" if options.check else "-bound" if options.bound else "")
shutil.rmtree(work, ignore_errors=True)
os.makedirs(work)
base = {k: v for k, v in os.environ.items() if not k.startswith(("GC_", "GCDUNE_", "LD_"))}
base |= {"HOME": work, "XDG_CACHE_HOME": work + "/cache", "GUILE_AUTO_COMPILE": "0", "CRYSTAL_CACHE_DIR": work + "/crystal",
         "TERM": "dumb", "TZ": "UTC", "LC_ALL": "C.UTF-8"}


def amount(long, short, check=None):
    """How much, in the timed run, the test's, and a correctness run."""
    return short if options.short else (check or max(short, long // 5)) if options.check else long


def prepare(command):
    subprocess.run(command, env=base, cwd=work, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def w3m():
    return ["w3m", "-dump", "-T", "text/html", "-cols", "120", clients.page(work + "/page.html", amount(32000, 600))]


def guile_modules():
    """Several modules, each compiled and loaded."""
    files = [work + "/module%d.scm" % i for i in range(amount(4, 1, 2))]
    for path in files:
        clients.guile_module(path, amount(250, 60, 100))
    return ["guile-3.0", "-c", "(use-modules (system base compile)) " + " ".join(
        '(compile-file "%s" #:output-file "%s.go") (load-compiled "%s.go") (write (f7 20))' % (f, f, f) for f in files)]


def guile(name, argument):
    """A program, compiled on Debian's library."""
    compiled = work + "/" + name + ".go"
    prepare(["guile-3.0", "-c", '(use-modules (system base compile)) (compile-file "%s" #:output-file "%s")' % (here + name, compiled)])
    return ["guile-3.0", "-c", '(set-program-arguments (list "x" "%d")) (load-compiled "%s")' % (argument, compiled)]


def ecl(form):
    return ["ecl", "--norc", "--load", here + "gcbench.lisp", "--load", here + "parts.lisp", "--eval", "(progn %s (si:exit 0))" % form]


def ecl_compile():
    """The compiler's own part; the C compiler, which does not use libgc, is not called."""
    with open(work + "/module.lisp", "w") as f:
        for i in range(amount(800, 40)):
            f.write("(defun f%d (x y) (let ((acc nil)) (dotimes (i x) (push (cond ((oddp i) (list i :odd y)) ((> i %d) (vector i \"s%d\"))"
                    " (t (lambda (z) (+ z i y)))) acc)) (handler-case (reduce #'max (mapcar (lambda (e) (if (consp e) (car e) 0)) acc))"
                    " (error () %d))))\n" % (i, i, i, i))
    out = " ".join(':%s-file "%s/module.%s"' % (kind, work, end) for kind, end in (("c", "c"), ("h", "h"), ("data", "data"), ("output", "o")))
    return ["ecl", "--norc", "--eval", '(progn (require :cmp) (setf c::*cc* "true") (handler-case (compile-file "%s/module.lisp" %s'
            ' :system-p t :verbose nil :print nil) (error () nil)) (print (with-open-file (s "%s/module.c") (file-length s))) (si:exit 0))'
            % (work, out, work)]


def neko():
    shutil.copy(here + "work.neko", work)
    prepare(["nekoc", work + "/work.neko"])
    return ["neko", work + "/work.n", str(amount(3000, 4))]


def crystal(name, n, *flags):
    """Built as one would to use it; the test saves the quarter of a minute that takes."""
    prepare(["crystal", "build", "--no-debug", *([] if options.short else ["--release"]), *flags, "-o", work + "/" + name, here + "work.cr"])
    return [work + "/" + name, str(n)]


def crystal_compiler():
    """Its front end, on a program that requires most of the standard library, several times over."""
    path = work + "/wide.cr"
    with open(path, "w") as f:
        f.write("".join('require "%s"\n' % name for name in (
            ["json"] if options.short else ["json", "yaml", "http/server", "http/client", "xml", "csv", "oauth2", "big", "ecr"])))
        for i in range(amount(700, 5)):
            f.write("class C%d\n  include JSON::Serializable\n  property a : Int32 = %d, b : Hash(String, Array(Int32)) = {} of String => "
                    "Array(Int32)\n  def go\n    (1..%d).map { |x| {x, x.to_s} }.to_h.select { |k, v| k.odd? }.to_json\n  end\nend\n"
                    "puts C%d.from_json(%%({\"a\": 1})).go, C%d.from_json(%%({})).to_json\n" % (i, i, i + 1, i, i))
    return ["crystal", "build", "--no-codegen", path]


def parser3():
    shutil.copy(here + "work.p", work)
    return ["env", "N=%d" % amount(300, 3), "parser3", work + "/work.p"]


def poke():
    n = amount(720000, 500)
    return ["poke", "-q", "-l", here + "work.pk", "-c", 'printf ("%%i64d %%i32d %%u64d\\n", records (%d), fib (%d), grown (2000));'
            % (n, amount(24, 10, 20))]


def lilypond():
    with open(work + "/music.ly", "w") as f:
        f.write('\\version "2.22.0"\n\\score { \\new PianoStaff << \\new Staff \\relative c\' { \\repeat unfold %d { c8 d e f g a b c | '
                'c, e g c e, g c e, | <c e g>4 r8 f16 g a4-. \\trill b | } } \\new Staff \\relative c { \\clef bass \\repeat unfold %d '
                '{ c4 g\' e c } } >> \\layout {} }\n' % (amount(15, 2, 4), amount(45, 6, 12)))
    return ["lilypond", "--loglevel=WARN", "--svg", "-o", work + "/music", work + "/music.ly"]


nix = ["nix-instantiate", "--eval", "--strict", "--arg", "n", str(amount(240, 2)), here + "work.nix"]
workloads = [
    ("guile: compile modules", "guile-3.0", guile_modules),
    ("guile: GCBench", "guile-3.0", lambda: guile("gcbench.scm", amount(19, 8, 16))),
    ("guile: threads, guardians, weak", "guile-3.0", lambda: guile("threads.scm", amount(320000, 500, 40000))),
    ("guile: six programs", "guile-3.0", lambda: None if options.short else ["guile-3.0", top + "/benchmarks/guile-alloc.scm"]),
    ("ecl: compile", "ecl", ecl_compile),
    ("ecl: conses", "ecl", lambda: ecl("(part 'cons %d)" % amount(200, 2))),
    ("ecl: sorting", "ecl", lambda: ecl("(part 'sort %d)" % amount(300, 2))),
    ("ecl: trees", "ecl", lambda: ecl("(part 'trees %d)" % amount(500, 4))),
    ("ecl: threads", "ecl", lambda: ecl("(part 'threads %d)" % amount(160, 2))),
    ("ecl: weak tables", "ecl", lambda: ecl("(part 'weak %d)" % amount(280, 2))),
    ("ecl: finalizers", "ecl", lambda: ecl("(part 'finals %d)" % amount(1250, 2))),
    ("ecl: all of it", "ecl", lambda: ecl("(run %d)" % amount(190, 8))),
    ("nix-instantiate", "nix-instantiate", lambda: nix),
    ("crystal: the compiler", "crystal", crystal_compiler),
    ("crystal: fibers, channels", "crystal", lambda: crystal("work", amount(600, 3))),
    ("crystal: preview_mt", "crystal", lambda: crystal("workmt", amount(150, 2), "-Dpreview_mt")),
    ("w3m", "w3m", w3m),
    ("neko", "neko", neko),
    ("asymptote", "asy", lambda: ["asy", "-noV", "-u", "rounds=%d;" % amount(180, 2), here + "work.asy"]),
    ("parser3", "parser3", parser3),
    ("poke", "poke", poke),
    ("lilypond", "lilypond", lilypond),
]


def told_by(path):
    """What GCDUNE_STATS (ours) or observe-bdw.c (from Boehm's collection events) has of the run; nothing if the program told nothing."""
    try:
        report = json.load(open(path))
    except (OSError, ValueError):
        return {"pause_ms": None, "allocated_mib": None}
    allocated = report.get("bytes_allocated")
    return {"pause_ms": report["pause_max_ns"] / 1e6, "allocated_mib": allocated and allocated / 2**20}


def run(command, ours):
    report = work + "/report.json"
    if os.path.exists(report):
        os.remove(report)
    env = ["env"]
    if ours:
        env += ["LD_LIBRARY_PATH=" + build + "/lib", "GCDUNE_STATS=" + report]
    elif os.path.exists(observer):
        env += ["LD_PRELOAD=" + observer, "BENCH_REPORT=" + report]
    limit = max(60, expected_wall * 20) if expected_wall else 600
    # Not made by this process, whose peak memory it would start out with (measure.c); nor may `measure' load our library.
    told = subprocess.run([build + "/bench/measure", "-t", "%d" % limit, "-o", work + "/out", "sh", "-c", 'exec "$@" 2>&1', "sh"]
                          + env + command, env=base, cwd=work, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True)
    figures = json.loads(told.stdout)
    if figures["timed_out"]:
        print("  hangs: killed after %.0f s" % limit)
    output = open(work + "/out", "rb").read()
    return ({"wall_s": figures["wall_s"], "cpu_s": figures["user_s"] + figures["system_s"], "peak_mib": figures["rss_kib"] / 1024,
             **told_by(report)}, output, figures["status"] or figures["signal"])


# ---- What is not the collector's ----

# What the collector calls in libc. The program's own calls of it are taken for the collector's: the bound is a lower one.
COLLECTORS = re.compile("memset|pthread_mutex|lll_lock|pthread_kill|sigsuspend|sem_|madvise|mprotect|mmap|munmap")


def bound(name, command):
    """Where each thread is, by 1000 samples in a second of its processor time: in libgc.so.1, in what that calls in libc, in
    the kernel beneath both (page faults, calls); or outside. The bound of wall time is the part outside of the thread that
    is there longest, the bound of processor time that of all threads."""
    data = work + "/perf.data"
    subprocess.run(["perf", "record", "-q", "-F", "1000", "-e", "cpu-clock", "-g", "-o", data] + command, env=base, cwd=work, check=True,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    script = subprocess.Popen(["perf", "script", "-i", data, "-F", "pid,tid,time,ip,sym,dso"], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True, errors="replace")
    threads, times = {}, None
    for line in script.stdout: # a line for each sample, then the calls, innermost first, each after a tab; an empty line
        if line[0] not in "\t\n":
            times = threads.setdefault(line.split()[0], {"inside": 0, "outside": 0})
        elif times and line.strip() and "([kernel" not in line and "[vdso]" not in line:
            symbol, library = line.split(None, 1)[1].rsplit(" (", 1)
            inside = "libgc.so" in library or "/libc.so" in library and COLLECTORS.search(symbol)
            times["inside" if inside else "outside"] += 1
            times = None
    script.wait()
    longest = max(threads.values(), key=lambda t: t["outside"])
    return [t["outside"] / (t["outside"] + t["inside"]) for t in (
        longest, {place: sum(t[place] for t in threads.values()) for place in ("inside", "outside")})]


# ---- Results: kept after each run, so that an interrupted comparison goes on ----

def fingerprint():
    digest = hashlib.sha256()
    for path in sorted([build + "/lib/libgc.so.1", os.path.abspath(__file__)] + glob.glob(here + "*")):
        digest.update(open(path, "rb").read())
    return digest.hexdigest()


def version(program):
    path = shutil.which(program)
    package = subprocess.run(["dpkg-query", "-S", os.path.realpath(path)], capture_output=True, text=True).stdout.split(":")[0]
    return subprocess.run(["dpkg-query", "-W", package], capture_output=True, text=True).stdout.strip().replace("\t", " ") if package else ""


timed = not options.short and not options.check and not options.bound
kept_path = build + "/bench/dropin.json"
results = {"fingerprint": fingerprint(), "machine": "%d processors, Linux %s" % (os.cpu_count(), platform.release()), "workloads": {}}
if timed and not options.fresh:
    try:
        earlier = json.load(open(kept_path))
        if earlier["fingerprint"] == results["fingerprint"]:
            results = earlier
    except (OSError, ValueError, KeyError):
        pass


def keep():
    with open(kept_path + ".new", "w") as f:
        json.dump(results, f, indent=1)
    os.rename(kept_path + ".new", kept_path)


def middle(runs, figure):
    values = [r[figure] for r in runs if r[figure] is not None]
    return statistics.median(values) if values else None


def worst(runs):
    return max((r["pause_ms"] for r in runs if r["pause_ms"] is not None), default=None)


def shown(value, form):
    return "-" if value is None else form % value


def rate(name):
    """MiB that the program asks for in a second (by our library's count, which rounds sizes up), with the library that is faster."""
    one = results["workloads"][name]
    allocated = middle(one["ours"], "allocated_mib")
    return allocated and allocated / min(middle(one[side], "wall_s") for side in ("debian", "ours"))


def columns(name):
    cells = [name, shown(rate(name), "%.0f")]
    for side in ("debian", "ours"):
        runs = results["workloads"][name][side]
        cells += [shown(middle(runs, "wall_s"), "%.2f"), shown(middle(runs, "cpu_s"), "%.2f"), shown(middle(runs, "peak_mib"), "%.0f"),
                  shown(middle(runs, "pause_ms"), "%.2f"), shown(worst(runs), "%.2f")]
    return cells + ["%.2f" % ratio(name, figure) for figure in ("wall_s", "cpu_s", "peak_mib")]


def ratio(name, figure):
    one = results["workloads"][name]
    return middle(one["ours"], figure) / middle(one["debian"], figure)


HEAD = ["", "MiB/s", "wall s", "CPU s", "MiB", "pause ms", "worst", "wall s", "CPU s", "MiB", "pause ms", "worst", "wall", "CPU", "memory"]
HEAVY = 50 # MiB/s: who allocates less has little that a collector could do better


def means(names):
    return ["%.2f" % math.exp(statistics.mean(math.log(ratio(n, figure)) for n in names)) for figure in ("wall_s", "cpu_s", "peak_mib")]


def heavy(names):
    return [n for n in names if (rate(n) or 0) >= HEAVY]


def publish(names):
    shutil.copy(kept_path, top + "/docs/dropin.json")
    page = open(top + "/docs/dropin.md").read()
    before, rest = page.split("<!-- make bench-dropin PUBLISH=1 -->\n")
    after = rest[rest.index("<!-- end -->"):]
    with open(top + "/docs/dropin.md", "w") as f:
        f.write(before + "<!-- make bench-dropin PUBLISH=1 -->\n")
        f.write("By `make bench-dropin` (docs/benchmarks.md): %s; medians of %d to %d runs of each, in "
                "turn; load %.1f before the runs (median). Column 2 is what the program allocates in a second, columns 3 to 7 are Debian's "
                "library, 8 to 12 ours, then ratios, ours to Debian's.\n\n" % (
                    results["machine"], *(f(len(results["workloads"][n]["ours"]) for n in names) for f in (min, max)),
                    statistics.median(r["load"] for n in names for r in results["workloads"][n]["ours"])))
        f.write("| %s |\n|%s\n" % (" | ".join(HEAD), "---|" * len(HEAD)))
        for name in names:
            f.write("| %s |\n" % " | ".join(columns(name)))
        f.write("| geometric mean |" + " |" * 11 + " %s |\n" % " | ".join(means(names)))
        if heavy(names):
            f.write("| of those that allocate %d MiB/s or more |%s %s |\n" % (HEAVY, " |" * 11, " | ".join(means(heavy(names)))))
        f.write(after)


# ---- The runs ----

failed, expected_wall, ready, expected, missing = False, None, {}, {}, []
chosen = [w for w in workloads if not options.names or any(n in w[0] for n in options.names)]


def once(name, command, ours):
    """One run, its output compared with the first on Debian's library. Its figures, or None."""
    global failed, expected_wall
    before = expected.get(name)
    expected_wall = before and before[2]
    load = os.getloadavg()[0]
    figures, output, status = run(command, ours)
    if before is None:
        expected[name] = output, status, figures["wall_s"]
        if status:
            sys.exit("%s: status %d on Debian's library: %s" % (name, status, output[-300:]))
    elif (output, status) != before[:2]:
        failed = True
        print("%s %s: status %d; the output differs: %r, not %r" % (name, "ours" if ours else "Debian's", status, output[-300:], before[0][-200:]),
              flush=True)
        return None
    return dict(figures, load=load)


for name, program, make in chosen:
    if not shutil.which(program):
        missing.append(name)
        continue
    command = make()
    if command: # the test of Guile has more of it
        ready[name] = command
        results["workloads"].setdefault(name, {"package": version(program), "debian": [], "ours": []})
if options.bound:
    bounds = {}
    for name, command in ready.items():
        runs = [bound(name, command) for _ in range(options.rounds)]
        bounds[name] = [statistics.median(r[i] for r in runs) for i in (0, 1)]
        print("| %s | %.2f | %.2f |" % (name, *bounds[name]), flush=True)
    print("| geometric mean | %.2f | %.2f |" % tuple(
        math.exp(statistics.mean(math.log(b[i]) for b in bounds.values())) for i in (0, 1)))
elif not timed:
    for name, command in ready.items():
        once(name, command, False)
        good = sum(once(name, command, True) is not None for _ in range(options.check or 1))
        print("%-34s %d of %d" % (name, good, options.check or 1), flush=True)
else:
    for number in range(options.rounds):
        for name, command in ready.items():
            one = results["workloads"][name]
            if min(len(one["debian"]), len(one["ours"])) > number:
                continue
            if name not in expected: # also warms the files up
                once(name, command, False)
            for ours in ((False, True) if number % 2 == 0 else (True, False)):
                side = one["ours" if ours else "debian"]
                figures = once(name, command, ours) if len(side) <= number else None
                if figures:
                    side.append(figures)
                    keep()
            print("round %d  %-34s %s" % (number + 1, name, "wall %.2f, memory %.2f" % (ratio(name, "wall_s"), ratio(name, "peak_mib"))
                                          if one["ours"] and one["debian"] else "-"), flush=True)
    done = [n for n in ready if results["workloads"][n]["ours"] and results["workloads"][n]["debian"]]
    if done:
        form = "%-34s%6s" + "%8s%8s%6s%9s%8s  " * 2 + "%7s%7s%8s"
        print("\n%-40s%-41s%-41s%s" % ("", "Debian's library", "ours", "ratios"))
        for cells in [HEAD] + [columns(n) for n in done]:
            print(form % tuple(cells))
        print("geometric means: wall %s, processor time %s, peak memory %s" % tuple(means(done)))
        if heavy(done):
            print("of those that allocate %d MiB/s or more: %s, %s, %s" % (HEAVY, *means(heavy(done))))
        print("pause: the longest of a run, median of the runs; worst: of all")
        if options.publish:
            publish(done)
for name in missing:
    print("%-34s not installed" % name)
shutil.rmtree(work, ignore_errors=True)
sys.exit(failed)
