"""Pictures in SVG, made of text: diverging bars, dots, lines, bars. Colours are classes, so that the page and the README's
picture can each say what they are in light and in dark; a back end has the same colour everywhere, its variants are dashed.

All are drawn 520 units wide with text of 12, which is still readable when a phone shows it in 360 pixels."""
import math
from xml.sax.saxutils import escape, quoteattr

WIDTH = 520
FAMILIES = ["gcdune", "boehm", "glibc", "jemalloc", "mimalloc", "other"]
LIGHT = {"gcdune": "#1f6f9e", "boehm": "#b8451f", "glibc": "#6b6b6b", "jemalloc": "#4f7a1e", "mimalloc": "#7a4796",
         "other": "#8a6d00",
         "ink": "#222", "soft": "#5a5a5a", "grid": "#ddd", "paper": "#fff", "lose": "#b00020"}
DARK = {"gcdune": "#6cb8e6", "boehm": "#f0916a", "glibc": "#a8a8a8", "jemalloc": "#a3cc6b", "mimalloc": "#c39ae0",
        "other": "#d8b84a",
        "ink": "#ddd", "soft": "#a5a5a5", "grid": "#3a3a3a", "paper": "#161616", "lose": "#ff8090"}


def family(backend):
    head = backend.split("@")[0].split("-")[0]
    return head if head in FAMILIES else "other"


def style():
    """What classes look like; the names of colours come from variables()."""
    rules = [".%s{fill:var(--%s)} .l-%s{stroke:var(--%s)}" % (f, f, f, f) for f in FAMILIES]
    return ("text{font:12px system-ui,sans-serif;fill:var(--ink)} .soft{fill:var(--soft)} .small{font-size:11px}"
            " .axis{stroke:var(--soft);stroke-width:1} .grid{stroke:var(--grid);stroke-width:1} .line{fill:none;stroke-width:2}"
            " .dash{stroke-dasharray:6 4} .dot2{stroke-dasharray:2 3} .lost{fill:var(--lose);font-weight:600} .title{font-weight:600}"
            " .whisker{stroke:var(--ink);stroke-width:1;opacity:.6} " + " ".join(rules))


def variables():
    line = lambda colours: "".join("--%s:%s;" % item for item in colours.items())
    return ":root{%s} @media (prefers-color-scheme:dark){:root{%s}}" % (line(LIGHT), line(DARK))


class Picture:
    def __init__(self, height, label, width=WIDTH):
        self.width, self.height, self.label, self.parts = width, height, label, []

    def add(self, text):
        self.parts.append(text)

    def text(self, x, y, text, cls="", anchor="start", title=None):
        self.add('<text x="%.1f" y="%.1f"%s text-anchor="%s">%s</text>' %
                 (x, y, ' class="%s"' % cls if cls else "", anchor, escape(text)))

    def line(self, x1, y1, x2, y2, cls):
        self.add('<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="%s"/>' % (x1, y1, x2, y2, cls))

    def rect(self, x, y, w, h, cls, title):
        self.add('<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="1.5" class="%s"><title>%s</title></rect>' % (
            x, y, max(w, .8), h, cls, escape(title)))

    def dot(self, x, y, cls, title, r=4):
        self.add('<circle cx="%.1f" cy="%.1f" r="%.1f" class="%s"><title>%s</title></circle>' %
                 (x, y, r, cls, escape(title)))

    def svg(self, alone=False):
        head = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label=%s>' % (
            self.width, self.height, quoteattr(self.label))
        if alone:
            head += '<style>%s svg{background:var(--paper)} %s</style><rect width="100%%" height="100%%" style="fill:var(--paper)"/>' % (
                variables(), style())
        return head + "\n" + "\n".join(self.parts) + "\n</svg>"


class Scale:
    """Maps [low, high] to [a, b], logarithmically or not, and knows round numbers in between."""

    def __init__(self, low, high, a, b, log=False):
        if log:
            low = max(low, 1e-12)
            high = max(high, low * 1.01)
        elif high <= low:
            high = low + 1
        self.low, self.high, self.a, self.b, self.log = low, high, a, b, log

    def at(self, value):
        value = min(max(value, self.low), self.high)
        share = math.log(value / self.low) / math.log(self.high / self.low) if self.log else (value - self.low) / (
            self.high - self.low)
        return self.a + share * (self.b - self.a)

    def ticks(self):
        if self.log:
            decades = math.log10(self.high / self.low)
            steps = [1] if decades > 3 else [1, 2, 5] if decades > .7 else [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8]
            every = max(1, math.ceil(decades / 7))
            found = [s * 10.0 ** d
                     for d in range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
                     for s in steps if d % every == 0 and self.low * .999 <= s * 10.0 ** d <= self.high * 1.001]
            if len(found) > 2:
                return found
        step = 10.0 ** math.floor(math.log10(self.high - self.low))
        step = step if (self.high - self.low) / step >= 4 else step / 2 if (
            self.high - self.low) / step >= 2 else step / 5
        first = math.ceil(self.low / step - 1e-9)
        return [i * step for i in range(first, math.floor(self.high / step + 1e-9) + 1)]


