#!/bin/sh
# The executable runs in a root that holds nothing else: no /proc, no /dev, no libraries.
set -u
fail() { echo "not so: $*"; exit 1; }
mkdir "$TMPDIR/root" && cp "$SILKTALK" "$TMPDIR/root/silktalk" || exit 1
if [ "$(id -u)" -eq 0 ]; then
    enter=
elif unshare -r true 2>/dev/null; then
    enter="unshare -r"
else
    echo "needs root, or user namespaces"
    exit 77
fi
PATH=$PATH:/usr/sbin:/sbin
for args in version help "version --json" "version --licenses" "config list"; do
    # shellcheck disable=SC2086  # lists of words are meant
    $enter chroot "$TMPDIR/root" /silktalk $args >"$TMPDIR/out" 2>&1 </dev/null || fail "$args: $(head -5 "$TMPDIR/out")"
    [ -s "$TMPDIR/out" ] || fail "$args prints something"
done
[ "$(ls "$TMPDIR/root")" = silktalk ] || fail "nothing was written: $(ls "$TMPDIR/root")"
echo "runs in an empty root: $($enter chroot "$TMPDIR/root" /silktalk version | head -1)"
