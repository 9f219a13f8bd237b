#!/bin/sh
# limit: 900
# Two builds give the same bytes: another path, user, umask, TZ, locale, -j and time. Our code is built twice and the
# third-party libraries are those of this tree; REPRODUCIBLE_FULL=1 builds them anew for the second (some minutes).
set -eu
fail() { echo "not so: $*"; exit 1; }
one=$TMPDIR/one
two=$TMPDIR/another-place/silktalk
mkdir -p "$one/build" "$two/build"
# what belongs to the source, with its times; copied once, since somebody may be editing here
tar -cf "$TMPDIR/tree.tar" VERSION LICENSE Makefile silktalk.c lib ops contrib tests/test.h tests/test_main.c
tar -xf "$TMPDIR/tree.tar" -C "$one"
tar -xf "$TMPDIR/tree.tar" -C "$two"
ln -s "$BUILD/deps" "$one/build/deps"
if [ -n "${REPRODUCIBLE_FULL:-}" ]; then
    cp -r "$BUILD/dl" "$two/build/dl"
else
    ln -s "$BUILD/deps" "$two/build/deps"
fi
as=
if [ "$(id -u)" -eq 0 ] && id nobody >/dev/null 2>&1 && command -v setpriv >/dev/null; then
    chown -R nobody "$TMPDIR/another-place"
    # this tree may lie where nobody may not look
    if setpriv --reuid=nobody --clear-groups test -r "$BUILD/deps/musl/lib/libz.a" -a -w "$two/build"; then
        as="setpriv --reuid=nobody --clear-groups"
    fi
fi
locale=$(locale -a 2>/dev/null | grep -v '^\(C\|POSIX\)' | head -1)
# the environment of the caller must not steer the copies
clean="env -u BUILD -u MAKEFLAGS -u MFLAGS -u LC_ALL"
start=$(date +%s)
(umask 022 && cd "$one" && $clean TZ=UTC LANG=C make -j1 >"$TMPDIR/log" 2>&1) || { tail -20 "$TMPDIR/log"; fail "builds"; }
# shellcheck disable=SC2086  # $as and $clean are lists
(umask 077 && cd "$two" && $as $clean TZ=Asia/Shanghai LANG="${locale:-de_DE.UTF-8}" HOME=/nonexistent \
    make -j3 >"$TMPDIR/log" 2>&1) || { tail -20 "$TMPDIR/log"; fail "builds in another place"; }
echo "built twice${as:+, the second time by another user}, in $(($(date +%s) - start)) s"
for f in silktalk silktalk.debug; do
    a=$(sha256sum <"$one/build/$f" | cut -d' ' -f1)
    b=$(sha256sum <"$two/build/$f" | cut -d' ' -f1)
    [ "$a" = "$b" ] || fail "$f has the same bytes: $a and $b"
    echo "same bytes: $f $a"
done

# the time of a rebuild after a change of one file; the limit of 3 s is for a machine that does nothing else
echo '/* changed */' >>"$one/lib/base/text.c"
start=$(date +%s%N)
# shellcheck disable=SC2086
(cd "$one" && $clean make >"$TMPDIR/log" 2>&1) || { tail -20 "$TMPDIR/log"; fail "rebuild"; }
took=$((($(date +%s%N) - start) / 1000000))
built=$(grep -c '^  cc' "$TMPDIR/log")
[ "$built" -le 8 ] || fail "a change of one file compiles it and the few that show the version, not $built files"
! cmp -s "$two/build/silktalk" "$one/build/silktalk" || fail "the change is in the result"
[ "$took" -le 30000 ] || fail "a rebuild takes $took ms"
echo "rebuild after a change of one file: $took ms, $built files compiled"
