#!/bin/sh
# limit: 300
# kill -9 of the receiver at random moments under load: nothing acknowledged is lost, nothing is there twice.
exec python3 tests/crash/crash.py