def number(x):
    if x is None:
        return "–"
    if x == 0:
        return "0"
    digits = 2 - math.floor(math.log10(abs(x)))
    return "%.*f" % (min(max(digits, 0), 4), x) if 1e-4 < abs(x) < 1e7 else "%.3g" % x


def tick(x):
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(x) >= unit:
            return "%g%s" % (float("%.3g" % (x / min(unit, 1e3) if letter == "k" else x / unit)), letter)
    return "%g" % float("%.3g" % x)


def legend(p, names, x, y, most=None):
    """Names of series, wrapped; returns the y below."""
    at = x
    for name, cls, kind in names:
        width = (36 if kind else 30) + 6.6 * len(name)
        if at > x and at + width > (most or p.width - 4):
            at, y = x, y + 17
        if kind:
            p.line(at, y - 4, at + 18, y - 4, "line l-%s %s" % (cls, kind if kind != "solid" else ""))
        else:
            p.rect(at, y - 10, 12, 10, cls, name)
        p.text(at + (22 if kind else 16), y, name, "small")
        at += width
    return y + 12


def ratios(label, rows, series, note):
    """Diverging bars around 1. ROWS: (name, {series: (ratio, low, high)}, whether it is lost); SERIES: (key, title, class)."""
    values = [v[0] for _, r, _ in rows for v in r.values()]
    if not values:
        return None
    low, high = min(values + [.5]) * .62, max(values + [2]) * 1.4
    each = 11
    p = Picture(46 + sum(each * len(r) + 10 for _, r, _ in rows) + 40, label)
    y = legend(p, [(title, cls, "") for _, title, cls in series], 4, 14)
    left, right = 142, WIDTH - 12
    scale = Scale(low, high, left, right, True)
    top, bottom = y + 4, p.height - 34
    for t in scale.ticks():
        p.line(scale.at(t), top, scale.at(t), bottom, "axis" if abs(t - 1) < 1e-9 else "grid")
        p.text(scale.at(t), bottom + 14, tick(t), "soft small", "middle")
    p.text((left + right) / 2, p.height - 5, note, "soft small", "middle")
    y = top + 6
    for name, r, lost in rows:
        height = each * len(r)
        p.text(left - 6, y + height / 2 + 4, name, "lost" if lost else "", "end")
        for key, title, cls in series:
            if key not in r:
                continue
            ratio, lo, hi = r[key]
            x1, x2 = sorted((scale.at(1), scale.at(ratio)))
            p.rect(x1, y, x2 - x1, each - 2.5, cls, "%s, %s: %s" % (name, title, number(ratio)))
            if lo and hi and hi > lo:
                p.line(scale.at(lo), y + each / 2 - 1.3, scale.at(hi), y + each / 2 - 1.3, "whisker")
            end = max(x2, scale.at(hi or ratio)) if ratio >= 1 else min(x1, scale.at(lo or ratio))
            if ratio >= 1:
                p.text(min(end + 3, right - 22), y + each - 2.5, number(ratio), "small soft")
            else:
                p.text(max(end - 3, left + 22), y + each - 2.5, number(ratio), "small soft", "end")
            y += each
        y += 10
    return p


def dots(label, rows, series, note, unit):
    """One line for each row, a dot for each series, on a logarithmic axis. ROWS: (name, {series: value}, lost)."""
    values = [v for _, r, _ in rows for v in r.values() if v and v > 0]
    if not values:
        return None
    p = Picture(66 + 22 * len(rows), label)
    y = legend(p, [(title, cls, "") for _, title, cls in series], 4, 14)
    left, right, bottom = 142, WIDTH - 16, 66 + 22 * len(rows) - 34
    scale = Scale(min(values) * .7, max(values) * 1.4, left, right, True)
    for t in scale.ticks():
        p.line(scale.at(t), y, scale.at(t), bottom, "grid")
        p.text(scale.at(t), bottom + 14, tick(t), "soft small", "middle")
    p.text((left + right) / 2, p.height - 5, note, "soft small", "middle")
    for i, (name, r, lost) in enumerate(rows):
        at = y + 14 + 22 * i
        p.text(left - 6, at + 4, name, "lost" if lost else "", "end")
        here = [scale.at(v) for v in r.values() if v and v > 0]
        if here:
            p.line(min(here), at, max(here), at, "axis")
        for key, title, cls in series:
            if r.get(key):
                p.dot(scale.at(r[key]), at, cls, "%s, %s: %s %s" % (name, title, number(r[key]), unit))
    return p


