#!/usr/bin/env python3
"""Lists the connected peers over the control socket: control.py [SOCKET]. See contrib/control-protocol.md."""
import json
import os
import socket
import sys

path = sys.argv[1] if len(sys.argv) > 1 else os.path.expanduser("~/.silktalk/control.sock")
with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
    s.connect(path)
    s.sendall(json.dumps({"v": 1, "id": 1, "method": "peers.list", "params": {}}).encode() + b"\n")
    answer = json.loads(s.makefile().readline())
if "error" in answer:
    sys.exit(answer["error"]["message"])
for peer in answer["result"]["items"]:
    print(peer["peer_id"], peer["addr"], peer["direction"])
