"""What there is to run: back ends, programs with their sizes, and the jobs that one run of the suite consists of.

A back end is a name, the suffix of the binaries that it uses, and an environment. To add one: a line in BACKENDS, and, if it
needs binaries of its own, flags and libraries in module.mk. To add a program: a line in PROGRAMS and its name in
module.mk. Nothing else knows of either."""
import os
from dataclasses import dataclass, field

CORES = len(os.sched_getaffinity(0))


@dataclass(frozen=True)
class Backend:
    binary: str
    env: dict
    title: str
    frees: bool = False  # malloc and free, by hand
    source: str = None   # the dirty source that the collector must report for a run to count
    dune: bool = False   # started by dune-run


BACKENDS = {
    "gcdune": Backend("gcdune", {}, "gcdune"),
    "gcdune-functions": Backend("gcdune-functions", {}, "gcdune, no inline allocation"),
    "gcdune-stw": Backend("gcdune", {"GCDUNE_MODE": "stw"}, "gcdune, stopped while marking"),
    "gcdune-generational": Backend("gcdune", {"GCDUNE_MODE": "generational"}, "gcdune, generational"),
    "gcdune-uffd": Backend("gcdune", {"GCDUNE_DIRTY": "uffd"}, "gcdune, userfaultfd", source="uffd"),
    "gcdune-softdirty": Backend("gcdune", {"GCDUNE_DIRTY": "softdirty"}, "gcdune, soft-dirty", source="softdirty"),
    "gcdune-mprotect": Backend("gcdune", {"GCDUNE_DIRTY": "mprotect"}, "gcdune, mprotect", source="mprotect"),
    "gcdune-dune": Backend("gcdune", {"GCDUNE_DIRTY": "dune"}, "gcdune, Dune mode", source="dune", dune=True),
    "gcdune-dune-fault": Backend("gcdune", {"GCDUNE_DIRTY": "dune-fault"}, "gcdune, Dune mode's faults",
                                 source="dune-fault", dune=True),
    "gcdune-always": Backend("gcdune", {"GCDUNE_DIRTY": "always"}, "gcdune, no dirty source", source="always"),
    "boehm": Backend("boehm", {}, "Boehm"),
    "boehm-one": Backend("boehm", {"GC_MARKERS": "1"}, "Boehm, one marker"),
    "boehm-parallel": Backend("boehm", {"GC_MARKERS": str(max(2, CORES))}, "Boehm, parallel marking"),
    "boehm-incremental": Backend("boehm", {"GC_ENABLE_INCREMENTAL": "1"}, "Boehm, incremental"),
    "boehm-current": Backend("boehm-current", {}, "Boehm, from --with-bdwgc"),
    "whippet": Backend("whippet", {}, "Whippet, from --with-whippet"),
    "glibc": Backend("glibc", {}, "glibc malloc", frees=True),
    "jemalloc": Backend("jemalloc", {}, "jemalloc", frees=True),
    "mimalloc": Backend("mimalloc", {}, "mimalloc", frees=True),
}
# Controls: the same binary, told never to collect. What is left is the cost of allocation and of memory.
CONTROLS = {"gcdune": {"GCDUNE_HEAP_INITIAL": "64G"}, "boehm": {"GC_DONT_GC": "1"}}
# How a collector is told to use less or more memory: a variable, values from least to most, and what the variable is made of.
KNOBS = {
    "gcdune": ("GCDUNE_GROWTH", [10, 20, 35, 70, 150, 300, 700], "%s"),
    "boehm": ("GC_FREE_SPACE_DIVISOR", [40, 20, 10, 5, 3, 2, 1], "%s"),
    "boehm-current": ("GC_FREE_SPACE_DIVISOR", [40, 20, 10, 5, 3, 2, 1], "%s"),
    "whippet": ("WHIPPET_OPTIONS", [1.1, 1.2, 1.4, 1.7, 2.5, 4, 8],
                "heap-size-policy=growable,heap-size=4194304,heap-expansiveness=%s"),
}

COMMON = ["boehm", "gcdune", "glibc", "jemalloc", "mimalloc"]
COLLECTORS = ["boehm", "gcdune"]
MODES = ["gcdune-functions", "gcdune-stw", "gcdune-generational", "gcdune-uffd", "gcdune-softdirty", "gcdune-mprotect",
         "gcdune-dune",
         "gcdune-dune-fault", "gcdune-always", "boehm-one", "boehm-parallel", "boehm-incremental"]
OPTIONAL = ["boehm-current", "whippet"]  # where configure was told of their sources; on every program


@dataclass(frozen=True)
class Program:
    binary: str
    what: str
    full: list
    quick: list
    tiny: list  # for warming up, and for tests
    collectors_only: bool = False
    modes: bool = False  # also run on MODES
    curve: bool = False  # also time against memory, and at equal memory
    timed: bool = True   # its wall time is its own, not that of a clock it waits for
    data: str = None     # a file under benchmarks/ that is the first argument


