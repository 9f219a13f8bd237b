#!/bin/sh
# limit: 180
# Metrics against the table of operations.md, promtool, and the OpenMetrics parser of the Python client.
set -eu
if ! command -v promtool >/dev/null; then
    echo "promtool is not installed (contrib/setup installs it)"
    exit 77
fi
for python in python3 /usr/bin/python3; do
    if "$python" -c 'import prometheus_client' 2>/dev/null; then
        exec "$python" "$(dirname "$0")/metrics.py"
    fi
done
echo "the Python client of Prometheus is not installed (contrib/setup installs it)"
exit 77
