#!/bin/sh
# limit: 180
# `silktalk top` on terminals of several sizes, with what peers and operators may do to it; `report` beside it.
make -s "BUILD=${BUILD:-build}" "${BUILD:-build}/abuse/attacker" || exit 1
exec python3 tests/top/top.py
