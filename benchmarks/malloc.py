#!/usr/bin/env python3
"""malloc - programs that are not rebuilt on libgcdune-malloc.so, glibc's malloc, mimalloc and jemalloc.

        malloc.py [--rounds N] [--collect] [--publish] BUILD [NAME...]            make bench-malloc

Each runs N times (default 5) on each allocator, preloaded, in turn; which comes first moves on by one each round, and a first
run on glibc's is not counted and says what the output must be. Prints medians of wall and processor time and of peak memory,
and geometric means of the ratios to glibc's and to mimalloc's. --collect: mode `collect' too. --publish: the table goes into
docs/malloc.md, the figures into docs/malloc.json. What is not installed is left out, and the table says so."""
import argparse
import json
import os
import platform
import re
import shutil
import sys

sys.dont_write_bytecode = True
from suite import execute, plan, stats  # noqa: E402

parser = argparse.ArgumentParser()
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--collect", action="store_true")
parser.add_argument("--publish", action="store_true")
parser.add_argument("build")
parser.add_argument("names", nargs="*")
options = parser.parse_args()
build = os.path.abspath(options.build)
top = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
work = build + "/bench/work/malloc"
shutil.rmtree(work, ignore_errors=True)
os.makedirs(work)

SYSTEM = "/usr/lib/x86_64-linux-gnu/"
OURS = {"LD_PRELOAD": build + "/lib/libgcdune-malloc.so"}
allocators = [("glibc", {})]
allocators += [(name, {"LD_PRELOAD": SYSTEM + file}) for name, file in
               (("mimalloc", "libmimalloc.so.2"), ("jemalloc", "libjemalloc.so.2")) if os.path.exists(SYSTEM + file)]
allocators.append(("ours", dict(OURS, GCDUNE_MALLOC="free")))
if options.collect:
    allocators.append(("collect", dict(OURS, GCDUNE_MALLOC="collect")))

PYTHON_JSON = """import json
d = [{str(i): [i] * 3} for i in range(300000)]
print(len(json.loads(json.dumps(d))))
x = [str(i) * 3 for i in range(600000)]
print(sum(map(len, x)))"""
PYTHON_OBJECTS = """import re
class Node:
    def __init__(self, key): self.key, self.text, self.next = key, 'node %d' % key * 5, None
table = {}
for i in range(1200000):
    node = Node(i * 7919 % 200003)
    node.next = table.get(node.key // 4)
    if i % 5 == 0: node.next = None
    table[node.key // 4] = node
print(len(table), len(re.findall('9+', ' '.join(n.text for n in table.values()))))"""
SQL = """create table t(id integer primary key, name text, extra blob);
with recursive c(i) as (select 1 union all select i + 1 from c where i < 500000)
insert into t select i, 'name ' || (i * 7919 % 100003), zeroblob(i % 200) from c;
create index byname on t(name);
select count(*), sum(n) from (select name, group_concat(id), count(*) as n from t group by name);
select sum(length(g)) from (select group_concat(name || id) as g from t group by id % 5000);
delete from t where id % 3 = 0; select count(*) from t where name in (select name from t where id % 7 = 0);"""
PERL = r"""my %h; for my $r (1..2) { for my $i (1..700000) { push @{$h{$i % 9973}}, "item $i" } }
print length join(",", map { @$_ } values %h), "\n";
for (1..200000) { my @w = split / /, "the quick brown fox $_ jumps over"; $h{$w[4] % 9973} = [reverse @w] } print scalar(%h), "\n";"""
NODE = """const m = new Map(); let n = 0;
for (let i = 0; i < 400000; i++) { m.set(i % 50000, Buffer.allocUnsafeSlow(64 + i % 2000)); }
for (const b of m.values()) n += b.length; console.log(n);
const d = JSON.parse(JSON.stringify(Array.from({length: 200000}, (x, i) => ({id: i, name: 'n' + i})))); console.log(d.length);"""


def source():
    """Much for a compiler: functions with loops, switches and structures."""
    with open(work + "/big.c", "w") as f:
        f.write("struct s { int a, b; struct s *n; };\n")
        for i in range(900):
            f.write("int f%d(struct s *p, int n) { int t = %d; for (int i = 0; i < n; i++) { switch (p->a & 3) { case 0: t += p->b * %d; break;"
                    " case 1: t ^= i << 3; break; default: t -= p->n ? p->n->a : %d; } p = p->n ? p->n : p; } return t%s; }\n"
                    % (i, i, i + 3, i, " + f%d(p, n / 2)" % (i - 1) if i else ""))
    return work + "/big.c"


def script(name, text):
    with open(work + "/" + name, "w") as f:
        f.write(text)
    return work + "/" + name


def programs():
    for name in ("binary-trees", "gcbench", "linked-list", "hash-map", "string-churn", "live-cache", "xml-parse", "large-arrays"):
        if os.path.exists("%s/bench/%s-glibc" % (build, name)):
            job = plan.program_job(build, top, "full", name, "glibc")
            yield name, job.command
    for kind, threads in (("mix", 1), ("mix", 2), ("mix", 4), ("pass", 2), ("pass", 4), ("share", 1), ("share", 2), ("share", 4)):
        yield "threads %s %d" % (kind, threads), [build + "/bench/malloc-threads", kind, str(threads), "5000000"]
    yield "python3: json", ["/usr/bin/python3", script("parse.py", PYTHON_JSON)]
    yield "python3: objects", ["/usr/bin/python3", script("objects.py", PYTHON_OBJECTS)]
    yield "python3: objects, malloc", ["env", "PYTHONMALLOC=malloc", "/usr/bin/python3", work + "/objects.py"]
    yield "perl", ["perl", script("work.pl", PERL)]
    yield "sqlite3", ["sqlite3", ":memory:", ".read " + script("work.sql", SQL)]
    yield "gcc", ["gcc", "-O2", "-S", "-o", "-", source()]
    yield "node", ["node", script("work.js", NODE)]


