#!/bin/sh
# limit: 180
# The executable against the tables of operations.md (tests/data/*.tsv).
exec python3 tests/docs/surface.py
