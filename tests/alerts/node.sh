#!/bin/sh
# limit: 600
# [alerts] of running nodes: a real fault, peers and webhook told, restart, repeat, maintenance, a webhook that hangs.
exec python3 tests/alerts/node.py
