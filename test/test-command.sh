#!/bin/bash
# command - gcdune(1): help and errors by GNU's conventions; run says what it did, gives the program its libraries and keeps its
# exit status, and refuses what cannot be served in one line; probe, report (text, HTML, trace) and top show what
# is there; bash completes its options.
#
# TEST-FLAGS: asan=no tsan=no timeout=120
set -u
gcdune=$BUILD/bin/gcdune
failed=0
fail() { echo "FAILED: $*" >&2; failed=1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# expect STATUS WORD COMMAND...: the exit status, and a word in the output.
expect() {
	local status=$1 word=$2 got=0
	shift 2
	timeout 60 "$@" >"$work/out" 2>&1 || got=$?
	[ "$got" = "$status" ] || fail "$*: exit status $got, not $status: $(head -3 "$work/out")"
	[ -z "$word" ] || grep -q -e "$word" "$work/out" || fail "$*: no \"$word\" in: $(head -5 "$work/out")"
}

expect 0 '^Usage: gcdune COMMAND' $gcdune --help
expect 0 '^gcdune [0-9]' $gcdune --version
for command in run probe report top; do
	expect 0 "^Usage: gcdune $command" $gcdune $command --help
	expect 125 "Try 'gcdune $command --help'" $gcdune $command --no-such-option
done
expect 125 "Try 'gcdune --help'" $gcdune nonsense
expect 125 'no such mode' $gcdune run --mode=fast true
expect 125 'no such source' $gcdune run --dirty=fast true
expect 125 'a program is missing' $gcdune run

expect 127 'not found in PATH' $gcdune run no-such-program-anywhere
expect 127 'No such file' $gcdune run ./nothing
echo 'int main(void) { return 42; }' >program.c
if ${CC:-cc} -static -o static program.c 2>/dev/null; then
	expect 126 'linked statically' $gcdune run ./static
	[ "$(wc -l <"$work/out")" = 1 ] || fail "more than a line about a static program"
fi
${CC:-cc} -o plain program.c
expect 42 'uses malloc only' $gcdune run ./plain
if [ "$(id -u)" = 0 ] && id nobody >/dev/null 2>&1; then
	cp plain other && chown nobody other && chmod u+s other
	expect 126 'set-uid' $gcdune run ./other
fi
printf 'not a program\n' >text && chmod +x text
expect 126 'neither a program' $gcdune run ./text
printf '#!/bin/sh\nexit 7\n' >script && chmod +x script
expect 7 'uses malloc only' $gcdune run ./script
out=$($gcdune run -q ./script 2>&1); [ -z "$out" ] || fail "--quiet is not quiet: $out"
expect 0 "^GCDUNE_STATS=$work/x.json" $gcdune run -n --stats=x.json ./plain
expect 0 'GCDUNE_HEAP_LIMIT=100M' $gcdune run -n --heap-limit=100M ./plain

if command -v guile-3.0 >/dev/null; then
	export GUILE_AUTO_COMPILE=0
	code='(let loop ((i 0) (l (list))) (if (< i 3000000) (loop (+ i 1) (if (= 0 (modulo i 1000)) (list) (cons i l))))) (display "done")'
	expect 0 'uses libgc.*takes its place' $gcdune run --stats=s.json --trace=t.json guile-3.0 -c "$code"
	grep -q done out || fail "guile prints: $(cat out)"
	expect 126 'only --malloc=free' $gcdune run --malloc=leak guile-3.0 -c 1
	expect 0 'malloc too, mode free' $gcdune run --malloc guile-3.0 -c 1
	expect 0 '^collections *[1-9]' $gcdune report s.json
	expect 0 '^pauses *[1-9]' $gcdune report t.json
	expect 0 '' $gcdune report --html=s.html s.json
	expect 0 '' $gcdune report --html=t.html t.json
	for id in distribution utilization heap pauses; do
		grep -q "<svg id=\"$id\"" s.html || fail "no picture $id in the page"
	done
	! grep -qE 'src=|href=|https?:' s.html || fail "the page is not self-contained"
	if command -v python3 >/dev/null; then
		sed 1d s.html | sed 's/<meta[^>]*>//' >s.xml
		python3 -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse("s.xml")' || fail "the page is not well formed"
	fi
	$gcdune run -q --live guile-3.0 -c '(let loop ((i 0)) (make-vector 1000) (loop 0))' &
	pid=$!
	for i in $(seq 100); do sleep 0.1; timeout 10 $gcdune top -n 1 $pid >out 2>&1 && break; done
	expect 0 '^collections' $gcdune top -d 0.2 -n 2 $pid
	grep -q 'a second' out || fail "top shows no rates"
	kill $pid
	wait $pid 2>/dev/null
fi
expect 1 'No such file' $gcdune report nothing.json
echo '{"a": [1, 2' >bad.json
expect 1 'not JSON, at byte' $gcdune report bad.json
echo '{}' >empty.json
expect 1 'neither statistics' $gcdune report empty.json
expect 1 'no live statistics' $gcdune top $$
expect 125 'not the number' $gcdune top abc
expect 0 '^chosen' $gcdune probe
expect 0 '  always ' $gcdune probe

. "$SRC/gcdune/command/gcdune.bash-completion"
completes() {
	local want=$1
	shift
	COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
	compopt() { :; }
	_gcdune
	[[ " ${COMPREPLY[*]} " = *" $want "* ]] || fail "completion of $*: ${COMPREPLY[*]}"
}
completes report gcdune re
completes --malloc= gcdune run --ma
completes collect gcdune run --malloc = co
completes uffd gcdune run --dirty =
exit $failed
