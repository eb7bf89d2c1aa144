"""The page: everything in a results file, as pictures with the figures below each, in one file of HTML that needs nothing from
elsewhere; and the picture for the README. Every figure is that of a row, whose id stands in the row's title attribute."""
from html import escape

from . import details, figures, picture, plan, stats, why
from .picture import number
from .results import median


CSS = """
*{box-sizing:border-box} body{margin:0 auto;max-width:44rem;padding:1rem;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,sans-serif} h1{font-size:1.6rem;line-height:1.2;margin:.5rem 0} h2{font-size:1.2rem;margin:2.2rem 0 .4rem;
border-top:1px solid var(--grid);padding-top:1rem} h3{font-size:1rem;margin:1.4rem 0 .2rem} p{margin:.4rem 0}
svg{display:block;width:100%;height:auto;margin:.4rem 0} a{color:var(--gcdune)} .soft{color:var(--soft);font-size:.9rem}
.scroll{overflow-x:auto} table{border-collapse:collapse;font-size:.82rem;font-variant-numeric:tabular-nums;margin:.3rem 0}
th,td{padding:.15rem .5rem;text-align:right;border-bottom:1px solid var(--grid);white-space:nowrap} th:first-child,td:first-child{text-align:left}
td.t{text-align:left;white-space:normal;min-width:14rem} tr.lose td:first-child{color:var(--lose);font-weight:600}
td.lose{color:var(--lose);font-weight:600} td.lose::after{content:" \\25B2"} summary{cursor:pointer;color:var(--soft);font-size:.9rem}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.6rem;margin:1rem 0} .tile{border:1px solid var(--grid);
border-radius:.5rem;padding:.6rem .8rem} .tile b{display:block;font-size:1.5rem;line-height:1.2} .warn{border-left:4px solid var(--lose);
padding:.3rem .8rem} .met{color:var(--jemalloc);font-weight:600} .missed{color:var(--lose);font-weight:600} nav{font-size:.9rem}
code{font-size:.85em;overflow-wrap:anywhere} ul.loss{padding-left:1.1rem} ul.loss li{margin:.5rem 0}
"""


class Page:
    def __init__(self, results):
        self.results, self.parts, self.sections = results, [], []
        self.rows = {r["id"]: r for r in results["rows"]}
        self.lost = why.losses(results)
        self.lost_keys = {(r["id"], m) for r, _, m, _ in self.lost}

    def add(self, text):
        self.parts.append(text)

    def section(self, id, title):
        self.sections.append((id, title))
        self.add('<h2 id="%s">%s</h2>' % (id, escape(title)))

    def p(self, text, cls=""):
        self.add("<p%s>%s</p>" % (' class="%s"' % cls if cls else "", escape(text)))

    def figure(self, p, title=None):
        if title:
            self.add("<h3>%s</h3>" % escape(title))
        if p:
            self.add(p.svg())

    def table(self, heads, rows, open=True, title="Figures"):
        """ROWS: (row id or None, cells); a cell is text, or (text, class)."""
        if not rows:
            return
        self.add('<details%s><summary>%s</summary><div class="scroll"><table><tr>%s</tr>' % (
            " open" if open else "", escape(title), "".join("<th>%s</th>" % escape(h) for h in heads)))
        for id, cells in rows:
            cls = ' class="lose"' if any(isinstance(c, tuple) and c[1] == "lose" for c in cells) else ""
            out = []
            for c in cells:
                text, k = c if isinstance(c, tuple) else (c, "")
                out.append("<td%s>%s</td>" % (' class="%s"' % k if k else "", escape(str(text))))
            self.add("<tr%s%s>%s</tr>" % (cls, ' title="%s"' % escape(id) if id else "", "".join(out)))
        self.add("</table></div></details>")

    def cell(self, row, metric, scale=1):
        """A median with its spread, marked where gcdune loses."""
        m = row.get("metrics", {}).get(metric)
        if not m:
            return "–"
        text = number(m["median"] * scale)
        if m["n"] > 1:
            text += " ±%.0f%%" % (m["spread"] * 50)
        return (text, "lose") if (row["id"], metric) in self.lost_keys else text

    def metric_rows(self, rows, metrics, first=None):
        out = []
        for row in rows:
            name = first(row) if first else "%s, %s" % (row["benchmark"], title(row["backend"]))
            if "failed" in row:
                out.append((row["id"], [name, ("FAILED: " + row["failed"], "lose")] + [""] * (len(metrics) - 1)))
            elif "unavailable" not in row:
                out.append((row["id"], [name] + [self.cell(row, m) for m in metrics]))
        return out

    def html(self):
        head = ('<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
                '<meta name="color-scheme" content="light dark"><title>gcdune: benchmarks</title>\n<style>%s%s%s</style></head>\n<body>\n' % (
                    picture.variables(), CSS, picture.style()))
        return head + "\n".join(self.parts) + "\n</body></html>\n"


