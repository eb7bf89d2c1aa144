#!/bin/bash
# test-dune-programs.sh - unmodified Debian programs in Dune mode: the same output, messages and exit status as natively.
# Prints a table of the results, with the exits and system calls of all processes that a row started (those that were
# killed by a signal have no line). A program that is not installed is left out; with fewer than 25 the test is skipped.
#
# TEST-FLAGS: asan=no tsan=no once=yes timeout=400
set -u
: "${BUILD:=$(pwd)/build}"
run=$BUILD/bin/dune-run
why=$("$run" --probe 2>&1) || { echo "SKIP: $why"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export LC_ALL=C.UTF-8 TZ=UTC HOME=$work GIT_AUTHOR_DATE=2020-01-01T00:00:00Z GIT_COMMITTER_DATE=2020-01-01T00:00:00Z
cd "$work" || exit

cat >hello.c <<'END'
#include <stdio.h>
int main(int argc, char **argv) { printf("hello %d\n", argc); return 3; }
END
cat >threads.py <<'END'
import threading, queue
q, out = queue.Queue(), []
def work():
    while (x := q.get()) is not None:
        out.append(x * x)
ts = [threading.Thread(target=work) for _ in range(6)]
[t.start() for t in ts]
[q.put(i) for i in range(500)]
[q.put(None) for _ in ts]
[t.join() for t in ts]
print(sum(out), len(out))
END
cat >spawn.py <<'END'
import subprocess, os, multiprocessing
print(subprocess.run(["sh", "-c", "echo out; echo err >&2; exit 4"], capture_output=True))
print(subprocess.check_output("seq 5 | sort -r", shell=True))
with multiprocessing.get_context("fork").Pool(3) as pool:
    print(pool.map(abs, range(-5, 5)))
END
cat >loop.py <<'END'
import asyncio
async def one(i):
    await asyncio.sleep(0.001 * i)
    return i
async def main():
    print(await asyncio.gather(*(one(i) for i in range(20))))
    p = await asyncio.create_subprocess_exec("sh", "-c", "cat; exit 6", stdin=-1, stdout=-1)
    print(await p.communicate(b"through a child\n"), p.returncode)
    r = await asyncio.start_server(lambda r, w: (w.write(b"served"), w.close()), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*r.sockets[0].getsockname())
    print(await reader.read())
asyncio.run(main())
END
cat >signals.py <<'END'
import signal, os, time
got = []
signal.signal(signal.SIGUSR1, lambda s, f: got.append(s))
signal.signal(signal.SIGALRM, lambda s, f: got.append(s))
os.kill(os.getpid(), signal.SIGUSR1)
signal.setitimer(signal.ITIMER_REAL, 0.02)
time.sleep(0.1)
print([signal.Signals(s).name for s in got])
try:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(1)
except KeyboardInterrupt:
    print("interrupted")
os.kill(os.getpid(), signal.SIGTERM)
END
cat >program.js <<'END'
const { execSync } = require("child_process");
const { Worker } = require("worker_threads");
let s = 0, keep = [];
for (let i = 0; i < 3e6; i++) { s += i % 7; if (i % 1000 == 0) keep.push({ i, t: [i, i] }); }
console.log(s, keep.length, execSync("echo from a child").toString());
const w = new Worker('require("worker_threads").parentPort.postMessage([1,2,3].map(x => x * x))', { eval: true });
w.on("message", m => { console.log(m); setTimeout(() => process.exit(9), 20); });
END
printf 'all: a b c d\n\t@cat a b c d\n%%:\n\t@echo made $@ >$@\n' >makefile
seq 1 20000 | awk '{ print ($1 * 7919) % 20011, $1 }' >numbers
mkdir tree && for i in 1 2 3 4 5; do seq $i 400 >tree/$i; done

# Name, the program that must be there, what is run.
cat >list <<'END'
bash	bash	bash -c 'for i in 1 2 3; do echo $i; done | while read x; do echo "<$x>"; done; exit 5'
bash jobs	bash	bash -c 'sleep 0.05 & wait $!; echo $?; (exit 3); echo $?; trap "echo trapped; exit 7" USR1; kill -USR1 $$; sleep 5'
dash	dash	dash -c 'x=$(ls tree | wc -l); echo $x; cat /does/not/exist || exit 2'
gcc	gcc	bash -c 'gcc -O2 -o hello hello.c && ./hello a b'
perl	perl	perl -e 'my %h; $h{$_ % 97} += $_ for 1..100000; print join(",", map { $h{$_} } 1..5), "\n"; print `echo sub`; exit 4'
perl fork	perl	perl -e '$| = 1; for (1..3) { if (!fork) { exit $_ } wait; print $? >> 8, "\n" } local $SIG{ALRM} = sub { print "alarm\n" }; alarm 1; sleep 5'
python3 threads	python3	python3 threads.py
python3 subprocess	python3	python3 spawn.py
python3 asyncio	python3	python3 loop.py
python3 signals	python3	python3 signals.py
sqlite3	sqlite3	sqlite3 :memory: 'create table t(a, b); with recursive c(x) as (select 1 union all select x + 1 from c where x < 20000) insert into t select x, x * x % 1009 from c; select count(distinct b), sum(b) from t;'
openssl	openssl	bash -c 'openssl dgst -sha256 numbers; openssl enc -aes-256-cbc -pbkdf2 -pass pass:x -S 00 -in numbers | openssl dgst -sha1'
git	git	bash -c 'rm -rf r; git init -q r; cd r; cp ../tree/* .; git add .; git -c user.name=n -c user.email=e commit -qm m; git log --stat; git fsck'
tar	tar	bash -c 'tar cf - --sort=name --mtime=@0 --owner=0 --group=0 tree | tar tvf -'
gzip	gzip	bash -c 'gzip -9n <numbers | tee z | gunzip | cmp - numbers && cksum z'
xz	xz	bash -c 'xz -T2 -c numbers | xz -dc | cksum'
sort	sort	sort --parallel=4 -S 100k -n numbers
find	find	find tree -name '[2-4]' -exec wc -l {} +
grep	grep	grep -c 77 numbers
sed	sed	sed -n 's/^1\(.\)/\1-/p' numbers
awk	awk	awk '{ s += $1 * $2 } END { print s; exit 8 }' numbers
node	node	node program.js
java serial	java	keytool -J-XX:+UseSerialGC -J-Xmx32m -J-Xshare:auto -genkeypair -alias a -keyalg RSA -keysize 2048 -dname CN=x -storepass secret -keystore OUT -v
java G1	java	bash -c 'keytool -J-XX:+UseG1GC -J-Xmx64m -genkeypair -alias a -keyalg EC -dname CN=x -storepass secret -keystore OUT.g1 && keytool -J-XX:+UseG1GC -list -storepass secret -keystore OUT.g1 | head -n 2'
guile	guile	guile --no-auto-compile -c '(display (apply + (map (lambda (x) (* x x)) (iota 20000)))) (newline) (exit 6)'
lua	lua5.4	lua5.4 -e 'local t = {} for i = 1, 100000 do t[i] = {i} end print(#t, t[777][1]) os.exit(2)'
make -j	make	make -s -j3 -f makefile
tmux	tmux	bash -c 'tmux -L OUT -f /dev/null new-session -d "echo in a terminal; stty size; sleep 0.3" \; pipe-pane "cat >pane"; sleep 1; tmux -L OUT kill-server 2>/dev/null; wc -l <pane'
script	script	script -qec 'stty size; tty | sed s/[0-9]*$//' /dev/null
diff	diff	diff -r tree/1 tree/2
bc	bc	bc -q -l -e 's(1) * 2^200'
xargs	xargs	bash -c 'ls tree | xargs -P 3 -n 1 -I X wc -c tree/X | sort'
dd	dd	dd if=numbers bs=777 skip=3 count=20 status=none
setsid timeout	timeout	bash -c 'timeout 0.1 sleep 5; echo $?; timeout -s INT 0.1 cat </dev/zero >/dev/null; echo $?'
gdb	gdb	gdb -q -batch -ex 'print 6 * 7'
ls	ls	ls -laR --time-style=+ tree
w3m	w3m	bash -c 'echo "<h1>T</h1><p>some text<ul><li>a<li>b</ul>" | w3m -dump -T text/html'
END

printf '%-20s %-8s %6s %9s %9s %8s\n' program result status exits calls seconds
same=0 different=0 absent=0
while IFS=$'\t' read -r name program command; do
	if ! command -v "$program" >/dev/null; then
		printf '%-20s not installed\n' "$name"
		absent=$((absent + 1))
		continue
	fi
	rm -rf a b c d z r pane OUT* hello
	eval "timeout 60 ${command//OUT/n-$$}" >native.out 2>native.err </dev/null
	native=$?
	rm -rf a b c d z r pane OUT* hello n-$$* statistics
	begin=$EPOCHREALTIME
	DUNE_STATISTICS=$work/statistics DUNE_CRASH=0 eval "timeout 100 $run ${command//OUT/n-$$}" >dune.out 2>dune.err </dev/null
	status=$?
	seconds=$(((${EPOCHREALTIME/[.,]/} - ${begin/[.,]/}) / 10000))
	rm -rf n-$$*
	touch statistics
	if [ "$status" = "$native" ] && cmp -s native.out dune.out && cmp -s native.err dune.err && [ -s statistics ]; then
		result=same same=$((same + 1))
	else
		result=DIFFERS different=$((different + 1))
	fi
	printf '%-20s %-8s %6s %9s %9s %5d.%02d\n' "$name" $result $status \
		$(awk '{ e += $4; c += $6 } END { print e + 0, c + 0 }' statistics) $((seconds / 100)) $((seconds % 100))
	if [ $result = DIFFERS ]; then
		echo "natively: status $native; differences:"
		diff native.out dune.out | head -n 10
		diff native.err dune.err | head -n 10
	fi
done <list
echo "$same the same, $different different, $absent not installed"
[ $different = 0 ] || exit 1
[ $same -ge 25 ] || { echo "SKIP: only $same of the programs are installed"; exit 77; }
