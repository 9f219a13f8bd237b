#!/bin/sh
# limit: 600
# Attacks on a real node, one by one and together: README.md of this folder has the table. Names run only these.
make -s "BUILD=${BUILD:-build}" "${BUILD:-build}/abuse/attacker" "${BUILD:-build}/abuse/silktalk" || exit 1
tests/abuse/mutants check || exit 1
exec python3 tests/abuse/abuse.py "$@"
