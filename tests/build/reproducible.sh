#!/bin/sh
# limit: 900
# Two builds give the same bytes: another path, user, umask, TZ, locale, -j and time. Our code is built anew and the
# third-party libraries are those of this tree; REPRODUCIBLE_FULL=1 builds them anew as well (some minutes).
set -eu
fail() { echo "not so: $*"; exit 1; }
here=$(pwd)
copy=$TMPDIR/another-place/silktalk
mkdir -p "$copy/build"
# what belongs to the source, with its times
tar -cf - VERSION LICENSE Makefile silktalk.c lib ops contrib tests/test.h tests/test_main.c | tar -xf - -C "$copy"
if [ -n "${REPRODUCIBLE_FULL:-}" ]; then
    cp -r "$BUILD/dl" "$copy/build/dl"
else
    ln -s "$BUILD/deps" "$copy/build/deps"
fi
as=
if [ "$(id -u)" -eq 0 ] && id nobody >/dev/null 2>&1 && command -v setpriv >/dev/null; then
    chown -R nobody "$TMPDIR/another-place"
    chmod 755 "$TMPDIR" "$(dirname "$TMPDIR")"
    # this tree may lie where nobody may not look
    if setpriv --reuid=nobody --clear-groups test -r "$BUILD/deps/musl/lib/libz.a"; then
        as="setpriv --reuid=nobody --clear-groups"
    fi
fi
locale=$(locale -a 2>/dev/null | grep -v '^\(C\|POSIX\)' | head -1)
sleep 1.1 # another second
start=$(date +%s)
# shellcheck disable=SC2086  # $as is a list
(umask 077 && cd "$copy" && $as env -u LC_ALL TZ=Asia/Shanghai LANG="${locale:-de_DE.UTF-8}" HOME=/nonexistent \
    SOURCE_DATE_EPOCH=1 make -j3 >"$TMPDIR/log" 2>&1) || { tail -20 "$TMPDIR/log"; fail "the copy builds"; }
echo "built in another place${as:+, by another user} in $(($(date +%s) - start)) s"
for f in silktalk silktalk.debug; do
    a=$(sha256sum <"$BUILD/$f" | cut -d' ' -f1)
    b=$(sha256sum <"$copy/build/$f" | cut -d' ' -f1)
    [ "$a" = "$b" ] || fail "$f has the same bytes: $a in $here, $b in the copy"
done
echo "same bytes: $a"

# the time of a rebuild after a change of one file; the limit of 3 s is for a machine that does nothing else
echo '/* changed */' >>"$copy/lib/base/text.c"
start=$(date +%s%N)
# shellcheck disable=SC2086
(cd "$copy" && $as make >"$TMPDIR/log" 2>&1) || { tail -20 "$TMPDIR/log"; fail "rebuild"; }
took=$((($(date +%s%N) - start) / 1000000))
built=$(grep -c '^  cc' "$TMPDIR/log")
[ "$built" -le 2 ] || fail "a change of one file compiles it and what holds the source id, not $built files"
! cmp -s "$BUILD/silktalk.debug" "$copy/build/silktalk.debug" || fail "the change is in the result"
[ "$took" -le 30000 ] || fail "a rebuild takes $took ms"
echo "rebuild after a change of one file: $took ms, $built files compiled"