PROGRAMS = {
    "gcbench": Program("gcbench", "short- and long-lived trees (Ellis, Kovac, Boehm)", [1, 18], [1, 17], [1, 8],
                       modes=True,
                       curve=True),
    "gcbench-mt2": Program("gcbench", "the same work divided among 2 threads", [2, 18], [2, 17], [2, 8]),
    "gcbench-mt4": Program("gcbench", "the same work divided among 4 threads", [4, 18], [4, 17], [4, 8]),
    "binary-trees": Program("binary-trees", "trees of 16-byte cells", [18], [16], [7], curve=True),
    "linked-list": Program("linked-list", "long lists, sorting, a queue", [300000, 4], [200000, 3], [1000, 1],
                           curve=True),
    "hash-map": Program("hash-map", "string keys, mixed values, churn", [300000, 1500000], [150000, 800000],
                        [500, 1000],
                        modes=True, curve=True),
    "xml-parse": Program("xml-parse", "expat and a document tree on the heap", [40], [15], [1],
                         data="/usr/share/mime/packages/freedesktop.org.xml"),
    "live-cache": Program("live-cache", "256 MiB live, random replacement", [256, 600000], [64, 300000], [1, 1000],
                          modes=True,
                          curve=True),
    "large-arrays": Program("large-arrays", "arrays of 16 KiB to 4 MiB, replaced and grown", [128, 6000], [64, 1500],
                            [4, 10]),
    "string-churn": Program("string-churn", "text made, joined, split", [60000, 4000], [15000, 2000], [50, 10]),
    "fibers": Program("fibers", "800 stacks, half of the roots on them", [400, 6000], [200, 2000], [4, 8]),
    "lisp-queens": Program("lisp", "an interpreter: n queens as lists", [10], [8], [4], True, data="lisp/queens.lisp"),
    "lisp-derive": Program("lisp", "an interpreter: symbolic derivatives", [3000], [800], [3], True,
                           data="lisp/derive.lisp"),
    "lisp-sort": Program("lisp", "an interpreter: sorting, search trees", [12000], [4000], [20], True, curve=True,
                         data="lisp/sort.lisp"),
    "graph": Program("graph", "stores scattered all over the heap (adverse)", [1200000, 4000000], [400000, 1500000],
                     [160, 1000],
                     modes=True, curve=True),
    "idle-heap": Program("idle-heap", "a large heap, little allocation", [384, 3], [192, 2], [1, 0], timed=False),
    "cells-build": Program("cells", "lists of 16-byte cells: their memory", ["build"], ["build", 2000000],
                           ["build", 1000]),
    "cells-churn": Program("cells", "the same, replaced three times", ["churn"], ["churn", 1000000], ["churn", 1000]),
    "producer-consumer": Program("producer-consumer", "made in one thread, dropped in another", [1, 2000000],
                                 [1, 800000], [1, 100]),
}

# Live size in MiB, operations, operations a second, back ends, rounds.
LATENCY_FULL = [
    (256, 2000000, 200000, ["boehm", "gcdune", "gcdune-stw", "boehm-incremental", "mimalloc"], 3),
    (1024, 5000000, 250000, ["boehm", "gcdune", "gcdune-stw", "mimalloc"], 3),
    (4096, 12000000, 300000, COLLECTORS, 2),
]
LATENCY_LARGE = [(8192, 12000000, 200000, COLLECTORS, 1)]
LATENCY_QUICK = [(128, 700000, 150000, ["boehm", "gcdune", "gcdune-stw", "boehm-incremental", "mimalloc"], 1),
                 (512, 1200000, 150000, COLLECTORS, 1)]
LATENCY_TINY = [(2, 2000, 100000, ["boehm", "gcdune", "glibc"], 1)]
SCALING = [1, 2, 4, 8]


@dataclass
class Job:
    """One command, and where its figures belong. The id names a row of the results."""
    group: str
    benchmark: str
    backend: str
    command: list
    env: dict = field(default_factory=dict)
    rounds: int = 1
    kind: str = "program"  # program, micro, dune: how figures are read
    timeout: int = 240
    needs_mib: float = 0   # memory
    checks_output: bool = True
    title: str = ""
    prefix: list = field(default_factory=list)  # what starts the command: dune-run
    note: str = ""         # what is to be said beside the figures
    expects_s: float = 0   # what it is expected to take, if it has not run yet

    @property
    def id(self):
        return "%s/%s/%s" % (self.group, self.benchmark, self.backend)


def program_job(build, top, size, name, backend, group="program", extra=None, label=None):
    program, b = PROGRAMS[name], BACKENDS[backend]
    args = [str(a) for a in getattr(program, size)]
    if program.data:
        args.insert(0, os.path.join(top, "benchmarks", program.data))
    return Job(group, name, label or backend, ["%s/bench/%s-%s" % (build, program.binary, b.binary)] + args,
               dict(b.env, **(extra or {})), title=program.what, prefix=["%s/bin/dune-run" % build] if b.dune else [])
