#!/bin/bash
# test-dune-qemu.sh - the tests of Dune mode under kvm_amd, with nested paging (npt=1) and with shadow paging (npt=0):
# Debian's kernel in QEMU's software emulation, which emulates SVM. npt=0 shows what shadow paging gets wrong when a
# protocol is not kept; neither is fast, so nothing here measures time. "-smp 1": the emulation of several processors in
# threads of their own was not reliable.
#
# Then the collector's tests with the sources of Dune mode, a smaller set than test-dune-sources.sh has.
#
# It boots a kernel with a file system in memory that holds busybox, the tests and the libraries that they need; /init
# loads the modules, runs each test and prints a line for it.
#
# TEST-FLAGS: asan=no tsan=no once=yes alone=yes timeout=1600
set -u
: "${BUILD:=$(pwd)/build}"
skip() { echo "SKIP: $*"; exit 77; }

command -v qemu-system-x86_64 >/dev/null || skip "qemu-system-x86_64 is not installed (package qemu-system-x86)"
command -v cpio >/dev/null || skip "cpio is not installed"
busybox=$(command -v busybox) || skip "busybox is not installed (package busybox-static)"
kernel=$(ls /boot/vmlinuz-*-cloud-amd64 2>/dev/null | tail -n 1)
[ -n "$kernel" ] || skip "there is no kernel to boot (package linux-image-cloud-amd64)"
version=${kernel#/boot/vmlinuz-}
modules=/lib/modules/$version/kernel
[ -f "$modules/arch/x86/kvm/kvm-amd.ko" ] || skip "$modules has no kvm-amd.ko"

# Name and variables of each test; what repeats, repeats less: an exit costs some 100 us here.
tests=(${DUNE_QEMU_TESTS-enter ahead dirty dirty-threads log outputs table huge memory tidy walkers fault fault-signal exception syscall refused threads fork signal attack})
# Of the collector.
collector=(${DUNE_QEMU_COLLECTOR-dirty-gather dirty-settle mutator writes fork})
: "${DUNE_QEMU_REPEAT:=10}"

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{bin,lib64,lib,proc,sys,dev,tmp,t}
cp "$busybox" "$root/bin/busybox"
for name in sh mkdir mount insmod rmmod poweroff cat echo ls sed sort true sleep env seq grep wc; do
	ln -s busybox "$root/bin/$name"
done
for module in virt/lib/irqbypass arch/x86/kvm/kvm arch/x86/kvm/kvm-amd; do
	cp "$modules/$module.ko" "$root/"
done
# DUNE_QEMU_BENCH=--quick: the micro-benchmarks too, or those that it names ("chase"), for docs/dune.md.
# DUNE_QEMU_SOURCES="gcbench ...": programs of make bench-sources, for what they cause in faults and exits; docs/dirty.md.
# DUNE_QEMU_SETTLE: how long settling waits for threads to come by, in microseconds (GCDUNE_SETTLE): a thread runs there only at
# the system's next tick, as there is one processor, and an instruction takes 100 times as long.
: "${DUNE_QEMU_SETTLE:=30000}"
[ -z "${DUNE_QEMU_BENCH-}" ] || cp "$BUILD/bench/dune-micro" "$root/bin/"
# The dynamic linker by its own path, all else where it looks.
copy_libraries() {
	local line file
	while read -r line; do
		file=$(sed -n 's/.*=> \(\/[^ ]*\).*/\1/p; s/^\t*\(\/[^ ]*ld-linux[^ ]*\) .*/\1/p' <<<"$line")
		case $file in
		*ld-linux*) cp -L "$file" "$root/lib64/" ;;
		?*) cp -L "$file" "$root/lib/" ;;
		esac
	done < <(ldd "$1")
}
for program in ${DUNE_QEMU_SOURCES-}; do
	cp "$BUILD/bench/$program-gcdune" "$root/bin/" || exit 1
	copy_libraries "$BUILD/bench/$program-gcdune"
	mkdir -p "$root/usr/share/mime/packages"
	cp /usr/share/mime/packages/freedesktop.org.xml "$root/usr/share/mime/packages/" || exit 1 # what xml-parse reads
done
present=()
for test in "${tests[@]}"; do
	program=$BUILD/test/test-dune-$test
	[ -x "$program" ] || { echo "$program is missing"; exit 1; }
	cp "$program" "$root/t/"
	copy_libraries "$program"
	present+=("$test")
done
for test in "${collector[@]}"; do
	cp "$BUILD/test/test-$test" "$root/t/" || exit 1
	copy_libraries "$BUILD/test/test-$test"
