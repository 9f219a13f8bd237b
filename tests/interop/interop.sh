#!/bin/sh
# limit: 900
# Real go-libp2p and js-libp2p peers against the node, in both directions.
set -eu
PATH=$PATH:/usr/local/go/bin
export PATH
exec python3 tests/interop/interop_test.py