def lines(label, series, x_note, y_note, x_log=False, y_log=False, x_ticks=None, y_low=None, y_high=None, dotted=False,
          height=300):
    """SERIES: (title, class, kind, [(x, y)...]); kind: solid, dash or dot2."""
    points = [(x, y) for _, _, _, ps in series for x, y in ps if (x > 0 or not x_log) and (y > 0 or not y_log)]
    if not points:
        return None
    p = Picture(height, label)
    top = legend(p, [(title, cls, kind) for title, cls, kind, _ in series], 4, 14) + 14
    left, right, bottom = 54, WIDTH - 14, height - 36
    xs, ys = [x for x, _ in points], [y for _, y in points]
    room = (max(xs) / min(xs)) ** .03 if x_log else (max(xs) - min(xs)) * .03
    x = Scale(min(xs) / room if x_log else min(xs) - room, max(xs) * room if x_log else max(xs) + room, left, right,
              x_log)
    low = y_low if y_low is not None else min(ys) * (.8 if y_log else 1) if y_log else 0
    y = Scale(low, y_high if y_high is not None else max(ys) * (1.25 if y_log else 1.08), bottom, top, y_log)
    for at, text in x_ticks or [(t, tick(t)) for t in x.ticks()]:
        p.line(x.at(at), top, x.at(at), bottom, "grid")
        p.text(x.at(at), bottom + 14, text, "soft small", "middle")
    for t in y.ticks():
        p.line(left, y.at(t), right, y.at(t), "grid")
        p.text(left - 5, y.at(t) + 4, tick(t), "soft small", "end")
    p.text((left + right) / 2, height - 5, x_note, "soft small", "middle")
    p.text(4, top - 6, y_note, "soft small")
    for title, cls, kind, ps in series:
        ps = [(a, b) for a, b in ps if (a > 0 or not x_log) and (b > 0 or not y_log)]
        if len(ps) > 1:
            p.add('<polyline class="line l-%s %s" points="%s"><title>%s</title></polyline>' % (
                cls, kind if kind != "solid" else "", " ".join("%.1f,%.1f" % (x.at(a), y.at(b)) for a, b in ps),
                    escape(title)))
        if dotted or len(ps) == 1:
            for a, b in ps:
                p.dot(x.at(a), y.at(b), cls, "%s: %s, %s" % (title, number(a), number(b)), 3)
    return p


def readme(rows, mimalloc, caption):
    """The README's picture: wall time relative to Boehm's collector, and the longest pause of both. ROWS: (name, ratio or
    None, gcdune's pause, Boehm's pause, lost)."""
    width, each = 860, 24
    p = Picture(100 + each * len(rows), "gcdune beside Boehm's collector: wall time and longest pause of %d programs" %
                len(rows), width)
    top, bottom = 58, 58 + each * len(rows)
    p.text(130, 18, "Wall time, relative to Boehm's collector", "title")
    p.text(520, 18, "Longest pause, ms", "title")
    legend(p, [("gcdune", "gcdune", ""), ("mimalloc, frees by hand", "mimalloc", "")], 130, 38)
    legend(p, [("gcdune", "gcdune", ""), ("Boehm", "boehm", "")], 520, 38)
    ratios_ = [r[1] for r in rows if r[1]] + [m for m in mimalloc.values() if m]
    wall = Scale(0, max([1.25] + [min(r * 1.08, 3) for r in ratios_]), 130, 480)
    pauses = [v for r in rows for v in r[2:4] if v]
    pause = Scale(min(pauses + [.1]) * .8, max(pauses + [100]) * 1.3, 520, 845, True)
    for scale in (wall, pause):
        for t in scale.ticks():
            p.line(scale.at(t), top - 8, scale.at(t), bottom, "axis" if scale is wall and abs(t - 1) < 1e-9 else "grid")
            p.text(scale.at(t), bottom + 14, tick(t), "soft small", "middle")
    for i, (name, ratio, mine, theirs, lost) in enumerate(rows):
        y = top + each * i
        p.text(122, y + 11, name, "lost" if lost else "", "end")
        if ratio:
            p.rect(wall.at(0), y + 1, wall.at(ratio) - wall.at(0), 8, "gcdune", "%s: %s" % (name, number(ratio)))
            p.text(min(wall.at(ratio) + 3, 470), y + 9, number(ratio), "small soft")
        if mimalloc.get(name):
            p.rect(wall.at(0), y + 10, wall.at(mimalloc[name]) - wall.at(0), 5, "mimalloc", "%s, mimalloc: %s" %
                   (name, number(mimalloc[name])))
        if mine and theirs:
            p.line(pause.at(mine), y + 8, pause.at(theirs), y + 8, "axis")
        for value, cls in ((theirs, "boehm"), (mine, "gcdune")):
            if value:
                p.dot(pause.at(value), y + 8, cls, "%s, %s: %s ms" % (name, cls, number(value)))
    p.text(8, p.height - 6, caption, "soft small")
    return p
