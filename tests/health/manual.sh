#!/bin/sh
# limit: 120
# The operations manual's alert script (section 3.3) as it is printed, and its checks of /health, with curl and jq.
exec python3 tests/health/manual.py
