#!/bin/sh
# limit: 120
# operations.md S2.1, S12: in the home of another user root's commands act as that user; the system's layout has the
# modes and owners of tests/data/files.tsv.
set -eu
[ "$(id -u)" = 0 ] || { echo "needs root: homes of another user, and a root directory of its own"; exit 77; }
owner=65534
work=$(mktemp -d "${TMPDIR:-/tmp}/silktalk-owner.XXXXXX")
home=$work/home root=$work/root
clean() {
    "$SILKTALK" stop -q --home "$home" >/dev/null 2>&1 || true
    [ ! -x "$root/silktalk" ] || chroot "$root" /silktalk stop -q >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap clean EXIT
fail() { echo "FAIL: $*"; exit 1; }
s() { "$SILKTALK" "$@" --home "$home"; }
theirs() { alien=$(find "$1" ! -user $owner); [ -z "$alien" ] || fail "$2: not the owner's: $alien"; }
chmod 711 "$work"

mkdir -m 700 "$home"
chown $owner:$owner "$home"
s config init >/dev/null
theirs "$home" "config init"
s config set network.listen /ip4/127.0.0.1/tcp/0 >/dev/null
s send 12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq spooled -q >/dev/null
[ "$(s outbox --json | grep -c '"spooled"')" = 1 ] || fail "outbox"
s id >/dev/null
theirs "$home" "commands with the node down"
s start -q
pid=$(s status --json | sed 's/.*"pid":\([0-9]*\).*/\1/')
[ "$(stat -c %u "/proc/$pid")" = $owner ] || fail "the daemon runs as $(stat -c %u "/proc/$pid")"
[ "$(stat -c %g "/proc/$pid")" = $owner ] || fail "the daemon has another group"
grep -q '^Groups:[[:space:]]*\(65534 \)\{0,1\}$' "/proc/$pid/status" || fail "the daemon has root's groups"
s config set connection.maxConnections 50 >/dev/null
s stop -q
theirs "$home" "a node that ran"
[ "$("$SILKTALK" config get connection.maxConnections --home "$home")" = 50 ] || fail "config set"

# What the owner could not read is not read for them: a link instead of the configuration or the key.
echo 'secret = of-root' >"$work/secret"
chmod 600 "$work/secret"
mv "$home/config.ini" "$home/config.kept"
ln -s "$work/secret" "$home/config.ini"
got=0; s config list >"$work/out" 2>&1 || got=$?
[ $got -ne 0 ] || fail "a link to a file of root's is a configuration"
if grep -q of-root "$work/out"; then fail "a file of root's was shown"; fi
rm "$home/config.ini"; mv "$home/config.kept" "$home/config.ini"
rm -rf "$home/spool"; mkdir "$work/elsewhere"; ln -s "$work/elsewhere" "$home/spool"
s send 12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq spooled -q >/dev/null 2>&1 || true
[ -z "$(ls "$work/elsewhere")" ] || fail "root wrote through a link of the owner's"

# The system's layout, in a root directory that holds nothing else.
mkdir -p "$root/etc" "$root/var/log" "$root/var/lib/silktalk" "$root/run" "$root/tmp"
cp "$SILKTALK" "$root/silktalk"
chown $owner:$owner "$root/var/lib/silktalk"
chmod 750 "$root/var/lib/silktalk"
c() { chroot "$root" /silktalk "$@"; }
[ "$(c config path)" = /etc/silktalk/silktalk.ini ] || fail "path: $(c config path)"
c config init >/dev/null
c config set network.listen /ip4/127.0.0.1/tcp/0 >/dev/null
c start -q
c status >/dev/null
grep -v '^#' "$(dirname "$0")/../data/files.tsv" | while IFS="$(printf '\t')" read -r path mode who delivery; do
    case $path in '~'*) continue ;; esac
    state=$(awk -v d="$delivery" '$1 == d {print $2}' "$(dirname "$0")/../data/deliveries.tsv")
    if [ "$state" != done ]; then
        [ "$state" = open ] || [ ! -e "$root$path" ] || fail "$path is of a later delivery"
        continue
    fi
    want=$(printf '%o' "0$mode")
    got=$(stat -c %a "$root$path")
    [ "$got" = "$want" ] || fail "$path has mode $got, not $want"
    if [ "$who" = root ]; then uid=0; else uid=$owner; fi
    [ "$(stat -c %u "$root$path")" = $uid ] || fail "$path belongs to $(stat -c %u "$root$path"), not $uid"
done
c stop -q
theirs "$root/var/lib/silktalk" "the system's home"

# A plain user without a home of their own asks about the system's.
[ "$(chroot --userspec=$owner:$owner "$root" /silktalk config path)" = /etc/silktalk/silktalk.ini ] || fail "another user's path"
echo "root acts as the owner of the home"
