#!/bin/bash
# deb - make deb's packages: unpacked beside each other they are a working installation: the command finds the libraries and
# runs a program on them, pkg-config answers for bdw-gc and a program compiled with that runs on our library; no
# package has a file that the distribution's libgc packages have.
#
# TEST-FLAGS: once=yes timeout=120 alone=yes
set -eu
fail() { echo "test-deb: $*" >&2; exit 1; }
command -v dpkg-deb >/dev/null || { echo 'SKIP: no dpkg-deb'; exit 77; }
# Also for who keeps files to himself.
(umask 077; BUILD=$BUILD MAKE=make "$SRC/runtimes/make-deb" >/dev/null)
root=$BUILD/test/deb-root
rm -rf "$root"
mkdir -p "$root"
[ "$(ls "$BUILD"/deb/*.deb | wc -l)" = 3 ] || fail "there are not three packages"
for package in "$BUILD"/deb/*.deb; do
	dpkg-deb -I "$package" | grep -q '^ Depends: ' || fail "$package depends on nothing"
	! dpkg-deb -c "$package" | grep -v '^l' | grep -qv '^.r..r..r' || fail "$package has what only its owner can read"
	dpkg-deb -x "$package" "$root"
done
for file in $(dpkg-query -L libgc1 libgc-dev 2>/dev/null | grep -v '/share/doc'); do
	[ -d "$file" ] || [ ! -e "$root$file" ] || fail "$file is a file of the distribution's libgc"
done
gcdune=$root/usr/bin/gcdune lib=$root/usr/lib/x86_64-linux-gnu/gcdune
[ "$($gcdune run -q --malloc=collect -- /bin/echo text)" = text ] || fail "gcdune run does not run echo"
$gcdune run -n /bin/echo 2>/dev/null | grep -q "LD_PRELOAD=$lib/libgcdune-malloc.so" || fail "the command does not find the library"

command -v pkg-config >/dev/null && command -v g++ >/dev/null || exit 0
export PKG_CONFIG_PATH=$lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root
cat >"$root/program.cc" <<'END'
#include <gc.h>
#include <gc_cpp.h>
#include <gc/gc_allocator.h>
#include <cstdio>
#include <vector>
struct node : gc { node *next = nullptr; };
int main()
{
	GC_INIT();
	std::vector<node *, gc_allocator<node *>> nodes;
	for (int i = 0; i < 100000; i++)
		nodes.push_back(new node);
	std::printf("%zu %d\n", nodes.size(), GC_is_incremental_mode());
}
END
g++ -o "$root/program" "$root/program.cc" $(pkg-config --cflags --libs bdw-gc) -lgccpp -Wl,-rpath,"$lib" || fail "no program with pkg-config bdw-gc"
"$root/program" | grep -q '^100000 ' || fail "the program fails"
ldd "$root/program" | grep -q "libgc.so.1 => $lib/" || fail "the program runs on another libgc"
