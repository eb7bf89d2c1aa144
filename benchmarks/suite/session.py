"""One run of the suite: which jobs there are, in which order they run, how often, and what is shown meanwhile.

A round runs every job once, the back ends of a benchmark right after each other and in an order that moves on by one
each round, so that a slow minute of the machine falls on all of them. Everything runs once before anything runs twice; what
depends on figures (memory for the control runs, the search for equal memory) comes after the programs' first round.

Time. The back ends of a benchmark run only if what they took before, or are expected to take, fits into what is left of the
budget. Until the programs have had their LEAST rounds, the time for these is kept for them: it is the others that have
fewer rounds then, or none, and the results say which. A job that goes on GRACE_S after the budget is ended."""
import os
import statistics
import subprocess
import sys
import time

from . import clients, execute, plan
from .plan import BACKENDS, COLLECTORS, COMMON, CONTROLS, KNOBS, MODES, OPTIONAL, PROGRAMS, Job, program_job

ROUNDS = {"full": {"program": 3, "micro": 3, "scaling": 3, "client": 3, "control": 3, "equal": 3, "latency": 9, "curve": 1},
          "quick": {"program": 3, "micro": 1, "scaling": 2, "client": 1, "control": 1, "equal": 2, "latency": 9, "curve": 1},
          "tiny": {"program": 2, "micro": 1, "scaling": 1, "client": 1, "control": 1, "equal": 1, "latency": 1, "curve": 1}}
GROUPS = ["program", "micro", "scaling", "client", "control", "equal", "latency", "curve"]  # in this order
LEAST = {"full": 3, "quick": 1, "tiny": 1}  # a small run is to show that everything works
GRACE_S = 180
MICRO_BACKENDS = ["boehm", "gcdune", "gcdune-functions", "glibc", "jemalloc", "mimalloc", "boehm-current"]


