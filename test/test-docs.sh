#!/bin/bash
# The man pages keep up with the source: gcdune(3) names every function of gcdune.h, gcdune-options(7) every option of
# gcdune/options.c and no other; groff, where there is one, has no complaint about them.
#
# TEST-FLAGS: once=yes
set -eu

fail() { echo "test-docs: $*" >&2; exit 1; }
cd "$SRC"

names() { grep -oE "$1" "$2" | sort -u; }

functions=$(sed -n 's/^[a-z].*[ *]\(gcdune_[a-z0-9_]*\)(.*/\1/p' gcdune/gcdune.h | sort -u)
missing=$(comm -23 <(echo "$functions") <(names 'gcdune_[a-z0-9_]+' docs/man/gcdune.3))
[ -n "$functions" ] && [ -z "$missing" ] || fail "not in gcdune.3:" $missing

options=$(sed -n 's/^\t{ *"\([a-z_]*\)", .*/GCDUNE_\1/p' gcdune/options.c | tr a-z A-Z | sort -u)
documented=$(sed -n 's/^\.It Ev \(GCDUNE_[A-Z_]*\) .*/\1/p' docs/man/gcdune-options.7 | sort -u)
[ -n "$options" ] && [ "$options" = "$documented" ] ||
	fail "options.c and gcdune-options.7 differ:" "$(diff <(echo "$options") <(echo "$documented"))"

if command -v groff >/dev/null; then
	complaints=$(groff -mdoc -ww -Tutf8 docs/man/* 2>&1 >/dev/null)
	[ -z "$complaints" ] || fail "groff: $complaints"
fi
