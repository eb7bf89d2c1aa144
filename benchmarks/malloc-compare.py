#!/usr/bin/env python3
"""malloc-compare - programs on libgcdune-malloc.so (each mode), mimalloc and glibc: wall and processor time, peak memory.

        malloc-compare.py BUILD [ROUNDS]                make malloc-compare

The best of ROUNDS (default 3) runs each, in turn. What is missing on the machine is left out."""
import math
import os
import shutil
import subprocess
import sys
import time

build = os.path.abspath(sys.argv[1])
rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
ours = build + "/lib/libgcdune-malloc.so"
mimalloc = "/usr/lib/x86_64-linux-gnu/libmimalloc.so.2"
allocators = [("glibc", {}), ("mimalloc", {"LD_PRELOAD": mimalloc})]
allocators += [(mode, {"LD_PRELOAD": ours, "GCDUNE_MALLOC": mode}) for mode in ("free", "collect")]
if not os.path.exists(mimalloc):
    del allocators[1]

python = """import json
d = [{str(i): [i] * 3} for i in range(300000)]
json.loads(json.dumps(d))
x = [str(i) * 3 for i in range(600000)]"""
sql = """create table t(id integer primary key, name text);
with recursive c(i) as (select 1 union all select i + 1 from c where i < 400000)
insert into t select i, 'name ' || (i * 7919 % 100003) from c;
select count(*) from (select name, group_concat(id) from t group by name);"""
perl = r'my %h; for my $i (1..800000) { push @{$h{$i % 9973}}, "item $i" } print length join ",", map { @$_ } values %h'
bench = build + "/bench/"
programs = [(n, [bench + n + "-glibc"], None) for n in
            ("binary-trees", "gcbench", "linked-list", "hash-map", "live-cache", "xml-parse")]
programs += [("threads mix %d" % n, [bench + "malloc-threads", "mix", str(n), "5000000"], None) for n in (1, 2, 4)]
programs += [("threads pass 2", [bench + "malloc-threads", "pass", "2", "5000000"], None),
             ("python3", ["python3", "-c", python], None), ("perl", ["perl", "-e", perl], None),
             ("sqlite3", ["sqlite3", ":memory:"], sql)]


def run(command, text, extra):
    started = time.monotonic()
    child = subprocess.Popen(command, env={**os.environ, **extra}, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
    if text:
        child.stdin.write(text.encode())
    child.stdin.close()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = status
    if status:
        sys.exit("%s fails with %s" % (command[0], extra))
    return time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


print("best of %d; wall s / processor s / peak MiB" % rounds)
print("%-16s" % "" + "".join("%24s" % name for name, _ in allocators))
ratios = {name: [] for name, _ in allocators}
for title, command, text in programs:
    if not (os.path.exists(command[0]) or shutil.which(command[0])):
        continue
    best = {}
    for _ in range(rounds):
        for name, extra in allocators:
            result = run(command, text, extra)
            best[name] = tuple(map(min, best.get(name, result), result))
    print("%-16s" % title + "".join("%24s" % ("%.2f / %.2f / %d" % best[name]) for name, _ in allocators), flush=True)
    for name, _ in allocators:
        ratios[name].append([best[name][i] / best["glibc"][i] for i in (0, 2)])
print("%-16s" % "to glibc" + "".join("%24s" % ("%.2f /  / %.2f" % tuple(
    math.exp(sum(math.log(r[i]) for r in ratios[name]) / len(ratios[name])) for i in (0, 1))) for name, _ in allocators))
