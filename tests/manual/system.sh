#!/bin/sh
# limit: 300
# The operations manual's commands as printed, on a machine of its own with a real systemd and journal.
exec python3 tests/manual/system.py
