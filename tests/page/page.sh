#!/bin/sh
# limit: 180
# The status page in a real browser, headless, before a real node: sizes, colours, peers, faults. SHOTS=folder keeps the pictures.
browser=
for name in chromium chromium-browser google-chrome chrome; do
    if command -v $name >/dev/null; then browser=$name && break; fi
done
if [ -z "$browser" ]; then
    echo "no chromium (contrib/setup installs it)"
    exit 77
fi
make -s "BUILD=${BUILD:-build}" "${BUILD:-build}/abuse/attacker" || exit 1
BROWSER=$browser exec python3 tests/page/page.py
