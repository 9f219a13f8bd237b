#!/bin/sh
# limit: 200
# `silktalk check daily|weekly|monthly`: each item, its fault, what is kept, reports.
exec python3 tests/health/check.py
