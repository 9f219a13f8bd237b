#!/bin/sh
# Third-party files: a wrong hash stops with both hashes, a missing file is named with hash and folder, and
# DEPS_DIR is enough without a network (apt-get is replaced by a program that tells on its caller).
set -eu
fail() { echo "not so: $*"; exit 1; }
have=$BUILD/dl
[ -e "$have/musl_1.2.5.orig.tar.gz" ] || fail "no downloads in $have"
mkdir "$TMPDIR/bin"
printf '#!/bin/sh\ntouch %s\nexit 1\n' "$TMPDIR/network-used" >"$TMPDIR/bin/apt-get"
chmod +x "$TMPDIR/bin/apt-get"
PATH=$TMPDIR/bin:$PATH

cp -r "$have" "$TMPDIR/folder"
DEPS_DIR=$TMPDIR/folder contrib/deps/fetch "$TMPDIR/a" >"$TMPDIR/log" || fail "fetch from a folder: $(cat "$TMPDIR/log")"
contrib/deps/fetch "$TMPDIR/a" >/dev/null || fail "second run"
[ ! -e "$TMPDIR/network-used" ] || fail "the network was not used"
echo "a folder is enough, and a second run finds everything"

# one byte changed: in a tarball, then in a patch
want=$(awk -F'\t' '$1 == "source" && $2 == "inih" { print $6 }' contrib/deps/table.tsv)
printf x >>"$TMPDIR/folder/libinih_59.orig.tar.gz"
got=$(sha256sum <"$TMPDIR/folder/libinih_59.orig.tar.gz" | cut -d' ' -f1)
if DEPS_DIR=$TMPDIR/folder contrib/deps/fetch "$TMPDIR/b" >"$TMPDIR/log" 2>&1; then fail "a changed file is refused"; fi
grep -q "wanted $want" "$TMPDIR/log" && grep -q "got *$got" "$TMPDIR/log" || fail "both hashes: $(cat "$TMPDIR/log")"
[ ! -e "$TMPDIR/b/libinih_59.orig.tar.gz" ] || fail "the changed file was not taken"
echo "a changed file: $(grep -c 'wanted\|got' "$TMPDIR/log") hashes shown"

rm "$TMPDIR/a/patches/sodium/CVE-2025-69277.patch"
cp "$have/patches/cares/CVE-2022-4904.diff" "$TMPDIR/a/patches/sodium/CVE-2025-69277.patch"
if contrib/deps/fetch "$TMPDIR/a" >"$TMPDIR/log" 2>&1; then fail "a changed patch is refused"; fi
grep -q 'wrong SHA-256' "$TMPDIR/log" || fail "wrong patch: $(cat "$TMPDIR/log")"
if contrib/deps/unpack "$TMPDIR/a" "$TMPDIR/src" sodium 2>"$TMPDIR/log"; then fail "unpack trusts an unchecked patch"; fi
grep -q 'wrong SHA-256' "$TMPDIR/log" || fail "unpack: $(cat "$TMPDIR/log")"

rm "$TMPDIR/folder/libinih_59.orig.tar.gz" "$TMPDIR/folder/patches/sodium/CVE-2025-69277.patch"
if DEPS_DIR=$TMPDIR/folder contrib/deps/fetch "$TMPDIR/c" >"$TMPDIR/log" 2>&1; then fail "missing files are an error"; fi
for text in "$want" libinih_59.orig.tar.gz patches/sodium/CVE-2025-69277.patch "$TMPDIR/folder"; do
    grep -qF "$text" "$TMPDIR/log" || fail "a missing file is named with $text: $(cat "$TMPDIR/log")"
done
[ ! -e "$TMPDIR/network-used" ] || fail "the network was not used"
echo "missing files are named with hash and folder"

# every way in which a machine spells its Debian archive
entry() { APT_ETC=$TMPDIR/etc contrib/deps/fetch --entry; }
mkdir -p "$TMPDIR/etc/sources.list.d"
echo 'deb [arch=amd64 signed-by=/k/debian.gpg] http://mirror.example/debian bookworm main' >"$TMPDIR/etc/sources.list"
[ "$(entry)" = "http://mirror.example/debian /k/debian.gpg" ] || fail "one line with options: $(entry)"
printf 'deb http://security.example/debian-security x-security main\ndeb http://m.example/debian x main\n' \
    >"$TMPDIR/etc/sources.list"
[ "$(entry)" = "http://m.example/debian -" ] || fail "one line: $(entry)"
printf 'Types: deb\nURIs: http://d.example/debian\nSuites: trixie trixie-updates\nSigned-By: /k/d.gpg\n' \
    >"$TMPDIR/etc/sources.list.d/debian.sources"
[ "$(entry)" = "http://d.example/debian /k/d.gpg" ] || fail "deb822: $(entry)"
rm -r "$TMPDIR/etc"
if entry >/dev/null 2>&1; then fail "no entry is an error"; fi
echo "the machine's Debian entry is understood"