def title(backend):
    head, _, knob = backend.partition("@")
    b = plan.BACKENDS.get(head)
    return (b.title if b else head) + (" at %s" % knob if knob else "")


def make(results):
    page = Page(results)
    m, v = results["machine"], results["versions"]
    page.add("<h1>gcdune beside other collectors and allocators</h1>")
    page.p("%s run of %s, %.0f s; %s, %d cores, %s GiB; Linux %s, %s." % (
        results["size"].capitalize(), results["started"], results["seconds"], m["processor"], m["cores"],
            m["memory_gib"], m["kernel"], m["system"]), "soft")
    if results["size"] != "full":
        page.p("This is a %s run: programs are small and run few times. It shows that everything works, and where to look; figures to "
               "quote come from make bench on a quiet machine." % results["size"], "warn")
    if stats.busy(results):
        page.p("Other work was going on: the load average before a run was %.2f in the median, %.2f at most, on %d cores." % (
            results["load"]["median"], results["load"]["most"], m["cores"]), "warn")
    page.add("<nav></nav>")
    nav = len(page.parts) - 1
    figures.tiles(page)
    for part in (figures.goals, losing, figures.throughput, figures.equal, figures.pauses, details.modes,
                 details.sources, details.scaling,
                 details.micro, details.dune, details.idle, details.clients, appendix):
        part(page)
    page.parts[nav] = "<nav>%s</nav>" % " · ".join('<a href="#%s">%s</a>' % (id, escape(t)) for id, t in page.sections)
    return page


def losing(page):
    page.section("losing", "Where gcdune loses")
    if not page.lost:
        page.p("Nowhere among the rows of this run that ran well on both sides.")
        return
    page.p("Every row in which gcdune is behind Boehm's collector, or in time behind mimalloc with frees written by hand, by more than the "
           "runs vary. The same rows are marked ▲ in the tables. Against mimalloc one cause is common to all: memory that is freed at once is "
           "used again while it is still in the caches, which costs the programmer the frees and the collector the cache misses.")
    families = {}
    for loss in page.lost:
        families.setdefault(why.family(loss[0]), []).append(loss)
    page.add('<ul class="loss">')
    for (group, name), lost in families.items():
        where = {"program": "", "micro": "", "scaling": ", by threads", "equal": ", at equal memory", "latency": "",
                 "client": ""}[group]
        page.add('<li><b class="missed">%s</b>%s' % (escape(name), where))
        by = {}
        for row, other, metric, ratio in lost:
            by.setdefault((metric, other["backend"]), []).append((ratio, row, other))
        for (metric, against), found in by.items():
            ratio, row, other = max(found, key=lambda f: f[0])
            a, b = median(row, metric), median(other, metric)
            ratios = number(min(f[0] for f in found)) + " to " + number(ratio) if len(found) > 1 else number(ratio)
            argument = row["benchmark"].split(":", 1)[-1] if len(found) > 1 else ""
            page.add('<br><span title="%s"><b>%s × %s</b> of %s (%s%s against %s %s).</span> %s' % (
                escape(" ".join(f[1]["id"] for f in found)), why.NAMES[metric], ratios, escape(title(against)),
                escape(argument + ": " if argument else ""), number(a), number(b), why.UNITS[metric],
                    escape(why.sentence(row, other, metric, page.rows))))
        page.add("</li>")
    page.add("</ul>")


