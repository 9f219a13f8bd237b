#!/bin/sh
# limit: 120
# What a service manager and an operator rely on.
exec python3 tests/cli/operate.py
