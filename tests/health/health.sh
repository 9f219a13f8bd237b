#!/bin/sh
# limit: 400
# Each check of `silktalk health`: its real fault is made, it alone reports it; none does on a healthy node.
exec python3 tests/health/health.py