def installed(command):
    program = command[2] if command[0] == "env" else command[0]
    return shutil.which(program) is not None


FIGURES = (("wall_s", "%.2f"), ("cpu_s", "%.2f"), ("rss_mib", "%.0f"))
executor = execute.Executor(build)
chosen = [(n, c) for n, c in programs() if not options.names or any(word in n for word in options.names)]
missing = [n for n, c in chosen if not installed(c)]
chosen = [(n, c) for n, c in chosen if installed(c)]
runs = {n: {a: [] for a, _ in allocators} for n, _ in chosen}
failed = False


def once(name, command, allocator, extra):
    """One run; its figures, or None."""
    global failed
    env = dict(extra, HOME=work, PYTHONHASHSEED="0", PERL_HASH_SEED="0", LC_ALL="C.UTF-8")
    run = executor.run(plan.Job("client", name, allocator, command, env, kind="malloc"))
    if "wall_s" in run and not run.get("failed"):
        check_output(name, run)
    if run.get("failed") or run.get("unavailable"):
        failed = True
        print("%s on %s: %s" % (name, allocator, run.get("failed") or run["unavailable"]), flush=True)
        return None
    return {key: run[key] for key in ("wall_s", "cpu_s", "rss_mib", "load")}


def check_output(name, run):
    with open(executor.work + "/out", "rb") as f:
        output = f.read()
    if output != expected.setdefault(name, output):
        run["failed"] = "the output differs: %r, not %r" % (output[-60:], expected[name][-60:])


expected = {}
for number in range(-1, options.rounds):
    for name, command in chosen:
        if number < 0:
            once(name, command, "glibc", {})
            continue
        shift = number % len(allocators)
        for allocator, extra in allocators[shift:] + allocators[:shift]:
            figures = once(name, command, allocator, extra)
            if figures:
                runs[name][allocator].append(figures)


def middle(name, allocator, figure):
    summary = stats.summary([r[figure] for r in runs[name][allocator]])
    return summary and summary["median"]


def ratio(name, allocator, to, figure):
    a, b = middle(name, allocator, figure), middle(name, to, figure)
    return a / b if a and b else None


def mean(allocator, to, figure):
    value = stats.geometric_mean([ratio(n, allocator, to, figure) for n, _ in chosen])
    return "%.2f" % value if value else "-"


def row(name):
    cells = [name]
    for allocator, _ in allocators:
        cells.append(" / ".join(form % middle(name, allocator, figure) if runs[name][allocator] else "-" for figure, form in FIGURES))
    if "mimalloc" in dict(allocators):
        cells.append(" / ".join("%.2f" % ratio(name, "ours", "mimalloc", figure) if ratio(name, "ours", "mimalloc", figure) else "-"
                                for figure, _ in FIGURES))
    return cells


head = ["wall s / CPU s / peak MiB"] + [a for a, _ in allocators] + (["ours to mimalloc"] if "mimalloc" in dict(allocators) else [])
table = [row(name) for name, _ in chosen]
for to in [a for a in ("glibc", "mimalloc") if a in dict(allocators)]:
    table.append(["geometric mean, to " + to] + [" / ".join(mean(a, to, figure) for figure, _ in FIGURES) for a, _ in allocators] +
                 [""] * (len(head) - 1 - len(allocators)))
widths = [max(len(r[i]) for r in [head] + table) for i in range(len(head))]
for cells in [head] + table:
    print("  ".join(c.ljust(w) for c, w in zip(cells, widths)).rstrip())
for name in missing:
    print("%s: not installed" % name)
if options.publish:
    loads = stats.summary([r["load"] for one in runs.values() for rs in one.values() for r in rs])
    with open(top + "/docs/malloc.json", "w") as f:
        json.dump({"machine": "%d processors, Linux %s" % (os.cpu_count(), platform.release()), "runs": runs}, f, indent=1)
    text = "By `make bench-malloc`: %d processors, Linux %s; %s; load %.1f before the runs (median).\n\n" % (
        os.cpu_count(), platform.release(),
        "medians of %d runs of each, in turn" % options.rounds if options.rounds > 1 else "one run of each, in turn", loads["median"] if loads else 0)
    text += "| %s |\n|%s\n" % (" | ".join(head), "---|" * len(head)) + "".join("| %s |\n" % " | ".join(r) for r in table)
    if missing:
        text += "\nNot installed: %s.\n" % ", ".join(missing)
    page = open(top + "/docs/malloc.md").read()
    page = re.sub(r"(<!-- make bench-malloc PUBLISH=1 -->\n).*?(<!-- end -->)", lambda m: m.group(1) + text + m.group(2), page, flags=re.S)
    open(top + "/docs/malloc.md", "w").write(page)
shutil.rmtree(work, ignore_errors=True)
sys.exit(failed)
