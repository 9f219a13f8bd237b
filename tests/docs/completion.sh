#!/bin/sh
# limit: 120
# Completion: bash completes verbs, options, second words, keys, files and peers; zsh and fish take their scripts.
set -eu
work=$(mktemp -d "${TMPDIR:-/tmp}/silktalk-completion.XXXXXX")
home=$work/home
clean() { "$SILKTALK" stop -q --home "$home" >/dev/null 2>&1 || true; rm -rf "$work"; }
trap clean EXIT
fail() { echo "FAIL: $*"; exit 1; }
s() { verb=$1; shift; "$SILKTALK" "$verb" --home "$home" "$@"; }

"$SILKTALK" completion bash >"$work/bash"
bash -n "$work/bash"
cat >"$work/try" <<'END'
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
[ "$(complete -p silktalk)" = "complete -F _silktalk silktalk" ] || exit 1
_silktalk
printf '%s\n' "${COMPREPLY[@]}" | sort | tr '\n' ' '
END
try() { want=$1; shift; got=$(bash "$work/try" "$work/bash" "$SILKTALK" "$@"); [ "$got" = "$want " ] || fail "bash: $* gave '$got', not '$want'"; }
has() { want=$1; shift; case " $(bash "$work/try" "$work/bash" "$SILKTALK" "$@")" in *" $want "*) ;; *) fail "bash: $* does not offer $want" ;; esac; }

try "start status stop" st
try "--home" --ho
try "config" --json conf
for verb in $("$SILKTALK" applets); do has "$verb" ""; done
try "set" config se
try "check diff get history init list path rollback set unset" config ""
try "connection.maxConnections connection.maxConnectionsPerAddress connection.maxConnectionsPerPeer" config set connection.maxConn
for key in $("$SILKTALK" config list --home "$home" | awk 'NR > 1 {print $1}'); do has "$key" config get ""; done
for verb in $("$SILKTALK" applets); do
    for option in $("$SILKTALK" "$verb" --help | sed -n 's/^  \(-., \|    \)\(--[a-z-]*\).*/\2/p'); do has "$option" "$verb" --; done
done
try "disconnect" help dis
try "silktalk-ops silktalk-outbox" man silktalk-o
try "debug" log level d
try "bash fish zsh" completion ""
touch "$work/body.txt"
try "$work/body.txt" send --file "$work/bod"
try "$work/body.txt" config check "$work/bod"

s config init >/dev/null
s config set network.listen /ip4/127.0.0.1/tcp/0 >/dev/null
s start -q
peer=12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq
s send $peer "so that it is known" >/dev/null
s peer name $peer far-away
try "far-away" --home "$home" send far
try "far-away" --home "$home" inbox --from far
try "$peer" --home "$home" peer show 12D3KooWBtg
has far-away ping --home "$home" ""

for shell in zsh fish; do
    "$SILKTALK" completion $shell >"$work/$shell"
    if ! command -v $shell >/dev/null; then
        echo "$shell is not installed (contrib/setup installs it)"
        missing=yes
        continue
    fi
    $shell -n "$work/$shell" || fail "$shell: syntax"
done
if [ -n "${missing:-}" ]; then exit 77; fi
got=$(zsh -f -c 'autoload -U compinit; compinit -D; source $1
    line=($2 config set connection.maxConnectionsPerP); at=3; _silktalk_offer; print $kind ${(M)${=offer}:#connection.maxConnectionsPerP*}
    line=($2 st); at=1; _silktalk_offer; print ${(M)${=offer}:#st*} $_comps[silktalk]' zsh "$work/zsh" "$SILKTALK" 2>&1)
[ "$got" = "key connection.maxConnectionsPerPeer
start stop status _silktalk" ] || fail "zsh: $got"
got=$(HOME=$work fish --no-config -c 'source $argv[1]; complete -C "silktalk config set connection.maxConnectionsPerP"; complete -C "silktalk stat"' "$work/fish" 2>&1 | cut -f1 | tr '\n' ' ')
[ "$got" = "connection.maxConnectionsPerPeer status " ] || fail "fish: $got"
echo "bash, zsh and fish complete"
