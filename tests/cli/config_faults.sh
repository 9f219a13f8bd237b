#!/bin/sh
# limit: 300
# Configuration by hostile hands: what is no file in the place of a file, values at and beyond their ranges, faults of the disk.
exec python3 tests/cli/config_faults.py
