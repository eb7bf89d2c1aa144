#!/bin/bash
# test-bench-page - the page of the benchmark suite, opened in headless Chromium: it has its pictures, none of them wider than a
# phone, both colour schemes change its background, and it asks the network for nothing. The results are those in docs/, and
# ones with a failure, a loss and nothing else.
#
# TEST-FLAGS: once=yes timeout=180
set -u
command -v python3 >/dev/null || { echo 'SKIP: no python3'; exit 77; }
browser=$(command -v chromium || command -v chromium-browser) || { echo 'SKIP: no chromium to open the page with'; exit 77; }
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
fail() { echo "FAILED: $*"; exit 1; }
chromium() {
	timeout 60 "$browser" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --user-data-dir="$dir/profile" "$@" 2>"$dir/browser.err"
}
echo '<title>it works</title>' >"$dir/first.html"
chromium --dump-dom "file://$dir/first.html" | grep -q 'it works' || { echo 'SKIP: chromium does not start here'; exit 77; }

# The script is added here; the page itself has none. It reports as the title.
look() {
	python3 - "$1" "$dir/look.html" <<'END'
import sys
page = open(sys.argv[1]).read()
probe = """<script>addEventListener("load", () => {
  // A window cannot be made narrower than 500 pixels; a phone has 360.
  document.documentElement.style.width = "360px";
  const d = document.scrollingElement, wide = [...document.querySelectorAll("svg, .tiles, nav, p, h1, h2, h3, li")].filter(
    e => e.getBoundingClientRect().right > 361).length;
  document.title = ["pictures", document.querySelectorAll("svg").length, "flat", [...document.querySelectorAll("svg")].filter(
    e => e.getBoundingClientRect().height < 40).length, "too-wide", wide, "scrolls", d.scrollWidth > innerWidth + 1,
    "background", getComputedStyle(document.body).backgroundColor, "requests", performance.getEntriesByType("resource").length,
    "rows", document.querySelectorAll("tr").length].join(" ").replace(/, /g, ",");
});</script>"""
open(sys.argv[2], "w").write(page.replace("</body>", probe + "</body>"))
END
	shift
	chromium "$@" --virtual-time-budget=3000 --dump-dom "file://$dir/look.html" | sed -n 's|.*<title>\(.*\)</title>.*|\1|p' | head -n 1
}
value() { echo "$1" | tr ' ' '\n' | grep -x -A1 "$2" | tail -n 1; }

python3 - "$SRC" "$dir" <<'END' || exit 1
import json, sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1] + "/benchmarks")
from suite import results, stats
m = lambda *values: stats.summary(list(values))
def row(backend, wall, **more):
    return dict({"id": "program/graph/" + backend, "group": "program", "benchmark": "graph", "backend": backend, "command": "graph <&> 1",
                 "load": 0, "metrics": {"wall_s": m(wall), "cpu_s": m(wall), "rss_mib": m(10.0), "pause_max_ms": m(1.0)}}, **more)
r = {"format": results.FORMAT, "command": "c", "size": "tiny", "started": "now", "finished": "now", "seconds": 1, "versions": {},
     "machine": {"processor": "<p>", "cores": 2, "memory_gib": 1, "kernel": "k", "system": "s"}, "load": {"median": 5, "most": 9},
     "environment_removed": [], "notes": [], "rows": [row("boehm", 1.0), row("gcdune", 2.0), row("mimalloc", 1.5, failed="a <crash>")]}
results.save(r, sys.argv[2] + "/small.json")
END
for results in "$SRC/docs/results.json" "$dir/small.json"; do
	[ -e "$results" ] || continue
	python3 "$SRC/benchmarks/bench.py" report "$results" --html "$dir/page.html" --svg "$dir/page.svg" >/dev/null || fail "report of $results"
	phone=$(look "$dir/page.html" --window-size=500,900)
	[ -n "$phone" ] || fail "no title: $(tail -3 "$dir/browser.err")"
	[ "$(value "$phone" pictures)" -ge 3 ] && [ "$(value "$phone" flat)" = 0 ] || fail "pictures: $phone"
	[ "$(value "$phone" too-wide)" = 0 ] && [ "$(value "$phone" scrolls)" = false ] || fail "wider than a phone: $phone"
	[ "$(value "$phone" requests)" = 0 ] || fail "it loads something: $phone"
	[ "$(value "$phone" rows)" -ge 6 ] || fail "no tables: $phone"
	dark=$(look "$dir/page.html" --window-size=1200,900 --blink-settings=preferredColorScheme=0)
	[ "$(value "$dark" background)" != "$(value "$phone" background)" ] || fail "dark is as light as light: $dark"
done
grep -q 'class="lose"' "$dir/page.html" || fail 'a loss is not marked'
grep -q 'missed">graph</b>' "$dir/page.html" && grep -q 'wall time × 2.00</b> of Boehm' "$dir/page.html" || fail 'a loss has no line'
grep -q 'a &lt;crash&gt;' "$dir/page.html" && ! grep -q '<crash>' "$dir/page.html" || fail 'a failure is not shown, or not escaped'
chromium --screenshot="$dir/shot.png" --window-size=860,620 "file://$dir/page.svg" >/dev/null
[ "$(stat -c %s "$dir/shot.png" 2>/dev/null || echo 0)" -gt 3000 ] || fail 'the picture for the README cannot be drawn'
echo "all as expected"
