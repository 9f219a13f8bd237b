#!/bin/sh
# limit: 200
# Every verb that fails: its exit code and what it says; terminals, interrupts, other users, broken control clients.
exec python3 tests/cli/verbs.py
