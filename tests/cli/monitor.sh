#!/bin/sh
# limit: 120
# monitor.sock (operations.md S2.1, S10): on a system install members of silktalk-monitor ask by it what role read may,
# and nothing else; others are told by HTTP how the node is, and no more.
set -eu
[ "$(id -u)" = 0 ] || { echo "needs root: users and groups of its own"; exit 77; }
if [ "${1:-}" != inside ]; then # port 8080 of its own
    unshare -mn true 2>/dev/null || { echo "needs namespaces of its own"; exit 77; }
    exec unshare -mn "$0" inside
fi
python3 - <<'PY'
import fcntl, socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
fcntl.ioctl(s, 0x8914, struct.pack("16sh14x", b"lo", 0x1 | 0x40))  # SIOCSIFFLAGS: up, running
PY
work=$(mktemp -d "${TMPDIR:-/tmp}/silktalk-monitor.XXXXXX")
root=$work/root
clean() {
    [ ! -x "$root/silktalk" ] || chroot "$root" /silktalk stop -q >/dev/null 2>&1 || true
    umount "$root/proc" 2>/dev/null || true
    rm -rf --one-file-system "$work"
}
trap clean EXIT
fail() { echo "FAIL: $*"; exit 1; }

chmod 711 "$work"
mkdir -p "$root/etc" "$root/var/log" "$root/var/lib/silktalk" "$root/run" "$root/tmp" "$root/proc"
chmod 1777 "$root/tmp"
mount -t proc proc "$root/proc"
cp "$SILKTALK" "$root/silktalk"
printf 'root:x:0:0::/root:/bin/sh\nsilktalk:x:501:501::/var/lib/silktalk:/bin/sh\nwatcher:x:502:502::/:/bin/sh\nstranger:x:503:503::/:/bin/sh\n' >"$root/etc/passwd"
groups() { printf 'root:x:0:\nsilktalk:x:501:\nwatcher:x:502:\nstranger:x:503:\nsilktalk-monitor:x:504:%s\n' "$1" >"$root/etc/group"; }
groups silktalk,watcher
chown 501:501 "$root/var/lib/silktalk"
chmod 750 "$root/var/lib/silktalk"
c() { chroot "$root" /silktalk "$@"; }
watcher() { chroot --userspec=502:502 --groups=504 "$root" /silktalk "$@"; }
stranger() { chroot --userspec=503:503 --groups=503 "$root" /silktalk "$@"; }
# Runs it: wants an exit code, and a word in what it says.
wants() {
    code=$1 word=$2
    shift 2
    got=0
    "$@" >"$work/said" 2>&1 || got=$?
    [ $got = "$code" ] || fail "$*: exit $got, not $code: $(cat "$work/said")"
    [ -z "$word" ] || grep -q -e "$word" "$work/said" || fail "$*: $(cat "$work/said")"
}

c config init >/dev/null
c config set network.listen /ip4/127.0.0.1/tcp/0 >/dev/null
c start -q
socket=$root/run/silktalk/monitor.sock
[ "$(stat -c '%a %u %g %F' "$socket")" = "660 501 504 socket" ] || fail "monitor.sock: $(stat -c '%a %u %g' "$socket")"
[ "$(stat -c '%a %u %g' "$root/run/silktalk/control.sock")" = "660 501 501" ] || fail "control.sock"

wants 0 "^Node " watcher status --timeout 30s
wants 0 "^SILKTALK OK - " watcher health
wants 0 '"schema":"silktalk.id/1"' watcher id --json
wants 0 "" watcher peers
wants 0 "" watcher outbox
wants 0 "^remembered_events " watcher diag limits
wants 0 "" watcher report --timeout 30s
wants 0 '"connections_max"' watcher top -n 1 --json --timeout 30s
follow() { timeout 1 chroot --userspec=502:502 --groups=504 "$root" /silktalk events --json; }
wants 124 "" follow # without end: nothing refused it
for verb in reload stop restart "connect /ip4/127.0.0.1/tcp/1" "maintenance on" "log level debug" "peer name 012345 x"; do
    # shellcheck disable=SC2086 # words of a verb
    wants 5 "may only read\|ermission" watcher $verb
done
wants 0 "^Node " c status --timeout 30s # it still runs
case $(watcher check daily 2>&1) in *"is not kept"*) ;; *) fail "a result was kept for one who may only read" ;; esac

# Neither socket: HTTP tells anybody on this host how the node is, and no API.
wants 5 "ermission" stranger status
wants 5 "ermission" stranger peers
wants 0 "^SILKTALK OK - " stranger health
c config set http.listen off >/dev/null
wants 3 "^SILKTALK UNKNOWN - node No permission" stranger health

# By the kernel's word for who they are, not by the file's mode alone.
chmod 666 "$socket" "$root/run/silktalk/control.sock"
wants 5 "may use this socket" stranger status
wants 0 "^Node " watcher status --timeout 30s
wants 5 "may only read\|may use this socket" watcher reload

# A node that is stopped says so in time.
pid=$(c status --timeout 30s --json | sed 's/.*"pid":\([0-9]*\).*/\1/')
kill -STOP "$pid"
began=$(date +%s)
wants 10 "answer in time\|is stopped" watcher status
[ $(($(date +%s) - began)) -le 4 ] || fail "status of a stopped node took its time"
kill -CONT "$pid"
c restart -q

# Without the group the socket is for those who may use the other one; without the right to set it there is none.
c stop -q
groups silktalk,watcher
sed -i '/silktalk-monitor/d' "$root/etc/group"
c start -q
[ "$(stat -c '%a %g' "$socket")" = "660 501" ] || fail "no such group: $(stat -c '%a %u %g' "$socket")"
c stop -q
groups watcher
c start -q
[ ! -e "$socket" ] || fail "the node is no member of the group, and there is a socket"
grep -q 'INFO net: Listener skipped addr=/run/silktalk/monitor.sock reason=' "$root/var/log/silktalk/silktalk.log" || fail "no word of it"
wants 0 "^Node " c status --timeout 30s
c config set node.monitorSocket /run/silktalk/control.sock >/dev/null
c restart -q
wants 0 "^Node " c status --timeout 30s
c stop -q
echo "members of silktalk-monitor may read; others may not"
