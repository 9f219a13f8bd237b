#!/bin/sh
# limit: 300
# health-check --webhook and health --url over https: real TLS servers of every kind, proxies, servers that lie.
exec python3 tests/alerts/webhook.py
