#!/bin/sh
# The daemon's HTTP with real curl and jq: the manual's line, tokens, many and slow clients, a reload of http.listen.
# limit: 300
for program in curl jq openssl; do
    command -v $program >/dev/null || { echo "$program is not installed (contrib/setup installs it)"; exit 77; }
done
exec python3 tests/http/http.py
