#!/bin/bash
# dropin-others - small jobs for the other programs of Debian that link libgc, for their output only: on Debian's library and
# on ours, and each line says how often ours collected.
#
#	dropin-others.sh BUILD [NAME...]				make check-others, OTHERS="inkscape mpb" by a part of the name
#
# A job is a function here. It runs in an empty directory and prints; its output and its exit status
# must be the same on both. A program that is not installed is left out, and said. SHOW=1 shows what they print. Debian's
# make-guile and make cannot both be installed: MAKE_GUILE=FILE says where the former is.
set -u
build=$(realpath "$1"); shift
here=$(dirname "$(realpath "$0")")/../test/dropin
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# Each job, and what must be there for it.
jobs="autogen:autogen chase:chase debfoster:debfoster fauhdlc:fauhdlc gnucash:gnucash-cli goo:goo guile_2_2:guile-2.2
	haxe:haxe homfly:/usr/include/homfly.h inkscape:inkscape lepton:lepton-netlist macaulay2:M2 mailutils_mda:putmail mailutils_mh:/usr/bin/mu-mh/scan
	make_guile: maxima:maxima-sage mcron:mcron mdk:mixguile mmv:mmv mpb:mpb mu:mu objc:/usr/lib/gcc/x86_64-linux-gnu/12/include/objc/objc.h
	parser3_apache:/usr/lib/apache2/modules/mod_parser3.so remake:remake stalin:stalin"

