"""Debian's programs that use Boehm's collector, not rebuilt: on Debian's library, and on ours by `gcdune run'. Those that are not
installed are left out. make bench-dropin compares more of them, and takes two inputs from here."""
import os
import shutil

from .plan import Job


def page(path, rows):
    with open(path, "w") as f:
        f.write("<html><body><h1>A page</h1><table border=1>")
        for i in range(rows):
            f.write("<tr><td>%d</td><td><b>row</b> number %d of <a href='x%d'>many</a></td><td>%s</td></tr>" % (
                i, i * 7919 % 10007, i, "word " * (i % 9)))
        f.write("</table></body></html>")
    return path


def guile_module(path, functions):
    with open(path, "w") as f:
        for i in range(functions):
            f.write("(define (f%d x) (let loop ((i 0) (acc '())) (if (< i x) (loop (+ i 1) (cons (* i %d) acc)) (map (lambda (y) "
                    "(cond ((odd? y) (list y 'a)) ((even? y) (vector y \"s%d\")) (else y))) acc))))\n" % (i, i, i))
    return path


def jobs(build, top, size):
    work = build + "/bench/work/clients"
    full = size == "full"
    os.makedirs(work, exist_ok=True)
    commands = []
    if shutil.which("guile-3.0"):
        module = guile_module(work + "/module.scm", 400 if full else 60)
        commands.append(("guile-compile", "Debian's Guile compiles a module", [
            "guile-3.0", "-c", '(use-modules (system base compile)) (compile-file "%s" #:output-file "%s/module.go")'
            ' (load-compiled "%s/module.go") (write (f7 20))' % (module, work, work)]))
        if full:
            commands.append(("guile-alloc", "Debian's Guile: trees, closures, strings",
                             ["guile-3.0", top + "/benchmarks/guile-alloc.scm"]))
    if shutil.which("w3m"):
        commands.append(("w3m", "Debian's w3m lays out a large table", [
            "w3m", "-dump", "-T", "text/html", "-cols", "120", page(work + "/page.html", 12000 if full else 2500)]))
    base = {"HOME": work, "XDG_CACHE_HOME": work, "GUILE_AUTO_COMPILE": "0", "TZ": "UTC", "TERM": "dumb"}
    for name, title, command in commands:
        yield Job("client", name, "boehm", command, dict(base, LD_PRELOAD=build + "/bench/observe-bdw.so"), rounds=0,
                  title=title)
        yield Job("client", name, "gcdune", [build + "/bin/gcdune", "run", "--"] + command, dict(base), rounds=0,
                  title=title)
