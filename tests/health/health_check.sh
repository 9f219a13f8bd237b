#!/bin/sh
# limit: 200
# health-check tells on change, recovery and repeat, by mail and by a program, also when the node is dead.
exec python3 tests/health/health_check.py
