#!/bin/sh
# limit: 200
# The configuration can not be lost, whatever happens to it.
exec python3 tests/cli/config_history.py
