#!/bin/bash
# w3m - runs the distribution's w3m, not rebuilt, on its own libgc and on ours, and compares what it prints byte by byte:
# a page with tables, lists, forms and odd markup, large, and smaller while collecting at every 40th allocation and
# verifying the heap each time.
#
# TEST-FLAGS: asan=no tsan=no timeout=300
set -u
ours=$BUILD/lib
unset LD_LIBRARY_PATH GC_INITIAL_HEAP_SIZE GC_MAXIMUM_HEAP_SIZE
command -v w3m >/dev/null || { echo 'SKIP: no w3m'; exit 77; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export HOME=$work LC_ALL=C.UTF-8
failed=0

fail() { echo "FAILED: $*" >&2; failed=1; }

# page SECTIONS
page() {
	awk -v sections="$1" 'BEGIN {
		srand(7)
		split("lorem ipsum &amp; &eacute;t&eacute; <b>bold <i>both</b> not</i> <a href=\"#x\">link</a> <br> <code>f(x)</code>" \
		      " <img alt=\"picture\"> &#955; unbreakable&nbsp;pair <s>gone</s> <sup>2</sup>", words, " ")
		for (n = 0; words[n + 1] != ""; n++)
			;
		print "<!DOCTYPE html><html><head><title>A page</title><style>p { color: red }</style></head><body>"
		for (s = 1; s <= sections; s++) {
			printf "<h%d>Section %d</h%d><p>", s % 6 + 1, s, s % 6 + 1
			for (i = 0; i < 150; i++)
				printf "%s ", words[int(rand() * n) + 1]
			print "</p><table border=" s % 2 " width=\"80%\"><caption>Table " s "</caption>"
			for (i = 0; i < 30; i++) {
				printf "<tr>"
				for (k = 0; k < 6; k++)
					printf "<td%s>%d", (i * k % 17 == 5 ? " colspan=2 align=right" : ""), rand() * 10 ^ k
				print i == 7 ? "<td><table><tr><td>in<td>side</table>" : "</tr>"
			}
			print "</table><ol>"
			for (i = 0; i < 20; i++)
				print "<li>item " i (i % 5 ? "" : "<ul><li>nested<dl><dt>term<dd>definition</dl></ul>")
			print "</ol><form><input name=a value=text><select><option>one<option selected>two</select>" \
			      "<textarea>some\ntext</textarea></form><pre>  kept   as\tit is</pre><hr><blockquote>quoted</blockquote>"
		}
		print "</body></html>"
	}'
}

# same NAME SECTIONS ARGS...
same() {
	local name=$1 theirs=0 status=0
	page "$2" >"$work/page.html"
	shift 2
	w3m -T text/html "$@" <"$work/page.html" >"$work/their" 2>"$work/their.err" || theirs=$?
	LD_LIBRARY_PATH=$ours w3m -T text/html "$@" <"$work/page.html" >"$work/our" 2>"$work/our.err" || status=$?
	[ "$theirs" = 0 ] || fail "$name: status $theirs on the system's library: $(tail -3 "$work/their.err")"
	[ "$status" = "$theirs" ] || fail "$name: status $status on ours: $(tail -3 "$work/our.err")"
	[ -s "$work/their" ] || fail "$name: nothing was printed"
	cmp "$work/their" "$work/our" || fail "$name: the output differs"
	cmp "$work/their.err" "$work/our.err" || fail "$name: the messages differ"
}

LD_LIBRARY_PATH=$ours ldd "$(command -v w3m)" | grep -qF "libgc.so.1 => $ours/libgc.so.1" || fail 'w3m does not find our libgc'

same wide 150 -dump -cols 130
same narrow 60 -dump -cols 40
same source 150 -dump_source
same halfdump 40 -halfdump
# In Dune mode, where there is one.
if "$BUILD/bin/dune-run" --probe >/dev/null 2>&1; then
	for source in dune dune-fault; do
		export GCDUNE_DIRTY=$source
		same "wide, $source" 150 -dump -cols 130
		GCDUNE_MODE=concurrent GCDUNE_TORTURE=200 GCDUNE_VERIFY=2 same "beside, $source" 12 -dump -cols 80
	done
	unset GCDUNE_DIRTY
fi
export GCDUNE_TORTURE=40 GCDUNE_VERIFY=1
same torture 12 -dump -cols 80
exit $failed
