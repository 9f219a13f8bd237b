#!/bin/sh
# Asks the node for its status over the control socket, with any program that can talk to a unix socket:
#   control.sh [SOCKET]
# Needs socat, or nc with -U, or python3. See contrib/control-protocol.md.
set -eu
socket=${1:-$HOME/.silktalk/control.sock}
request='{"v":1,"id":1,"method":"status","params":{}}'
if command -v socat >/dev/null; then
    echo "$request" | socat -t 5 - "UNIX-CONNECT:$socket"
elif nc -h 2>&1 | grep -q -- '-U'; then
    echo "$request" | nc -U -N "$socket"
else
    python3 -c 'import socket,sys
s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(sys.argv[2].encode()+b"\n"); print(s.makefile().readline(),end="")' "$socket" "$request"
fi