autogen()
{
	printf 'autogen definitions t.tpl;\n' >t.def
	for i in $(seq 300); do printf 'item = { name = n%d; value = "%d"; };\n' "$i" $((i * 7)); done >>t.def
	printf '[+ AutoGen5 template txt=%%s.txt +]\n[+ FOR item +][+name+] = [+ (string-append (get "value") "/" (number->string (* 3 (string->number (get "value"))))) +] [+ (string-upcase (get "name")) +]\n[+ ENDFOR +]' >t.tpl
	command autogen t.def && cat t.txt
}
chase()
{
	echo >0
	for i in $(seq 30); do ln -s $((i - 1)) "$i"; done
	for i in $(seq 30); do command chase "$i" | sed 's|.*/||'; done
}
debfoster() { command debfoster -k /dev/null -n -d bash && command debfoster -n -e libc6 2>&1 | tail -5; }
fauhdlc()
{
	for i in $(seq 60); do
		printf 'entity e%d is port (a : in integer; b : out integer); end e%d;\narchitecture x of e%d is signal s : integer := %d; begin process (a) variable v : integer; begin v := a; for k in 0 to 9 loop v := v + k * %d; end loop; s <= v; b <= s + 1; end process; end x;\n' \
			"$i" "$i" "$i" "$i" "$i"
	done >t.vhdl
	command fauhdlc --freestanding -o t.out t.vhdl
	local status=$?
	wc t.out # it orders some things by their addresses, and differs from run to run with any library
	return $status
}
gnucash()
{
	gnucash-cli --report list
}
goo() { printf '(dv l (map (fun (x) (* x x)) (range 1 < 200)))\n(fold + 0 l)\n(df fib (n) (if (< n 2) n (+ (fib (- n 1)) (fib (- n 2)))))\n(fib 15)\n' | command goo 2>&1; }
guile_2_2() { guile-2.2 --no-auto-compile -c '(set-program-arguments (list "x" "12"))(load "'"$here"'/gcbench.scm")'; }
haxe()
{
	printf 'class Main { static function main() { var a = new Array<String>(); for (i in 0...200000) { a.push("s" + i); if (a.length > 500) a = a.slice(250); } trace(a.length + " " + a[7]); } }\n' >Main.hx
	command haxe -main Main -neko main.n && neko main.n
}
homfly()
{
	printf '#include <gc/gc.h>\n#include <homfly.h>\n#include <stdio.h>\nint main(void) { GC_INIT(); for (int i = 0; i < 300; i++) { char l[] = " 1 6 0 1 1 -1 2 1 0 -1 1 1 2 -1 0 1 1 1 2 1"; char *s = homfly_str(l); if (i %% 50 == 0) puts(s); } }\n' >t.c
	cc -o t t.c -lhomfly -lgc && ./t
}
inkscape()
{
	{
		echo '<svg xmlns="http://www.w3.org/2000/svg" width="400" height="400">'
		for i in $(seq 1500); do
			printf '<g id="g%d" transform="rotate(%d 200 200)"><path style="fill:#%06x" d="M %d 100 C 150,%d 10,20 30,%d Z"/><text x="%d" y="%d">t%d</text></g>\n' \
				"$i" "$i" $((i * 4099)) $((i % 400)) $((i % 300)) $((i % 200)) $((i % 390)) $((i % 380)) "$i"
		done
		echo '</svg>'
	} >t.svg
	command inkscape --export-type=png,svg --export-filename=o t.svg >log 2>&1
	local status=$?
	command inkscape --actions='select-all;path-union;export-filename:u.svg;export-do' t.svg >>log 2>&1 || status=$?
	cat o.svg u.svg
	sha256sum o.png
	return $status
}
lepton()
{
	printf 'v 20191008 2\nC 40000 40000 1 0 0 title-B.sym\n' >t.sch
	for i in $(seq 40); do printf 'C %d %d 1 0 0 resistor-1.sym\n{\nT 1 1 5 10 1 1 0 0 1\nrefdes=R%d\nT 1 1 5 10 1 1 0 0 1\nvalue=%d\n}\n' $((41000 + i * 1000)) 42000 "$i" "$i"; done >>t.sch
	lepton-netlist -g bom2 -O attribs=value -o - t.sch && lepton-netlist -g geda -o - t.sch
}
macaulay2()
{
	printf 'R = ZZ/32003[a..f]; I = ideal apply(5, i -> random(3, R)); setRandomSeed 7; J = ideal apply(4, i -> (gens R)_i^4 - (gens R)_(i+1)*(gens R)_((i+2)%%6)^2*(gens R)_((i+3)%%6));\nprint betti res J; print toString first entries gens gb J; T = QQ[x,y,z]; print toString factor(x^12-y^12); L = apply(200000, i -> i^2); print sum L; exit 0\n' >t.m2
	M2 --script t.m2
}
mbox() { for i in $(seq 200); do printf 'From a@b Thu Jan  1 00:00:%02d 2026\nFrom: a%d@example.org\nTo: b@example.org\nDate: Thu, 1 Jan 2026 00:00:%02d +0000\nSubject: number %d\nMessage-Id: <%d@example.org>\n\nBody %d\n\n' $((i % 60)) "$i" $((i % 60)) "$i" "$i" "$i"; done; }
mailutils_mda()
{
	for i in $(seq 20); do
		printf 'From: a%d@example.org\nTo: b@example.org\nDate: Thu, 1 Jan 2026 00:00:00 +0000\nSubject: number %d\n\nBody\n' "$i" "$i" | putmail --from=a@example.org mbox:"$PWD/box" || return
	done
	grep -v '^From \|^X-' box
}
mailutils_mh()
{
	mkdir -p Mail/inbox
	printf 'Path: %s/Mail\n' "$PWD" >.mh_profile
	mbox >box
	export MH=$PWD/.mh_profile
	/usr/bin/mu-mh/inc -file "$PWD/box" -notruncate | tail -100
	/usr/bin/mu-mh/scan +inbox -width 80 && /usr/bin/mu-mh/pick +inbox -subject 'number 1.*7' && /usr/bin/mu-mh/sortm +inbox -textfield subject && /usr/bin/mu-mh/scan +inbox -width 80 last:5
}
make_guile()
{
	printf 'define F\n(define (f n) (if (< n 2) n (+ (f (- n 1)) (f (- n 2)))))\n#f\nendef\n$(guile $(F))\nX := $(foreach i,1 2 3 4 5 6 7 8 9,$(foreach j,1 2 3 4 5 6 7 8 9,$(guile (f (+ $i $j)))))\nall: ; @echo $(X) $(guile (length (let l ((i 0) (a (quote ()))) (if (= i 300000) a (l (+ i 1) (cons (make-string 3) a))))))\n' >Makefile
	"${MAKE_GUILE:-make}" -s
}
maxima() { printf 'factor(x^12-1);\nintegrate(1/(x^4+1),x);\nexpand((a+b+c)^25)$\nlength(%%);\nsum(1/k!,k,1,300)$\nfloat(%%);\nfactor(2^101-1);\n' | maxima-sage -q 2>&1; }
mcron()
{
	for i in $(seq 20); do printf "(job '(next-minute (range 0 60 %d)) \"echo %d\")\n" "$i" "$i"; done >t.guile
	command mcron --schedule=2000 t.guile | grep -c echo
}
mdk() { mixguile -q -c '(let loop ((i 0) (a 0)) (if (< i 300000) (loop (+ i 1) (+ a (string-length (number->string i)))) (begin (write a) (newline))))' 2>&1; }
mmv()
{
	for i in $(seq 300); do echo "$i" >"a$i.txt"; done
	command mmv 'a*.txt' 'b#1.dat' && mcp 'b1*.dat' 'c#1.x' && ls && cat c1*.x
}
mpb()
{
	printf '(set! num-bands 8)(set! k-points (interpolate 4 (list (vector3 0 0 0) (vector3 0.5 0 0) (vector3 0.5 0.5 0))))(set! geometry (list (make cylinder (center 0 0 0) (radius 0.2) (height infinity) (material (make dielectric (epsilon 12))))))(set! geometry-lattice (make lattice (size 1 1 no-size)))(set! resolution 16)(run-te)(run-tm)\n' >t.ctl
	OPENBLAS_NUM_THREADS=1 command mpb deterministic?=true t.ctl 2>&1 | grep -v -i 'elapsed\|time'
}
mu()
{
	mkdir -p Maildir/cur Maildir/new Maildir/tmp
	for i in $(seq 200); do printf 'From: a%d@example.org\nTo: b@example.org\nDate: Thu, 1 Jan 2026 00:%02d:%02d +0000\nSubject: number %d\nMessage-Id: <%d@example.org>\n\nBody %d\n' "$i" $((i / 60)) $((i % 60)) "$i" "$i" "$i" >"Maildir/cur/$i:2,S"; done
	export XDG_CACHE_HOME=$PWD
	command mu init --maildir="$PWD/Maildir" >/dev/null && command mu index --quiet && command mu find --sortfield=subject --fields 's f' number | head -50
}
objc()
{
	printf '#import <objc/objc.h>\n#import <objc/runtime.h>\n#include <stdio.h>\n__attribute__((objc_root_class)) @interface R { Class isa; @public id next; int n; } + (id) alloc; - (int) n; @end\n@implementation R + (id) alloc { return class_createInstance(self, 0); } - (int) n { return n; } @end\nint main(void) { R *l = 0; long s = 0; for (int i = 0; i < 2000000; i++) { R *r = [R alloc]; r->n = i; r->next = i %% 1000 ? l : 0; l = r; } for (R *r = l; r; r = r->next) s += [r n]; printf("%%ld\\n", s); }\n' >t.m
	gcc -std=gnu99 -fobjc-gc -w -o t t.m -lobjc_gc -lgc 2>/dev/null || gcc -std=gnu99 -w -o t t.m -lobjc_gc || return
	./t
}
parser3_apache()
{
	mkdir www
	cp "$here/work.p" www/work.html
	printf 'ServerRoot %s\nPidFile %s/pid\nListen 127.0.0.1:8471\nServerName localhost\nErrorLog %s/log\nLoadModule mpm_prefork_module /usr/lib/apache2/modules/mod_mpm_prefork.so\nLoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so\nLoadModule mime_module /usr/lib/apache2/modules/mod_mime.so\nTypesConfig /etc/mime.types\nLoadModule parser3_module /usr/lib/apache2/modules/mod_parser3.so\nDocumentRoot %s/www\nAddHandler parser3-handler html\nUser nobody\nGroup nogroup\nStartServers 1\nMinSpareServers 1\nMaxSpareServers 2\n' \
		"$PWD" "$PWD" "$PWD" "$PWD" >conf
	chmod -R a+rX . "$PWD/.." "$PWD/../.."
	apache2 -X -f "$PWD/conf" & local server=$!
	for i in $(seq 50); do curl -sf -o /dev/null http://127.0.0.1:8471/work.html && break; sleep 0.1; done
	for i in $(seq 20); do curl -s http://127.0.0.1:8471/work.html | cksum; done
	curl -s http://127.0.0.1:8471/work.html | head -c 500
	kill $server
	wait $server
}
remake()
{
	printf 'all: a b\na: ; @echo a\nb: a ; @echo $(words $(foreach i,1 2 3 4 5 6 7 8 9 10,$(foreach j,1 2 3 4 5 6 7 8 9 10,$(foreach k,1 2 3 4 5 6 7 8 9 10,$i$j$k))))\n' >Makefile
	command remake -s && command remake --targets
}
stalin()
{
	printf '(define (fib n) (if (< n 2) n (+ (fib (- n 1)) (fib (- n 2)))))\n(define (make n) (if (= n 0) (quote ()) (cons (number->string n) (make (- n 1)))))\n(let loop ((i 0)) (if (< i 300) (begin (make 1000) (loop (+ i 1)))))\n(display (fib 20)) (newline) (display (length (make 500))) (newline)\n' >t.sc
	command stalin -On -c t.sc && cksum t.c
}

