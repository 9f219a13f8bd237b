#!/bin/sh
# limit: 60
# contrib/manual-coverage.md against the tests it names, the executable's verbs and the table of configuration keys.
exec python3 tests/manual/coverage.py
