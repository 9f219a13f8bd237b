#!/bin/sh
# What make promises of build/silktalk, read from the file itself.
set -eu
fail() { echo "not so: $*"; exit 1; }
size=$(wc -c <"$SILKTALK")
[ "$size" -le 3145728 ] || fail "at most 3 MiB: $size bytes"
readelf -hlSdW "$SILKTALK" >"$TMPDIR/elf"
grep -q 'Type: *DYN' "$TMPDIR/elf" || fail "position independent"
grep -q 'Flags: NOW PIE' "$TMPDIR/elf" || fail "PIE, bound at start"
grep -q GNU_RELRO "$TMPDIR/elf" || fail "RELRO"
grep -q BIND_NOW "$TMPDIR/elf" || fail "full RELRO"
stack=$(awk '$1 == "GNU_STACK" { print $7 }' "$TMPDIR/elf")
[ "$stack" = RW ] || fail "the stack is not executable: '$stack'"
! grep -q 'INTERP' "$TMPDIR/elf" || fail "static: no interpreter"
! grep -q '(NEEDED)' "$TMPDIR/elf" || fail "static: needs no library"
! grep -q TEXTREL "$TMPDIR/elf" || fail "no text relocations"
! grep -qE '\.symtab|\.debug_' "$TMPDIR/elf" || fail "stripped"
# a segment is writable or executable, never both
! grep -E '^ *LOAD' "$TMPDIR/elf" | grep -q 'RWE' || fail "no segment is both writable and executable"
readelf -SW "$SILKTALK.debug" | grep -q '\.debug_info' || fail "the twin for gdb has debug information"
id() { readelf -nW "$1" | sed -n 's/.*Build ID: //p'; }
[ -n "$(id "$SILKTALK")" ] && [ "$(id "$SILKTALK")" = "$(id "$SILKTALK.debug")" ] || fail "both have one build id"
for f in "$SILKTALK" "$SILKTALK.debug"; do
    ! grep -qaF "$(pwd)" "$f" || fail "the place of the build is not in $f"
done
echo "$size bytes; static-pie, full RELRO, no executable stack, stripped"
