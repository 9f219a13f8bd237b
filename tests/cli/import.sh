#!/bin/sh
# limit: 300
# Old JavaScript installations are brought over; tests/interop/import.sh does the same with keys made by js-libp2p now.
exec python3 tests/cli/import.py
