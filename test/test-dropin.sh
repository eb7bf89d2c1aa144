#!/bin/bash
# dropin - Debian's programs that use libgc (ecl, nix-instantiate, crystal and what it compiles, w3m, guile, neko, asymptote,
# parser3; those that are installed), not rebuilt: small workloads print the same on Debian's library and on ours. With
# larger ones and a table: make bench-dropin.
#
# TEST-FLAGS: once=yes timeout=300
set -u
command -v python3 >/dev/null || { echo 'SKIP: no python3'; exit 77; }
[ -e /usr/lib/x86_64-linux-gnu/libgc.so.1 ] || { echo "SKIP: no system libgc"; exit 77; }
exec "$SRC/benchmarks/dropin.py" --short "$BUILD"
