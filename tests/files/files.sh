#!/bin/sh
# limit: 200
# Large files as a user has them: sent, listed, accepted, saved, cancelled, refused; quotas and bad input.
exec python3 tests/files/files.py
