#!/bin/sh
# limit: 400
# Each check of `silktalk health`: its real fault is made, it alone reports it; none does on a healthy node.
make -s "BUILD=${BUILD:-build}" "${BUILD:-build}/abuse/silktalk" || exit 1
exec python3 tests/health/health.py