fresh()
{
	rm -rf "$work/$1"
	mkdir -p "$work/$1/job"
	cd "$work/$1/job" || exit
	export HOME=$work/$1/job TERM=dumb LC_ALL=C.UTF-8 TZ=UTC GUILE_AUTO_COMPILE=0
}

# Its own shell: what a job exports and starts is gone with it. The directory's name is not in the output.
side()
{
	local name=$1 job=$2
	fresh "$name"
	(
		[ "$name" = ours ] && export LD_LIBRARY_PATH=$build/lib GCDUNE_STATS=$work/stats-%p
		exec timeout 300 bash "$here/../../benchmarks/dropin-others.sh" "$build" --job "$job"
	) </dev/null 2>&1 | sed "s|$work/$name|WORK|g; s/[0-9]*-byte//" >"$work/$name.out"
	printf '\n%s\n' "${PIPESTATUS[0]}" >>"$work/$name.out"
	cd /
}

if [ "${1:-}" = --job ]; then
	trap - EXIT
	"$2"
	exit
fi
for entry in $jobs; do
	job=${entry%%:*} needs=${entry#*:}
	[ $# = 0 ] || grep -qE "$(IFS='|'; echo "$*")" <<<"$job" || continue
	[ "$job" != make_guile ] || needs=${MAKE_GUILE:-/usr/share/doc/make-guile}
	if ! { [ -e "$needs" ] || type -P "$needs" >/dev/null; }; then
		printf '%-16s not installed\n' "$job"
		continue
	fi
	rm -f "$work"/stats-*
	side debian "$job"
	side ours "$job"
	collections=$(cat "$work"/stats-* 2>/dev/null | grep -o '"collections": *[0-9]*' | awk '{n += $2; p++} END {print n + 0, "collections in", p + 0, "processes"}')
	if cmp -s "$work/debian.out" "$work/ours.out"; then
		printf '%-16s same output (%s lines, status %s), %s\n' "$job" "$(wc -l <"$work/ours.out")" "$(tail -1 "$work/ours.out")" "$collections"
	else
		failed=1
		printf '%-16s DIFFERS, %s\n' "$job" "$collections"
		diff "$work/debian.out" "$work/ours.out" | head -10
	fi
	[ -z "${SHOW:-}" ] || head -c 1500 "$work/ours.out"
done
exit $failed