class Session:
    def __init__(self, executor, records, build, top, size, budget, select):
        self.executor, self.records, self.build, self.top = executor, records, build, top
        self.size, self.budget = size, budget
        self.groups, self.programs, self.backends, self.wanted_rounds, self.large = select
        self.jobs = []
        self.began = time.monotonic()
        self.done = self.expected = 0
        self.notes = []
        self.dune = None

    # ---- What there is to run ----

    def wants(self, group, benchmark=None, backend=None):
        return (group in self.groups and (not self.programs or benchmark is None or benchmark in self.programs) and
                (not self.backends or backend is None or backend in self.backends))

    def rounds(self, group):
        return self.wanted_rounds or ROUNDS[self.size][group]

    def add(self, job):
        if not self.wants(job.group, job.benchmark.split(" ")[0] if job.group not in ("micro", "client") else None,
                          job.backend.split("@")[0]):
            return
        binary = job.command[0]
        if binary.startswith("/") and not os.path.exists(binary):
            note = "%s is not there: it was not built here" % os.path.basename(binary)
            if note not in self.notes:
                self.notes.append(note)
            return
        if job.prefix:  # Dune mode
            available, said = self.dune_mode()
            if not available:
                if said not in self.notes:
                    self.notes.append(said)
                return
            job.note = said
        job.rounds = job.rounds or self.rounds(job.group)
        self.jobs.append(job)

    def dune_mode(self):
        """Whether programs can be started in Dune mode here, and what is to be said beside their figures, or why not."""
        if self.dune is None:
            try:
                probe = subprocess.run([self.build + "/bin/dune-run", "--probe"], env=execute.environment(), text=True,
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                       timeout=60)
                available, said = probe.returncode == 0, probe.stdout.strip()
            except (OSError, subprocess.TimeoutExpired) as e:
                available, said = False, str(e)
            if not available:
                said = "no Dune mode: " + (said or "dune-run --probe says no more")
            else:
                said = "KVM: software (PVM): not evidence for hardware" if "software" in said else \
                    "KVM: not PVM (what is below it, nothing here can tell)"
            self.dune = available, said
        return self.dune

    def built(self, binary, backend):
        return os.path.exists("%s/bench/%s-%s" % (self.build, binary, BACKENDS[backend].binary))

    def job(self, name, backend, **more):
        job = program_job(self.build, self.top, self.size, name, backend, **more)
        job.rounds = 0
        return job

    def derived(self, name, backend, **more):
        """Another job of a program that has run: it takes about as long."""
        job = self.job(name, backend, **more)
        job.expects_s = max([r["took_s"] for b in COLLECTORS for r in self.runs("program", name, b)] + [0])
        return job

    def static_jobs(self):
        for name, program in PROGRAMS.items():
            backends = list(COLLECTORS if program.collectors_only else COMMON) + [b for b in OPTIONAL
                if self.built(program.binary, b)]
            if program.modes and self.size == "full":
                backends += MODES
            elif program.modes:
                backends += [] if self.size == "tiny" else ["gcdune-stw", "gcdune-generational", "gcdune-mprotect",
                                                            "boehm-incremental"]
            for backend in backends:
                job = self.job(name, backend)
                if backend in MODES:
                    job.rounds = min(3, self.rounds("program"))
                self.add(job)
        for threads in plan.SCALING:
            if threads > max(4, 2 * plan.CORES) or self.size == "tiny" and threads > 2:
                continue
            for binary, arguments in (("gcbench", {"full": 17, "quick": 16, "tiny": 8}),
                                      ("producer-consumer", {"full": 1000000, "quick": 500000, "tiny": 100})):
                for backend in ("boehm", "gcdune", "mimalloc"):
                    self.add(Job("scaling", "%s %d" % (binary, threads), backend,
                                 ["%s/bench/%s-%s" % (self.build, binary, backend), str(threads),
                                  str(arguments[self.size])],
                                 rounds=0))
        latency = getattr(plan, "LATENCY_" + self.size.upper()) + (plan.LATENCY_LARGE if self.large else [])
        for mib, operations, rate, backends, rounds in latency:
            for backend in backends:
                b = BACKENDS[backend]
                self.add(Job("latency", "live-cache %d MiB" % mib, backend,
                             ["%s/bench/live-cache-%s" % (self.build, b.binary), str(mib), str(operations), str(rate)],
                             dict(b.env), rounds=self.wanted_rounds or rounds, needs_mib=2.2 * mib, timeout=900,
                             expects_s=1.2 * operations / rate + mib / 250))
        least = {"full": "0.05", "quick": "0.02", "tiny": "0.001"}[self.size]
        for backend in MICRO_BACKENDS if self.size == "full" else ["boehm", "gcdune", "glibc", "mimalloc"]:
            if backend in OPTIONAL and not self.built("gbench", backend):
                continue
            binary = "%s/bench/gbench-%s" % (self.build, backend)
            self.micro("suite", backend, binary, least, "alloc/scanned/64/|stop/1/" if self.size == "tiny"
                       else "-^mark/")
            # Marking is compared with one marker on either side.
            if not BACKENDS[backend].frees and self.size != "tiny":
                self.micro("marking", backend, binary, least, "^mark/" if self.large else "^mark/.*/1048576/",
                           {"GCDUNE_MARKERS": "1", "GC_MARKERS": "1"})
        # The sources of the kernel, and those of Dune mode, each where programs use it.
        for backend, prefix in (("sources", []), ("dune", ["%s/bin/dune-run" % self.build])):
            self.micro("dirty", backend, "%s/bench/gbench-dirty" % self.build, least, "first_write/"
                       if self.size == "tiny" else ".", prefix=prefix)
        dune = "%s/bench/dune-micro" % self.build
        if self.size != "tiny" and self.dune_mode()[0]:
            self.add(Job("micro", "dune", "dune", [dune, "--quick"], rounds=0, kind="dune"))
        if self.size != "tiny":
            for job in clients.jobs(self.build, self.top, self.size):
                self.add(job)

    def micro(self, name, backend, binary, least, which, env=None, prefix=()):
        self.add(Job("micro", name, backend,
                     [binary, "--benchmark_min_time=" + least, "--benchmark_out=@BENCHMARK_OUT@",
                                              "--benchmark_out_format=json", "--benchmark_filter=" + which], env or {},
                     rounds=0,
                     kind="micro", prefix=list(prefix)))

    def curve_programs(self):
        return [name for name, program in PROGRAMS.items() if program.curve
                and (self.size != "tiny" or name == "hash-map")]

    def control_jobs(self):
        for name in self.curve_programs():
            allocated = [r["collector"]["allocated_mib"] for r in self.runs("program", name, "gcdune")
                         if "collector" in r]
            if not allocated:
                continue
            for backend, env in CONTROLS.items():
                job = self.derived(name, backend, group="control", extra=env)
                job.needs_mib = 1.5 * max(allocated) + 256
                self.add(job)

    def curve_jobs(self):
        for name in self.curve_programs():
            for backend, (variable, values, form) in KNOBS.items():
                if backend in OPTIONAL and not self.built(PROGRAMS[name].binary, backend):
                    continue
                if not self.large:
                    values = values[::2] if self.size != "tiny" else values[:2]
                for value in values:
                    self.add(self.derived(name, backend, group="curve", extra={variable: form % value}, label="%s@%s" %
                                          (backend, value)))

    def equal_jobs(self):
        """Searches the growth at which gcdune's peak memory is what Boehm's collector takes by default."""
        variable = KNOBS["gcdune"][0]
        for name in self.curve_programs():
            if not self.wants("equal", name):
                continue
            target = [r["rss_mib"] for r in self.runs("program", name, "boehm")]
            if not target:
                continue
            target = statistics.median(target)
            low, high, best = 10, 1000, None
            for step in range({"full": 6, "quick": 4, "tiny": 1}[self.size]):
                growth = round((low * high) ** .5) if step else 70
                job = self.derived(name, "gcdune", group="search", extra={variable: str(growth)}, label="gcdune@%d" %
                                   growth)
                if not self.fits([job], 0):
                    break
                run = self.measured(job, 0)
                if not run or "rss_mib" not in run or "failed" in run:
                    break
                rss = run["rss_mib"]
                if best is None or abs(rss - target) < abs(best[1] - target):
                    best = (growth, rss)
                if rss > target:
                    high = growth
                else:
                    low = growth
                if abs(rss - target) < .03 * target or high - low < 3:
                    break
            if best is None:
                continue
            job = self.derived(name, "gcdune", group="equal", extra={variable: str(best[0])})
            job.title = "GCDUNE_GROWTH=%d found; aim %.1f MiB" % (best[0], target)
            self.add(job)
            self.add(self.derived(name, "boehm", group="equal"))

    # ---- Running ----

    def runs(self, group, benchmark, backend):
        return [r for r in self.records.of("%s/%s/%s" % (group, benchmark, backend)) if "failed" not in r
                and "unavailable" not in r]

    def measured(self, job, round):
        """The run of the records, or a new one."""
        run = self.records.get(job.id, round)
        if run is None:
            self.show(job, round, None)
            job.timeout = max(20, min(job.timeout, int(self.budget + GRACE_S - self.elapsed())))
            run = self.executor.run(job)
            self.records.add(job.id, round, run)
            self.show(job, round, run)
        self.done += 1
        return run

    def elapsed(self):
        return time.monotonic() - self.began + self.records.seconds

    def show(self, job, round, run):
        terminal = sys.stderr.isatty()
        if run is None and not terminal:
            return
        what = "..." if run is None else run.get("failed") or run.get("unavailable") or "%.2f s, %.0f MiB" % (
            run["wall_s"], run["rss_mib"])
        bad = run is not None and ("failed" in run or "unavailable" in run)
        print("%s[%d of %d, %d:%02d] %s, round %d: %s" % (
            "\r\033[K" if terminal else "", self.done + 1, max(self.expected, self.done + 1), self.elapsed() // 60,
            self.elapsed() % 60, job.id, round + 1, what), end="" if terminal and not bad else "\n", file=sys.stderr,
              flush=True)

    def give_up(self, job):
        """A job that failed once is not run again: it would fail again and take the time of the others."""
        first = self.records.get(job.id, 0)
        return first is not None and ("failed" in first or "unavailable" in first)

    def warm_up(self):
        """Programs, libraries and data into the page cache, and the processor out of its sleep; discarded."""
        seen = set()
        for job in [j for j in self.jobs if j.group == "program"]:
            if job.command[0] not in seen and job.benchmark in PROGRAMS:
                seen.add(job.command[0])
                warm = program_job(self.build, self.top, "tiny", job.benchmark, job.backend, group="warm-up")
                warm.checks_output = False
                self.executor.run(warm)

    def expected_s(self, job, number):
        """What that run will take, as far as one can know; nothing if it is in the records."""
        if self.records.get(job.id, number) or number and self.give_up(job):
            return 0
        took = [run["took_s"] for run in (self.records.get(job.id, n) for n in range(number)) if run and "took_s" in run]
        return max(took) if took else job.expects_s

    def fits(self, jobs, number):
        """Whether there is time for those runs; always for what is in the records."""
        need = sum(self.expected_s(job, number) for job in jobs)
        if all(self.records.get(job.id, number) for job in jobs):
            return True
        kept = 0
        if not all(job.group == "program" and number < LEAST[self.size] for job in jobs):
            kept = sum(self.expected_s(job, n) for job in self.jobs if job.group == "program"
                       for n in range(min(LEAST[self.size], job.rounds)))
        return self.elapsed() + 1.1 * need + 1.25 * kept <= self.budget

    def round(self, number, jobs):
        by_benchmark = {}
        for job in jobs:
            if job.rounds > number:
                by_benchmark.setdefault((job.group, job.benchmark), []).append(job)
        for group in by_benchmark.values():
            turn = number % len(group)
            group = [job for job in group[turn:] + group[:turn] if number == 0 or not self.give_up(job)]
            if self.fits(group, number):
                for job in group:
                    if self.elapsed() <= self.budget or self.records.get(job.id, number):
                        self.measured(job, number)

    def run(self):
        self.static_jobs()
        self.expected = len(self.jobs) + 1
        if not self.records.resumed:
            self.warm_up()
        for group in GROUPS:
            if group in ("control", "equal", "curve") and group in self.groups:
                getattr(self, group + "_jobs")()
            self.round(0, [job for job in self.jobs if job.group == group])
        self.expected = self.done + sum(max(0, job.rounds - 1) for job in self.jobs if not self.give_up(job))
        for number in range(1, max([job.rounds for job in self.jobs] + [0])):
            for group in GROUPS:
                self.round(number, [job for job in self.jobs if job.group == group])
        self.tell_time()
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr)
        return self.jobs

    def tell_time(self):
        """What there was no time for, as notes of the results."""
        fewer, none = {}, []
        for job in self.jobs:
            had = len(self.records.of(job.id))
            if had == 0:
                none.append("%s/%s" % (job.group, job.benchmark))
            elif had < job.rounds and not self.give_up(job):
                least, most = fewer.get(job.group, (99, 0))
                fewer[job.group] = min(least, had), max(most, job.rounds)
        if fewer:
            self.notes.append("the time was up before all rounds of: " + ", ".join(
                "%s (%d of %d at least)" % (group, had, planned) for group, (had, planned) in sorted(fewer.items())))
        if none:
            self.notes.append("there was no time for: " + ", ".join(dict.fromkeys(none)))
