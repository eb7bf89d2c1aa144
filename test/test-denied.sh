#!/bin/bash
# Where userfaultfd is denied, the next source takes over, or the program stops while the heap is marked, and a line says
# so; without a capability or as another user all is as usual. Needs python3, to install a filter of system calls.
# TEST-FLAGS: timeout=240 asan=no tsan=no once=yes
set -u
fail() { echo "FAILED: $*"; exit 1; }
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
chmod 755 "$dir"
cat >"$dir/deny.py" <<'END'
# Runs a command with userfaultfd(2) (323) failing with EPERM.
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
code = [(0x20, 0, 0, 0), (0x15, 0, 1, 323), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7fff0000)]
program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *c) for c in code))
class Fprog(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
f = Fprog(len(code), ctypes.addressof(program))
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.byref(f)):
    sys.exit(77)
os.execv(sys.argv[1], sys.argv[1:])
END
export GCDUNE_MODE=concurrent
python3 "$dir/deny.py" "$BUILD/test/test-mutator" >"$dir/out" 2>&1
case $? in
0) ;;
77) echo 'SKIP: no filter of system calls can be installed here'; exit 77 ;;
*) cat "$dir/out"; fail 'a program with userfaultfd denied' ;;
esac
[ "$(wc -l <"$dir/out")" = 1 ] || { cat "$dir/out"; fail 'one line was expected'; }
grep -q 'uffd: Operation not permitted' "$dir/out" || { cat "$dir/out"; fail 'the line does not say what was denied'; }

# What was asked for by name and cannot be had.
GCDUNE_DIRTY=uffd python3 "$dir/deny.py" "$BUILD/test/test-inline" >"$dir/out" 2>&1 || { cat "$dir/out"; fail 'GCDUNE_DIRTY=uffd'; }
grep -q 'GCDUNE_DIRTY=uffd cannot be had' "$dir/out" || { cat "$dir/out"; fail 'no word of GCDUNE_DIRTY=uffd'; }

# An ordinary user without capabilities gets the same source as root.
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	install "$BUILD/test/test-mutator" "$BUILD/lib/libgcdune.so.0" "$dir/" # readable for everyone
	LD_LIBRARY_PATH=$dir GCDUNE_STATS=1 setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all \
		--no-new-privs "$dir/test-mutator" >"$dir/out" 2>&1 || { cat "$dir/out"; fail 'as nobody'; }
	GCDUNE_STATS=1 "$BUILD/test/test-mutator" >"$dir/root" 2>&1 || { cat "$dir/root"; fail 'as root'; }
	user=$(grep -o 'writes by [a-z]*' "$dir/out") root=$(grep -o 'writes by [a-z]*' "$dir/root")
	[ "$user" = "$root" ] || fail "as nobody: $user; as root: $root"
fi
exit 0
