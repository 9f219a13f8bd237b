#!/bin/sh
# limit: 180
# top, report and events, as an operator and a script use them.
set -eu
exec python3 "$(dirname "$0")/watch.py"
