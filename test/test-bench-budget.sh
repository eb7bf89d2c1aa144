#!/bin/bash
# test-bench-budget - the time that a run of the benchmark suite takes, with a clock and programs that are made up: it keeps to its
# budget on machines of any speed; programs have three rounds before anything else has time for more; what there was no
# time for is told; one that fails, or hangs, does not end the run; one that was interrupted anywhere goes on, runs nothing
# twice, and comes to the same.
#
# TEST-FLAGS: once=yes
set -u
command -v python3 >/dev/null || { echo 'SKIP: no python3'; exit 77; }
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
SUITE=$SRC/benchmarks python3 -B - 2>progress <<'END' || { tail -3 progress; exit 1; }
import os, random, sys, zlib
sys.path.insert(0, os.environ["SUITE"])
from suite import plan, records, session

def check(what, ok):
    if not ok:
        sys.exit("FAILED: %s" % (what,))

class Clock:
    now = 0.0
    def monotonic(self):
        return self.now
clock = session.time = Clock()
session.clients.shutil.which = lambda name: "/usr/bin/" + name

class Interrupt(Exception):
    pass

class Executor:
    """A job takes between half a second and two and a half, by its name; latency what its rate says; all of it SLOW times as long."""
    def __init__(self, slow, bad=(), hangs=(), runs=10**9):
        self.slow, self.bad, self.hangs, self.left, self.ran = slow, bad, hangs, runs, []
    def run(self, job):
        if self.left == 0:
            raise Interrupt
        self.left -= 1
        self.ran.append(job.id)
        took = .5 + zlib.crc32(job.id.encode()) % 2000 / 1000
        if job.group == "latency":
            took = float(job.command[2]) / float(job.command[3]) + float(job.command[1]) / 300
        if job.group == "warm-up":
            took = .03
        took *= self.slow
        if job.id in self.hangs:
            took = 1e9
        clock.now += min(took, job.timeout)
        if took > job.timeout:
            return {"failed": "did not end in time", "took_s": job.timeout}
        if job.id in self.bad:
            return {"failed": "exit status 1", "took_s": took}
        return {"wall_s": took, "rss_mib": 10.0 + .1 * took, "took_s": took, "collector": {"allocated_mib": 100}}

def suite(budget, executor, name, resumed=False, large=False, size="full"):
    started = clock.now
    s = session.Session(executor, records.Records(name, "key"), "nowhere", "top", size, budget, (session.GROUPS, [], [], None, large))
    check("resumed", s.records.resumed == resumed)
    before = s.records.seconds
    try:
        s.run()
    except Interrupt:
        s.records.file.close()
        return None
    s.records.finish()
    s.took = clock.now - started + before
    return s

def rounds(s, group):
    return [len(s.records.of(j.id)) for j in s.jobs if j.group == group]

for slow in (.2, .5, 1, 2, 4, 8, 40):
    for size, budget in (("full", 1140), ("full", 3600), ("quick", 270)):
        s = suite(budget, Executor(slow), "%s-%g-%d" % (size, slow, budget), size=size)
        check("slow %g, %s: took %.0f s of %d" % (slow, size, s.took, budget), s.took <= budget + 30 * max(1, slow))
        once = sum(zlib.crc32(j.id.encode()) % 2000 / 1000 + .5 for j in s.jobs if j.group == "program") * slow
        warm = .01 * budget
        if 3.5 * once + warm < budget and size == "full":
            check("slow %g, %s %d: programs %s" % (slow, size, budget, rounds(s, "program")), min(rounds(s, "program")) == 3)
        if size == "quick" and slow <= .2:
            check("a small run leaves something out: %s" % s.notes, not [j.id for j in s.jobs if not s.records.of(j.id)])
        told = " ".join(s.notes)
        for j in s.jobs:
            had = len(s.records.of(j.id))
            check("%s had %d of %d rounds: %s" % (j.id, had, j.rounds, told), had == j.rounds or
                  had > 0 and "%s (" % j.group in told or "%s/%s" % (j.group, j.benchmark) in told)
s = suite(1e9, Executor(1), "enough")
check("with time for all", all(len(s.records.of(j.id)) == j.rounds for j in s.jobs) and "time" not in " ".join(s.notes))
check("three rounds of all that is compared", all(n >= 3 for g in ("program", "micro", "scaling", "client", "control", "equal") for n in rounds(s, g)))
check("every group", all(rounds(s, g) for g in session.GROUPS))
check("large", len(suite(1e9, Executor(1), "large", large=True).jobs) > len(s.jobs))

# What fails is run once, and everything else as if nothing had been.
bad = ["program/graph/gcdune", "latency/live-cache 1024 MiB/boehm", "micro/suite/gcdune"]
t = suite(1e9, Executor(1, bad), "bad")
for j in s.jobs:
    n = len(t.records.of(j.id))
    check("%s: %d rounds" % (j.id, n), n == 1 if j.id in bad else n == j.rounds or j.benchmark == "graph" and j.group != "program")
t = suite(1200, Executor(.3, (), ["program/graph/gcdune", "program/cells-build/glibc"]), "hangs")
check("hangs: took %.0f s" % t.took, t.took < 1200 + session.GRACE_S + 60)
t = suite(100, Executor(.01, (), ["program/gcbench/boehm"]), "hangs at once")
check("a hang at once: took %.0f s" % t.took, t.took < 100 + session.GRACE_S + 60)

# Interrupted anywhere.
whole = Executor(.6)
s = suite(1200, whole, "whole")
warm = [r for r in whole.ran if r.startswith("warm-up/")]
rng = random.Random(3)
for stop in [len(warm) + 1, len(whole.ran) - 1] + [rng.randrange(len(warm) + 1, len(whole.ran)) for _ in range(8)]:
    first, second = Executor(.6, runs=stop), Executor(.6)
    name = "cut-%d" % stop
    check("interrupted", suite(1200, first, name) is None)
    t = suite(1200, second, name, resumed=True)
    check("cut at %d: it ran %d and %d, not %d" % (stop, len(first.ran), len(second.ran), len(whole.ran)),
          abs(len(first.ran) + len(second.ran) - len(whole.ran)) <= 12)
    check("twice", len(t.records.runs) == len(first.ran) + len(second.ran) - len(warm))
    check("took %.0f" % t.took, t.took <= 1200 + 60)
    check("programs", min(rounds(t, "program")) == 3)
print("all as expected")
END
