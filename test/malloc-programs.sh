# malloc-programs.sh - the workloads of test-malloc-programs.sh: each a function that prints what does not depend on the
# allocator. In a directory of its own; sourced.

work_python_tests() { python3 -W ignore -m test -q test_json test_dict test_list test_re test_threading_local test_struct test_sqlite3 test_weakref 2>&1 | grep -E 'Result|^All|fail' | sort -u; }

work_python() {
	python3 - <<-'END'
	import json, re, threading, subprocess, hashlib
	rows = [{"n": i, "s": str(i) * (i % 7), "l": list(range(i % 20))} for i in range(20000)]
	text = json.dumps(rows)
	print(hashlib.sha256(text.encode()).hexdigest(), json.loads(text) == rows)
	out = [0] * 4
	def count(k):
	    out[k] = sum(len(m) for m in re.findall(r"[0-9]+", text))
	threads = [threading.Thread(target=count, args=(k,)) for k in range(4)]
	[t.start() for t in threads]
	[t.join() for t in threads]
	print(out, subprocess.check_output(["echo", "child"]))
	END
}

work_sqlite3() {
	sqlite3 :memory: <<-'END'
	create table t(id integer primary key, name text, x real);
	with recursive c(i) as (select 1 union all select i + 1 from c where i < 40000)
	insert into t select i, 'name ' || (i * 7919 % 1000), i * 0.5 from c;
	create index n on t(name);
	select name, count(*), sum(x) from t group by name order by 3 desc limit 5;
	select count(*), max(length(g)) from (select group_concat(name, ',') as g from t group by id % 100);
	END
}

work_git() {
	git init -q repository && cd repository
	git config user.email a@example.org && git config user.name a && git config gc.auto 0
	for i in $(seq 30); do
		seq "$i" $((i * 50)) >"file$((i % 7))"
		git add . && GIT_AUTHOR_DATE="2020-01-01T00:00:$i" GIT_COMMITTER_DATE="2020-01-01T00:00:$i" git commit -qm "number $i"
	done
	git repack -adq && git log --stat | sha256sum
	git diff HEAD~20 HEAD | sha256sum
	git fsck 2>&1 | grep -v '^Checking'
	cd ..
}

work_gcc() {
	cat >unit.c <<-'END'
	#include <stdio.h>
	#include <stdlib.h>
	#include <string.h>
	struct s { int a[10]; struct s *next; };
	static int f(int n) { int s = 0; for (int i = 0; i < n; i++) s += i * n % 7; return s; }
	int main(void) { struct s x = {{1}}; printf("%d %d\n", f(1000), x.a[0]); return 0; }
	END
	gcc -O2 -S -o unit.s unit.c && sha256sum unit.s
	gcc -O3 -g0 -o unit unit.c && ./unit
}

work_perl() {
	perl -e '
	my %h; for my $i (1..60000) { push @{$h{$i % 997}}, "item $i" }
	my $n = 0; for my $k (sort keys %h) { $n += length join ",", @{$h{$k}} }
	my $t = join " ", map { sprintf "%05d", $_ * 7919 % 10007 } 1..50000;
	my $c = () = $t =~ /(\d)\1/g; print "$n $c ", length(join "", sort split / /, $t), "\n"'
}

work_node() {
	command -v node >/dev/null || return 0
	node -e '
	const zlib = require("zlib"), crypto = require("crypto");
	const rows = Array.from({length: 30000}, (_, i) => ({id: i, name: "row " + i, tags: [i % 3, i % 5]}));
	const text = JSON.stringify(rows);
	const packed = zlib.gzipSync(text);
	console.log(crypto.createHash("sha256").update(text).digest("hex"), zlib.gunzipSync(packed).toString() === text);
	let m = new Map(); for (let i = 0; i < 200000; i++) m.set("k" + i % 5000, Buffer.alloc(100 + i % 50));
	console.log(m.size, [...m.values()].reduce((a, b) => a + b.length, 0));
	setTimeout(() => console.log("later"), 10);'
}
