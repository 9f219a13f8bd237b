#!/bin/sh
# limit: 120
# The command line against a real node: files, exit codes, JSON, spool, signals, one daemon per home.
set -eu
work=$(mktemp -d "${TMPDIR:-/tmp}/silktalk-cli.XXXXXX")
home=$work/home
fail() { echo "FAIL: $*"; exit 1; }
clean() { "$SILKTALK" stop -q --home "$home" >/dev/null 2>&1 || true; rm -rf "$work"; }
trap clean EXIT
s() { "$SILKTALK" "$@" --home "$home"; }
code() { want=$1; shift; got=0; "$@" >"$work/out" 2>"$work/err" || got=$?; [ $got = "$want" ] || { cat "$work/out" "$work/err"; fail "$* gave $got, not $want"; }; }

code 0 s config init
[ "$(stat -c %a "$home/identity.key")" = 600 ] || fail "identity mode"
key=$(sha256sum "$home/identity.key")
code 0 s config init; grep -q "Nothing to do" "$work/out" || fail "second init"
[ "$key" = "$(sha256sum "$home/identity.key")" ] || fail "second init changed the identity"
code 3 s status
code 3 s peers --json; grep -q '"silktalk.error/1"' "$work/err" || fail "JSON error"
code 2 s statsu; grep -q "did you mean status" "$work/err" || fail "suggestion"
code 2 s peers --sotr x; grep -q -- "did you mean --sort" "$work/err" || fail "option suggestion"
code 6 s config set connection.maxConections 5; grep -q maxConnections "$work/err" || fail "nearest key"
code 6 s config set connection.maxConnections 0
code 0 s config set connection.maxConnections 50
[ "$(s config get connection.maxConnections)" = 50 ] || fail "get after set"
grep -q '^# ' "$home/config.ini" || fail "comments lost"
code 0 s config set network.listen '["/ip4/127.0.0.1/tcp/0"]'

other=12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq
code 0 s send $other "while down"; [ -n "$(ls "$home"/spool/*.msg)" ] || fail "spool"
touch "$home/data/stale.lock" 2>/dev/null || true
code 0 s start
code 0 s outbox --json; grep -q '"state":"queued"' "$work/out" || fail "spool taken up"
[ -z "$(ls "$home"/spool/*.msg 2>/dev/null)" ] || fail "spool file left"
code 9 "$SILKTALK" daemon --home "$home"; grep -q "in use by process $(s status --json | sed "s/.*\"pid\":\([0-9]*\).*/\1/")" "$work/err" || fail "who holds the home"
code 0 s status --json; python3 -m json.tool "$work/out" >/dev/null
for verb in id peers inbox outbox "diag limits" "log level" "config list" "config list --schema" version applets; do
    # shellcheck disable=SC2086
    code 0 s $verb --json; python3 -m json.tool "$work/out" >/dev/null || fail "$verb --json"
done
code 4 s ping no-such-peer
code 4 s disconnect $other
code 0 s config set messages.maxBody 2MiB; grep -q applied "$work/out" || fail "applied"
code 0 s config set database.cacheSize 16MiB; grep -q "applied" "$work/out" || fail "cache size applied"
code 0 s config set node.socketMode 0660; grep -q "restart needed" "$work/out" || fail "restart needed"
s status | grep -q "restart pending: node.socketMode" || fail "pending in status"
printf '[connection]\nmaxConnections = many\n' >"$home/config.ini.bad"
code 6 s config check "$home/config.ini.bad"; grep -q ":2:" "$work/err" || fail "file and line"
python3 contrib/examples/control.py "$home/control.sock" || fail "control.py"
sh contrib/examples/control.sh "$home/control.sock" | grep -q '"silktalk.status/1"' || fail "control.sh"
pid=$(s status --json | sed 's/.*"pid":\([0-9]*\).*/\1/')
mv "$home/log/silktalk.log" "$home/log/old.log"; kill -HUP "$pid"
i=0; until grep -q "Log reopened" "$home/log/silktalk.log" 2>/dev/null; do i=$((i+1)); [ $i -lt 100 ] || fail "HUP"; sleep 0.05; done
kill -USR1 "$pid"; i=0; until grep -q "State part=status" "$home/log/silktalk.log"; do i=$((i+1)); [ $i -lt 100 ] || fail "USR1"; sleep 0.05; done
kill -9 "$pid"; i=0; while kill -0 "$pid" 2>/dev/null; do i=$((i+1)); [ $i -lt 100 ] || fail "kill"; sleep 0.05; done
code 0 s start
code 2 s outbox cancel 012345; code 0 s outbox cancel --yes "$(s outbox --json | grep -o '"id":"[0-9a-f]*"' | head -1 | cut -d'"' -f4)"
code 0 s stop
code 0 s stop
for page in silktalk silktalk.ini silktalkd silktalk-send; do s man $page | grep -q '^.Sh NAME' || fail "man $page"; done
for shell in bash zsh fish; do s completion $shell | grep -q explain || fail "completion $shell"; done
s completion bash | bash -n
s help | grep -q "Messages" || fail "help"
for v in $(s applets); do s help "$v" | grep -q "Examples:" || fail "no examples in help $v"; done
s version --licenses | grep -q SQLite || fail "licences"
echo "command line: all held"
