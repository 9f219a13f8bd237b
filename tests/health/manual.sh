#!/bin/sh
# limit: 120
# The operations manual's alert script (section 3.3) as it is printed, and its checks of /health, with curl and jq.
# Its port is 8080, which root can have free in a network of its own.
if [ "$(id -u)" = 0 ] && unshare --net ip link set lo up 2>/dev/null; then
    exec unshare --net sh -c 'ip link set lo up && exec python3 tests/health/manual.py'
fi
exec python3 tests/health/manual.py