done
cp "$BUILD/lib/libgcdune.so.0" "$root/lib/"
cp -L /lib/x86_64-linux-gnu/libgcc_s.so.1 "$root/lib/" # pthread_exit loads it
cp "$BUILD/lib/libdune.so.0" "$root/lib/"
cp "$BUILD/bin/dune-run" "$root/bin/"
copy_libraries "$BUILD/bin/dune-run"
# An unmodified program of Debian's, with what it loads.
for program in bash perl; do
	cp "$(command -v $program)" "$root/bin/"
	copy_libraries "$(command -v $program)"
done

cat >"$root/init" <<END
#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
mkdir -p /dev/shm /dev/pts
export PATH=/bin LD_LIBRARY_PATH=/lib DUNE_REPEAT=$DUNE_QEMU_REPEAT DUNE_SMALL=1 HOME=/
insmod /irqbypass.ko
insmod /kvm.ko
for npt in ${DUNE_QEMU_NPT-1 0}; do
	insmod /kvm-amd.ko npt=\$npt || echo "RESULT npt=\$npt insmod 1"
	dune-run --probe
	for test in ${present[*]}; do
		[ \$test != memory ] || export DUNE_MAX_SLOTS=60 # as its TEST-FLAGS say
		case \$test in tidy | walkers) export DUNE_TIDY_AT=64 ;; esac
		/t/test-dune-\$test
		echo "RESULT npt=\$npt \$test \$?"
		echo "at \$(cat /proc/uptime | sed "s/\..*//") s"
		unset DUNE_MAX_SLOTS DUNE_TIDY_AT
	done
	for test in ${collector[*]}; do
		for source in dune dune-fault; do
			case \$test\$source in dirty-*dune-fault) continue ;; esac
			TEST_LESS=100 GCDUNE_DIRTY=\$source GCDUNE_MODE=concurrent GCDUNE_TORTURE=500 GCDUNE_VERIFY=2 /t/test-\$test
			echo "RESULT npt=\$npt \$test.\$source \$?"
			echo "at \$(cat /proc/uptime | sed "s/\..*//") s"
		done
	done
	dune-run bash -c 'for i in 1 2 3; do echo \$i; done | sort -r | while read x; do echo "line \$x"; done; exit 7' >/tmp/out 2>&1
	[ \$? = 7 ] && [ "\$(cat /tmp/out | wc -l)" = 3 ]
	echo "RESULT npt=\$npt bash \$?"
	[ "\$(dune-run perl -e 'my \$s = 0; \$s += \$_ for 1..1000; print \$s, "\n"; print \`echo sub\`')" = "500500
sub" ]
	echo "RESULT npt=\$npt perl \$?"
	[ ! -x /bin/dune-micro ] || dune-micro ${DUNE_QEMU_BENCH-}
	for program in ${DUNE_QEMU_SOURCES-}; do
		for source in mprotect dune-fault dune; do
			GCDUNE_DIRTY=\$source GCDUNE_SETTLE=$DUNE_QEMU_SETTLE GCDUNE_STATS=/tmp/s.json \$program-gcdune >/dev/null
			echo "COUNTS npt=\$npt \$program \$source \$?: \$(grep -E '^  "(collections|dirty_faults|dirty_flushes|dirty_exits|dirty_source|dune)"' /tmp/s.json | sed ':a; N; s/\\n//; ta')"
		done
	done
	rmmod kvm_amd
done
echo "RESULT end 0"
poweroff -f
END
sed -i 's/^mkdir -p/busybox mkdir -p/' "$root/init"
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc 2>/dev/null | gzip -1) >"$root.gz"
trap 'rm -rf "$root" "$root.gz"' EXIT

timeout "${DUNE_QEMU_TIMEOUT:-1500}" qemu-system-x86_64 -accel tcg,thread=single -cpu EPYC,+svm,+npt -smp 1 -m 2048 \
	-nographic -no-reboot -kernel "$kernel" -initrd "$root.gz" \
	-append "console=ttyS0 quiet rdinit=/init panic=-1 mitigations=off" </dev/null >"$root/output" 2>&1
tr -d '\r' <"$root/output" >"$root/console"
cat "$root/console"
grep -q '^RESULT end 0' "$root/console" || { echo "the machine did not come to its end"; exit 1; }
bad=$(grep '^RESULT' "$root/console" | grep -v ' 0$')
[ -z "$bad" ] && exit 0
# What each failed test printed last, once more: who reads this often sees the end only.
echo "failed:"
awk '/^RESULT/ { if ($NF != 0) { for (i = n > 8 ? n - 8 : 0; i < n; i++) print "  " line[i]; print } n = 0; next }
	!/^at / { line[n++] = $0 }' "$root/console"
exit 1
