#!/bin/sh
# limit: 180
# Half a minute of messages, files, connections that come and go, and abuse at once. The long one: MINUTES=30 KEEP=1.
exec python3 tests/soak/soak.py
