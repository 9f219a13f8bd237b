#!/bin/sh
# limit: 120
# Small messages while a large file moves between the same two nodes: their latency beside its idle value.
# MOST: how many times the idle p99 is an error (10; the aim is 3, which a busy machine can't be held to).
exec python3 tests/files/quiet.py
