#!/bin/sh
# limit: 300
# /silktalk/file/1.0.0 between the node and a second implementation in JavaScript, both ways.
exec python3 tests/interop/files_test.py
