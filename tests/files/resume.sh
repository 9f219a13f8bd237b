#!/bin/sh
# limit: 600
# A large file through kill -9 of either side at random moments: byte for byte, in little memory.
# FILE_MIB: its size (1024; the CI takes 256). FILE_KILLS: how often. TEST_SEED: of the moments.
exec python3 tests/files/resume.py
