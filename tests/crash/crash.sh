#!/bin/sh
# limit: 300
# kill -9 at random moments under load: nothing acknowledged is lost, nothing is there twice, nothing needs repair.
# ROUNDS=50 for a thousand kills. The second run is of the twin that loses unsynced writes, as a power cut does.
set -eu
python3 tests/crash/crash.py
DAEMON=${BUILD:-build}/crash/silktalk python3 tests/crash/crash.py