def appendix(page):
    results = page.results
    page.section("method", "Method, machine, commands")
    page.p("Every figure is a median of interleaved runs, each a process of its own, after a warm-up that is not counted; ± is half of (maximum − "
           "minimum), in percent of the median. Outputs are compared between all back ends. docs/benchmarks.md says how each figure is "
           "taken, and what could be wrong with it.")
    page.table(["machine", ""], [(None, [k.replace("_", " "), (str(x), "t")]) for k, x in results["machine"].items()],
               title="Machine")
    page.table(["versions", ""], [(None, [k, (str(x), "t")]) for k, x in results["versions"].items()], title="Versions")
    page.p("Command: %s" % results["command"], "soft")
    if results["environment_removed"]:
        page.p("Kept away from the programs: " + ", ".join(results["environment_removed"]), "soft")
    for note in results["notes"]:
        page.p("Note: " + note, "soft")
    missing = [r for r in results["rows"] if "unavailable" in r]
    page.table(["not here", "why"], [(r["id"], [r["id"], (r["unavailable"], "t")]) for r in missing],
               title="What could not be had here")
    page.table(["row", "command"],
               [(r["id"], [r["id"], (r["command"], "t")]) for r in results["rows"] if r["group"] != "micro"],
               open=False,
               title="The command of every row")


def micro_text(results):
    rows = [r for r in results["rows"] if r["group"] == "micro" and median(r, "ns")]
    backends = list(dict.fromkeys(r["backend"] for r in rows))
    by = {(r["benchmark"], r["backend"]): median(r, "ns") for r in rows}
    out = ["%-36s" % "ns" + "".join("%17s" % b for b in backends)]
    for name in dict.fromkeys(r["benchmark"] for r in rows):
        out.append("%-36s" % name.split(":", 1)[1] + "".join("%17s" % number(by.get((name, b))) for b in backends))
    return "\n".join(out)


def text(results):
    """A short table for the terminal."""
    rows = {r["id"]: r for r in results["rows"]}
    if not any(r["group"] in ("program", "client") for r in results["rows"]):
        return micro_text(results)
    out = ["%-20s %9s %9s %9s %16s %9s" % ("", "wall", "CPU", "peak RSS", "longest pause,", "mimalloc,"),
           "%-20s %9s %9s %9s %16s %9s" % ("relative to Boehm", "", "", "", "gcdune/Boehm ms", "wall")]
    for row in results["rows"]:
        if row["group"] not in ("program", "client") or row["backend"] != "gcdune":
            continue
        other = rows.get("%s/%s/boehm" % (row["group"], row["benchmark"]))
        third = rows.get("%s/%s/mimalloc" % (row["group"], row["benchmark"]))
        cells = []
        for m in ("wall_s", "cpu_s", "rss_mib"):
            a, b = median(row, m), median(other, m)
            cells.append("%.2f" % (a / b) if a and b else "-")
        a, b = median(row, "pause_max_ms"), median(other, "pause_max_ms")
        cells.append("%s / %s" % (number(a), number(b)) if a and b else "-")
        a, b = median(third, "wall_s"), median(other, "wall_s")
        cells.append("%.2f" % (a / b) if a and b else "-")
        out.append("%-20s %9s %9s %9s %16s %9s" % tuple([row["benchmark"]] + cells))
    return "\n".join(out)


def write(results, html, svg):
    page = make(results)
    with open(html, "w") as f:
        f.write(page.html())
    with open(svg, "w") as f:
        f.write(figures.readme(page).svg(alone=True) + "\n")
