#!/bin/sh
# limit: 600
# tests/cli/import.py once more, with each key made by js-libp2p itself at this moment.
set -eu
tests/interop/peers/build.sh js || exit $?
node=node
for bundled in "$BUILD"/interop/js/node_modules/node-linux-*/bin/node; do
    if "$bundled" --version >/dev/null 2>&1; then node=$bundled; fi
done
OLD_INSTALL="$node $BUILD/interop/js/old-install.js"
export OLD_INSTALL
exec python3 tests/cli/import.py
