#!/bin/sh
# limit: 300
# contrib/examples: cron, alert scripts, Prometheus, Nagios, Icinga, on a machine of their own with the real programs.
exec python3 tests/manual/examples.py
